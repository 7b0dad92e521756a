"""Transfers to other banks."""

from bank.errors import TierLimitExceeded
from bank.models import Status, Transfer, TransferOrder, new_id
from bank.outside import Outside
from bank.storage import Storage
from zentra_otel_posthog import transfer


class Transfers:
    def __init__(self, storage: Storage, outside: Outside) -> None:
        self._storage = storage
        self._outside = outside

    @transfer(
        distinct_id="order.customer_id",
        properties={
            "amount_minor": "order.money.amount_minor",
            "currency": "order.money.currency",
            "destination": "order.beneficiary.bank",
        },
        span_name="transfer to other bank",
    )
    async def send(self, order: TransferOrder) -> Transfer:
        """Send money to another bank.

        The event takes three values out of the order by their paths; the beneficiary's name and account stay here.

        Raises:
            BankError: It was refused before anything moved.
        """
        money, beneficiary = order.money, order.beneficiary
        if money.amount_minor > self._storage.customer(order.customer_id).tier.payment_limit:
            raise TierLimitExceeded
        self._storage.debit(order.customer_id, money.amount_minor)
        answer = await self._outside.send_to_bank(beneficiary.bank, beneficiary.account_number)
        status = Status.COMPLETED if answer.accepted else Status.FAILED
        if not answer.accepted:
            self._storage.credit(order.customer_id, money.amount_minor)
        sent = Transfer(new_id("trf"), status, answer.reason)
        self._storage.add_transfer(sent.id, order, status)
        return sent
