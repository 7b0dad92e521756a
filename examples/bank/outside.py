"""What a bank talks to, simulated: a card network, a bank rail, a wallet ledger, an identity bureau.

The chances are seeded, so that the same customers meet the same fate.
"""

import asyncio
import random
import secrets
from dataclasses import dataclass

from bank.errors import RailTimeout


@dataclass(frozen=True, slots=True)
class Answer:
    """What the outside says.

    Args:
        accepted: Whether it went through.
        reason: Why not.
    """

    accepted: bool
    reason: str | None = None


_DECLINES = ("do_not_honour", "do_not_honour", "expired_card", "suspected_fraud", "issuer_unavailable")


class Outside:
    """Every counterpart of the bank.

    Args:
        seed: Makes the chances reproducible.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    async def authorise_card(self, pan: str, amount_minor: int) -> Answer:
        """Ask the card network. One in eight is declined, large amounts more often."""
        await asyncio.sleep(0)
        if not _luhn_valid(pan):
            return Answer(accepted=False, reason="invalid_card")
        if self._random.random() < (0.10 if amount_minor < 5_000_000 else 0.25):
            return Answer(accepted=False, reason=self._random.choice(_DECLINES))
        return Answer(accepted=True)

    async def submit_to_rail(self, account_number: str) -> None:
        """Hand a payment to the bank rail, which settles later by webhook, or raise ``RailTimeout``."""
        await asyncio.sleep(0)
        if not account_number or self._random.random() < 0.05:
            raise RailTimeout

    async def charge_wallet(self, phone: str) -> Answer:
        """Move money in the wallet ledger."""
        await asyncio.sleep(0)
        if not phone or self._random.random() < 0.02:
            return Answer(accepted=False, reason="wallet_frozen")
        return Answer(accepted=True)

    async def send_to_bank(self, bank: str, account_number: str) -> Answer:
        """Send a transfer to another bank."""
        await asyncio.sleep(0)
        if not account_number or self._random.random() < (0.12 if bank == "lagoon_microfinance" else 0.03):
            return Answer(accepted=False, reason="beneficiary_bank_unavailable")
        return Answer(accepted=True)

    def check_identity(self, name: str, bvn: str) -> Answer:
        """Ask the identity bureau whether name and BVN belong together."""
        if not name or len(bvn) != 11:
            return Answer(accepted=False, reason="bvn_malformed")
        if self._random.random() < 0.08:
            return Answer(accepted=False, reason="name_mismatch")
        return Answer(accepted=True)

    def check_credential(self, login: str, method: str, credential: str) -> bool:
        """Ask the identity provider about a password, a one-time code or a biometric assertion."""
        return bool(login) and credential == f"{method}-of-{login}"

    @staticmethod
    def new_pan() -> str:
        """Return a card number of an invented range, with its Luhn digit; by no seed, which would repeat it."""
        digits = "506099" + "".join(secrets.choice("0123456789") for _ in range(9))
        return next(digits + last for last in "0123456789" if _luhn_valid(digits + last))


def _luhn_valid(pan: str) -> bool:
    if not (pan.isascii() and pan.isdigit()):
        return False
    digits = [int(digit) for digit in reversed(pan)]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
