"""``zentra-otel-posthog events``: the tracking plan, and with ``--egress`` the page for a compliance review."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from zentra_otel_posthog import config, delivery, events, runtime
from zentra_otel_posthog.cli.egress import Egress, EventEgress, Refusals, egress
from zentra_otel_posthog.delivery import account


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


def add_parser(commands: Any) -> None:
    """Declare the command and its help."""
    parser = commands.add_parser(
        "events",
        help="show the tracking plan, and what can leave",
        description="Show the tracking plan: every declared event with its properties.",
    )
    parser.add_argument("--egress", action="store_true", help="show all that can leave, and what was kept back and why")
    parser.add_argument("--format", choices=tuple(_FORMATS), default="table", help="default: %(default)s")
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="import a module that declares events, as in --import bank.payments; may be repeated",
    )
    parser.add_argument("--config", metavar="FILE", help="instead of zentra-otel-posthog.toml or pyproject.toml")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, _: Sequence[str]) -> int:
    """Print the tracking plan or the egress page."""
    try:
        settings = config.load({"config": options.config} if options.config else {})
        runtime.declare_events(settings)
        _import(options.modules)
    except (config.SettingsError, ImportError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    totals = None
    if options.egress:
        folders = delivery.project_folders(settings)
        totals = next((found for folder in folders if (found := account.read(folder)) is not None), None)
    _FORMATS[options.format](egress(events.schemas(), settings, totals), options.egress)
    return 0


def _import(modules: Iterable[str]) -> None:
    sys.path.insert(0, str(Path.cwd()))  # as ``python -m`` finds an application's modules
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ImportError(f"--import {module}: {error}; run it where the application's modules are found") from None


def _sections(found: Egress, everything: bool) -> Iterator[Section]:  # noqa: FBT001  the choice of --egress
    if everything:
        yield Section("What can leave for PostHog", list(_summary(found)))
    for event in found.events:
        yield _event(event, everything)
    if everything:
        rows = [(one.name, one.allows, _refused(one.refused)) for one in found.identifiers]
        yield Section("Who an event is about", (), ("identifier", "what may leave", "kept back"), rows)
        yield Section("With every event", (), ("property", "what it says"), list(found.always.items()))


def _summary(found: Egress) -> Iterator[str]:
    yield f"zentra-otel-posthog {found.version}. Only what is listed here can leave."
    yield f"Undeclared properties: {found.undeclared}."
    yield f"Keys refused by policy: {', '.join(found.refused_keys) or 'none'}."
    yield f"Texts allowed by policy whatever a detector says: {found.allowed_values}."
    actions = ", ".join(f"{rule}: {action}" for rule, action in found.actions.items())
    yield f"Caught values are dropped{f', but for {actions}' if actions else ''}."
    traced = "exception messages and stacks, unsanitized" if found.exceptions_traced else "no exception message"
    yield f"The tracing backend gets the same properties on spans, and {traced}."
    if found.counted_since is not None and found.counted_until is not None:
        yield f"Counted from {found.counted_since:%Y-%m-%d %H:%M} to {found.counted_until:%Y-%m-%d %H:%M} UTC."
    else:
        yield "Nothing was counted yet for this project key in the spool's folder."


def _event(event: EventEgress, everything: bool) -> Section:  # noqa: FBT001  as above
    columns = ["property", "kind", "what may leave", "person property"]
    rows = [[one.name, one.kind or "", one.allows, ", ".join(one.person)] for one in event.properties]
    if everything:
        columns.append("kept back")
        for row, one in zip(rows, event.properties, strict=True):
            row.append(_refused(one.refused))
        rows.extend(
            [one.name, "undeclared", f"{one.left:,} left" if one.left else "nothing", "", _refused(one.refused)]
            for one in event.undeclared
        )
    return Section(event.name, [f"Declared by {event.declared_by or 'nobody'}."] if everything else (), columns, rows)


def _refused(refused: Refusals) -> str:
    return ", ".join(f"{rule} {count:,}" for rule, count in sorted(refused.items())) or "0"


def _print_table(found: Egress, everything: bool) -> None:  # noqa: FBT001  as above
    try:  # Markdown reads well enough where the extra ``tools`` is not installed
        from rich.box import SIMPLE_HEAD  # noqa: PLC0415  an extra, imported when used
        from rich.console import Console  # noqa: PLC0415  likewise
        from rich.table import Table  # noqa: PLC0415  likewise
    except ImportError:
        _print_markdown(found, everything)
        return
    console = Console(highlight=False)
    for section in _sections(found, everything):
        console.print(f"\n{section.title}", style="bold", markup=False)
        for line in section.lines:
            console.print(line, markup=False)
        if section.columns:
            table = Table(*section.columns, box=SIMPLE_HEAD, pad_edge=False)
            for row in section.rows:
                table.add_row(*row)
            console.print(table)


def _print_markdown(found: Egress, everything: bool) -> None:  # noqa: FBT001  as above
    for section in _sections(found, everything):
        lines = [f"## {section.title}", "", *(f"- {_escaped(line)}" for line in section.lines)]
        if section.columns:
            lines.extend(["", _row(section.columns), _row(["---"] * len(section.columns)), *map(_row, section.rows)])
        sys.stdout.write("\n".join([*lines, "", ""]))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("**", "\\*\\*")


def _print_json(found: Egress, everything: bool) -> None:  # noqa: FBT001  as above
    document: object = found
    if not everything:
        document = {
            event.name: {one.name: {"kind": one.kind, "person": one.person} for one in event.properties}
            for event in found.events
        }
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


_FORMATS: Final[dict[str, Callable[[Egress, bool], None]]] = {
    "table": _print_table,
    "markdown": _print_markdown,
    "json": _print_json,
}
