"""Memory after a million events that nobody takes."""

from __future__ import annotations

import gc
import logging
import os
from functools import partial
from pathlib import Path

from benchmarks.harness import Row, free_port, times
from benchmarks.subjects import CARD, configured
from zentra_otel_posthog import capture, flush

_EVENTS = 1_000_000


def resident() -> float:
    """Return this process's memory in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def million() -> list[Row]:
    """The receiver is down all the time."""
    logging.disable(logging.WARNING)
    properties = {"cardType": CARD[1], "tier": CARD[2]}
    emit = times(partial(capture, "card.issued", distinct_id=CARD[0], properties=properties))
    with configured(f"http://127.0.0.1:{free_port()}"):
        emit(1000)
        flush(1)  # has the HTTP client loaded, which costs its 7 MiB whatever waits
        gc.collect()
        before = resident()
        emit(_EVENTS)
        gc.collect()
        grown = resident() - before
    return [Row(measure="memory after a million events, receiver down", unit="MiB more", ours=grown, at_most=20)]
