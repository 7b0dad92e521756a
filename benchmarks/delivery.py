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
_EVENTS = 40_000  # a round
_EVENTS_OF_THE_CLIENT = 8000  # its queue holds 10,000, and drops what comes then
_SPANS_OF_THE_EXPORTER = 2000  # of OpenTelemetry's batch processor, which holds 2048
_THREADS = 8


@dataclass(frozen=True, slots=True)
class _Way:
    """A way from an event to PostHog.

    Args:
        make: Makes one event.
        flush: Waits until all are delivered.
        events: How many before that.
    """

    make: Callable[[], object]
    flush: Callable[[], object]
    events: int


def _processor(way: _Way) -> float:
    """Return what an event takes of the process's time until it is delivered, in microseconds."""
    begun = time.process_time_ns()
    times(way.make)(way.events)
    way.flush()
    return (time.process_time_ns() - begun) / way.events / 1000


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
    """Beyond the bare span, against the official client."""
    from posthog import Posthog

    with running() as (host, by_hand):
        client = Posthog("phc_benchmark", host=host, gzip=True)

        def span_and_capture() -> None:
            by_hand.issue(*CARD)
            client.capture("card.issued", distinct_id=CARD[0], properties={"cardType": CARD[1], "tier": CARD[2]})

        other = _Way(span_and_capture, client.flush, _EVENTS_OF_THE_CLIENT)
        rows = [_beyond_the_span(by_hand, "posthog.capture", other, at_most=0.15)]
        client.shutdown()
    return rows


def processor_time_of_the_exporter() -> list[Row]:
    """The same, against the exporter of span events that uses the client."""
    from posthog import Posthog
    from posthog_otel_exporter import PosthogSpanExporter

    with running() as (host, by_hand):
        exporter = PosthogSpanExporter("phc_benchmark", host)
        exporter._posthog_client = client = Posthog("phc_benchmark", host=host, gzip=True)  # noqa: SLF001  no option
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(exporter))
        exported = ByHand(provider.get_tracer("exported"))

        def flush_all() -> None:
            provider.force_flush()
            client.flush()  # the exporter leaves it alone

        other = _Way(partial(exported.issue, *CARD), flush_all, _SPANS_OF_THE_EXPORTER)
        rows = [_beyond_the_span(by_hand, "posthog-otel-exporter", other)]
        provider.shutdown()
    return rows


def _beyond_the_span(by_hand: ByHand, against: str, other: _Way, *, at_most: float | None = None) -> Row:
    found = _rounds(
        _processor,
        {
            "bare": _Way(partial(by_hand.issue, *CARD), bool, other.events),
            "ours": _Way(partial(issue, *CARD), flush, other.events),
            "other": other,
        },
    )
    ours, theirs = (
        [one - bare for one, bare in zip(found[name], found["bare"], strict=True)] for name in ("ours", "other")
    )
    return Row(
        measure="an event until delivered, beyond the span",
        against=against,
        unit="µs of processor time",
        ours=statistics.median(ours),
        theirs=statistics.median(theirs),
        ratio=statistics.median(one / another for one, another in zip(ours, theirs, strict=True)),
        at_most=at_most,
    )


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
            "ours": _Way(partial(capture, "card.issued", distinct_id=CARD[0], properties=properties), flush, _EVENTS),
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
