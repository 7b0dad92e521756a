"""Until delivered: processor time of the whole process, and events a second. Both sides send gzip."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from benchmarks.harness import Row, times
from benchmarks.subjects import CARD, ByHand, issue, running
from zentra_otel_posthog import capture, flush

_ROUNDS = 9
_SPANS = 2000  # a round; the exporter's queue holds 2048
_EVENTS = 40_000  # a round
_EVENTS_OF_THE_CLIENT = 8000  # its queue holds 10,000, and drops what comes then
_THREADS = 8


@dataclass(frozen=True, slots=True)
class _Way:
    """A way from an event to PostHog.

    Args:
        make: Makes one event.
        flush: Waits until all are delivered.
        events: How many before that, where a rate is measured.
    """

    make: Callable[[], object]
    flush: Callable[[], object]
    events: int = _EVENTS


def _processor(way: _Way) -> float:
    """Return what an event takes of the process's time until it is delivered, in microseconds."""
    begun = time.process_time_ns()
    times(way.make)(_SPANS)
    way.flush()
    return (time.process_time_ns() - begun) / _SPANS / 1000


def _rate(way: _Way, threads: int) -> float:
    """Return events a second until all are delivered."""
    workers = [threading.Thread(target=times(way.make), args=(way.events // threads,)) for _ in range(threads)]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    way.flush()
    return way.events / (time.perf_counter() - begun)


def _rounds(measure: Callable[[_Way], float], ways: dict[str, _Way]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        measure(way)
    for _ in range(_ROUNDS):
        for name in random.sample(list(ways), len(ways)):
            found[name].append(measure(ways[name]))
    return found


def processor_time() -> list[Row]:
    """Beyond the bare span, against the official client and the exporter of spans that uses it."""
    from posthog import Posthog
    from posthog_otel_exporter import PosthogSpanExporter

    with running() as (host, by_hand):
        client = Posthog("phc_benchmark", host=host, gzip=True)
        exporter = PosthogSpanExporter("phc_benchmark", host)
        exporter._posthog_client = Posthog("phc_benchmark", host=host, gzip=True)  # noqa: SLF001  it has no option
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(exporter))
        exported = ByHand(provider.get_tracer("exported"))

        def span_and_capture() -> None:
            by_hand.issue(*CARD)
            client.capture("card.issued", distinct_id=CARD[0], properties={"cardType": CARD[1], "tier": CARD[2]})

        def flush_exporter() -> None:
            provider.force_flush()
            exporter._posthog_client.flush()  # noqa: SLF001  its own force_flush leaves the client alone

        found = _rounds(
            _processor,
            {
                "bare": _Way(partial(by_hand.issue, *CARD), bool),
                "ours": _Way(partial(issue, *CARD), flush),
                "posthog.capture": _Way(span_and_capture, client.flush),
                "posthog-otel-exporter": _Way(partial(exported.issue, *CARD), flush_exporter),
            },
        )
    beyond = {
        name: [one - bare for one, bare in zip(costs, found["bare"], strict=True)]
        for name, costs in found.items()
        if name != "bare"
    }
    return [
        Row(
            measure="an event until delivered, beyond the span",
            against=name,
            unit="µs of processor time",
            ours=statistics.median(beyond["ours"]),
            theirs=statistics.median(beyond[name]),
            ratio=statistics.median(one / other for one, other in zip(beyond["ours"], beyond[name], strict=True)),
            at_most=at_most,
        )
        for name, at_most in (("posthog.capture", 0.15), ("posthog-otel-exporter", None))
    ]


def throughput() -> list[Row]:
    """Without tracing, of which the client knows nothing either."""
    return _throughput("no tracing set up", None)


def throughput_with_spans() -> list[Row]:
    """With tracing: each capture has a span of its own."""
    return _throughput("each on a span of its own", ALWAYS_ON)


def _throughput(situation: str, sampler: Sampler | None) -> list[Row]:
    from posthog import Posthog

    with running(sampler) as (host, _):
        client = Posthog("phc_benchmark", host=host, gzip=True)
        properties = {"cardType": CARD[1], "tier": CARD[2]}
        ways = {
            "ours": _Way(partial(capture, "card.issued", distinct_id=CARD[0], properties=properties), flush),
            "client": _Way(
                partial(client.capture, "card.issued", distinct_id=CARD[0], properties=properties),
                client.flush,
                _EVENTS_OF_THE_CLIENT,
            ),
        }
        rows = []
        for threads, label, at_least in ((1, "1 thread", 5.0), (_THREADS, f"{_THREADS} threads", None)):
            found = _rounds(partial(_rate, threads=threads), ways)
            rows.append(
                Row(
                    measure=f"captures until delivered, {situation}, {label}",
                    against="posthog.capture",
                    unit="events/s",
                    ours=statistics.median(found["ours"]),
                    theirs=statistics.median(found["client"]),
                    ratio=statistics.median(
                        one / other for one, other in zip(found["ours"], found["client"], strict=True)
                    ),
                    at_least=at_least,
                )
            )
        client.shutdown()
    return rows
