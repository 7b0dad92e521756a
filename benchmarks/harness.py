"""What all benchmarks share: interleaved rounds, ratios of pairs, a receiver in another process."""

from __future__ import annotations

import gc
import importlib
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

Runner = Callable[[int], object]
"""Does what is measured so many times."""


class Cost(NamedTuple):
    """What one of a round's operations took, in microseconds.

    Args:
        wall: Elapsed.
        processor: Of the calling thread.
    """

    wall: float
    processor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Args:
        measure: What was measured.
        against: What it is compared with.
        unit: Of ``ours`` and ``theirs``.
        ours: The package's figure.
        theirs: The other's.
        ratio: The first by the second.
        processor: The same ratio of the calling thread's processor time.
        at_most: What the figure may be: the ratio, where there is one.
        at_least: What it should be.
    """

    measure: str
    against: str = ""
    unit: str = "µs"
    ours: float
    theirs: float | None = None
    ratio: float | None = None
    processor: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def figure(self) -> float:
        """What a target is about."""
        return self.ours if self.ratio is None else self.ratio

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.at_most is not None:
            return self.figure <= self.at_most
        return self.figure >= self.at_least if self.at_least is not None else None


def measure(module: str, function: str) -> list[Row]:
    """Run a benchmark, by its names, so that a fresh process can."""
    rows: list[Row] = getattr(importlib.import_module(f"benchmarks.{module}"), function)()
    return rows


def times(call: Callable[[], object]) -> Runner:
    """Return what calls so many times."""

    def run(count: int) -> None:
        for _ in range(count):
            call()

    return run


def nothing() -> None:
    """Settle nothing."""


def interleave(
    runners: Mapping[str, Runner], *, rounds: int, count: int, settle: Callable[[], object] = nothing
) -> dict[str, list[Cost]]:
    """Measure each runner once a round, in an order that changes.

    Args:
        runners: What is measured, by name.
        rounds: How many.
        count: Operations of each in a round.
        settle: Called before each measurement, so that nothing is left to deliver from the one before: a loop without a
            pause would measure a queue that is full and drops, or a machine that is busy with the other's work.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in runners}
    for run in runners.values():
        run(count)
    for _ in range(rounds):
        gc.collect()
        for name in random.sample(list(runners), len(runners)):
            settle()
            wall, processor = time.perf_counter_ns(), time.thread_time_ns()
            runners[name](count)
            processor, wall = time.thread_time_ns() - processor, time.perf_counter_ns() - wall
            costs[name].append(Cost(wall / count / 1000, processor / count / 1000))
    return costs


def row(
    measure: str,
    ours: list[Cost],
    against: str,
    theirs: list[Cost],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Row:
    """Return a comparison: medians of the costs, and of each round's ratios."""
    pairs = list(zip(ours, theirs, strict=True))
    return Row(
        measure=measure,
        against=against,
        ours=statistics.median(cost.wall for cost in ours),
        theirs=statistics.median(cost.wall for cost in theirs),
        ratio=statistics.median(one.wall / other.wall for one, other in pairs),
        processor=statistics.median(one.processor / other.processor for one, other in pairs),
        at_most=at_most,
        at_least=at_least,
    )


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


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
