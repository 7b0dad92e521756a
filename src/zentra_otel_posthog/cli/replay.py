"""Delivering what lies in a project's folders, now, from a process of its own."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from opentelemetry.instrumentation.utils import suppress_instrumentation

from zentra_otel_posthog import delivery, telemetry
from zentra_otel_posthog.cli._log import log_unheard
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.delivery import dead_letters, inventory
from zentra_otel_posthog.delivery.account import Account
from zentra_otel_posthog.delivery.attempt import Misconfigured, Postponed
from zentra_otel_posthog.delivery.dead_letters import DeadLetterFile, KeptLetter
from zentra_otel_posthog.delivery.sender import Sender
from zentra_otel_posthog.delivery.spool import FileSpool, LineTooLong, SpoolFull

_FAILURES_IN_A_ROW: Final = 3  # of segments: then it is the server's trouble, not theirs
_PAUSE_FIRST: Final = 0.5  # seconds, doubled up to the next
_PAUSE_MAX: Final = 10.0

Advance = Callable[[int], None]
"""Told how many bytes are done."""


class Outcome(msgspec.Struct):
    """What became of the captures.

    Args:
        delivered: How many PostHog has now.
        refused: How many it refused for good, by reason; they are dead letters now.
        put_back: Dead letters that were put back before.
        left: Captures that nobody holds and that are not delivered.
        left_bytes: Their size.
        held: Captures that running processes hold and will deliver themselves.
        trouble: Why something is left.
    """

    delivered: int = 0
    refused: dict[str, int] = {}
    put_back: int = 0
    left: int = 0
    left_bytes: int = 0
    held: int = 0
    trouble: str | None = None


def replay(settings: Settings, *, dead: bool, timeout: float) -> Outcome:
    """Deliver what lies in the folders of the settings' project.

    What a running process holds is left to it. Interrupted by Ctrl-C, it leaves the rest where it is.

    Args:
        settings: With a project key.
        dead: Put dead letters back into the spool first.
        timeout: Seconds without any progress before it gives up.

    Raises:
        OSError: A folder cannot be used.
    """
    outcome = Outcome()
    delivered, lost = _delivered(), _lost()
    folders = [folder for folder in delivery.project_folders(settings) if folder.is_dir()]
    with log_unheard(), suppress_instrumentation():
        spools = {folder: delivery.open_spool(settings, folder) for folder in folders}
        try:
            if dead:
                outcome.put_back = sum(_put_back(folder, spool) for folder, spool in spools.items())
            with _progress(sum(_waiting(folder) for folder in folders)) as advance:
                for folder, spool in spools.items():
                    sender = _sender(settings, folder, spool)
                    outcome.trouble = _drain(sender, spool, timeout, advance) or outcome.trouble
        except KeyboardInterrupt:
            outcome.trouble = "interrupted"
        for folder in folders:
            Account(folder).save()
    outcome.delivered = _delivered() - delivered
    outcome.refused = dict(_lost() - lost)
    _count_what_is_left(outcome, folders)
    return outcome


def _sender(settings: Settings, folder: Path, spool: FileSpool) -> Sender:
    """Return a sender that is told what to deliver, and never starts its thread."""
    return Sender(
        spool,
        delivery.project_wire(settings),
        DeadLetterFile(folder),
        flush_at=settings.flush_at,
        flush_interval=settings.flush_interval,
        max_retries=settings.max_retries,
        save_account=lambda: None,
    )


def _put_back(folder: Path, spool: FileSpool) -> int:
    """Append the dead letters to the spool, then remove them: a crash in between sends them twice, with one uuid."""

    def keep(letter: KeptLetter) -> bool:
        line = letter.line()
        if line is None:
            return True
        try:
            spool.append(line + b"\n")
        except (SpoolFull, LineTooLong):
            return True
        return False

    try:
        return dead_letters.sift(folder, keep)
    finally:
        spool.close()


def _drain(sender: Sender, spool: FileSpool, timeout: float, advance: Advance) -> str | None:
    """Deliver until nothing is left that can be claimed, or nothing moves any more. Return why not."""
    pause, moved = _PAUSE_FIRST, time.monotonic()
    while True:
        done, postponed = _round(sender, spool, advance)
        if postponed is None:
            return None
        if isinstance(postponed, Misconfigured):
            return f"PostHog {postponed.why}"
        if done:
            pause, moved = _PAUSE_FIRST, time.monotonic()
        wait = max(pause, postponed.retry_after or 0.0)
        if time.monotonic() + wait - moved > timeout:
            return postponed.why
        time.sleep(wait)
        pause = min(2 * pause, _PAUSE_MAX)


def _round(sender: Sender, spool: FileSpool, advance: Advance) -> tuple[int, Postponed | None]:
    """Try each segment once. Return how many are delivered, and the last trouble."""
    done = failures = 0
    trouble: Postponed | None = None
    for segment in spool.claim():
        size = sum(map(len, segment.lines()))
        try:
            sender.deliver(segment)
        except Postponed as postponed:
            trouble = postponed
            failures += 1
            if isinstance(postponed, Misconfigured) or failures >= _FAILURES_IN_A_ROW:
                break
        else:
            done += 1
            failures = 0
            advance(size)
    return done, trouble


def _delivered() -> int:
    return telemetry.totals(telemetry.CAPTURES).get(("delivered",), 0)


def _lost() -> Counter[str]:
    return Counter({reason: count for (reason,), count in telemetry.totals(telemetry.LOST).items()})


def _waiting(folder: Path) -> int:
    return sum(segment.bytes for segment in inventory.take(folder).segments if not segment.held)


def _count_what_is_left(outcome: Outcome, folders: Sequence[Path]) -> None:
    for folder in folders:
        for segment in inventory.take(folder).segments:
            if segment.held:
                outcome.held += segment.events
            else:
                outcome.left += segment.events
                outcome.left_bytes += segment.bytes


@contextmanager
def _progress(total: int) -> Iterator[Advance]:
    """Show a bar on a terminal, where there is one and the extra ``tools``."""
    if not total or not sys.stderr.isatty():
        yield lambda _: None
        return
    try:
        from rich.console import Console  # noqa: PLC0415  an extra, imported when used
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn  # noqa: PLC0415  likewise
    except ImportError:
        yield lambda _: None
        return
    columns = ("delivering", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda size: bar.advance(task, size)
