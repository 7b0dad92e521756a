"""Dead letters: captures that PostHog refuses for good, set aside with what it said."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec

from zentra_otel_posthog.delivery import segments
from zentra_otel_posthog.delivery.capture import is_capture
from zentra_otel_posthog.delivery.file_lock import locked

_FILE: Final = "dead-letters.jsonl"
_OLDER: Final = "dead-letters.1.jsonl"
_LOCK: Final = "dead-letters.lock"
_NEW: Final = "dead-letters.new"
FILES: Final = frozenset({_FILE, _OLDER, _LOCK, _NEW})
"""The files' names."""
_FILE_BYTES: Final = 16 << 20  # of each of the two: beside a spool of a gigabyte, and days of a bug's work
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CORRUPT_BYTES: Final = 4096  # of a line that is no capture: enough to see what it was


class DeadLetter(msgspec.Struct, frozen=True):
    """One capture that was refused.

    Args:
        reason: As the metric of losses names it.
        status: The answer's HTTP status; None where the line was no capture, and was not sent.
        answer: What PostHog said, cut short.
        line: The capture as it lay in the spool.
    """

    reason: str
    status: int | None
    answer: str
    line: bytes


class KeptLetter(msgspec.Struct, frozen=True):
    """A dead letter as it is read from the file.

    Args:
        time: When it was set aside.
        reason: As in ``DeadLetter``.
        status: Likewise.
        answer: Likewise.
        capture: The capture as JSON; a JSON text where the line was none.
    """

    time: datetime
    reason: str
    status: int | None
    answer: str
    capture: msgspec.Raw

    def line(self) -> bytes | None:
        """Return the capture as it lay in the spool, without the line's end. None where it was none."""
        line = bytes(self.capture)
        return line if is_capture(line) else None


class DeadLetters(Protocol):
    """Takes what is refused."""

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Keep refused captures.

        Raises:
            OSError: They cannot be kept.
        """


class NoDeadLetters:
    """Keeps nothing, as the spool in memory, whose lines end with the process anyway."""

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Do nothing."""


class DeadLetterFile:
    """JSON lines ``{"time", "reason", "status", "answer", "capture"}`` beside the segments; two files of 16 MiB.

    A full file replaces the older one, whose letters are gone then; all were counted as lost when they came.

    Args:
        directory: The project's spool folder.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Append refused captures in one piece."""
        now = datetime.now(UTC)
        data = b"".join(_encoded(letter, now) for letter in letters)
        path = self.directory / _FILE
        with locked(self.directory / _LOCK):
            with suppress(FileNotFoundError):
                if (size := path.lstat().st_size) > 0 and size + len(data) > _FILE_BYTES:
                    path.replace(self.directory / _OLDER)
            descriptor = os.open(path, _FLAGS, segments.FILE_MODE)
            try:
                before = os.fstat(descriptor).st_size
                if before and os.pread(descriptor, 1, before - 1) != b"\n":
                    data = b"\n" + data  # behind what a kill tore, or that would take the next letter along
                if os.write(descriptor, data) != len(data):
                    with suppress(OSError):
                        os.ftruncate(descriptor, before)
                    raise OSError(errno.ENOSPC, "the disk is full", str(self.directory))
            finally:
                os.close(descriptor)


_letters: Final = msgspec.json.Decoder(KeptLetter)


def read(directory: Path) -> Iterator[KeptLetter]:
    """Return the dead letters of a folder, in the order in which they came. A line that a crash tore is left out.

    Raises:
        OSError: A file cannot be read.
    """
    for name in (_OLDER, _FILE):
        yield from map(_letters.decode, _lines(directory / name))


def sift(directory: Path, keep: Callable[[KeptLetter], bool]) -> int:
    """Remove dead letters from a folder. A crash in between leaves all or the rest.

    Args:
        directory: The project's spool folder.
        keep: Whether to keep one; called once for each. What it raises leaves the file as it was.

    Returns:
        How many were removed.

    Raises:
        OSError: A file cannot be read or written.
    """
    removed = 0
    with locked(directory / _LOCK):
        for name in (_OLDER, _FILE):
            lines = _lines(directory / name)
            kept = [line for line in lines if keep(_letters.decode(line))]
            removed += len(lines) - len(kept)
            if lines and not kept:
                (directory / name).unlink()
            elif len(kept) < len(lines):
                new = directory / _NEW
                new.write_bytes(b"".join(kept))
                new.chmod(segments.FILE_MODE)
                new.replace(directory / name)
    return removed


def _lines(path: Path) -> list[bytes]:
    """Return a file's letters, encoded; none where it is no file."""
    try:
        # Neither followed through a link nor waited for where it is a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return []
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return []
    with os.fdopen(descriptor, "rb") as file:
        return [line for line in file if _is_letter(line)]


def _is_letter(line: bytes) -> bool:
    try:
        _letters.decode(line)
    except (ValueError, RecursionError):  # msgspec.DecodeError is a ValueError
        return False
    return line.endswith(b"\n")


def _encoded(letter: DeadLetter, now: datetime) -> bytes:
    capture: object = msgspec.Raw(letter.line)
    if not is_capture(letter.line):
        capture = letter.line[:_CORRUPT_BYTES].decode(errors="replace")
    record = {
        "time": now,
        "reason": letter.reason,
        "status": letter.status,
        "answer": letter.answer,
        "capture": capture,
    }
    return msgspec.json.encode(record) + b"\n"
