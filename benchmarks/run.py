"""Benchmarks: each figure is a ratio of two things measured in one run, interleaved, medians of many rounds.

Run with ``make bench``. The limit is the span and event that a developer would have written by hand; the peer is the
official PostHog client beside it.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from rich.console import Console
from rich.table import Table

import zentra_otel_posthog
from zentra_otel_posthog import card, payment

if TYPE_CHECKING:
    from posthog import Posthog

_ROUNDS = 41
_CALLS = 1000  # a round

# No processor sits on this provider: it is the limit.
_bare = TracerProvider().get_tracer("by hand")


@card(properties={"cardType": "card_type"})
def issue(customer_id: str, card_type: str, tier: str) -> None:
    """Record one event."""


@payment
def charge(customer_id: str, amount_minor: int, currency: str, method: str) -> None:
    """Record two events, payment.pending and payment.completed."""


def issue_by_hand(customer_id: str, card_type: str, tier: str) -> None:  # noqa: ARG001  as issue
    """Record one event on a span."""
    with _bare.start_as_current_span("issue") as span:
        span.add_event("card.issued", {"cardType": card_type, "tier": tier})


def charge_by_hand(customer_id: str, amount_minor: int, currency: str, method: str) -> None:  # noqa: ARG001  as charge
    """Record two events on a span."""
    with _bare.start_as_current_span("charge") as span:
        span.add_event("payment.pending", {"amount_minor": amount_minor, "currency": currency, "method": method})
        span.add_event("payment.completed", {"amount_minor": amount_minor, "currency": currency, "method": method})


def issue_with_client(client: Posthog) -> Callable[[str, str, str], None]:
    """Return what a developer writes without this package: a span, and a capture beside it."""

    def issue_and_capture(customer_id: str, card_type: str, tier: str) -> None:
        issue_by_hand(customer_id, card_type, tier)
        client.capture("card.issued", distinct_id=customer_id, properties={"cardType": card_type, "tier": tier})

    return issue_and_capture


@contextmanager
def receiver() -> Iterator[str]:
    """Run a receiver in another process, so that its work is not ours, and yield its address."""
    command = [sys.executable, "-m", "zentra_otel_posthog.inspector", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class Cost(NamedTuple):
    """What one call costs its caller, in microseconds: elapsed, and the calling thread's processor time."""

    wall: float
    processor: float


def measure(*calls: Callable[[], Any], settle: Callable[[], Any]) -> list[Cost]:
    """Return the median cost of each call, the calls interleaved round by round.

    Args:
        calls: What is measured.
        settle: Called between the rounds, so that each begins with nothing left to deliver: a loop without a pause
            would measure a queue that is full and drops, or a machine that is busy with the round before.
    """
    rounds: list[list[Cost]] = []
    for _ in range(_ROUNDS):
        settle()
        gc.collect()
        costs = []
        for call in calls:
            wall, processor = time.perf_counter_ns(), time.thread_time_ns()
            for _ in range(_CALLS):
                call()
            processor, wall = time.thread_time_ns() - processor, time.perf_counter_ns() - wall
            costs.append(Cost(wall / _CALLS / 1000, processor / _CALLS / 1000))
        rounds.append(costs)
    return [
        Cost(statistics.median(cost.wall for cost in column), statistics.median(cost.processor for cost in column))
        for column in zip(*rounds, strict=True)
    ]


def main() -> int:
    """Measure and print the table."""
    table = Table(title="A decorated call: conversion, sanitizing and durable append included")
    table.add_column("one call of ours against")
    for heading in ("ours µs", "other µs", "ratio", "ratio of processor time"):
        table.add_column(heading, justify="right")
    with receiver() as host, tempfile.TemporaryDirectory() as spool:
        trace.set_tracer_provider(TracerProvider())
        # The default settings: the sender delivers while we measure, as it does for users.
        zentra_otel_posthog.configure(api_key="phc_benchmark", host=host, spool_dir=spool)
        calls = measure(
            lambda: issue("usr_1", "virtual", "gold"),
            lambda: issue_by_hand("usr_1", "virtual", "gold"),
            lambda: charge("usr_1", 125_000, "NGN", "card"),
            lambda: charge_by_hand("usr_1", 125_000, "NGN", "card"),
            settle=zentra_otel_posthog.flush,
        )
        # Only now: its consumer threads would slow the others down.
        from posthog import Posthog as Client  # noqa: PLC0415  loaded, it is asked for its contexts at each call

        client = Client("phc_benchmark", host=host)

        def settle() -> None:
            zentra_otel_posthog.flush()
            client.flush()

        with_client = issue_with_client(client)
        calls += measure(
            lambda: issue("usr_1", "virtual", "gold"),
            lambda: with_client("usr_1", "virtual", "gold"),
            settle=settle,
        )
        labels = (
            "a span and add_event by hand (one event)",
            "a span and two add_event by hand (two events)",
            "a span by hand and posthog.capture (one event)",
        )
        for label, ours, other in zip(labels, calls[::2], calls[1::2], strict=True):
            table.add_row(
                label,
                f"{ours.wall:.1f}",
                f"{other.wall:.1f}",
                f"{ours.wall / other.wall:.2f}",
                f"{ours.processor / other.processor:.2f}",
            )
        zentra_otel_posthog.shutdown(timeout=30)
        client.shutdown()
    console = Console(width=100)
    console.print(table)
    machine = f"Python {sys.version.split()[0]}, {os.cpu_count()} cores"
    console.print(f"medians of {_ROUNDS} rounds of {_CALLS} calls, {machine}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
