"""A rollout: whether a payment by bank goes over the instant rail is a feature flag's to say.

Beside the rest of the bank, which the demo runs without flags. At start-up, after ``configure``::

    from zentra_otel_posthog.flags import use_posthog_flags

    use_posthog_flags()
"""

from openfeature import api

from bank.models import Method, Payment, Status, new_id
from bank.outside import Outside
from bank.storage import Storage
from zentra_otel_posthog import identify, payment

FLAG = "instant-rail"


class InstantPayments:
    def __init__(self, storage: Storage, outside: Outside) -> None:
        self._storage = storage
        self._outside = outside
        self._flags = api.get_client()

    async def pay(self, customer_id: str, amount_minor: int, currency: str, account_number: str) -> Payment:
        """Pay from a bank account, over the rail that the rollout gives the customer.

        ``payment.pending`` was before the flag was asked for; ``payment.completed`` and what follows in the block
        carry ``$feature/instant-rail``. An outage of the flags is the rail of before.
        """
        with identify(customer_id):
            return await self._pay(customer_id, Method.BANK, amount_minor, currency, account_number)

    @payment
    async def _pay(
        self, customer_id: str, method: Method, amount_minor: int, currency: str, account_number: str
    ) -> Payment:
        self._storage.debit(customer_id, amount_minor)
        if await self._flags.get_boolean_value_async(FLAG, default_value=False):
            answer = await self._outside.send_to_bank("coastal_trust", account_number)
            status, reason = (Status.COMPLETED, None) if answer.accepted else (Status.FAILED, answer.reason)
        else:
            await self._outside.submit_to_rail(account_number)
            status, reason = Status.PENDING, None
        if status is Status.FAILED:
            self._storage.credit(customer_id, amount_minor)
        return Payment(new_id("pay"), customer_id, method, amount_minor, currency, status, reason)
