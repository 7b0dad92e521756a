"""Payments by card, bank and wallet, and the settlement of those that settle later."""

from bank.errors import BankError, TierLimitExceeded
from bank.models import Method, Payment, Status, new_id
from bank.outside import Answer, Outside
from bank.storage import Storage
from zentra_otel_posthog import PaymentCompleted, PaymentFailed, payment, track


class Payments:
    def __init__(self, storage: Storage, outside: Outside) -> None:
        self._storage = storage
        self._outside = outside

    @payment
    async def pay(self, customer_id: str, method: Method, amount_minor: int, currency: str, source: str) -> Payment:
        """Pay.

        Bare ``@payment``: ``payment.pending`` when the call starts; ``payment.completed`` or ``payment.failed`` when
        it ends, by the result's ``status`` and ``reason`` or the exception's ``code``; nothing more while the bank
        rail has it.

        Args:
            customer_id: Who pays.
            method: How.
            amount_minor: Amount in minor units.
            currency: ISO 4217 code.
            source: The PAN, account number or phone number to charge.

        Returns:
            The payment: completed, failed, or pending until the rail's webhook settles it.

        Raises:
            BankError: It was refused before anything moved.
        """
        if amount_minor > self._storage.customer(customer_id).tier.payment_limit:
            raise TierLimitExceeded
        self._storage.debit(customer_id, amount_minor)
        try:
            status, reason = await self._charge(method, amount_minor, source)
        except BankError:
            self._storage.credit(customer_id, amount_minor)
            raise
        if status is Status.FAILED:
            self._storage.credit(customer_id, amount_minor)
        made = Payment(new_id("pay"), customer_id, method, amount_minor, currency, status, reason)
        self._storage.add_payment(made, source)
        return made

    async def _charge(self, method: Method, amount_minor: int, source: str) -> tuple[Status, str | None]:
        match method:
            case Method.CARD:
                return _status(await self._outside.authorise_card(source, amount_minor))
            case Method.WALLET:
                return _status(await self._outside.charge_wallet(source))
            case Method.BANK:
                await self._outside.submit_to_rail(source)
                return Status.PENDING, None

    def take_notice(self, payment_id: str, status: Status, reason: str | None) -> tuple[Payment, bool]:
        """Take what the rail says about a payment. Rails repeat themselves: only the first word settles.

        Returns:
            The payment, and whether this notice settled it.
        """
        if not self._storage.settle_payment(payment_id, status, reason):
            return self._storage.payment(payment_id), False
        return self.settle(self._storage.payment(payment_id)), True

    @track(
        PaymentCompleted,
        failed=PaymentFailed,
        distinct_id="notified.customer_id",
        properties={
            "amount_minor": "notified.amount_minor",
            "currency": "notified.currency",
            "method": "notified.method",
        },
    )
    def settle(self, notified: Payment) -> Payment:
        """Close a payment that the rail has settled or returned.

        ``@track`` with the payment's two last events: it was initiated by ``pay``, and is not initiated again.
        """
        if notified.status is Status.FAILED:
            self._storage.credit(notified.customer_id, notified.amount_minor)
        return notified


def _status(answer: Answer) -> tuple[Status, str | None]:
    return (Status.COMPLETED, None) if answer.accepted else (Status.FAILED, answer.reason)
