"""Benchmark: what our span processor costs a span of other code that carries no designated event.

Each row is a span with our processor against the same span on a bare provider, in one run: the rounds interleaved, in
changing order, and of each round the difference; the figure is the median. Run with ``make bench``.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Tracer
from rich.console import Console
from rich.table import Table

from zentra_otel_posthog import PostHogSpanProcessor, identify

_ROUNDS = 201
_SPANS = 500  # a round
_ALLOWED = 0.5  # µs a span

Body = Callable[[Tracer], None]


class Empty(SpanProcessor):
    """Does nothing: what OpenTelemetry itself takes for calling one."""


def plain(tracer: Tracer) -> None:
    """Make a span without events."""
    tracer.start_span("request").end()


def with_event(tracer: Tracer) -> None:
    """Make a span with an event that the tracking plan does not designate."""
    span = tracer.start_span("request")
    span.add_event("cache.miss")
    span.end()


def tracer_with(*processors: SpanProcessor) -> Tracer:
    """Return a tracer of a provider of its own."""
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider.get_tracer("benchmark")


def cost(body: Body, tracer: Tracer) -> float:
    """Return what one span takes of the thread's processor time, in microseconds."""
    begun = time.thread_time_ns()
    for _ in range(_SPANS):
        body(tracer)
    return (time.thread_time_ns() - begun) / _SPANS / 1000


def measure(body: Body, tracers: list[Tracer]) -> list[float]:
    """Return the median cost of a span with the first tracer, and how much more it is with each of the others."""
    rounds: list[list[float]] = []
    for _ in range(_ROUNDS):
        gc.collect()
        costs = [0.0] * len(tracers)
        for number in random.sample(range(len(tracers)), len(tracers)):
            costs[number] = cost(body, tracers[number])
        rounds.append([costs[0], *(one - costs[0] for one in costs[1:])])
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def main() -> int:
    """Measure and print the table; fail where a plain span pays more than it may."""
    tracers = [tracer_with(), tracer_with(Empty()), tracer_with(PostHogSpanProcessor())]
    situations: list[tuple[str, Body, AbstractContextManager[object]]] = [
        ("no event, nobody identified", plain, nullcontext()),
        ("an event of no concern, nobody identified", with_event, nullcontext()),
        ("no event, inside identify()", plain, identify("usr_1", tenant="acme")),
    ]
    table = Table(title="A span of other code without a designated event, µs of processor time")
    table.add_column("the span")
    for heading in ("bare provider", "+ a processor that does nothing", "+ ours"):
        table.add_column(heading, justify="right")
    ours = []
    for label, body, block in situations:
        with block:
            figures = measure(body, tracers)
        ours.append(figures[-1])
        table.add_row(label, *(f"{figure:.2f}" for figure in figures))
    console = Console(width=110)
    console.print(table)
    console.print(
        f"medians of {_ROUNDS} rounds of {_SPANS} spans, Python {sys.version.split()[0]}, {os.cpu_count()} cores; "
        f"the first row may be {_ALLOWED}"
    )
    return int(ours[0] > _ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
