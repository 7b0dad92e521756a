"""Segment files: their names, their locks, their lines.

A segment is named ``<moment>-<pid>-<process>-<random>.v0.jsonl``. The moment orders segments; of one process it only
ever grows, whatever the clock does. The version is that of the lines, which are made for capture V0 whichever wire
sends them. The lock (``flock``) is freed by the kernel when its process dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

SEGMENT_BYTES: Final = 4 << 20
"""One segment is one request: below the 5 MiB a batch at which the official client stays (the server takes 20)."""

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600

_NAME: Final = re.compile(r"\d{20}-\d+-[0-9a-f]{8}-[0-9a-f]{8}\.v0\.jsonl", re.ASCII)
_OTHER_VERSION: Final = re.compile(r"\d{20}-\d+-[0-9a-f]{8}-[0-9a-f]{8}\.v[1-9]\d*\.jsonl", re.ASCII)
# Beyond what any process writes, two that share a segment after an unannounced fork included: nothing of ours.
_READ_MAX: Final = 4 * SEGMENT_BYTES
# Opening meets a claimer that took the new file for a dead process's at most once in a while.
_CREATE_ATTEMPTS: Final = 20
# What is gone, or is no file of ours: a folder, a link, a device, another user's.
_NOT_OURS: Final = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.EISDIR,
    errno.ENXIO,
    errno.ENODEV,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
}


class Names:
    """The names of one process's segments, whichever spool writes them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pid = 0
        self._process = ""
        self._last = 0

    def moment(self) -> str:
        """Return a moment later than all before it: nanoseconds since the epoch where the clock keeps going."""
        with self._lock:
            self._last = max(self._last + 1, time.time_ns())
            return f"{self._last:020d}"

    def process(self) -> str:
        """Return what marks this process's names; process ids alone come round again."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._process = os.getpid(), os.urandom(4).hex()
            return f"{self._pid}-{self._process}"

    def new(self) -> str:
        """Return a name that nothing else has."""
        return f"{self.moment()}-{self.process()}-{os.urandom(4).hex()}.v0.jsonl"

    def are_ours(self, name: str) -> bool:
        """Return whether this process wrote a segment."""
        return f"-{self.process()}-" in name

    def after_fork_in_child(self) -> None:
        """Replace the lock, which another thread of the parent may have held."""
        self._lock = threading.RLock()


names: Final = Names()


class Listing(NamedTuple):
    """What lies in a spool's folder.

    Args:
        sizes: Segments, oldest first, and their bytes.
        left_alone: Segments of another version of this package.
        others: What else lies there.
    """

    sizes: dict[str, int]
    left_alone: list[str]
    others: list[str]


def listing(directory: Path) -> Listing:
    """List a folder; one that is gone is empty.

    Raises:
        OSError: It cannot be read.
    """
    sizes: dict[str, int] = {}
    left_alone: list[str] = []
    others: list[str] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if _NAME.fullmatch(entry.name):
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:  # removed meanwhile
                        continue
                    if _is_ours(found):
                        sizes[entry.name] = found.st_size
                    else:
                        others.append(entry.name)
                elif _OTHER_VERSION.fullmatch(entry.name):
                    left_alone.append(entry.name)
                else:
                    others.append(entry.name)
    except FileNotFoundError:
        pass
    return Listing(dict(sorted(sizes.items())), left_alone, others)


def moment_of(name: str) -> float:
    """Return when a segment was opened, in seconds since the epoch."""
    return int(name[:20]) / 1e9


def create(directory: Path) -> tuple[Path, int]:
    """Make a segment in a folder and lock it.

    Returns:
        Its path and its descriptor.

    Raises:
        OSError: It cannot be made, or not be locked.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    for _ in range(_CREATE_ATTEMPTS):
        path = directory / names.new()
        try:
            descriptor = os.open(path, flags, FILE_MODE)
        except FileNotFoundError:  # somebody cleaned up under us
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            descriptor = os.open(path, flags, FILE_MODE)
        try:
            if _try_lock(descriptor):
                return path, descriptor
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        os.close(descriptor)
    raise BlockingIOError(errno.EAGAIN, "every new segment is locked by somebody else", str(directory))


def lock(path: Path) -> int | None:
    """Lock a segment of whoever: None where somebody else holds it, where it is gone, or where it is none.

    Raises:
        OSError: The process is out of descriptors, or the disk fails.
    """
    try:
        # Neither followed through a link nor waited for where it is a pipe.
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in _NOT_OURS:
            return None
        raise
    try:
        if _is_ours(os.fstat(descriptor)) and _try_lock(descriptor):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def unlock(descriptor: int) -> None:
    """Free a segment's lock and close it."""
    try:
        # Explicitly: a child that was forked meanwhile may hold a copy of the descriptor, and the lock with it.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def content(descriptor: int) -> bytes:
    """Read all of a segment."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def complete_lines(data: bytes) -> list[bytes]:
    """Return the lines without their ends; a torn last line is left out."""
    end = data.rfind(b"\n")
    return data[:end].split(b"\n") if end > 0 else []


@contextmanager
def _descriptor(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def check_locks(directory: Path) -> None:
    """Prove that a folder's file system has locks: on one without, two processes would send the same segment for ever.

    Raises:
        OSError: It has none, or the folder cannot be written.
    """
    path, descriptor = create(directory)
    try:
        with _descriptor(path) as other:
            if _try_lock(other):
                raise OSError(errno.ENOLCK, "its file system has no locks", str(directory))
    finally:
        path.unlink(missing_ok=True)
        unlock(descriptor)


def _is_ours(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_size <= _READ_MAX


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # Whoever held it before may have removed it between our open and our lock.
    return os.fstat(descriptor).st_nlink > 0
