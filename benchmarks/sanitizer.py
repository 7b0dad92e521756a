"""What the sanitizer costs: a declared event, an undeclared value, and how time grows with hostile input.

Run with ``make bench`` or ``python benchmarks/sanitizer.py``. Microseconds are of this machine; the ratios are the
figures to compare.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table

from zentra_otel_posthog import PaymentCompleted, PaymentFailed
from zentra_otel_posthog.sanitize import clean_value, containers, detectors
from zentra_otel_posthog.sanitize.schema import clean_declared

_ROUNDS = 31
_CALLS = 2000  # a round
_MEGABYTE = 1 << 20
_HOSTILE = {
    "letters": "a",
    "digits": "4",
    "digits and dashes": "4-",
    "dots and digits": "1.",
    "addresses": "a@a.",
    "quotes": '"',
    "brackets": "[",
    "escapes": "%34",
    "unicode": "\uff14\u200b",
    "base64": "QUJD",
    "words": "Ada Obi paid to ",
    "key and value": "password=x&",
}


def _microseconds(call: Callable[[], object], calls: int = _CALLS) -> float:
    call()
    rounds = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter_ns()
        for _ in range(calls):
            call()
        rounds.append((time.perf_counter_ns() - begun) / calls / 1000)
    return statistics.median(rounds)


def _values() -> dict[str, Callable[[], object]]:
    completed, failed = PaymentCompleted.event_schema, PaymentFailed.event_schema
    payment: Mapping[str, object] = {"amount_minor": 125000, "currency": "NGN", "method": "card"}
    declined: Mapping[str, object] = {"amount_minor": 125000, "currency": "NGN", "reason": "insufficient_funds"}
    return {
        "declared event, three properties": lambda: clean_declared(completed, payment),
        "declared event, with a reason": lambda: clean_declared(failed, declined),
        "undeclared word": lambda: clean_value("a.b", "plan", "gold"),
        "undeclared number": lambda: clean_value("a.b", "items", 3),
        "undeclared UUID": lambda: clean_value("a.b", "order", "0192f0c1-2d3e-7abc-8def-0123456789ab"),
        "undeclared sentence": lambda: clean_value("a.b", "note", "The basket was left at step 3 of 4"),
        "an e-mail address": lambda: clean_value("a.b", "contact", "ada.obi@example.com"),
        "a card number": lambda: clean_value("a.b", "value", "4111 1111 1111 1111"),
    }


def _growth(unit: str) -> tuple[float, float]:
    """Return milliseconds for half a megabyte and for a whole one, every bound on length lifted."""
    half, whole = unit * (_MEGABYTE // 2 // len(unit)), unit * (_MEGABYTE // len(unit))
    times = {half: [0.0] * 0, whole: [0.0] * 0}
    for _ in range(5):
        for text, taken in times.items():
            begun = time.perf_counter()
            detectors.find(text)
            taken.append((time.perf_counter() - begun) * 1000)
    return min(times[half]), min(times[whole])


def main() -> None:
    """Measure and print."""
    console = Console(highlight=False)
    costs = Table("value", "µs", title="Cost of one value, medians", title_justify="left")
    for name, call in _values().items():
        costs.add_row(name, f"{_microseconds(call):.2f}")
    console.print(costs)
    # What is longer is refused unread; to see how the patterns themselves grow, they are made to read it.
    detectors.LONGEST_TEXT = detectors._LONGEST_FOLDED = containers.MOST_CHARACTERS = 4 * _MEGABYTE  # type: ignore[misc]  # noqa: SLF001
    growth = Table(
        "hostile text", "0.5 MB, ms", "1 MB, ms", "ratio", title="Growth, bounds lifted", title_justify="left"
    )
    for name, unit in _HOSTILE.items():
        half, whole = _growth(unit)
        growth.add_row(name, f"{half:,.0f}", f"{whole:,.0f}", f"{whole / half:.2f}")
    console.print(growth)


if __name__ == "__main__":
    main()
