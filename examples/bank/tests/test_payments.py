"""How a service tests what it records: ``posthog_events`` comes with the package, and nothing is sent."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bank.accounts import Accounts
from bank.errors import InsufficientFunds
from bank.models import Customer, Document, Method, Status, Tier
from bank.outside import Answer, Outside
from bank.payments import Payments
from bank.storage import Storage
from zentra_otel_posthog import identify
from zentra_otel_posthog.delivery import Capture

PAN, PHONE, EMAIL, BVN = "4539148803436467", "08030000001", "ada.obi@example.com", "22212345678"


class Agreeable(Outside):
    """Everybody outside agrees, but for cards that expired."""

    async def authorise_card(self, pan: str, amount_minor: int) -> Answer:  # noqa: ARG002  the network's signature
        return Answer(accepted=pan == PAN, reason=None if pan == PAN else "expired_card")

    async def submit_to_rail(self, account_number: str) -> None: ...


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    books = Storage(tmp_path / "bank.sqlite3")
    yield books
    books.close()


@pytest.fixture
def customer(storage: Storage) -> Customer:
    """Return a customer with 50,000 naira."""
    known = Customer("cus_1", "Ada Obi", EMAIL, PHONE, "0123456789", "agent")
    storage.add_customer(known)
    storage.credit(known.id, 5_000_000)
    return known


@pytest.fixture
def payments(storage: Storage) -> Payments:
    return Payments(storage, Agreeable(seed=1))


def names(events: list[Capture]) -> list[str]:
    return [event.event for event in events]


def test_a_payment_by_card(payments: Payments, customer: Customer, posthog_events: list[Capture]) -> None:
    """It is recorded twice, about the customer, with what the tracking plan names."""
    with identify(customer.id, platform="android", user_tier=customer.tier):
        asyncio.run(payments.pay(customer.id, Method.CARD, 125_000, "NGN", PAN))

    assert names(posthog_events) == ["payment.pending", "payment.completed"]
    completed = posthog_events[-1]
    assert completed.distinct_id == customer.id
    assert {name: value for name, value in completed.properties.items() if not name.startswith("$")} == {
        "amount_minor": 125_000,
        "currency": "NGN",
        "method": "card",
        "platform": "android",
        "user_tier": "tier_1",
    }


def test_a_declined_card(payments: Payments, customer: Customer, posthog_events: list[Capture]) -> None:
    """The network's code is the reason."""
    asyncio.run(payments.pay(customer.id, Method.CARD, 125_000, "NGN", "4111111111111111"))

    assert names(posthog_events) == ["payment.pending", "payment.failed"]
    assert posthog_events[-1].properties["reason"] == "expired_card"


def test_too_little_money(payments: Payments, customer: Customer, posthog_events: list[Capture]) -> None:
    """The exception reaches the caller; its code is the reason."""
    asyncio.run(payments.pay(customer.id, Method.CARD, 4_000_000, "NGN", PAN))
    with pytest.raises(InsufficientFunds):
        asyncio.run(payments.pay(customer.id, Method.CARD, 4_000_000, "NGN", PAN))

    assert posthog_events[-1].event == "payment.failed"
    assert posthog_events[-1].properties["reason"] == "insufficient_funds"


def test_a_settlement_by_webhook(payments: Payments, customer: Customer, posthog_events: list[Capture]) -> None:
    """A bank payment is pending once, and completed when the rail says so, however often it does."""
    made = asyncio.run(payments.pay(customer.id, Method.BANK, 125_000, "NGN", "0123456789"))
    assert names(posthog_events) == ["payment.pending"]

    payments.take_notice(made.id, Status.COMPLETED, None)
    payments.take_notice(made.id, Status.COMPLETED, None)
    assert names(posthog_events) == ["payment.pending", "payment.completed"]
    assert posthog_events[-1].distinct_id == customer.id


def test_nothing_personal_leaves(storage: Storage, payments: Payments, posthog_events: list[Capture]) -> None:
    """A customer's whole way leaves no name, address, number or document in any event."""
    accounts = Accounts(storage, Agreeable(seed=1))
    opened = accounts.sign_up("Ada Obi", EMAIL, PHONE, channel="agent")
    accounts.verify(opened.id, Tier.TIER_2, BVN, [Document("passport", "A01234567")])
    storage.credit(opened.id, 5_000_000)
    asyncio.run(payments.pay(opened.id, Method.CARD, 125_000, "NGN", PAN))

    assert names(posthog_events) == ["user.signed_up", "kyc.verified", "payment.pending", "payment.completed"]
    for personal in ("Ada", "Obi", EMAIL, PHONE, BVN, PAN, "A01234567", opened.account_number):
        assert personal not in repr(posthog_events)
