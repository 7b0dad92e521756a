"""The spool for where no folder can be written: the lines die with the process."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from zentra_otel_posthog.delivery import segments
from zentra_otel_posthog.delivery.spool import LineTooLong, Segment, SpoolFull, Usage


@dataclass(slots=True, eq=False)
class _MemorySegment:
    spool: MemorySpool
    name: str
    opened: float = field(default_factory=time.time)
    closed: float = field(default_factory=time.time)
    kept: list[bytes] = field(default_factory=list)
    size: int = 0

    def lines(self) -> list[bytes]:
        return [line.removesuffix(b"\n") for line in self.kept]

    def remove(self) -> None:
        self.spool._remove(self)  # noqa: SLF001  one abstraction in two classes

    def release(self) -> None:
        self.spool._held.discard(self.name)  # noqa: SLF001  likewise


class MemorySpool:
    """A spool in memory.

    Args:
        max_bytes: Bound of what is kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._forget_everything()

    def _forget_everything(self) -> None:
        self._lock = threading.RLock()
        self._numbers = itertools.count()
        self._open: _MemorySegment | None = None
        self._segments: dict[str, _MemorySegment] = {}  # oldest first, the open one included
        self._held: set[str] = set()
        self._bytes = 0

    def append(self, line: bytes) -> int:
        """Keep a line."""
        size = len(line)
        with self._lock:
            if size > segments.SEGMENT_BYTES:
                raise LineTooLong
            if self._bytes + size > self._max_bytes:
                raise SpoolFull
            segment = self._open
            if segment is None or segment.size + size > segments.SEGMENT_BYTES:
                segment = self._open = _MemorySegment(self, f"memory-{next(self._numbers)}")
                self._segments[segment.name] = segment
            segment.kept.append(line)
            segment.closed = time.time()
            segment.size += size
            self._bytes += size
            return len(segment.kept)

    def claim(self, passing_over: Container[str] = ()) -> Iterator[Segment]:
        """Yield every segment that nobody else holds, oldest first."""
        with self._lock:
            self._open = None
            found = list(self._segments)
        for name in found:
            with self._lock:
                if name in passing_over or name in self._held or name not in self._segments:
                    continue
                self._held.add(name)
                segment = self._segments[name]
            yield segment

    def waits_elsewhere(self) -> bool:
        """Return False: nobody else sends what is in memory."""
        return False

    def usage(self) -> Usage:
        """Return what waits."""
        with self._lock:
            return Usage(self._bytes, min((segment.opened for segment in self._segments.values()), default=None))

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
        self._forget_everything()

    def _remove(self, segment: _MemorySegment) -> None:
        with self._lock:
            if self._segments.pop(segment.name, None) is not None:
                self._bytes -= segment.size
            self._held.discard(segment.name)
