"""The slowest calls: while the sender delivers, and while nobody listens."""

from __future__ import annotations

import logging
import random
import statistics
import time
from collections.abc import Callable
from functools import partial

from benchmarks.harness import Row, free_port
from benchmarks.subjects import CARD, ByHand, configured, issue, running

_ROUNDS = 41
_CALLS = 5000  # a round, so that five of them are beyond the last quantile


def _latencies(call: Callable[[], object]) -> list[int]:
    clock = time.perf_counter_ns
    taken = []
    for _ in range(_CALLS):
        begun = clock()
        call()
        taken.append(clock() - begun)
    return sorted(taken)


def _rows(situation: str, by_hand: ByHand, at_most: float | None = None) -> list[Row]:
    calls = {"ours": partial(issue, *CARD), "bare": partial(by_hand.issue, *CARD)}
    rounds = [{name: _latencies(calls[name]) for name in random.sample(list(calls), 2)} for _ in range(_ROUNDS)]
    rows = []
    for name, share, target in (("p99", 0.99, None), ("p99.9", 0.999, at_most)):
        position = round(share * _CALLS) - 1
        pairs = [(taken["ours"][position] / 1000, taken["bare"][position] / 1000) for taken in rounds]
        rows.append(
            Row(
                measure=f"{name} of a decorated call, {situation}",
                against=f"{name} of the span by hand",
                ours=statistics.median(one for one, _ in pairs),
                theirs=statistics.median(other for _, other in pairs),
                ratio=statistics.median(one / other for one, other in pairs),
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
