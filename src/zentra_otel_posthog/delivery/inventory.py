"""What lies in a spool's folder, for ``doctor`` and ``spool``, from whichever process."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from zentra_otel_posthog.delivery import account, dead_letters, segments
from zentra_otel_posthog.delivery.project import TENANT_FILE, tenant_of

_OURS: Final = account.FILES | dead_letters.FILES | {TENANT_FILE}


class WaitingSegment(msgspec.Struct, frozen=True):
    """A segment.

    Args:
        name: Its file.
        opened: When its first capture was about to be appended.
        bytes: Its size.
        events: Its captures.
        pid: The process that wrote it.
        held: A living process has its lock: it is being written or sent.
    """

    name: str
    opened: datetime
    bytes: int
    events: int
    pid: int
    held: bool


class Inventory(msgspec.Struct, frozen=True):
    """What lies in a project's folder.

    Args:
        folder: Its path.
        tenant: Whose project it is, where it is a tenant's.
        segments: Those that hold anything, oldest first.
        newer_version: Segments of a newer version of this package, which alone can send them.
        dead_letters: How many by what became of them: the reason as the metric of losses names it.
        foreign: Names of what is no file of ours.
    """

    folder: str
    tenant: str | None
    segments: list[WaitingSegment]
    newer_version: list[str]
    dead_letters: dict[str, int]
    foreign: list[str]

    @property
    def events(self) -> int:
        """How many captures wait."""
        return sum(segment.events for segment in self.segments)

    @property
    def bytes(self) -> int:
        """Their size."""
        return sum(segment.bytes for segment in self.segments)

    @property
    def oldest(self) -> datetime | None:
        """When the oldest segment was opened."""
        return self.segments[0].opened if self.segments else None


def take(directory: Path) -> Inventory:
    """Look into a project's folder; one that does not exist is empty.

    Each segment is locked for a moment to learn whether somebody holds it; a sender that comes by just then passes it
    over and finds it at its next round.

    Raises:
        OSError: The folder cannot be read.
    """
    if not directory.is_dir():
        return Inventory(str(directory), None, [], [], {}, [])
    found = segments.listing(directory)
    waiting = [
        WaitingSegment(name, datetime.fromtimestamp(segments.moment_of(name), UTC), size, events, _pid(name), held)
        for name, size in found.sizes.items()
        if size
        for events, held in [_look(directory / name)]
        if events is not None
    ]
    return Inventory(
        str(directory),
        tenant_of(directory),
        waiting,
        found.left_alone,
        dict(Counter(letter.reason for letter in dead_letters.read(directory))),
        sorted(set(found.others) - _OURS),
    )


def _look(path: Path) -> tuple[int | None, bool]:
    """Return how many lines a segment has, None where it has gone, and whether somebody holds it."""
    descriptor = segments.lock(path)
    try:
        if descriptor is not None:
            return segments.content(descriptor).count(b"\n"), False
        return path.read_bytes().count(b"\n"), True
    except FileNotFoundError:
        return None, False
    finally:
        if descriptor is not None:
            segments.unlock(descriptor)


def _pid(name: str) -> int:
    return int(name.split("-")[1])
