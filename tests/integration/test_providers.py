"""Whatever provider is there, whatever the sampler drops, whoever recorded the event: what is captured of it.

``pytest tests/integration/test_providers.py -k table -s -p no:randomly`` prints the table.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from opentelemetry import _logs, trace
from opentelemetry import context as otel_context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, DEFAULT_ON, Sampler, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext

from zentra_otel_posthog import PostHogSpanProcessor, capture, card, telemetry
from zentra_otel_posthog.sampler import record_every_span
from zentra_otel_posthog.testing import captured_events

EVENTS: Final = 20  # a cell
CARD: Any = {"cardType": "virtual", "tier": "gold"}
REMOTE: Final = SpanContext(0xA11CE << 64, 0xB0B, is_remote=True)  # its trace was not sampled

Install = Callable[[trace.TracerProvider | None], None]
InstallLogs = Callable[[_logs.LoggerProvider | None], None]


class Spread(RandomIdGenerator):
    """Trace ids of which a ratio sampler takes its ratio exactly."""

    def __init__(self) -> None:
        self._made = 0

    def generate_trace_id(self) -> int:
        self._made += 1
        step = 2**64 // EVENTS
        return (self._made << 64) + (self._made % EVENTS) * step + step // 2


class Seen(SpanProcessor):
    """The application's own processor: what tracing sees."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.names += [event.name for event in span.events]


class Foreign(trace.TracerProvider):
    """A tracing product's provider, which takes no processors."""

    def __init__(self, inner: TracerProvider) -> None:
        self._inner = inner

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return self._inner.get_tracer(*args, **kwargs)


class ForeignLogs(_logs.LoggerProvider):
    """Likewise, for logs."""

    def __init__(self, inner: LoggerProvider) -> None:
        self._inner = inner

    def get_logger(self, *args: Any, **kwargs: Any) -> _logs.Logger:
        return self._inner.get_logger(*args, **kwargs)


SAMPLERS: Final[dict[str, tuple[Sampler, int]]] = {  # and how many spans record
    "always_on": (ALWAYS_ON, EVENTS),
    "always_off": (ALWAYS_OFF, 0),
    "ratio 0.1": (TraceIdRatioBased(0.1), EVENTS // 10),
    "remote parent unsampled": (DEFAULT_ON, 0),
    "zentra_posthog": (record_every_span("always_off"), EVENTS),
    "zentra_posthog, remote": (record_every_span(), EVENTS),
}


@card(properties={"cardType": "card_type"})
def issue(user_id: str, card_type: str, tier: str) -> None: ...


def decorated(number: int) -> None:
    issue(f"usr_{number}", "virtual", "gold")


def captured(number: int) -> None:
    capture("card.issued", distinct_id=f"usr_{number}", properties=CARD)


def others_span_event(number: int) -> None:
    with trace.get_tracer("app").start_as_current_span("request") as span:
        span.add_event("card.issued", {**CARD, "posthog.distinct_id": f"usr_{number}"})


def others_log_record(number: int) -> None:
    _logs.get_logger("app").emit(event_name="card.issued", attributes={**CARD, "posthog.distinct_id": f"usr_{number}"})


EMISSIONS: Final[dict[str, tuple[Callable[[int], None], str]]] = {  # and the setting ``events``
    "decorator, span": (decorated, "span"),
    "decorator, log": (decorated, "log"),
    "capture(), span": (captured, "span"),
    "capture(), log": (captured, "log"),
    "other code's span event": (others_span_event, "span"),
    "other code's log record": (others_log_record, "log"),
}


@contextmanager
def under(parent: SpanContext | None) -> Iterator[None]:
    if parent is None:
        yield
        return
    token = otel_context.attach(trace.set_span_in_context(NonRecordingSpan(parent)))
    try:
        yield
    finally:
        otel_context.detach(token)


@pytest.mark.parametrize("emission", EMISSIONS)
@pytest.mark.parametrize("sampling", SAMPLERS)
@pytest.mark.parametrize("situation", ["SDK", "SDK, late", "none", "takes no processor", "OTEL_SDK_DISABLED"])
def test_the_table(
    install: Install,
    install_logs: InstallLogs,
    monkeypatch: pytest.MonkeyPatch,
    situation: str,
    sampling: str,
    emission: str,
) -> None:
    """Our own events are captured in every cell, once. Of other code's, all that OpenTelemetry shows to a processor."""
    if situation == "OTEL_SDK_DISABLED":
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    sampler, recording = SAMPLERS[sampling]
    emit, mode = EMISSIONS[emission]
    seen, logged = Seen(), InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the SDK's own
    tracers = TracerProvider(sampler=sampler, id_generator=Spread(), shutdown_on_exit=False)
    tracers.add_span_processor(seen)
    loggers = LoggerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logged))
    install(None)
    install_logs(None)

    def provide() -> None:
        if situation != "none":
            foreign = situation == "takes no processor"
            trace.set_tracer_provider(Foreign(tracers) if foreign else tracers)
            _logs.set_logger_provider(ForeignLogs(loggers) if foreign else loggers)

    if situation != "SDK, late":
        provide()
    with captured_events(events=mode) as everything, under(REMOTE if "remote" in sampling else None):
        if situation == "SDK, late":
            capture("session.authenticated")
            provide()
        capture("session.authenticated")  # a first use, as a late provider needs
        for number in range(EVENTS):
            emit(number)

    events = [one for one in everything if one.event == "card.issued"]
    recorded = seen.names.count("card.issued")
    recorded += sum(one.log_record.event_name == "card.issued" for one in logged.get_finished_logs())
    print(  # noqa: T201  the table
        f"\n{situation:20}{sampling:26}{emission:26}{EVENTS:4} emitted {recorded:4} recorded {len(events):4} captured",
        end="",
    )
    takes = situation.startswith("SDK")
    expected = EVENTS
    if emission == "other code's span event":
        expected = recording if takes else 0
        assert recorded == (0 if situation in {"none", "OTEL_SDK_DISABLED"} else recording)
    elif emission == "other code's log record":
        expected = EVENTS if takes else 0
        assert recorded == (0 if situation in {"none", "OTEL_SDK_DISABLED"} else EVENTS)
    assert len(events) == expected
    assert len({one.uuid for one in events}) == expected
    if expected == EVENTS:
        assert [one.distinct_id for one in events] == [f"usr_{number}" for number in range(EVENTS)]
    assert all({name: one.properties[name] for name in CARD} == CARD for one in events)


@contextmanager
def kept_inside() -> Iterator[None]:
    """Keep internal errors in, as in production."""
    before = telemetry.raise_internal_errors(enabled=False)
    try:
        yield
    finally:
        telemetry.raise_internal_errors(enabled=before)


class Fails:
    """A step of somebody else's pipeline that raises."""

    def __getattr__(self, name: str) -> Any:
        def fails(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError

        return fails


class FailsAtStart(SpanProcessor):
    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise ZeroDivisionError


class FailsAtEnd(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        raise ZeroDivisionError


@pytest.mark.parametrize("mode", ["span", "log"])
@pytest.mark.parametrize("broken", ["provider", "logger provider", "sampler", "on_start", "on_end"])
def test_a_broken_pipeline_costs_no_capture(
    install: Install, install_logs: InstallLogs, broken: str, mode: str
) -> None:
    """A provider, a sampler or a processor of the application that raises takes neither the call nor its captures."""
    provider = TracerProvider(shutdown_on_exit=False)
    installed: Any = provider
    with captured_events(events=mode) as events, kept_inside():
        match broken:
            case "provider":
                installed = Fails()
            case "logger provider":
                fails: Any = Fails()
                install_logs(fails)
            case "sampler":
                provider.sampler = Fails()  # type: ignore[assignment]  # what is broken is of no type
            case "on_start":
                provider.add_span_processor(FailsAtStart())
            case "on_end":
                provider.add_span_processor(FailsAtEnd())
        install(installed)
        decorated(1)
        uuid = capture("card.issued", distinct_id="usr_2")
        install(None)
        install_logs(None)
    assert [one.distinct_id for one in events] == ["usr_1", "usr_2"]
    assert events[1].uuid == uuid


@pytest.mark.parametrize(
    ("step", "reason"),
    [("zentra_otel_posthog.emit.convert", "conversion"), ("zentra_otel_posthog.identity.current", "start_of_call")],
)
def test_what_breaks_in_here_is_counted_as_lost(monkeypatch: pytest.MonkeyPatch, step: str, reason: str) -> None:
    """An event of a decorated call that an error of our own costs is a loss with a reason; the call goes on."""
    before = telemetry.totals(telemetry.LOST).get((reason,), 0)
    with captured_events() as events, kept_inside():
        with monkeypatch.context() as broken:
            broken.setattr(step, lambda *_, **__: 1 / 0)
            decorated(1)
        decorated(2)
    assert [one.distinct_id for one in events] == ["usr_2"]
    assert telemetry.totals(telemetry.LOST)[(reason,)] == before + 1


def test_a_provider_without_processors_is_told_once(
    install: Install, install_logs: InstallLogs, caplog: pytest.LogCaptureFixture
) -> None:
    """One line each says what is not captured then, however often the package is set up."""
    caplog.set_level(logging.INFO)
    install(Foreign(TracerProvider(shutdown_on_exit=False)))
    install_logs(ForeignLogs(LoggerProvider(shutdown_on_exit=False)))
    for _ in range(3):
        with captured_events():
            decorated(1)
    assert sorted(record.getMessage() for record in caplog.records) == [
        "Foreign has no add_span_processor: events that other code records on its spans are not captured",
        "ForeignLogs has no add_log_record_processor: events that other code emits as log records are not captured",
    ]


def test_a_provider_that_tests_replace(install: Install) -> None:
    """Our spans go to the provider that is there now, and it gets the processor, once however often it comes back."""
    providers = [TracerProvider(shutdown_on_exit=False) for _ in range(2)]
    exporters = [InMemorySpanExporter() for _ in providers]
    for provider, exporter in zip(providers, exporters, strict=True):
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    with captured_events() as events:
        for provider in providers * 3:
            install(provider)
            decorated(1)
            others_span_event(2)
    assert len({one.uuid for one in events}) == len(events) == 12
    assert [len(exporter.get_finished_spans()) for exporter in exporters] == [6, 6]
    for provider in providers:
        attached = provider._active_span_processor._span_processors
        assert sum(isinstance(one, PostHogSpanProcessor) for one in attached) == 1


def test_a_late_provider_without_a_use_of_ours(install: Install) -> None:
    """The stated limit: nothing tells us that a provider was installed, so its spans are seen from our next use on."""
    install(None)
    with captured_events() as events:
        trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
        others_span_event(1)
        capture("session.authenticated")
        others_span_event(2)
    assert [one.distinct_id for one in events if one.event == "card.issued"] == ["usr_2"]


def test_after_the_providers_shutdown(install: Install) -> None:
    """A span that ends after its provider was shut down is still converted."""
    provider = TracerProvider(shutdown_on_exit=False)
    install(provider)
    with captured_events() as events:
        span = trace.get_tracer("app").start_span("request")
        provider.shutdown()
        span.add_event("card.issued", CARD)
        span.end()
    assert [one.event for one in events] == ["card.issued"]
