"""Benchmark: what hundreds of tenants with projects of their own cost a process, active and at rest.

Threads of ours, descriptors and memory at each step, and what a capture takes with tenants and without. The stand-in
for PostHog runs in a process of its own. Linux alone: it reads ``/proc``. Run with ``python -m benchmarks.tenants``.
"""

from __future__ import annotations

import logging
import multiprocessing
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from rich.console import Console
from rich.table import Table

from zentra_otel_posthog import capture, configure, flush, shutdown
from zentra_otel_posthog.delivery import tenants
from zentra_otel_posthog.inspector import Receiver

_TENANTS = 200
_CAPTURES = 20_000
_ROUNDS = 7
_IDLE = 3.0  # seconds instead of thirty


def serve(pipe: Connection) -> None:
    """Be PostHog until told to end."""
    with Receiver(keep=False) as receiver:
        pipe.send(receiver.url)
        pipe.recv()


def resident() -> float:
    """Return the process's memory, in MiB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def ours() -> int:
    """Return how many threads the package runs."""
    return sum(thread.name.startswith("zentra-posthog") for thread in threading.enumerate())


def senders() -> int:
    """Return how many of them send."""
    return sum(thread.name == "zentra-posthog-sender" for thread in threading.enumerate())


def seconds(names: list[str | None], count: int) -> float:
    """Return what so many captures take, for the tenants in turn."""
    begun = time.perf_counter()
    for number in range(count):
        capture("basket.paid", distinct_id="usr_1", tenant=names[number % len(names)])
    return time.perf_counter() - begun


def per_capture(*ways: dict[str, object]) -> list[float]:
    """Return what a capture takes in microseconds with each of some settings: the best of rounds in turn."""
    best = [float("inf")] * len(ways)
    for _ in range(_ROUNDS):
        for position, settings in enumerate(ways):
            with tempfile.TemporaryDirectory() as spool:
                configure(**settings, spool_dir=spool, flush_interval=3600, flush_at=_CAPTURES + 1)  # nothing is sent
                best[position] = min(best[position], seconds(["tenant_0"], _CAPTURES) / _CAPTURES * 1e6)
                shutdown(30)
    return best


def main() -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)
    pipe, other = multiprocessing.Pipe()
    posthog = multiprocessing.get_context("spawn").Process(target=serve, args=(other,))
    posthog.start()
    host = pipe.recv()
    tenants._IDLE = _IDLE  # type: ignore[misc]  # noqa: SLF001  the benchmark need not wait for half a minute
    names: list[str | None] = [f"tenant_{number}" for number in range(_TENANTS)]
    settings: dict[str, object] = {
        "tenants": {"projects": {name: {"api_key": f"phc_{name}", "host": host} for name in names}}
    }
    table = Table(title=f"{_TENANTS} tenants", title_justify="left")
    for heading in ("", "threads of ours", "descriptors", "MiB"):
        table.add_column(heading, justify="left" if not heading else "right")

    def row(step: str) -> None:
        table.add_row(step, str(ours()), str(len(list(Path("/proc/self/fd").iterdir()))), f"{resident():.1f}")

    with tempfile.TemporaryDirectory() as spool:
        row("before")
        configure(**settings, spool_dir=spool)
        seconds(names[:1], 1)
        delivered = flush(60)
        row("one has captured")
        first = seconds(names[1:], _TENANTS - 1) / (_TENANTS - 1)
        row("all have captured")
        delivered &= flush(60)
        row("all is delivered")
        while senders():
            time.sleep(0.1)
        row("all rest")
        begun = time.perf_counter()
        delivered &= flush(60)
        flushed = time.perf_counter() - begun
        delivered &= shutdown(60)
    with_tenants, without = per_capture(settings, {"api_key": "phc_one", "host": host})
    console = Console()
    console.print(table)
    console.print(f"a tenant's first capture {first * 1000:.2f} ms; a flush while all rest {flushed * 1000:.1f} ms")
    console.print(f"a capture {with_tenants:.1f} µs with tenants, {without:.1f} µs without")
    pipe.send(None)
    posthog.join()
    if not delivered:
        sys.exit("not everything was delivered")


if __name__ == "__main__":
    main()
