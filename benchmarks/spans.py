"""What our span processor costs a span of other code that carries no designated event."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Tracer

from benchmarks.harness import Row, interleave, times
from zentra_otel_posthog import PostHogSpanProcessor, identify

_ROUNDS = 201
_SPANS = 500  # a round


class Empty(SpanProcessor):
    """Does nothing: what OpenTelemetry itself takes for calling one."""


def _plain(tracer: Tracer) -> None:
    tracer.start_span("request").end()


def _with_event(tracer: Tracer) -> None:
    span = tracer.start_span("request")
    span.add_event("cache.miss")
    span.end()


def _tracer(*processors: SpanProcessor) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider.get_tracer("benchmark")


def _row(measure: str, make: Callable[[Tracer], None], *, at_most: float | None = None) -> Row:
    tracers = {"bare": _tracer(), "empty": _tracer(Empty()), "ours": _tracer(PostHogSpanProcessor())}
    costs = interleave(
        {name: times(partial(make, tracer)) for name, tracer in tracers.items()}, rounds=_ROUNDS, count=_SPANS
    )
    ours, empty = (
        statistics.median(one.processor - bare.processor for one, bare in zip(costs[name], costs["bare"], strict=True))
        for name in ("ours", "empty")
    )
    return Row(
        measure=measure,
        against="a processor that does nothing",
        unit="µs of processor time more",
        ours=ours,
        theirs=empty,
        at_most=at_most,
    )


def others() -> list[Row]:
    """Against the same span on a provider without processors."""
    rows = [
        _row("span of other code, no event", _plain, at_most=0.5),
        _row("span of other code, an event of no concern", _with_event),
    ]
    with identify("usr_1", tenant="acme"):
        rows.append(_row("span of other code, inside identify()", _plain))
    return rows
