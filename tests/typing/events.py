"""What a type checker must see of events, ``capture``, ``identify`` and the test helpers. Checked, never executed."""

from __future__ import annotations

from datetime import datetime
from typing import assert_type

from zentra_otel_posthog import (
    CardIssued,
    Event,
    KycVerified,
    PaymentCompleted,
    PaymentFailed,
    SessionAuthenticated,
    Settings,
    TransferCompleted,
    UserSignedUp,
    capture,
    configure,
    flush,
    identify,
    shutdown,
)
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.kinds import Count, Country, Currency, Flag, MinorUnits, Slug, SlugList
from zentra_otel_posthog.testing import captured_events


class CheckoutCompleted(Event, name="checkout.completed", set={"last_currency": "currency"}):
    amount_minor: MinorUnits
    currency: Currency
    items: Count | None = None
    gift: Flag = False
    tags: SlugList | None = None
    country: Country | None = None
    coupon: Slug | None = None


class Misspelt(Event, nme="checkout.completed"):  # type: ignore[call-arg]
    amount_minor: MinorUnits


completed = PaymentCompleted(amount_minor=125_000, currency="NGN", method="card", platform="ios", user_tier="gold")
assert_type(completed.amount_minor, int)
assert_type(completed.platform, str | None)
PaymentFailed(reason="limit", amount_minor=5)
TransferCompleted(amount_minor=5, destination="bank")
CardIssued(cardType="virtual", tier="gold")
KycVerified(tier="gold", documents=["passport"])
UserSignedUp(channel="web")
SessionAuthenticated(method="otp", deviceType="ios")
checkout = CheckoutCompleted(amount_minor=5, currency="NGN", items=3, gift=True, tags=["a"], platform="web")
assert_type(checkout.items, int | None)
assert_type(checkout.tags, list[str] | None)

PaymentCompleted(amount_minor=5, currency="NGN")  # type: ignore[call-arg]
PaymentCompleted("NGN")  # type: ignore[call-arg]
PaymentCompleted(amount_minor="5", currency="NGN", method="card")  # type: ignore[arg-type]
PaymentCompleted(amount_minor=5, currency="NGN", method="card", reason="x")  # type: ignore[call-arg]
CheckoutCompleted(amount_minor=5, currency="NGN", gift="yes")  # type: ignore[arg-type]
completed.amount_minor = 6  # type: ignore[misc]

assert_type(capture(completed, distinct_id="usr_1"), str | None)
assert_type(
    capture(
        "checkout.completed",
        distinct_id="usr_1",
        properties={"items": 3},
        timestamp=datetime.now().astimezone(),
        tenant="acme",
        set={"tier": "gold"},
        set_once={"channel": "web"},
    ),
    str | None,
)
capture(3)  # type: ignore[arg-type]
capture("checkout.completed", "usr_1")  # type: ignore[call-arg]
capture("checkout.completed", timestamp=3)  # type: ignore[arg-type]
capture("checkout.completed", properties=["items"])  # type: ignore[arg-type]
capture("checkout.completed", person="usr_1")  # type: ignore[call-arg]

with identify("usr_1", session_id="s", tenant="acme", platform="ios", user_tier="gold") as identified:
    assert_type(identified, identify)
identify(person="usr_1")  # type: ignore[call-arg]

with captured_events(flush_at=1) as events:
    assert_type(events, list[Capture])

assert_type(Settings().flush_at, int)
configure(flush_at=1)
assert_type(flush(timeout=1), bool)
assert_type(shutdown(timeout=1), bool)
