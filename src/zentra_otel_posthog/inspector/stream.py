"""Server-sent events: tells every open page that something arrived, at most ten times a second."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import msgspec

_PAUSE: Final = 0.1  # seconds between two messages
_ALIVE: Final = 15.0  # seconds after which a comment says that the connection is


class _Subscriber:
    def __init__(self) -> None:
        self.seq = 0
        self.names: Counter[str] = Counter()
        self.flags = False
        self.wake = asyncio.Event()

    def messages(self) -> bytes:
        """Return what happened since the last time."""
        text = b""
        if self.names:
            arrived = {"seq": self.seq, "count": self.names.total(), "names": dict(self.names)}
            text += b"event: arrived\ndata: " + msgspec.json.encode(arrived) + b"\n\n"
        if self.flags:
            text += b"event: flags\ndata: {}\n\n"
        self.names, self.flags = Counter(), False
        return text


class Stream:
    """What happens, to whoever listens. Made inside the event loop; told from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._subscribers: set[_Subscriber] = set()
        self._closed = False

    def arrived(self, seq: int, names: Counter[str]) -> None:
        """Tell that events are stored."""
        self._loop.call_soon_threadsafe(self._arrived, seq, names)

    def flags_changed(self) -> None:
        """Tell that a flag was switched, or asked for the first time."""
        self._loop.call_soon_threadsafe(self._flags_changed)

    def close(self) -> None:
        """End every open stream, which the server would wait for."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.wake.set()

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield messages as they go over the wire, until the page goes away."""
        subscriber = _Subscriber()
        self._subscribers.add(subscriber)
        try:
            yield b"retry: 1000\n\n"
            while not self._closed:
                try:
                    await asyncio.wait_for(subscriber.wake.wait(), _ALIVE)
                except TimeoutError:
                    yield b": nothing new\n\n"
                    continue
                subscriber.wake.clear()
                if text := subscriber.messages():
                    yield text
                    await asyncio.sleep(_PAUSE)
        finally:
            self._subscribers.discard(subscriber)

    def _arrived(self, seq: int, names: Counter[str]) -> None:
        for subscriber in self._subscribers:
            subscriber.seq = seq
            subscriber.names.update(names)
            subscriber.wake.set()

    def _flags_changed(self) -> None:
        for subscriber in self._subscribers:
            subscriber.flags = True
            subscriber.wake.set()
