"""``zentra-otel-posthog spool``: what waits for delivery, and delivering, looking at and deleting it by hand."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from zentra_otel_posthog import config, delivery
from zentra_otel_posthog.cli._options import add_config, config_argument, seconds
from zentra_otel_posthog.cli._output import Section, counted, print_json, print_table, shown_age, shown_bytes
from zentra_otel_posthog.cli.purge import purge as purge_spool
from zentra_otel_posthog.cli.replay import Outcome, replay
from zentra_otel_posthog.config import Settings, SettingsError
from zentra_otel_posthog.delivery import dead_letters, inventory
from zentra_otel_posthog.delivery.dead_letters import KeptLetter
from zentra_otel_posthog.delivery.inventory import Inventory
from zentra_otel_posthog.delivery.tenants import settings_of_tenant

_AGE: Final = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_parser(commands: Any) -> None:
    """Declare the command, its own commands, and their help."""
    parser = commands.add_parser(
        "spool",
        help="show, deliver or delete what waits for delivery",
        description="Show, deliver or delete what waits for delivery in the spool's folder.",
    )
    own = parser.add_subparsers(title="commands", dest="spool_command", required=True, metavar="COMMAND")

    status = own.add_parser("status", help="what waits, who holds it, and what PostHog refused")
    status.set_defaults(run=_run, work=_status)

    again = own.add_parser("replay", help="deliver now what waits; exit code 1 where something is left")
    again.add_argument("--dead", action="store_true", help="put what PostHog refused back into the spool first")
    again.add_argument(
        "--timeout",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="without progress, before it gives up (default: %(default)g)",
    )
    again.set_defaults(run=_run, work=_replay)

    dead = own.add_parser("dead", help="list what PostHog refused, and its answers")
    dead.add_argument("--full", action="store_true", help="with the sanitized captures")
    dead.set_defaults(run=_run, work=_dead)

    purge = own.add_parser("purge", help="delete what waits and what PostHog refused; counted as lost")
    purge.add_argument("--dead", action="store_true", help="only what PostHog refused")
    purge.add_argument("--older-than", type=_age, metavar="AGE", help="only what is older, as in 90s, 30m, 12h or 7d")
    purge.add_argument("--yes", action="store_true", help="do not ask")
    purge.set_defaults(run=_run, work=purge_spool)

    for leaf in (again, dead, purge):
        leaf.add_argument("--tenant", metavar="NAME", help="that of [tenants.projects] instead of the settings' own")
    for leaf in (status, again, dead, purge):
        add_config(leaf)
        leaf.add_argument("--json", action="store_true", help="print for machines")
        leaf.set_defaults(parser=leaf)


def _age(text: str) -> timedelta:
    if (found := _AGE.fullmatch(text)) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: write a number with s, m, h or d, as in 7d")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def _run(options: argparse.Namespace, _: Sequence[str]) -> int:
    """Do what one of the commands does."""
    try:
        settings = config.load(config_argument(options))
        if (tenant := getattr(options, "tenant", None)) is not None:
            settings = settings_of_tenant(settings, tenant)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if settings.api_key is None and options.work is not _status:
        sys.stderr.write("POSTHOG_API_KEY is not set: a spool's folder is that of one project\n")
        return 2
    try:
        return int(options.work(settings, options))
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'the spool'}: {error.strerror or type(error).__name__}\n")
        return 1


class Folder(msgspec.Struct, frozen=True):
    """A project's folder.

    Args:
        this_project: It is that of the settings' key and host.
        events: Captures that wait.
        bytes: Their size.
        oldest: When the oldest segment was opened.
        content: What lies there.
    """

    this_project: bool
    events: int
    bytes: int
    oldest: datetime | None
    content: Inventory


def _status(settings: Settings, options: argparse.Namespace) -> int:
    own = delivery.project_folders(settings) if settings.api_key is not None else []
    folders = [
        Folder(folder in own, found.events, found.bytes, found.oldest, found)
        for folder in delivery.all_project_folders(settings)
        for found in [inventory.take(folder)]
    ]
    folders.sort(key=lambda one: not one.this_project)
    if options.json:
        print_json(folders)
    else:
        print_table(map(_folder, folders) if folders else [Section("Nothing was ever spooled here.")])
    return 0


def _folder(one: Folder) -> Section:
    found = one.content
    lines = [found.folder]
    if found.oldest is None:
        lines.append("Nothing waits.")
    else:
        what = f"{counted(one.events, 'capture')} in {counted(len(found.segments), 'segment')}"
        lines.append(f"{what}, {shown_bytes(one.bytes)}, the oldest {shown_age(found.oldest)} old.")
    if found.dead_letters:
        by_reason = ", ".join(f"{reason} {count:,}" for reason, count in sorted(found.dead_letters.items()))
        lines.append(f"Set aside: {by_reason}.")
    if found.newer_version:
        lines.append(f"Of a newer version, which alone can send them: {counted(len(found.newer_version), 'segment')}.")
    if found.foreign:
        lines.append(f"Not ours: {', '.join(found.foreign)}.")
    rows = [
        (
            f"{segment.opened:%Y-%m-%d %H:%M:%S}",
            f"{segment.events:,}",
            shown_bytes(segment.bytes),
            str(segment.pid),
            "a running process" if segment.held else "nobody",
        )
        for segment in found.segments
    ]
    if one.this_project:
        title = "This project"
    elif found.tenant is not None:
        title = f"Tenant {found.tenant!r}"
    else:
        title = "Another project, which these settings do not name"
    return Section(title, lines, ("opened (UTC)", "captures", "size", "written by", "held by") if rows else (), rows)


def _replay(settings: Settings, options: argparse.Namespace) -> int:
    outcome = replay(settings, dead=options.dead, timeout=options.timeout)
    if options.json:
        print_json(outcome)
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _told(outcome)))
    return int(bool(outcome.left or outcome.refused or outcome.trouble))


def _told(outcome: Outcome) -> Iterator[str]:
    if outcome.put_back:
        yield f"{counted(outcome.put_back, 'dead letter')} put back into the spool."
    yield f"{counted(outcome.delivered, 'capture')} delivered."
    if outcome.refused:
        by_reason = ", ".join(f"{reason} {count:,}" for reason, count in sorted(outcome.refused.items()))
        yield f"Refused by PostHog: {by_reason}. See zentra-otel-posthog spool dead."
    if outcome.held:
        yield f"{counted(outcome.held, 'capture')} held by running processes, which deliver them themselves."
    if outcome.left:
        yield f"{counted(outcome.left, 'capture')} left ({shown_bytes(outcome.left_bytes)})."
    if outcome.trouble:
        yield f"Held up: {outcome.trouble}. zentra-otel-posthog doctor says more."


class Named(msgspec.Struct, frozen=True):
    """What of a capture tells which it is."""

    event: str | None
    uuid: str | None


_NO_CAPTURE: Final = Named(None, None)


class Refused(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dead letter as it is shown.

    Args:
        time: When it was set aside.
        event: The event's name; None where the line was no capture.
        uuid: Its uuid.
        reason: As the metric of losses names it.
        status: PostHog's HTTP status.
        answer: What PostHog said.
        capture: The sanitized capture, or the line that was none, with ``--full``.
    """

    time: datetime
    event: str | None
    uuid: str | None
    reason: str
    status: int | None
    answer: str
    capture: msgspec.Raw | None = None


def _dead(settings: Settings, options: argparse.Namespace) -> int:
    found = [
        _refused(letter, full=options.full)
        for folder in delivery.project_folders(settings)
        if folder.is_dir()
        for letter in dead_letters.read(folder)
    ]
    if options.json:
        print_json(found)
        return 0
    rows = [(f"{one.time:%Y-%m-%d %H:%M:%S}", "\n".join(_letter(one))) for one in found]
    title = f"{counted(len(found), 'capture')} set aside"
    print_table([Section(title, (), ("set aside (UTC)", "event and answer") if rows else (), rows)])
    return 0


def _refused(letter: KeptLetter, *, full: bool) -> Refused:
    line = letter.line()
    named = _NO_CAPTURE if line is None else msgspec.json.decode(line, type=Named)
    return Refused(
        letter.time,
        named.event,
        named.uuid,
        letter.reason,
        letter.status,
        letter.answer,
        letter.capture if full else None,
    )


def _letter(one: Refused) -> Iterator[str]:
    yield f"{one.event} {one.uuid}" if one.event else "no capture"
    yield f"{one.reason}: {one.answer}" if one.answer else one.reason
    if one.capture is not None:
        yield msgspec.json.format(bytes(one.capture), indent=2).decode()
