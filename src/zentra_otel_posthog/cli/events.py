"""``zentra-otel-posthog events``: the tracking plan, and with ``--egress`` the page for a compliance review."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from zentra_otel_posthog import config, delivery, events, runtime
from zentra_otel_posthog.cli._options import add_config, add_import, config_argument, import_modules
from zentra_otel_posthog.cli._output import Section, print_json, print_markdown, print_table
from zentra_otel_posthog.cli.egress import Egress, EventEgress, Refusals, egress
from zentra_otel_posthog.delivery import account

_FORMATS: Final[dict[str, Callable[[Iterable[Section]], None]]] = {"table": print_table, "markdown": print_markdown}


def add_parser(commands: Any) -> None:
    """Declare the command and its help."""
    parser = commands.add_parser(
        "events",
        help="show the tracking plan, and what can leave",
        description="Show the tracking plan: every declared event with its properties.",
    )
    parser.add_argument("--egress", action="store_true", help="show all that can leave, and what was kept back and why")
    parser.add_argument("--format", choices=(*_FORMATS, "json"), default="table", help="default: %(default)s")
    add_import(parser, "a module that declares events, as in --import bank.payments")
    add_config(parser)
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace, _: Sequence[str]) -> int:
    """Print the tracking plan or the egress page."""
    try:
        settings = config.load(config_argument(options))
        runtime.declare_events(settings)
        import_modules(options.modules)
    except (config.SettingsError, ImportError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    totals = None
    if options.egress:
        folders = delivery.project_folders(settings)
        totals = next((found for folder in folders if (found := account.read(folder)) is not None), None)
    page = egress(events.schemas(), settings, totals)
    if options.format == "json":
        print_json(_document(page, options.egress))
    else:
        _FORMATS[options.format](_sections(page, options.egress))
    return 0


def _sections(found: Egress, everything: bool) -> Iterator[Section]:  # noqa: FBT001  the choice of --egress
    if everything:
        yield Section("What can leave for PostHog", list(_summary(found)))
    for event in found.events:
        yield _event(event, everything)
    kinds = {one.kind: one.allows for event in found.events for one in event.properties if one.kind is not None}
    yield Section("What each kind lets out", (), ("kind", "what may leave"), sorted(kinds.items()))
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
    columns = ["property", "kind", "person property"]
    rows = [[one.name, one.kind or "", ", ".join(one.person)] for one in event.properties]
    if everything:
        columns.append("kept back")
        for row, one in zip(rows, event.properties, strict=True):
            row.append(_refused(one.refused))
        rows.extend([one.name, f"undeclared, {one.left:,} left", "", _refused(one.refused)] for one in event.undeclared)
    return Section(event.name, [f"Declared by {event.declared_by or 'nobody'}."] if everything else (), columns, rows)


def _refused(refused: Refusals) -> str:
    return ", ".join(f"{rule} {count:,}" for rule, count in sorted(refused.items())) or "0"


def _document(found: Egress, everything: bool) -> object:  # noqa: FBT001  as above
    if everything:
        return found
    return {
        event.name: {one.name: {"kind": one.kind, "person": one.person} for one in event.properties}
        for event in found.events
    }
