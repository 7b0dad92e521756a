"""How the sanitizer's time grows with hostile text. Run with ``python -m benchmarks.hostile``."""

from __future__ import annotations

import time

from rich.console import Console
from rich.table import Table

from zentra_otel_posthog.sanitize import containers, detectors

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


def growth(unit: str) -> tuple[float, float]:
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
    # What is longer is refused unread; to see how the patterns themselves grow, they are made to read it.
    detectors.LONGEST_TEXT = detectors._LONGEST_FOLDED = containers.MOST_CHARACTERS = 4 * _MEGABYTE  # type: ignore[misc]  # noqa: SLF001
    table = Table("hostile text", "0.5 MB, ms", "1 MB, ms", "ratio", title="Growth, bounds lifted")
    for name, unit in _HOSTILE.items():
        half, whole = growth(unit)
        table.add_row(name, f"{half:,.0f}", f"{whole:,.0f}", f"{whole / half:.2f}")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
