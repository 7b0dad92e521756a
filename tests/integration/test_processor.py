"""Events that other code records on its own spans become captures, once, and the tracing pipeline is not disturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NoReturn
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from zentra_otel_posthog import (
    PostHogSpanProcessor,
    capture,
    convert,
    identify,
    identity,
    payment,
    processors,
    runtime,
    telemetry,
)
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.testing import MemorySink, captured_events

Install = Callable[[trace.TracerProvider | None], None]

# Part of the wire: another namespace would let a redelivery across an upgrade count twice.
PAYMENT: Any = {"amount_minor": 125_000, "currency": "NGN", "method": "card"}
RAW: Any = {
    **PAYMENT,
    "method": "Card",
    "email": "ada@example.com",
    "note": "harmless",
    "platform": "windows",
    "reason": "no such property",
}
MOMENT = datetime(2026, 11, 2, 10, 0, 0, 123456, UTC)
NANOSECONDS = 1_793_613_600_123_456_789


@payment
def pay(amount_minor: int = 125_000, currency: str = "NGN", method: str = "card") -> None: ...


@pytest.fixture
def tracer(provider: TracerProvider, events: list[Capture]) -> Tracer:
    """The application's own tracer; ``events`` has made the package attach itself to its provider."""
    return provider.get_tracer("app")


@pytest.fixture
def quiet(events: list[Capture]) -> Iterator[None]:
    """Keep internal errors in, as in production."""
    before = telemetry.raise_internal_errors(enabled=False)
    yield
    telemetry.raise_internal_errors(enabled=before)


def ours(provider: TracerProvider) -> list[Any]:
    return [one for one in provider._active_span_processor._span_processors if isinstance(one, PostHogSpanProcessor)]


def expected_uuid(span: ReadableSpan, position: int, name: str) -> str:
    span_context = span.get_span_context()
    assert span_context is not None
    digest = int(sha256(name.encode()).hexdigest()[:32], 16)
    number = UUID(int=span_context.trace_id ^ (span_context.span_id << 64) ^ digest ^ position)
    fields = str(number).split("-")
    variant = "89ab"[int(fields[3][0], 16) & 3]
    return "-".join((*fields[:2], "8" + fields[2][1:], variant + fields[3][1:], fields[4]))


def own(one: Capture) -> dict[str, Any]:
    return {name: value for name, value in one.properties.items() if not name.startswith("$")}


class TestConversion:
    def test_the_schema_decides(self, tracer: Tracer, exported: InMemorySpanExporter, events: list[Capture]) -> None:
        """Declared attributes are normalised, all others are left out; the span keeps what its author gave it."""
        with tracer.start_as_current_span("request") as span:
            span.add_event("payment.completed", RAW, timestamp=NANOSECONDS)
        (one,) = events
        (finished,) = exported.get_finished_spans()
        assert (one.event, own(one), one.timestamp) == ("payment.completed", PAYMENT, MOMENT)
        span_context = span.get_span_context()
        assert one.properties["$trace_id"] == f"{span_context.trace_id:032x}"
        assert one.properties["$span_id"] == f"{span_context.span_id:016x}"
        assert dict(finished.events[0].attributes or {}) == RAW

    @pytest.mark.parametrize(
        ("name", "attributes", "properties"),
        [
            (
                "kyc.verified",
                {"tier": "2", "documents": ["Passport", "Selfie"]},
                {"tier": "2", "documents": ["passport", "selfie"]},
            ),
            ("payment.failed", {"amount_minor": 100.5, "reason": "22212345678", "method": "card"}, {"method": "card"}),
            ("session.authenticated", {}, {}),
        ],
    )
    def test_attributes_as_opentelemetry_keeps_them(
        self, tracer: Tracer, events: list[Capture], name: str, attributes: Any, properties: Any
    ) -> None:
        """Sequences come as tuples, refused values are left out, and an event without any is an event."""
        with tracer.start_as_current_span("request") as span:
            span.add_event(name, attributes)
        assert [(one.event, own(one)) for one in events] == [(name, properties)]

    @pytest.mark.parametrize(
        "name",
        ["exception", "payment", "Payment.completed", "payment.completed.late", "basket.paid", "gen_ai.user.message"],
    )
    def test_other_events_are_not_its_business(self, tracer: Tracer, events: list[Capture], name: str) -> None:
        """What the tracking plan does not designate stays with tracing."""
        with tracer.start_as_current_span("request") as span:
            span.add_event(name, PAYMENT)
        assert events == []

    def test_uuids_come_from_trace_span_position_and_name(
        self, tracer: Tracer, exported: InMemorySpanExporter, events: list[Capture]
    ) -> None:
        """Each event's UUID is version 5 of where it is, so converting it again is counted once."""
        names = ["payment.pending", "exception", "payment.completed", "payment.completed", "card.issued"]
        for _ in range(2):
            with tracer.start_as_current_span("request") as span:
                for name in names:
                    span.add_event(name)
        expected = [
            expected_uuid(span, position, name)
            for span in exported.get_finished_spans()
            for position, name in enumerate(names)
            if name != "exception"
        ]
        assert [one.uuid for one in events] == expected
        assert len(set(expected)) == 8

    def test_two_processors_capture_once(
        self, provider: TracerProvider, tracer: Tracer, exported: InMemorySpanExporter, events: list[Capture]
    ) -> None:
        """One added by hand beside our own doubles nothing, nor would a process that converts the same span."""
        provider.add_span_processor(PostHogSpanProcessor())
        with tracer.start_as_current_span("request") as span:
            span.add_event("payment.completed", PAYMENT)
        assert [one.uuid for one in events] == [expected_uuid(exported.get_finished_spans()[0], 0, "payment.completed")]

    def test_dropped_events_shift_the_position(self, install: Install, exported: InMemorySpanExporter) -> None:
        """Where OpenTelemetry's limit drops the oldest events, the others keep the position they were recorded at."""
        provider = TracerProvider(span_limits=SpanLimits(max_events=2), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exported))
        install(provider)
        with captured_events() as events, provider.get_tracer("app").start_as_current_span("request") as span:
            for number in range(5):
                span.add_event("card.issued", {"tier": number})
        ((finished,), kept) = exported.get_finished_spans(), [(one.uuid, one.properties["tier"]) for one in events]
        assert kept == [(expected_uuid(finished, position, "card.issued"), str(position)) for position in (3, 4)]

    def test_a_span_of_another_make(self, provider: TracerProvider, tracer: Tracer, events: list[Capture]) -> None:
        """A readable span that keeps its events in another way than the SDK's own spans do is read all the same."""
        finished = ReadableSpan("request", events=[Event("card.issued"), Event("cache.miss"), Event("card.issued")])
        (processor,) = ours(provider)
        processor.on_end(finished)
        processor.on_end(ReadableSpan("request"))
        assert [one.event for one in events] == ["card.issued"] * 2

    def test_more_events_than_a_span_keeps(self, tracer: Tracer, events: list[Capture]) -> None:
        """Of 130 events on a span OpenTelemetry keeps 128; the others are counted, at most so many captures lost."""
        before = telemetry.totals(telemetry.LOST).get(("span_event_limit",), 0)
        with tracer.start_as_current_span("batch") as span:
            for number in range(130):
                span.add_event("payment.completed", {"amount_minor": number})
        assert [one.properties["amount_minor"] for one in events] == list(range(2, 130))
        assert len({one.uuid for one in events}) == 128
        assert telemetry.totals(telemetry.LOST)[("span_event_limit",)] == before + 2

    def test_the_limit_costs_none_of_our_own(self, tracer: Tracer, events: list[Capture]) -> None:
        """What ``capture`` records does not wait on the span: all 130 are captured, and none is counted as lost."""
        before = telemetry.totals(telemetry.LOST)
        with tracer.start_as_current_span("batch"):
            for number in range(130):
                capture("payment.completed", properties={"amount_minor": number})
        assert [one.properties["amount_minor"] for one in events] == list(range(130))
        assert len({one.uuid for one in events}) == 130
        assert telemetry.totals(telemetry.LOST) == before

    def test_our_own_events_on_the_span_are_left_alone(
        self, tracer: Tracer, exported: InMemorySpanExporter, events: list[Capture]
    ) -> None:
        """What ``capture`` and decorators have captured is not captured again; it counts as a position."""
        with tracer.start_as_current_span("request") as span:
            first = capture("payment.completed", properties=PAYMENT)
            pay()
            span.add_event("payment.completed", PAYMENT)
        assert [one.event for one in events] == [
            "payment.completed",
            "payment.pending",
            "payment.completed",
            "payment.completed",
        ]
        assert [events[0].uuid, events[-1].uuid] == [
            first,
            expected_uuid(exported.get_finished_spans()[-1], 1, "payment.completed"),
        ]
        assert len({one.uuid for one in events}) == 4

    def test_other_events_on_a_decorated_calls_span(self, tracer: Tracer, events: list[Capture]) -> None:
        """What a decorated function records on the call's span itself is another event than the call's own."""

        @payment
        def settle(amount_minor: int, currency: str = "NGN", method: str = "card") -> None:
            for amount in (1, 2):
                trace.get_current_span().add_event("payment.completed", {**PAYMENT, "amount_minor": amount})

        settle(3)
        assert sorted(one.properties["amount_minor"] for one in events if one.event == "payment.completed") == [1, 2, 3]
        assert len({one.uuid for one in events}) == 4

    def test_threads(self, tracer: Tracer, events: list[Capture]) -> None:
        """Spans that end at the same time in several threads are each captured, each about its own person."""

        def request(number: int) -> None:
            with identify(f"usr_{number}"), tracer.start_as_current_span("request") as span:
                span.add_event("payment.completed", {"amount_minor": number})

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(request, range(200)))
        assert {(one.distinct_id, one.properties["amount_minor"]) for one in events} == {
            (f"usr_{number}", number) for number in range(200)
        }


def _fails(*_: object, **__: object) -> NoReturn:
    raise ZeroDivisionError


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("module", "name"),
    [
        (identity, "from_context"),
        (identity, "noted_on"),
        (identity, "with_common"),
        (processors, "schema_of"),
        (processors, "clean_declared"),
        (processors, "convert"),
        (runtime, "current"),
        (convert.Origin, "uuid"),
        (MemorySink, "append"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_errors_stay_inside(
    provider: TracerProvider,
    tracer: Tracer,
    events: list[Capture],
    exported: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
) -> None:
    """Whatever breaks in here, the span starts and ends, and every processor before and behind gets it."""
    behind = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(behind))
    before = sum(telemetry.totals(telemetry.INTERNAL_ERRORS).values())
    with identify("usr_1"), monkeypatch.context() as broken:
        broken.setattr(module, name, _fails)
        with tracer.start_as_current_span("request") as span:
            span.add_event("payment.completed", PAYMENT)
    assert [len(exporter.get_finished_spans()) for exporter in (exported, behind)] == [1, 1]
    assert sum(telemetry.totals(telemetry.INTERNAL_ERRORS).values()) > before
    with tracer.start_as_current_span("request") as span:
        span.add_event("payment.completed", PAYMENT)
    assert events[-1].event == "payment.completed"


class TestAttachment:
    def test_once_per_provider(self, provider: TracerProvider, exported: InMemorySpanExporter) -> None:
        """However often the package is set up, a provider has one processor of ours."""
        assert ours(provider) == []
        for _ in range(3):
            with captured_events():
                capture("payment.completed", properties=PAYMENT)
                pay()
        assert len(ours(provider)) == 1
        runtime.configure(disabled=True)
        assert len(ours(provider)) == 1

    def test_a_late_provider_is_picked_up(self, install: Install, exported: InMemorySpanExporter) -> None:
        """A provider that the application installs after our first event gets the processor, and our spans."""
        install(None)
        with captured_events() as events:
            capture("payment.completed", properties=PAYMENT)
            pay()
            provider = TracerProvider(shutdown_on_exit=False)
            provider.add_span_processor(SimpleSpanProcessor(exported))
            trace.set_tracer_provider(provider)
            pay()
            with provider.get_tracer("app").start_as_current_span("request") as span:
                span.add_event("payment.completed", PAYMENT)
        assert [one.event for one in events] == [
            "payment.completed",
            *["payment.pending", "payment.completed"] * 2,
            "payment.completed",
        ]
        assert len(ours(provider)) == 1
        assert [span.name for span in exported.get_finished_spans()] == [f"{__name__} pay", "request"]

    def test_our_spans_name_their_scope(self, tracer: Tracer, exported: InMemorySpanExporter) -> None:
        """Our spans bear the package's name and version as their instrumentation scope."""
        pay()
        scope = exported.get_finished_spans()[0].instrumentation_scope
        assert scope is not None
        assert (scope.name, bool(scope.version)) == ("zentra_otel_posthog", True)

    def test_a_flush_of_the_provider_delivers(self, provider: TracerProvider) -> None:
        """``force_flush`` of the tracer provider reaches the sink, in seconds; where it fails, so does the flush."""

        class Sink(MemorySink):
            def flush(self, timeout: float) -> bool:
                waited.append(timeout)
                return timeout > 1

        waited: list[float] = []
        runtime.replace(runtime.Runtime(Settings(), Sink()))
        (processor,) = ours(provider)
        assert (processor.force_flush(5000), processor.force_flush(500)) == (True, False)
        assert waited == [5, 0.5]


def test_another_event_inside_a_decorated_call(provider: TracerProvider, events: list[Capture]) -> None:
    """What a decorated function itself records on its span is captured too, about whom ``identify`` names."""

    @payment
    def charge(amount_minor: int, currency: str, method: str) -> None:
        trace.get_current_span().add_event("card.issued", {"cardType": "virtual", "tier": "gold"})

    with identify("usr_1", tenant="acme"):
        charge(5, "NGN", "card")
    assert sorted((one.event, one.distinct_id) for one in events) == [
        ("card.issued", "usr_1"),
        ("payment.completed", "usr_1"),
        ("payment.pending", "usr_1"),
    ]
    assert {one.properties["$groups"]["tenant"] for one in events} == {"acme"}


def test_a_provider_without_a_hash(install: Install, exported: InMemorySpanExporter) -> None:
    """A provider that compares by value, as Logfire's does, has no hash: it gets one processor of ours all the same."""

    class ByValue(TracerProvider):
        __hash__ = None  # type: ignore[assignment]  # what ``@dataclass`` makes of a class

        def __eq__(self, other: object) -> bool:
            return True

    own = ByValue(shutdown_on_exit=False)
    own.add_span_processor(SimpleSpanProcessor(exported))
    install(own)
    for _ in range(2):
        with captured_events() as events:
            pay()
        assert [one.event for one in events] == ["payment.pending", "payment.completed"]
    assert len(ours(own)) == 1
    assert len(exported.get_finished_spans()) == 2


def test_spans_that_are_not_the_sdks_take_the_time_themselves(install: Install) -> None:
    """Datadog's count a given time in microseconds, so ours, in nanoseconds, is for the SDK's spans alone."""

    class Foreign(trace.NonRecordingSpan):
        def is_recording(self) -> bool:
            return True

        def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
            taken.append((name, timestamp))

    class ForeignTracer(trace.NoOpTracer):
        def start_span(self, *_: Any, **__: Any) -> trace.Span:
            return Foreign(trace.SpanContext(1, 2, is_remote=False))

    class ForeignProvider(trace.NoOpTracerProvider):
        def get_tracer(self, *_: Any, **__: Any) -> Tracer:
            return ForeignTracer()

    taken: list[tuple[str, int | None]] = []
    install(ForeignProvider())
    with captured_events() as events:
        pay()
        capture("card.issued", timestamp=MOMENT)
    assert [one.event for one in events] == ["payment.pending", "payment.completed", "card.issued"]
    assert taken == [("payment.pending", None), ("payment.completed", None), ("card.issued", None)]


def test_a_provider_that_begins_anew(install: Install) -> None:
    """Logfire's, configured again, shuts its processors down and goes on with others: it gets ours again, once."""

    class Proxy(trace.TracerProvider):
        def __init__(self) -> None:
            self.inner = TracerProvider(shutdown_on_exit=False)

        def get_tracer(self, *_: Any, **__: Any) -> Tracer:
            return self.inner.get_tracer("proxy")

        def add_span_processor(self, processor: Any) -> None:
            self.inner.add_span_processor(processor)

        def begin_anew(self) -> None:
            self.inner.shutdown()
            self.inner = TracerProvider(shutdown_on_exit=False)

    def settle() -> None:
        with trace.get_tracer("app").start_as_current_span("settlement") as span:
            span.add_event("payment.completed", PAYMENT)

    proxy = Proxy()
    install(proxy)
    with captured_events() as events:
        settle()
        proxy.begin_anew()
        pay()
        settle()
    assert len(ours(proxy.inner)) == 1
    names = [one.event for one in events]
    assert names == ["payment.completed", "payment.pending", "payment.completed", "payment.completed"]
