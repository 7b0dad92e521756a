"""Deleting what waits for delivery, and what PostHog refused. What is deleted is counted as lost."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from zentra_otel_posthog import delivery, telemetry
from zentra_otel_posthog.cli._output import counted, print_json
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.delivery import dead_letters, inventory, segments
from zentra_otel_posthog.delivery.account import Account


class Purged(msgspec.Struct):
    """What was deleted.

    Args:
        captures: Captures that waited; counted as lost by the reason ``purged``.
        dead_letters: Captures that PostHog had refused; they were counted when they were.
        held: Captures that were left to the processes that hold them.
    """

    captures: int = 0
    dead_letters: int = 0
    held: int = 0


def purge(settings: Settings, options: argparse.Namespace) -> int:
    """Ask, delete, and tell. Return 1 where the answer is no.

    Args:
        settings: With a project key.
        options: ``dead``, ``older_than``, ``yes``, ``json``.

    Raises:
        OSError: A folder cannot be read or written.
    """
    until = datetime.now(UTC) - (options.older_than or timedelta())
    folders = [folder for folder in delivery.project_folders(settings) if folder.is_dir()]
    with_dead = options.dead or options.older_than is None
    planned = _planned(folders, until, dead=with_dead, waiting=not options.dead)
    done = Purged(held=planned.held)
    if planned.captures or planned.dead_letters:
        if not _agreed(planned, options):
            return 1
        for folder in folders:
            if with_dead:
                done.dead_letters += dead_letters.sift(folder, lambda letter: letter.time > until)
            if not options.dead:
                done.captures += _delete(settings, folder, until)
    if options.json:
        print_json(done)
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _deleted(done)))
    return 0


def _planned(folders: Sequence[Path], until: datetime, *, dead: bool, waiting: bool) -> Purged:
    planned = Purged()
    for folder in folders:
        if dead:
            planned.dead_letters += sum(letter.time <= until for letter in dead_letters.read(folder))
        for segment in inventory.take(folder).segments if waiting else ():
            if segment.opened > until:
                continue
            if segment.held:
                planned.held += segment.events
            else:
                planned.captures += segment.events
    return planned


def _agreed(planned: Purged, options: argparse.Namespace) -> bool:
    if options.yes:
        return True
    if not sys.stdin.isatty():
        options.parser.error("there is nobody to ask: give --yes to delete without asking")
    what = " and ".join(
        counted(count, noun)
        for count, noun in ((planned.captures, "capture"), (planned.dead_letters, "dead letter"))
        if count
    )
    sys.stderr.write(f"Delete {what} for good? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


class _Younger:
    """Names of segments that were opened after a moment."""

    def __init__(self, moment: float) -> None:
        self._moment = moment

    def __contains__(self, name: object) -> bool:
        return segments.moment_of(str(name)) > self._moment


def _delete(settings: Settings, folder: Path, until: datetime) -> int:
    """Delete the segments that nobody holds, and count their captures as lost."""
    count = 0
    try:
        for segment in delivery.open_spool(settings, folder).claim(passing_over=_Younger(until.timestamp())):
            lines = len(segment.lines())
            segment.remove()
            count += lines
    finally:
        telemetry.add(telemetry.LOST, "purged", count=count)
        Account(folder).save()
    return count


def _deleted(done: Purged) -> Iterator[str]:
    if done.captures:
        yield f"{counted(done.captures, 'capture')} deleted, counted as lost."
    if done.dead_letters:
        yield f"{counted(done.dead_letters, 'dead letter')} deleted, counted as lost when PostHog refused them."
    if not done.captures and not done.dead_letters:
        yield "Nothing to delete."
    if done.held:
        yield f"{counted(done.held, 'capture')} held by running processes were left to them."
