"""The bank rail, played: it settles each pending payment a moment after it was made."""

import threading
from datetime import timedelta
from typing import Final

from bank.models import Status
from bank.payments import Payments
from bank.storage import Storage

_LOOK_INTERVAL: Final = 0.25  # seconds
_DELAY: Final = timedelta(seconds=2)
_CLOSED: Final = "0000000000"  # the account number that is always closed


class Rail:
    """A thread, and so outside of any request: as with a real rail, no browser is there when a payment settles.

    Args:
        storage: Knows what is pending.
        payments: Takes the rail's notices.
    """

    def __init__(self, storage: Storage, payments: Payments) -> None:
        self._storage = storage
        self._payments = payments
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._settle, name="bank-rail", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Settle nothing any more."""
        self._stopped.set()
        self._thread.join()

    def _settle(self) -> None:
        while not self._stopped.wait(_LOOK_INTERVAL):
            for payment_id, source in self._storage.pending_payments(_DELAY):
                closed = source == _CLOSED
                self._payments.take_notice(
                    payment_id,
                    Status.FAILED if closed else Status.COMPLETED,
                    "account_closed" if closed else None,
                )
