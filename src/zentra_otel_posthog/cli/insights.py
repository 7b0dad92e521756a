"""``zentra-otel-posthog insights``: dashboards, cohorts and alerts as code, brought to PostHog."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from zentra_otel_posthog import config, runtime
from zentra_otel_posthog.cli._options import (
    MissingCredentials,
    add_config,
    add_import,
    config_argument,
    import_modules,
    private_api_credentials,
)
from zentra_otel_posthog.cli._output import print_json, printable

if TYPE_CHECKING:
    from zentra_otel_posthog._private_api import PrivateApi
    from zentra_otel_posthog.insights import Dashboard
    from zentra_otel_posthog.insights.plan import Change, State

_SIGNS: Final = {"create": "+", "change": "~", "remove": "-"}
_TOLD: Final = {"create": "to create", "change": "to change", "remove": "to remove", "unchanged": "unchanged"}
_DONE: Final = {"create": "created", "change": "changed", "remove": "removed", "unchanged": "unchanged"}
_SHOWN: Final = 60  # characters of a value


class _Wrong(Exception):
    """What stands in the way, in a sentence."""


def add_parser(commands: Any) -> None:
    """Declare the command and its help."""
    parser = commands.add_parser(
        "insights",
        help="bring dashboards, cohorts and alerts to PostHog",
        description="Bring dashboards, cohorts and alerts that are declared as code to PostHog.",
    )
    actions = parser.add_subparsers(title="what to do", dest="action", required=True)
    for name, (run, text) in _ACTIONS.items():
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        add_config(action)
        if name == "export":
            action.add_argument("--format", choices=("json", "terraform"), default="json", help="default: %(default)s")
        else:
            action.add_argument("--json", action="store_true", help="print for machines")
        if name == "destroy":
            action.add_argument("--yes", action="store_true", help="do not ask")
        else:
            _add_declarations(action)
        action.set_defaults(run=_reported, work=run, parser=action)


def _add_declarations(action: argparse.ArgumentParser) -> None:
    action.add_argument("--file", metavar="FILE", help="TOML with more [[insight]], [[cohort]] and [[alert]] tables")
    action.add_argument("--dashboard", metavar="MODULE:NAME", help="a Dashboard in Python instead of the product's own")
    add_import(action, "a module that declares events")
    action.add_argument(
        "--subscribe",
        action="append",
        type=int,
        default=[],
        metavar="USER_ID",
        help="tell this PostHog user of every alert; may be repeated",
    )


def _reported(options: argparse.Namespace, _: Sequence[str]) -> int:
    from zentra_otel_posthog._private_api import PrivateApiError  # noqa: PLC0415  for this command only
    from zentra_otel_posthog.insights import InvalidDashboard  # noqa: PLC0415  likewise

    try:
        return int(options.work(options))
    except PrivateApiError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: run it again, and it goes on from there\n")
        return 1
    except (_Wrong, MissingCredentials, InvalidDashboard, config.SettingsError, ImportError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _plan(options: argparse.Namespace) -> int:
    from zentra_otel_posthog.insights import plan  # noqa: PLC0415  likewise

    settings, wanted = _declared(options)
    state = plan.State(_api(settings))
    page = state.page(wanted.key)
    _print(list(plan.changes(wanted, state)), plan.notes(wanted, state), _TOLD, page, as_json=options.json)
    return 0


def _apply(options: argparse.Namespace) -> int:
    from zentra_otel_posthog.insights import plan  # noqa: PLC0415  likewise

    settings, wanted = _declared(options)
    state = plan.State(_api(settings))
    notes = plan.notes(wanted, state)
    _carry_out(state, plan.changes(wanted, state), notes, wanted.key, as_json=options.json)
    return 0


def _destroy(options: argparse.Namespace) -> int:
    from zentra_otel_posthog.insights import plan  # noqa: PLC0415  likewise

    state = plan.State(_api(_settings(options)))
    notes = plan.notes(None, state)
    if not options.yes:
        _print(list(plan.changes(None, state)), notes, _TOLD, None, as_json=False)
        if not sys.stdin.isatty():
            raise _Wrong("destroy asks before it removes anything: say --yes where nobody can answer")
        if input("Remove all of it from PostHog? [y/N] ").strip().lower() not in {"y", "yes"}:
            return 1
    _carry_out(state, plan.changes(None, state), notes, "", as_json=options.json)
    return 0


def _carry_out(state: State, changes: Iterable[Change], notes: Sequence[str], key: str, *, as_json: bool) -> None:
    done: list[Change] = []
    try:
        for change in changes:
            done.append(state.carry_out(change))  # noqa: PERF401  an error must not take those before it along
    finally:  # also what was done before an error
        _print(done, notes, _DONE, state.page(key), as_json=as_json)


def _export(options: argparse.Namespace) -> int:
    from zentra_otel_posthog.insights import exports  # noqa: PLC0415  likewise

    _, wanted = _declared(options)
    if options.format == "json":
        print_json(exports.as_json(wanted))
        return 0
    document, left_out = exports.as_terraform(wanted)
    print_json(document)
    sys.stderr.writelines(f"left out, PostHog's provider does not cover it: {one}\n" for one in left_out)
    return 0


_ACTIONS: Final[dict[str, tuple[Callable[[argparse.Namespace], int], str]]] = {
    "plan": (_plan, "show what would change, and change nothing"),
    "apply": (_apply, "make PostHog as declared"),
    "destroy": (_destroy, "remove everything that this command has made"),
    "export": (_export, "print everything as JSON, or as Terraform"),
}


def _settings(options: argparse.Namespace) -> config.Settings:
    return config.load(config_argument(options))


def _declared(options: argparse.Namespace) -> tuple[config.Settings, Dashboard]:
    from zentra_otel_posthog.insights import check, files, product  # noqa: PLC0415  likewise

    settings = _settings(options)
    runtime.declare_events(settings)
    import_modules(options.modules)
    dashboard = _dashboard(options.dashboard) if options.dashboard else product()
    dashboard = files.extended(
        dashboard,
        options.config or "the settings",
        insight=settings.insight,
        cohort=settings.cohort,
        alert=settings.alert,
    )
    if options.file:
        dashboard = files.extended(dashboard, options.file, **files.read(Path(options.file)))
    if options.subscribe:
        dashboard = dashboard.subscribed(options.subscribe)
    check(dashboard)
    return settings, dashboard


def _dashboard(reference: str) -> Dashboard:
    from zentra_otel_posthog.insights import Dashboard  # noqa: PLC0415  likewise

    module, _, name = reference.partition(":")
    if not name:
        raise _Wrong(f"--dashboard {reference}: write MODULE:NAME, as in bank.dashboards:DASHBOARD")
    import_modules([module], "--dashboard")
    found = getattr(sys.modules[module], name, None)
    if not isinstance(found, Dashboard):
        raise _Wrong(f"--dashboard {reference} is no Dashboard of zentra_otel_posthog.insights")
    return found


def _api(settings: config.Settings) -> PrivateApi:
    from zentra_otel_posthog._private_api import PrivateApi  # noqa: PLC0415  likewise

    personal_key, project = private_api_credentials()
    try:
        return PrivateApi(settings.host, project, personal_key)
    except ValueError as error:
        raise _Wrong(str(error)) from None


def _print(
    changes: Sequence[Change], notes: Sequence[str], words: dict[str, str], page: str | None, *, as_json: bool
) -> None:
    counts = {action: sum(change.action == action for change in changes) for action in words}
    if as_json:
        shown = ("action", "kind", "key", "name", "id", "fields")
        rows = [{name: getattr(change, name) for name in shown} for change in changes]
        print_json({"changes": rows, "counts": counts, "notes": notes, "dashboard": page})
        return
    lines: list[str] = []
    for change in changes:
        if change.action == "unchanged":
            continue
        lines.append(f"{_SIGNS[change.action]} {change.kind} {change.key}")
        lines.extend(f"    {one.field}: {_shown(one.before)} -> {_shown(one.after)}" for one in change.fields)
    lines.extend(f"note: {note}" for note in notes)
    lines.append(", ".join(f"{counts[action]} {words[action]}" for action in words))
    lines.extend([page] if page else [])
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
