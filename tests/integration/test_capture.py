"""``capture`` hands over what may leave, whatever tracing does, and raises nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult, StaticSampler

import zentra_otel_posthog as zentra
from zentra_otel_posthog import Event, PostHogSpanProcessor, capture, payment
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.testing import captured_events

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
Install = Callable[[trace.TracerProvider | None], None]

PAYMENT = {"amount_minor": 125_000, "currency": "NGN", "method": "card"}
RAW_PAYMENT: Any = {"amount_minor": "125000", "currency": " ngn", "method": "Card"}
COMMON: Any = {"platform": "iOS", "user_tier": "Gold"}
EVENTS: list[tuple[Event, dict[str, Any]]] = [
    (zentra.PaymentPending(amount_minor=125_000, currency="ngn", method="Card"), PAYMENT),
    (zentra.PaymentCompleted(**RAW_PAYMENT, **COMMON), {**PAYMENT, "platform": "ios", "user_tier": "gold"}),
    (zentra.PaymentFailed(reason="No funds", amount_minor=5), {"reason": "no_funds", "amount_minor": 5}),
    (zentra.TransferCompleted(amount_minor=5, destination="MoMo"), {"amount_minor": 5, "destination": "momo"}),
    (zentra.CardIssued(cardType="virtual", tier="2"), {"cardType": "virtual", "tier": "2"}),
    (zentra.KycVerified(tier="2", documents=["Visa", "selfie"]), {"tier": "2", "documents": ["visa", "selfie"]}),
    (zentra.UserSignedUp(channel="web", referral="friend"), {"channel": "web", "referral": "friend"}),
    (zentra.SessionAuthenticated(method="biometrics"), {"method": "biometrics"}),
]


@pytest.fixture
def sent() -> Iterator[list[Capture]]:
    with captured_events() as captures:
        yield captures


def own(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if not name.startswith("$")}


@pytest.mark.parametrize(("event", "properties"), EVENTS, ids=lambda value: type(value).__name__)
class TestEvents:
    def test_by_instance_and_by_name(self, sent: list[Capture], event: Event, properties: dict[str, Any]) -> None:
        """An instance and its name with the same values are the same event, normalised."""
        raw = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
        name = event.event_schema.name
        uuids = [capture(event, distinct_id="usr_1"), capture(name, distinct_id="usr_1", properties=raw)]
        assert [(one.event, one.distinct_id, own(one.properties)) for one in sent] == [(name, "usr_1", properties)] * 2
        assert [one.uuid for one in sent] == uuids
        assert len(set(uuids)) == 2

    def test_the_span_gets_what_posthog_gets(
        self,
        provider: TracerProvider,
        exported: InMemorySpanExporter,
        sent: list[Capture],
        event: Event,
        properties: dict[str, Any],
    ) -> None:
        """A tracing backend sees the sanitized properties and no raw one."""
        with provider.get_tracer("app").start_as_current_span("request"):
            capture(event, properties={"note": "ada@example.com", "platform": "+234 803 123 4567"})
        (span,) = exported.get_finished_spans()
        (recorded,) = span.events
        assert (recorded.name, span.name) == (event.event_schema.name, "request")
        attributes = recorded.attributes or {}
        seen = {name: list(value) if isinstance(value, tuple) else value for name, value in attributes.items()}
        assert seen == own(sent[0].properties)
        assert seen == {name: value for name, value in properties.items() if name != "platform"}


class _RecordOnly(Sampler):
    def should_sample(self, *_: object, **__: object) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "records all, exports nothing"


class _Foreign(trace.TracerProvider):
    def get_tracer(self, *_: object, **__: object) -> trace.Tracer:
        return trace.NoOpTracer()


def _sdk(sampler: Sampler | None = None) -> TracerProvider:
    return TracerProvider(sampler=sampler, shutdown_on_exit=False)


PROVIDERS: dict[str, tuple[Callable[[], trace.TracerProvider | None], bool]] = {  # and whether its spans have ids
    "none": (lambda: None, False),
    "sdk": (_sdk, True),
    "sampled out": (lambda: _sdk(ALWAYS_OFF), True),
    "record only": (lambda: _sdk(_RecordOnly()), True),
    "dropped": (lambda: _sdk(StaticSampler(Decision.DROP)), True),
    "foreign": (_Foreign, False),
    "no-op": (trace.NoOpTracerProvider, False),
    "sdk disabled": (_sdk, False),
}


@payment
def pay(amount_minor: int = 125_000, currency: str = "NGN", method: str = "card") -> None: ...


@contextmanager
def _in_span(provider: trace.TracerProvider | None) -> Iterator[None]:
    with (provider or trace).get_tracer("app").start_as_current_span("request"):
        yield


@contextmanager
def _under_a_remote_parent(_: trace.TracerProvider | None) -> Iterator[None]:
    with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1 << 100, 1 << 60, is_remote=True))):
        yield


@pytest.mark.parametrize("inside", [nullcontext, _in_span, _under_a_remote_parent], ids=["no span", "span", "parent"])
@pytest.mark.parametrize("case", PROVIDERS)
def test_tracing_makes_no_difference(
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
    sent: list[Capture],
    case: str,
    inside: Callable[[Any], AbstractContextManager[None]],
) -> None:
    """With any provider, or none, sampled or not, in any span or none, each event is captured once and at once."""
    make, has_ids = PROVIDERS[case]
    if case == "sdk disabled":
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    provider = make()
    install(provider)
    with inside(provider):
        for count in (1, 2):
            uuid = capture("payment.completed", distinct_id="usr_1", properties=PAYMENT)
            assert [one.uuid for one in sent][-1:] == [uuid]
            pay()
            assert len(sent) == 3 * count
    assert [one.event for one in sent] == ["payment.completed", "payment.pending", "payment.completed"] * 2
    assert all(own(one.properties) == PAYMENT for one in sent)
    # PostHog would count events with the same UUID once.
    assert len({one.uuid for one in sent}) == 6
    assert {UUID(one.uuid).version for one in sent} == {8}
    has_ids = has_ids or inside is _under_a_remote_parent
    assert {("$trace_id" in one.properties, "$span_id" in one.properties) for one in sent} == {(has_ids, has_ids)}


class TestSpans:
    def test_in_a_recording_span(
        self, provider: TracerProvider, exported: InMemorySpanExporter, sent: list[Capture]
    ) -> None:
        """The current span gets the event; no span is added, and the capture bears its ids."""
        with provider.get_tracer("app").start_as_current_span("request"):
            capture("payment.completed", properties=PAYMENT)
        (span,) = exported.get_finished_spans()
        context = span.get_span_context()
        assert context is not None
        assert [event.name for event in span.events] == ["payment.completed"]
        assert sent[0].properties["$trace_id"] == f"{context.trace_id:032x}"
        assert sent[0].properties["$span_id"] == f"{context.span_id:016x}"

    def test_outside_of_any_span(
        self, provider: TracerProvider, exported: InMemorySpanExporter, sent: list[Capture]
    ) -> None:
        """Tracing sees the event on a short span of its own."""
        capture("payment.completed", properties=PAYMENT)
        (span,) = exported.get_finished_spans()
        assert (span.name, [event.name for event in span.events]) == ("payment.completed", ["payment.completed"])
        assert len(sent) == 1

    def test_never_twice(self, provider: TracerProvider, sent: list[Capture]) -> None:
        """Span processors see the same event and leave it alone, however many there are."""
        for _ in range(2):
            provider.add_span_processor(PostHogSpanProcessor())
        with provider.get_tracer("app").start_as_current_span("request"):
            uuids = {capture("payment.completed", properties=PAYMENT) for _ in range(3)}
        assert sorted(one.uuid for one in sent) == sorted(map(str, uuids))
        assert len(uuids) == 3


class _NoOffset(tzinfo):
    def utcoffset(self, moment: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


class TestTimestamps:
    @pytest.mark.parametrize(
        ("timestamp", "expected"),
        [
            (datetime(2026, 11, 2, 10, 0, 0, 123456, UTC), datetime(2026, 11, 2, 10, 0, 0, 123456, UTC)),
            (datetime(2026, 11, 2, 11, 0, tzinfo=timezone(timedelta(hours=1))), datetime(2026, 11, 2, 10, 0, tzinfo=UTC)),
            (datetime.fromisoformat("2026-11-02T10:00:00.000001"), datetime(2026, 11, 2, 10, 0, 0, 1, UTC)),
            (datetime(2026, 11, 2, 10, 0, tzinfo=_NoOffset()), datetime(2026, 11, 2, 10, 0, tzinfo=UTC)),
            (datetime.fromisoformat("1969-12-31T23:59:59.999999"), datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)),
            (datetime.fromisoformat("2242-01-01T00:00:00.999999"), datetime(2242, 1, 1, 0, 0, 0, 999999, UTC)),
        ],
    )  # fmt: skip
    def test_given(
        self,
        provider: TracerProvider,
        exported: InMemorySpanExporter,
        sent: list[Capture],
        timestamp: datetime,
        expected: datetime,
    ) -> None:
        """An instant is kept to the microsecond, in the capture and on the span; without a zone it is UTC."""
        capture("basket.paid", timestamp=timestamp)
        assert sent[0].timestamp == expected
        (span,) = exported.get_finished_spans()
        assert (
            span.events[0].timestamp == (expected - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1) * 1000
        )

    @PATIENT
    @given(
        timestamp=st.datetimes(
            datetime.fromtimestamp(0, UTC).replace(tzinfo=None), datetime.fromisoformat("2242-01-01")
        )
    )
    def test_every_microsecond(self, timestamp: datetime) -> None:
        """No instant is rounded: two events a microsecond apart stay two."""
        with captured_events() as sent:
            capture("basket.paid", timestamp=timestamp)
        assert sent[0].timestamp == timestamp.replace(tzinfo=UTC)

    def test_now(self, sent: list[Capture]) -> None:
        """Without one it happened now."""
        before = datetime.now(UTC)
        capture("basket.paid")
        assert before - timedelta(milliseconds=1) <= sent[0].timestamp <= datetime.now(UTC)
