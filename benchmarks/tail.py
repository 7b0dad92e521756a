"""The slowest calls: while the sender delivers, and while nobody listens."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable
from functools import partial

from benchmarks.harness import Row, free_port
from benchmarks.subjects import CARD, ByHand, configured, issue, running

_BLOCKS = 40
_CALLS = 2000  # a block


def _latencies(call: Callable[[], object], into: list[int]) -> None:
    clock = time.perf_counter_ns
    for _ in range(_CALLS):
        begun = clock()
        call()
        into.append(clock() - begun)


def _rows(situation: str, by_hand: ByHand, at_most: float | None = None) -> list[Row]:
    ours: list[int] = []
    bare: list[int] = []
    calls = (partial(issue, *CARD), ours), (partial(by_hand.issue, *CARD), bare)
    for block in range(_BLOCKS):
        for call, into in calls if block % 2 else reversed(calls):
            _latencies(call, into)
    rows = []
    for name, share, target in (("p99", 0.99, None), ("p99.9", 0.999, at_most)):
        one, other = (statistics.quantiles(taken, n=1000)[round(share * 1000) - 1] / 1000 for taken in (ours, bare))
        rows.append(
            Row(
                measure=f"{name} of a decorated call, {situation}",
                against=f"{name} of the span by hand",
                ours=one,
                theirs=other,
                ratio=one / other,
                at_most=target,
            )
        )
    return rows


def while_delivering() -> list[Row]:
    """The sender works beside."""
    with running() as (_, by_hand):
        return _rows("while the sender delivers", by_hand)


def while_down() -> list[Row]:
    """Nobody listens."""
    logging.disable(logging.WARNING)
    with configured(f"http://127.0.0.1:{free_port()}") as by_hand:
        return _rows("while the receiver is down", by_hand, at_most=3)
