"""The spool: append-only segment files that outlive the process.

One folder holds the segments of one project. Each process appends to one open segment and holds its lock. A segment
whose lock is free is complete: whoever claims it first sends it and removes it.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from zentra_otel_posthog import telemetry
from zentra_otel_posthog.delivery import segments
from zentra_otel_posthog.delivery.sink import NotKept

_logger = logging.getLogger("zentra_otel_posthog")

_NO_DESCRIPTOR: Final = -1


class SpoolFull(NotKept):
    """The spool has reached its bound: the newest captures are refused."""

    reason = "spool_full"


class LineTooLong(NotKept):
    """A capture is longer than a segment: no request could carry it."""

    reason = "too_long"


class Usage(NamedTuple):
    """What waits in a spool.

    Args:
        size: Bytes.
        oldest: When its oldest segment was opened, in seconds since the epoch. None where nothing waits.
    """

    size: int
    oldest: float | None


class Segment(Protocol):
    """Claimed lines that nobody else will send meanwhile."""

    @property
    def name(self) -> str:
        """What tells it from all others, also to another process."""

    @property
    def opened(self) -> float:
        """When its first line was about to be appended, in seconds since the epoch."""

    @property
    def closed(self) -> float:
        """When its last line was appended, in seconds since the epoch."""

    def lines(self) -> list[bytes]:
        """Return the complete lines without their ends; a torn last line is left out."""

    def remove(self) -> None:
        """Delete the segment: PostHog has it."""

    def release(self) -> None:
        """Give the segment back for a later attempt."""


class Spool(Protocol):
    """Keeps lines until they are removed."""

    def append(self, line: bytes) -> int:
        """Keep a line. Return how many lines wait in the open segment.

        Raises:
            SpoolFull: The bound is reached.
            LineTooLong: It is longer than a segment.
            OSError: It cannot be written.
        """

    def claim(self, passing_over: Container[str] = ()) -> Iterator[Segment]:
        """Close the open segment and yield every segment that nobody else holds, oldest first.

        Args:
            passing_over: Names of segments to leave where they are.

        Raises:
            OSError: The folder or a segment cannot be read now.
        """

    def waits_elsewhere(self) -> bool:
        """Return whether the last claim found lines of this process that it could not get, and they are still there."""

    def usage(self) -> Usage:
        """Return what waits.

        Raises:
            OSError: The folder cannot be read.
        """

    def close(self) -> None:
        """Close the open segment, so that whoever comes next may claim it."""

    def before_fork(self) -> None:
        """Finish what is under way, so that the child finds no half-made change."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent."""


@dataclass(frozen=True, slots=True)
class _FileSegment:
    spool: FileSpool
    path: Path
    descriptor: int

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def opened(self) -> float:
        return segments.moment_of(self.name)

    @property
    def closed(self) -> float:
        return os.fstat(self.descriptor).st_mtime

    def lines(self) -> list[bytes]:
        return segments.complete_lines(segments.content(self.descriptor))

    def remove(self) -> None:
        size = os.fstat(self.descriptor).st_size
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self.release()
        self.spool._forget(size)  # noqa: SLF001  one abstraction in two classes

    def release(self) -> None:
        self.spool._release(self.descriptor)  # noqa: SLF001  likewise


class FileSpool:
    """A spool in a folder.

    Args:
        directory: The folder; made if need be, for this user only.
        max_bytes: Bound of all its segments together, as of the last look at the folder plus what was appended since.

    Raises:
        OSError: The folder cannot be made or written, or its file system has no locks.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        directory.mkdir(mode=segments.DIRECTORY_MODE, parents=True, exist_ok=True)
        if directory.lstat().st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "belongs to another user", str(directory))
        segments.check_locks(directory)
        self.directory = directory
        self._max_bytes = max_bytes
        self._lock = threading.RLock()  # a signal handler may capture while its thread appends
        self._descriptor = _NO_DESCRIPTOR
        self._room = 0  # bytes that the open segment may still take
        self._count = 0  # lines in it
        self._claiming = threading.RLock()
        self._claimed: set[int] = set()  # descriptors that a forked child must not keep
        self._missed: list[Path] = []  # segments of this process that the last claim could not get
        self._other_version_told = False
        self._closed_bytes = sum(segments.listing(directory).sizes.values())

    def append(self, line: bytes) -> int:
        """Keep a line: one ``write``, so the kernel has it before the caller goes on."""
        size = len(line)
        with self._lock:
            if size > self._room:
                self._make_room(size)
            written = os.write(self._descriptor, line)
            if written != size:
                # The disk filled up within the line. What follows goes elsewhere, not behind its half.
                self._close()
                raise OSError(errno.ENOSPC, "the disk is full", str(self.directory))
            self._room -= size
            self._count += 1
            return self._count

    def claim(self, passing_over: Container[str] = ()) -> Iterator[Segment]:
        """Close the open segment and yield every segment that nobody else holds, oldest first."""
        with self._lock:
            self._close()
            counted, now = self._closed_bytes, segments.names.moment()
        # Without the lock: after an outage this takes tens of milliseconds, in which nobody could append.
        found = segments.listing(self.directory)
        with self._lock:
            self._closed_bytes += sum(found.sizes.values()) - counted
        self._tell_other_version(found.left_alone)
        self._missed = missed = list[Path]()
        for name in found.sizes:
            if name in passing_over:
                continue
            path = self.directory / name
            if (segment := self._claim(path)) is not None:
                yield segment
            elif segments.names.are_ours(name) and name < now:
                missed.append(path)

    def waits_elsewhere(self) -> bool:
        """Return whether the last claim found lines of this process that it could not get, and they are still there."""
        return any(path.exists() for path in self._missed)

    def usage(self) -> Usage:
        """Return what waits in the folder, whichever process wrote it."""
        sizes = {name: size for name, size in segments.listing(self.directory).sizes.items() if size}
        return Usage(sum(sizes.values()), min(map(segments.moment_of, sizes), default=None))

    def close(self) -> None:
        """Close the open segment, so that whoever comes next may claim it."""
        with self._lock:
            self._close()

    def before_fork(self) -> None:
        """Hold the locks over the fork, so that the child finds no half-made change."""
        self._lock.acquire()
        self._claiming.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._claiming.release()
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Let go of the parent's segments without freeing their locks, which live on in the parent's descriptors."""
        segments.names.after_fork_in_child()
        self._lock, self._claiming = threading.RLock(), threading.RLock()
        for descriptor in (self._descriptor, *self._claimed):
            with suppress(OSError):
                os.close(descriptor)
        self._claimed.clear()
        self._missed = []
        self._descriptor = _NO_DESCRIPTOR
        self._room = self._count = 0

    def _claim(self, path: Path) -> _FileSegment | None:
        with self._claiming:
            if (descriptor := segments.lock(path)) is None:
                return None
            self._claimed.add(descriptor)
        return _FileSegment(self, path, descriptor)

    def _release(self, descriptor: int) -> None:
        with self._claiming:
            # After a fork the number may be another file's.
            if descriptor in self._claimed:
                self._claimed.discard(descriptor)
                segments.unlock(descriptor)

    def _tell_other_version(self, left_alone: list[str]) -> None:
        if left_alone and not self._other_version_told:
            self._other_version_told = True
            _logger.warning(
                "%d segments in %s were written by a newer version of this package, which alone can send them",
                len(left_alone),
                self.directory,
            )

    def _make_room(self, size: int) -> None:
        """Open the next segment, within the bound of all of them."""
        if size > segments.SEGMENT_BYTES:
            raise LineTooLong
        self._close()
        room = min(segments.SEGMENT_BYTES, self._max_bytes - self._closed_bytes)
        if size > room:
            raise SpoolFull
        _, self._descriptor = segments.create(self.directory)
        self._room = room

    def _close(self) -> None:
        descriptor, count = self._descriptor, self._count
        self._descriptor = _NO_DESCRIPTOR
        self._room = self._count = 0
        if descriptor == _NO_DESCRIPTOR:
            return
        try:
            telemetry.add(telemetry.CAPTURES, "spooled", count=count)
            found = os.fstat(descriptor)
            self._closed_bytes += found.st_size
            if not found.st_nlink and count:
                self._restore(segments.content(descriptor), count)
        finally:
            segments.unlock(descriptor)

    def _restore(self, data: bytes, count: int) -> None:
        """Write a segment anew whose file somebody removed while it was open."""
        try:
            _, descriptor = segments.create(self.directory)
            try:
                if os.write(descriptor, data) != len(data):
                    raise OSError(errno.ENOSPC, "the disk is full", str(self.directory))
            finally:
                segments.unlock(descriptor)
        except OSError:
            telemetry.lost("spool_removed", count)

    def _forget(self, size: int) -> None:
        with self._lock:
            self._closed_bytes -= size
