"""What a type checker must see of settings, processors, sinks and the rest of the set-up. Checked, never executed."""

from __future__ import annotations

from typing import Annotated, Any, assert_type

from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler

from zentra_otel_posthog import (
    Event,
    PostHogLogRecordProcessor,
    PostHogSpanProcessor,
    Settings,
    ZentraInstrumentor,
    configure,
)
from zentra_otel_posthog.delivery import Capture, ConsoleSink, MemorySink, Sink
from zentra_otel_posthog.inspector import Answer, Receiver
from zentra_otel_posthog.kinds import Kind, Refused
from zentra_otel_posthog.propagation import PostHogPropagator
from zentra_otel_posthog.sampler import record_every_span
from zentra_otel_posthog.sanitize import clean_value

settings = Settings(api_key="phc_x", flush_at=5, flush_interval=2.5, capture_mode="v1", compression="zstd")
assert_type(settings.api_key, str | None)
assert_type(settings.flush_interval, float)
assert_type(settings.disabled, bool)
assert_type(settings.presets, tuple[str, ...])
Settings(flush_at="5")  # type: ignore[arg-type]
Settings(flush_att=5)  # type: ignore[call-arg]
Settings("phc_x")  # type: ignore[call-arg]
Settings(capture_mode="v3")  # type: ignore[arg-type]
settings.flush_at = 6  # type: ignore[misc]


class Queue:
    def append(self, capture: Capture) -> None: ...

    def flush(self, timeout: float) -> bool:
        return True

    def shutdown(self, timeout: float) -> bool:
        return True


class Forgetful:
    def append(self, capture: Capture) -> None: ...


sinks: list[Sink] = [Queue(), MemorySink(), ConsoleSink()]
wrong: Sink = Forgetful()  # type: ignore[assignment]
configure(sink=Queue(), record_exceptions=True)
assert_type(MemorySink().captures, list[Capture])
capture: Capture = MemorySink().captures[0]
assert_type(capture.distinct_id, str)
assert_type(capture.properties, dict[str, Any])

spans: SpanProcessor = PostHogSpanProcessor()
records: LogRecordProcessor = PostHogLogRecordProcessor()
sampler: Sampler = record_every_span("always_off")
propagator: TextMapPropagator = PostHogPropagator()
TracerProvider(sampler=sampler).add_span_processor(spans)
assert_type(ZentraInstrumentor().states()[0].reason, str | None)

with Receiver(v1=False) as posthog:
    assert_type(posthog, Receiver)
    assert_type(posthog.url, str)
    posthog.answer(Answer(status=503), times=2)
    posthog.answer(503)  # type: ignore[arg-type]


def branch(value: object) -> str:
    if value == "lagos-1":
        return "lagos-1"
    raise Refused("branch")


Branch = Annotated[str, Kind("branch", branch, "a branch of ours")]


class CashDeposited(Event, name="cash.deposited"):
    branch: Branch


assert_type(CashDeposited(branch="lagos-1").branch, str)
CashDeposited(branch=1)  # type: ignore[arg-type]
cleaned: object = clean_value("cash.deposited", "note", "by appointment")
