"""What the bank must have emitted, counted from its HTTP answers alone."""

from collections import Counter
from typing import Any

import httpx

_SETTLED = {"completed": "payment.completed", "failed": "payment.failed"}


class Tally:
    """Counts, by event name, what a correct bank has emitted. It knows nothing of how the bank does it."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()

    def signed_up(self, answer: httpx.Response) -> None:
        """Count a sign-up."""
        self._count("user.signed_up", happened=answer.status_code == httpx.codes.CREATED)

    def logged_in(self, answer: httpx.Response) -> None:
        """Count a log-in."""
        self._count("session.authenticated", happened=answer.status_code == httpx.codes.CREATED)

    def verified(self, answer: httpx.Response) -> None:
        """Count a KYC verification: it may be answered and yet not passed."""
        self._count("kyc.verified", happened=answer.is_success and answer.json()["status"] == "verified")

    def card_issued(self, answer: httpx.Response) -> None:
        """Count a new card."""
        self._count("card.issued", happened=answer.status_code == httpx.codes.CREATED)

    def transferred(self, answer: httpx.Response) -> None:
        """Count a transfer: only one that arrived is an event."""
        self._count("transfer.completed", happened=answer.is_success and answer.json()["status"] == "completed")

    def paid(self, answer: httpx.Response, *, checkout: bool = False) -> None:
        """Count a payment: initiated by all means; completed, failed, or still with the rail."""
        status = answer.json()["status"] if answer.is_success else "failed"
        self._count("payment.pending")
        self._settled(status)
        self._count("checkout.completed", happened=checkout and status == "completed")

    def settled(self, answer: httpx.Response) -> None:
        """Count a settlement by the rail's webhook: the first one of each payment."""
        body: dict[str, Any] = answer.json()
        if body["changed"]:
            self._settled(body["status"])

    def _settled(self, status: str) -> None:
        if (event := _SETTLED.get(status)) is not None:
            self._count(event)

    def _count(self, event: str, *, happened: bool = True) -> None:
        if happened:
            self.events[event] += 1
