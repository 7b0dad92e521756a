"""A lock file between the processes that share a spool's folder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from zentra_otel_posthog.delivery import segments

_PATIENCE: Final = 1.0  # seconds


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file.

    Raises:
        OSError: It cannot be made, or somebody else holds it for longer than a second: the sender's thread is among
            those that wait here, and a process may be stopped with the lock in its hands.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, segments.FILE_MODE)
    try:
        _lock(descriptor)
        try:
            yield
        finally:
            # Explicitly: a child that was forked meanwhile holds a copy of the descriptor, and the lock with it.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
