"""Dead letters: captures that PostHog refuses for good, set aside with what it said."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec

from zentra_otel_posthog.delivery import segments
from zentra_otel_posthog.delivery.capture import is_capture

_FILE: Final = "dead-letters.jsonl"
_OLDER: Final = "dead-letters.1.jsonl"
FILES: Final = frozenset({_FILE, _OLDER})
"""The files' names."""
_FILE_BYTES: Final = 16 << 20  # of each of the two: beside a spool of a gigabyte, and days of a bug's work
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
        descriptor = self._opened()
        try:
            if self._is_full(descriptor, len(data)):
                (self.directory / _FILE).replace(self.directory / _OLDER)
                os.close(descriptor)
                descriptor = self._opened()
            before = os.fstat(descriptor).st_size
            if os.write(descriptor, data) != len(data):
                with suppress(OSError):
                    os.ftruncate(descriptor, before)
                raise OSError(errno.ENOSPC, "the disk is full", str(self.directory))
        finally:
            os.close(descriptor)

    def _opened(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.open(self.directory / _FILE, flags, segments.FILE_MODE)

    def _is_full(self, descriptor: int, size: int) -> bool:
        found = os.fstat(descriptor)
        if not found.st_size or found.st_size + size <= _FILE_BYTES:
            return False
        try:
            # Of several processes that find it full one moves it; closing frees the lock.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.path.samestat(found, (self.directory / _FILE).lstat())
        except OSError:
            return False


_letters: Final = msgspec.json.Decoder(KeptLetter)


def read(directory: Path) -> Iterator[KeptLetter]:
    """Return the dead letters of a folder, in the order in which they came. A line that a crash tore is left out.

    Raises:
        OSError: A file cannot be read.
    """
    for name in (_OLDER, _FILE):
        with suppress(FileNotFoundError), (directory / name).open("rb") as file:
            for line in file:
                with suppress(ValueError, RecursionError):  # msgspec.DecodeError is a ValueError
                    yield _letters.decode(line)


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
