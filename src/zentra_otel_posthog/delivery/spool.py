"""The spool: append-only segment files that outlive the process.

One folder holds the segments of one project. Each process appends to one open segment and holds its lock (``flock``,
which the kernel frees when the process dies). A segment whose lock is free is complete: whoever claims it first sends
it and removes it. A file that ends in ``.open`` is not yet locked, hence not yet claimable.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from zentra_otel_posthog import telemetry

SEGMENT_BYTES: Final = 4 << 20
"""One segment is one request: below the 5 MiB a batch at which the official client stays (the server takes 20)."""

_SUFFIX: Final = ".v0.jsonl"  # the wire that the lines are made for, so that another version leaves them alone
_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_NO_DESCRIPTOR: Final = -1
_process = os.urandom(4).hex()  # in the names of this process's segments, whichever spool wrote them


class SpoolFull(Exception):
    """The spool has reached its bound: the newest captures are refused."""


class Segment(Protocol):
    """Claimed lines that nobody else will send meanwhile."""

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
            OSError: It cannot be written.
        """

    def claim(self) -> Iterator[Segment]:
        """Close the open segment and yield every segment that nobody else holds, oldest first."""

    def waits_elsewhere(self) -> bool:
        """Return whether the last claim passed over lines of this process, because somebody else sends them."""

    def close(self) -> None:
        """Close the open segment, so that whoever comes next may claim it."""

    def before_fork(self) -> None:
        """Finish what is under way, so that the child finds no half-made change."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent."""


def _complete_lines(data: bytes) -> list[bytes]:
    end = data.rfind(b"\n")
    return data[:end].split(b"\n") if end > 0 else []


@dataclass(frozen=True, slots=True)
class _FileSegment:
    spool: FileSpool
    path: Path
    descriptor: int

    def lines(self) -> list[bytes]:
        return _complete_lines(_content(self.descriptor))

    def remove(self) -> None:
        size = os.fstat(self.descriptor).st_size
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self.release()
        self.spool._forget(size)  # noqa: SLF001  one abstraction in two classes

    def release(self) -> None:
        _unlock(self.descriptor)


class FileSpool:
    """A spool in a folder.

    Args:
        directory: The folder; made if need be, for this user only.
        max_bytes: Bound of all its segments together, as of the last look at the folder plus what was appended since.

    Raises:
        OSError: The folder cannot be made or written.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        if directory.stat().st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "belongs to another user", str(directory))
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not writable", str(directory))
        self.directory = directory
        self._max_bytes = max_bytes
        self._lock = threading.RLock()  # a signal handler may capture while its thread appends
        self._descriptor = _NO_DESCRIPTOR
        self._room = 0  # bytes that the open segment may still take
        self._count = 0  # lines in it
        self._skipped: list[Path] = []  # segments of this process that the last claim found held
        self._closed_bytes = sum(_size(path) for path in self._segments())

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

    def claim(self) -> Iterator[Segment]:
        """Close the open segment and yield every segment that nobody else holds, oldest first."""
        with self._lock:
            self._close()
            counted, now = self._closed_bytes, f"{time.time_ns():020d}"
        # Without the lock: after an outage this takes tens of milliseconds, in which nobody could append.
        segments = self._segments()
        found = sum(_size(path) for path in segments)
        with self._lock:
            self._closed_bytes += found - counted
        self._skipped = skipped = list[Path]()
        for path in segments:
            if (descriptor := _lock_file(path)) is not None:
                yield _FileSegment(self, path, descriptor)
            elif f"-{_process}-" in path.name and path.name < now:
                skipped.append(path)

    def waits_elsewhere(self) -> bool:
        """Return whether the last claim passed over lines of this process, because somebody else sends them."""
        return any(path.exists() for path in self._skipped)

    def close(self) -> None:
        """Close the open segment, so that whoever comes next may claim it."""
        with self._lock:
            self._close()

    def before_fork(self) -> None:
        """Hold the lock over the fork, so that the child finds no half-made change."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Let go of the parent's segment without freeing its lock, which lives on in the parent's descriptor."""
        global _process  # noqa: PLW0603  a process of its own
        _process = os.urandom(4).hex()
        self._lock = threading.RLock()
        if self._descriptor != _NO_DESCRIPTOR:
            os.close(self._descriptor)
        self._descriptor = _NO_DESCRIPTOR
        self._room = self._count = 0

    def _segments(self) -> list[Path]:
        return sorted(self.directory.glob(f"*{_SUFFIX}"))

    def _make_room(self, size: int) -> None:
        """Open the next segment, within the bound of all of them."""
        self._close()
        room = min(SEGMENT_BYTES, self._max_bytes - self._closed_bytes)
        if size > room:
            raise SpoolFull
        self._descriptor = _create_locked(self.directory)
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
            if not found.st_nlink:
                self._restore(_content(descriptor), count)
        finally:
            _unlock(descriptor)

    def _restore(self, content: bytes, count: int) -> None:
        """Write a segment anew whose file somebody removed while it was open."""
        try:
            self.directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            descriptor = _create_locked(self.directory)
            try:
                if os.write(descriptor, content) != len(content):
                    raise OSError(errno.ENOSPC, "the disk is full", str(self.directory))
            finally:
                os.close(descriptor)
        except OSError:
            telemetry.lost("spool_removed", count)

    def _forget(self, size: int) -> None:
        with self._lock:
            self._closed_bytes -= size


def _create_locked(directory: Path) -> int:
    name = f"{time.time_ns():020d}-{os.getpid()}-{_process}-{os.urandom(4).hex()}"
    unlocked = directory / f"{name}.open"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(unlocked, flags, _FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unlocked.rename(directory / f"{name}{_SUFFIX}")
    except OSError:
        os.close(descriptor)
        unlocked.unlink(missing_ok=True)
        raise
    return descriptor


def _unlock(descriptor: int) -> None:
    # Explicitly: a child that was forked meanwhile may hold a copy of the descriptor, and the lock with it.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _lock_file(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # removed meanwhile, or nothing of ours
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its last owner may have removed it between our open and our lock.
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


class MemorySpool:
    """A spool for where no folder can be written: the lines die with the process.

    Args:
        max_bytes: Bound of what is kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._lines: list[bytes] = []
        self._bytes = 0

    def append(self, line: bytes) -> int:
        """Keep a line."""
        with self._lock:
            if self._bytes + len(line) > self._max_bytes:
                raise SpoolFull
            self._lines.append(line)
            self._bytes += len(line)
            return len(self._lines)

    def claim(self) -> Iterator[Segment]:
        """Yield what is kept in segments of at most ``SEGMENT_BYTES``."""
        while True:
            with self._lock:
                segment = self._take()
            if segment is None:
                return
            yield segment

    def waits_elsewhere(self) -> bool:
        """Return False: nobody else sends what is in memory."""
        return False

    def close(self) -> None:
        """Do nothing: every line may be claimed."""

    def before_fork(self) -> None:
        """Hold the lock over the fork."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Forget the parent's lines: the parent sends them."""
        self._lock = threading.RLock()
        self._lines, self._bytes = [], 0

    def _take(self) -> _MemorySegment | None:
        taken, size = 0, 0
        for line in self._lines:
            if taken and size + len(line) > SEGMENT_BYTES:
                break
            taken, size = taken + 1, size + len(line)
        if not taken:
            return None
        lines, self._lines = self._lines[:taken], self._lines[taken:]
        return _MemorySegment(self, lines, size)

    def _give_back(self, lines: list[bytes]) -> None:
        with self._lock:
            self._lines = lines + self._lines

    def _forget(self, size: int) -> None:
        with self._lock:
            self._bytes -= size


@dataclass(frozen=True, slots=True)
class _MemorySegment:
    spool: MemorySpool
    raw_lines: list[bytes]
    size: int

    def lines(self) -> list[bytes]:
        return [line.removesuffix(b"\n") for line in self.raw_lines]

    def remove(self) -> None:
        self.spool._forget(self.size)  # noqa: SLF001  one abstraction in two classes

    def release(self) -> None:
        self.spool._give_back(self.raw_lines)  # noqa: SLF001  likewise
