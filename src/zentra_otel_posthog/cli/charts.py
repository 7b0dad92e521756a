"""Rows of a metric as a table, as bars in the terminal, and as a picture."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

_BARS: Final = 30  # columns of the longest bar
_PICTURE_ROW: Final = 0.3  # inches

_NAMING: Final = frozenset({"period", "method", "currency", "cohort", "week", "reason"})

Rows = Sequence[Mapping[str, Any]]


def print_table(rows: Rows) -> None:
    """Print a table; tab-separated where the extra ``tools`` is not installed."""
    _print(rows, None)


def print_chart(rows: Rows, drawn: str) -> None:
    """Print the table with a bar for one of its fields in each row.

    Raises:
        ImportError: The extra ``tools`` is not installed.
    """
    _print(rows, drawn)


def _print(rows: Rows, drawn: str | None) -> None:
    if not rows:
        sys.stdout.write("No events in that time.\n")
        return
    try:
        from rich.bar import Bar  # noqa: PLC0415  an extra, imported when used
        from rich.box import SIMPLE_HEAD  # noqa: PLC0415  likewise
        from rich.console import Console  # noqa: PLC0415  likewise
        from rich.markup import escape  # noqa: PLC0415  likewise
        from rich.table import Table  # noqa: PLC0415  likewise
    except ImportError:
        if drawn is not None:
            raise ImportError("--format chart needs a package: pip install 'zentra-otel-posthog[tools]'") from None
        lines = [rows[0].keys(), *([_shown(name, value) for name, value in row.items()] for row in rows)]
        sys.stdout.write("".join("\t".join(line) + "\n" for line in lines))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, value in rows[0].items():
        table.add_column(name, justify="left" if isinstance(value, str) else "right", no_wrap=True)
    if drawn is not None:
        table.add_column("", no_wrap=True)
        longest = max(row[drawn] or 0 for row in rows)
    for row in rows:
        cells: list[Any] = [escape(_shown(name, value)) for name, value in row.items()]
        if drawn is not None:
            cells.append(Bar(longest or 1, 0, row[drawn] or 0, width=_BARS))
        table.add_row(*cells)
    Console(highlight=False).print(table)


def _shown(name: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1%}"
    if isinstance(value, int):
        return f"{value:,}"
    # A period of a day or longer needs no time of day.
    return str(value).removesuffix("T00:00:00Z") if name == "period" else str(value)


def save_picture(title: str, rows: Rows, drawn: str, path: str) -> None:
    """Save a bar chart of one field as PNG.

    Args:
        title: Stands above it.
        rows: One bar each.
        drawn: The field.
        path: The file.

    Raises:
        ImportError: The extra ``charts`` is not installed.
        OSError: The file cannot be written.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  an extra, imported when used
    except ImportError:
        raise ImportError("--format png needs a package: pip install 'zentra-otel-posthog[charts]'") from None
    figure = Figure(figsize=(8, 1.5 + _PICTURE_ROW * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    labels = [" ".join(_shown(name, value) for name, value in row.items() if name in _NAMING) for row in rows]
    places = range(len(rows))
    axes.barh(places, [row[drawn] or 0 for row in rows])
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.set_title(title)
    axes.set_xlabel(drawn)
    figure.savefig(path, format="png")
