"""What a command prints: sections of sentences and a table, for people, for a page, and JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

# A cell that says just this is shown so.
_STYLES: Final = {"ok": "green", "warning": "yellow", "failed": "bold red", "not checked": "dim"}
_UNITS: Final = ("B", "KiB", "MiB", "GiB")
_UNIT: Final = 1024
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


class Section(NamedTuple):
    """A heading, what stands below it, and a table.

    Args:
        title: The heading.
        lines: Sentences.
        columns: The table's columns; none: no table.
        rows: Its rows.
    """

    title: str
    lines: Sequence[str] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def print_table(sections: Iterable[Section]) -> None:
    """Print for people, in the terminal's width; 80 columns where there is none."""
    try:  # Markdown reads well enough where the extra ``tools`` is not installed
        from rich.box import SIMPLE_HEAD  # noqa: PLC0415  an extra, imported when used
        from rich.console import Console  # noqa: PLC0415  likewise
        from rich.table import Column, Table  # noqa: PLC0415  likewise
        from rich.text import Text  # noqa: PLC0415  likewise
    except ImportError:
        print_markdown(sections)
        return
    console = Console(highlight=False)
    for section in sections:
        console.print(f"\n{section.title}", style="bold", markup=False)
        for line in section.lines:
            console.print(printable(line), markup=False)
        if section.columns:
            # A path is broken, not cut: it is there to be copied.
            columns = (Column(name, overflow="fold") for name in section.columns)
            table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
            for row in section.rows:
                table.add_row(*(Text(printable(cell), _STYLES.get(cell, "")) for cell in row))
            console.print(table)


def print_markdown(sections: Iterable[Section]) -> None:
    """Print the same as Markdown."""
    for section in sections:
        lines = [f"## {section.title}", "", *(f"- {_escaped(line)}" for line in section.lines)]
        if section.columns:
            lines.extend(["", _row(section.columns), _row(["---"] * len(section.columns)), *map(_row, section.rows)])
        sys.stdout.write("\n".join([*lines, "", ""]))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return printable(text).replace("|", "\\|").replace("**", "\\*\\*").replace("\n", " ")


def printable(text: str) -> str:
    """Take the power over the terminal from what a server or a file name says."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\N{REPLACEMENT CHARACTER}" for sign in text)


def print_json(document: object) -> None:
    """Print for machines."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


def shown_bytes(size: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in _UNITS:
        if size < _UNIT or unit == _UNITS[-1]:
            break
        size /= _UNIT
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def shown_age(moment: datetime) -> str:
    """Return how long ago something was, as people read it."""
    seconds = max((datetime.now(UTC) - moment).total_seconds(), 0.0)
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def counted(count: int, noun: str) -> str:
    """Return a number and what it counts."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
