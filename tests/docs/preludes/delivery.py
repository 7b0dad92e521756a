"""A function that is called, and a queue that somebody else empties."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest


class _Queue(queue.SimpleQueue[object]):
    def wait_until_empty(self, timeout: float) -> bool:
        return True


@contextmanager
def reader_has(_: pytest.MonkeyPatch) -> Iterator[Mapping[str, object]]:
    yield {"charge": lambda **event: event, "queue": _Queue()}
