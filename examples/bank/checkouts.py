"""Checkouts: a payment, and a custom event that zentra-otel-posthog.toml declares."""

from bank.models import Basket, Method, Payment, Status
from bank.payments import Payments
from zentra_otel_posthog import capture


class Checkouts:
    def __init__(self, payments: Payments) -> None:
        self._payments = payments

    async def buy(self, customer_id: str, basket: Basket, method: Method, source: str) -> Payment:
        """Pay for a basket."""
        money = basket.money
        paid = await self._payments.pay(customer_id, method, money.amount_minor, money.currency, source)
        if paid.status is Status.COMPLETED:
            capture(
                "checkout.completed",
                distinct_id=customer_id,
                properties={
                    "amount_minor": money.amount_minor,
                    "currency": money.currency,
                    "items": basket.items,
                    # Careless on purpose: no schema declares a shopper's free text, and some of it is personal. The
                    # sanitizer keeps that back and counts it.
                    "note": basket.note,
                },
            )
        return paid
