"""What leaves for PostHog, written out: one payload per event, as spooled and posted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

import zentra_otel_posthog as zentra
from zentra_otel_posthog import Event, __version__, capture, identify
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.delivery.capture import encode_line
from zentra_otel_posthog.testing import captured_events

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SESSION = "0192f0c1-2d3e-7abc-8def-0123456789ab"
NANOSECONDS = 1_793_613_600_123_456_789
TIME = "2026-11-02T10:00:00.123456Z"
MOMENT = datetime(2026, 11, 2, 10, 0, 0, 123456, UTC)
WEB: Any = {"platform": "web"}
CONSTANT = {
    "$lib": "zentra-otel-posthog",
    "$lib_version": __version__,
    "$geoip_disable": True,
    "$is_server": True,
    "$ignore_sent_at": True,
    "$trace_id": TRACE,
    "$span_id": SPAN,
}

PAYLOADS: list[tuple[Event, dict[str, Any]]] = [
    (
        zentra.PaymentPending(amount_minor=125_000, currency="NGN", method="card"),
        {
            "event": "payment.pending",
            "distinct_id": "usr_1",
            "timestamp": TIME,
            "properties": {
                "amount_minor": 125000,
                "currency": "NGN",
                "method": "card",
                "platform": "ios",
                "user_tier": "gold",
                "$set": {"platform": "ios", "user_tier": "gold"},
                "$session_id": SESSION,
                "$groups": {"tenant": "acme"},
                **CONSTANT,
            },
        },
    ),
    (
        zentra.PaymentCompleted(amount_minor=125_000, currency="NGN", method="card", **WEB),
        {
            "event": "payment.completed",
            "distinct_id": "usr_1",
            "timestamp": TIME,
            "properties": {
                "amount_minor": 125000,
                "currency": "NGN",
                "method": "card",
                "platform": "web",
                "user_tier": "gold",
                "$set": {"platform": "web", "user_tier": "gold"},
                "$session_id": SESSION,
                "$groups": {"tenant": "acme"},
                **CONSTANT,
            },
        },
    ),
    (
        zentra.PaymentFailed(reason="Insufficient funds", amount_minor=125_000),
        {
            "event": "payment.failed",
            "distinct_id": "usr_1",
            "timestamp": TIME,
            "properties": {
                "reason": "insufficient_funds",
                "amount_minor": 125000,
                "platform": "ios",
                "user_tier": "gold",
                "$set": {"platform": "ios", "user_tier": "gold"},
                "$session_id": SESSION,
                "$groups": {"tenant": "acme"},
                **CONSTANT,
            },
        },
    ),
    (
        zentra.TransferCompleted(amount_minor=5_000_000, destination="mobile_money", currency="GHS"),
        {
            "event": "transfer.completed",
            "distinct_id": "usr_1",
            "timestamp": TIME,
            "properties": {
                "amount_minor": 5000000,
                "destination": "mobile_money",
                "currency": "GHS",
                "platform": "ios",
                "user_tier": "gold",
                "$set": {"platform": "ios", "user_tier": "gold"},
                "$session_id": SESSION,
                "$groups": {"tenant": "acme"},
                **CONSTANT,
            },
        },
    ),
    (
        zentra.CardIssued(cardType="virtual", tier="gold"),
        {
            "event": "card.issued",
            "distinct_id": "usr_1",
            "timestamp": TIME,
            "properties": {
                "cardType": "virtual",
                "tier": "gold",
                "platform": "ios",
                "user_tier": "gold",
                "$set": {"platform": "ios", "user_tier": "gold"},
                "$session_id": SESSION,
                "$groups": {"tenant": "acme"},
                **CONSTANT,
            },
        },
    ),
    (
        zentra.KycVerified(tier="tier_2", documents=["Passport", "Utility bill"]),
        {
            "event": "kyc.verified",
            "distinct_id": "usr_1",
            "timestamp": TIME,
            "properties": {
                "tier": "tier_2",
                "documents": ["passport", "utility_bill"],
                "platform": "ios",
                "user_tier": "gold",
                "$set": {"platform": "ios", "user_tier": "gold", "kyc_tier": "tier_2"},
                "$session_id": SESSION,
                "$groups": {"tenant": "acme"},
                **CONSTANT,
            },
        },
    ),
    (
        zentra.UserSignedUp(channel="web", referral="friend"),
        {
            "event": "user.signed_up",
            "distinct_id": "usr_1",
            "timestamp": TIME,
            "properties": {
                "channel": "web",
                "referral": "friend",
                "platform": "ios",
                "user_tier": "gold",
                "$set": {"platform": "ios", "user_tier": "gold"},
                "$set_once": {"signup_channel": "web"},
                "$session_id": SESSION,
                "$groups": {"tenant": "acme"},
                **CONSTANT,
            },
        },
    ),
    (
        zentra.SessionAuthenticated(method="biometrics", deviceType="mobile"),
        {
            "event": "session.authenticated",
            "distinct_id": "usr_1",
            "timestamp": TIME,
            "properties": {
                "method": "biometrics",
                "deviceType": "mobile",
                "platform": "ios",
                "user_tier": "gold",
                "$set": {"platform": "ios", "user_tier": "gold"},
                "$session_id": SESSION,
                "$groups": {"tenant": "acme"},
                **CONSTANT,
            },
        },
    ),
]


class _SameIds(IdGenerator):
    def generate_trace_id(self) -> int:
        return int(TRACE, 16)

    def generate_span_id(self) -> int:
        return int(SPAN, 16)


@pytest.fixture
def sent(install: Any) -> Iterator[list[Capture]]:
    """Captures under a provider whose ids are always the same."""
    install(TracerProvider(id_generator=_SameIds(), shutdown_on_exit=False))
    with captured_events() as captures:
        yield captures


def payload(one: Capture) -> dict[str, Any]:
    line = encode_line(one)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    decoded: dict[str, Any] = msgspec.json.decode(line)
    return decoded


@pytest.mark.parametrize(("event", "expected"), PAYLOADS, ids=lambda value: type(value).__name__)
def test_an_event(sent: list[Capture], event: Event, expected: dict[str, Any]) -> None:
    """The payload is this one and nothing beside, but for a UUID that is new each time."""
    with identify("usr_1", session_id=SESSION, tenant="acme", platform="ios", user_tier="gold"):
        uuid = capture(event, timestamp=MOMENT)
    assert payload(sent[0]) == {**expected, "uuid": uuid}
    assert UUID(uuid).version == 8


def test_an_event_about_nobody(sent: list[Capture]) -> None:
    """Without a person there is nothing of one, and the distinct id is that of the trace."""
    uuid = capture("basket.paid", properties={"items": 3, "platform": "web"}, timestamp=MOMENT)
    assert payload(sent[0]) == {
        "event": "basket.paid",
        "distinct_id": TRACE,
        "uuid": uuid,
        "timestamp": TIME,
        "properties": {"items": 3, "platform": "web", "$process_person_profile": False, **CONSTANT},
    }


def test_an_event_that_other_code_recorded(sent: list[Capture]) -> None:
    """Every byte follows from the span: converted again, by another process or version, it is the same event."""
    with trace.get_tracer("app").start_as_current_span("request", attributes={"user.id": "usr_1"}) as span:
        span.add_event(
            "card.issued", {"cardType": "Virtual", "tier": "gold", "email": "ada@example.com"}, timestamp=NANOSECONDS
        )
    assert payload(sent[0]) == {
        "event": "card.issued",
        "distinct_id": "usr_1",
        "uuid": "ee7b19ae-d288-81ba-a8f7-340404aae364",
        "timestamp": TIME,
        "properties": {"cardType": "virtual", "tier": "gold", **CONSTANT},
    }


def test_the_line_itself(sent: list[Capture]) -> None:
    """On disk and on the wire it is one line of compact JSON."""
    uuid = capture("basket.paid", distinct_id="usr_1", properties={"items": 3}, timestamp=MOMENT)
    assert encode_line(sent[0]).decode() == (
        f'{{"event":"basket.paid","distinct_id":"usr_1","uuid":"{uuid}","timestamp":"{TIME}","properties":{{"items":3,'
        f'"$lib":"zentra-otel-posthog","$lib_version":"{__version__}","$geoip_disable":true,"$is_server":true,"$ignore_sent_at":true,'
        f'"$trace_id":"{TRACE}","$span_id":"{SPAN}"}}}}\n'
    )
