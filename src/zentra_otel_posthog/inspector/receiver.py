"""The server: takes captures in as PostHog does, remembers them, and fails on request.

Nothing is written to disk and nothing is printed. Memory is bounded only by what is received: every request
and event is kept until `clear`, unless the receiver is told to count only.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import msgspec

from zentra_otel_posthog.inspector import capture_v0, capture_v1
from zentra_otel_posthog.inspector.connection import Answer, Connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message

    from zentra_otel_posthog.inspector.capture_v0 import Event, EventKey, Verdict
    from zentra_otel_posthog.inspector.private_api import PrivateApi

_HOST = "127.0.0.1"
_BACKLOG = 128
_ACCEPT_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived.

    Attributes:
        method: HTTP method.
        path: Path and query.
        headers: Looked up in any case, None for one that is missing.
        body: Bytes as on the wire; empty where it was over 20 MiB.
        decoded: The parsed JSON of a capture request, None where there is none.
        status: What is answered, None for a connection that is closed instead.
    """

    method: str
    path: str
    headers: Message
    body: bytes
    decoded: Any
    status: int | None


class Receiver:
    """A PostHog on loopback that speaks capture V0 and V1.

    It may be used from several threads. After `stop`, `start` opens the same port again with everything still
    there, which is what an outage looks like to a sender.

    Args:
        port: Port on 127.0.0.1; 0 takes any free one.
        keep: Keep requests and events. Without, only counts are kept and what tells a duplicate (some 300
            bytes an event), for benchmarks.
        v1: Whether it has capture V1, which a server has to enable.
        private_api: The private API beside capture, as a self-hosted PostHog has both on one host.
    """

    def __init__(
        self, port: int = 0, *, keep: bool = True, v1: bool = True, private_api: PrivateApi | None = None
    ) -> None:
        self._port = port
        self._keep = keep
        self._private_api = private_api
        self._changed = threading.Condition()
        self._events: dict[EventKey, Event | None] = {}
        self._requests: list[Request] = []
        self._names: Counter[str] = Counter()
        self._received = 0
        self._request_count = 0
        self._answers: deque[Answer] = deque()
        self._told: dict[str, deque[str]] = {}
        self._v1 = {capture_v1.PATH} if v1 else set()
        self._released = threading.Event()
        self._stopped = threading.Event()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lifecycle = threading.Lock()
        self._pid = 0

    def __enter__(self) -> Self:
        """Start, and return the receiver."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens, or listened before it was stopped; for the client's `host`."""
        if not self._port:
            raise RuntimeError("a receiver has no URL before it is started")
        return f"http://{_HOST}:{self._port}"

    @property
    def events(self) -> list[Event]:
        """Accepted events in order of arrival, each once, as PostHog stores them; not to be changed.

        Two are one where project key, UTC day of the timestamp, event, distinct_id and uuid agree. The
        timestamp is taken as it was sent.
        """
        with self._changed:
            return [event for event in self._events.values() if event is not None]

    def events_of(self, api_key: str) -> list[Event]:
        """Those of `events` that came with one project key."""
        with self._changed:
            return [event for key, event in self._events.items() if event is not None and key[0] == api_key]

    @property
    def received(self) -> int:
        """How many events were accepted, resent ones included."""
        with self._changed:
            return self._received

    @property
    def requests(self) -> list[Request]:
        """All requests in order of arrival, refused ones included, those to `/stats` not."""
        with self._changed:
            return list(self._requests)

    def stats(self) -> dict[str, Any]:
        """Counts, as `GET /stats` answers them: received, events, and events by name."""
        with self._changed:
            return {"received": self._received, "events": len(self._events), "by_name": dict(self._names)}

    def wait_for(self, count: int, *, timeout: float = 5.0) -> bool:
        """Wait until so many events are there, duplicates not counted.

        Args:
            count: How many events.
            timeout: Seconds to wait at most.

        Returns:
            Whether they are there; False at once when the receiver stops.
        """
        return self._wait(lambda: len(self._events) >= count, timeout)

    def wait_for_requests(self, count: int, *, timeout: float = 5.0) -> bool:
        """Wait until so many requests have arrived, those that hang included; otherwise as `wait_for`."""
        return self._wait(lambda: self._request_count >= count, timeout)

    def _wait(self, reached: Callable[[], bool], timeout: float) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: reached() or self._stopped.is_set(), timeout)
            return reached()

    def answer(self, answer: Answer, *, times: int = 1) -> None:
        """Queue an answer for the next capture requests; those queued earlier come first."""
        with self._changed:
            self._answers.extend([answer] * times)

    def tell(self, uuid: str, *results: str) -> None:
        """Queue results of capture V1 for one event, one for each request that comes next, whether or not it is in it.

        Args:
            uuid: The event's.
            results: ``retry``, ``limited``, ``drop``, ``warning``, or what a newer server may say.
        """
        with self._changed:
            self._told.setdefault(uuid, deque()).extend(results)

    def release(self) -> None:
        """Let the requests that hang now be answered."""
        with self._changed:
            self._released.set()
            self._released = threading.Event()

    def clear(self) -> None:
        """Forget events, requests, counts, and queued answers and results. What hangs goes on hanging."""
        with self._changed:
            self._events.clear()
            self._requests.clear()
            self._names.clear()
            self._received = self._request_count = 0
            self._answers.clear()
            self._told.clear()

    def start(self) -> None:
        """Listen; nothing happens where it listens already.

        Raises:
            OSError: The port is taken.
        """
        with self._lifecycle:
            if self._acceptor is not None:
                return
            listener = socket.create_server((_HOST, self._port), backlog=_BACKLOG)
            self._port = listener.getsockname()[1]
            self._pid = os.getpid()
            self._stopped, self._released = threading.Event(), threading.Event()
            self._acceptor = threading.Thread(
                target=self._accept, args=(listener,), name="posthog-receiver", daemon=True
            )
            self._listener = listener
            self._acceptor.start()

    def stop(self) -> None:
        """Stop listening, cut all connections, also those that hang, and wait for the threads to end."""
        # A forked child holds the same sockets: shutting them down there would end the parent's receiver.
        if self._pid != os.getpid():
            return
        with self._lifecycle:
            if self._acceptor is None or self._listener is None:
                return
            with self._changed:
                self._stopped.set()
                self._released.set()
                self._changed.notify_all()
            # Closing alone would leave the port open where a forked child inherited it. Where the shutdown
            # does not end accept, which it does on Linux, a connection does.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                socket.create_connection((_HOST, self._port), timeout=1).close()
            self._acceptor.join()
            self._listener.close()
            self._cut()
            self._listener = self._acceptor = None

    def _cut(self) -> None:
        with self._changed:
            connections = dict(self._connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                # Out of file descriptors, for one: the next connection may find some.
                if self._stopped.wait(_ACCEPT_PAUSE):
                    return
                continue
            with self._changed:
                if self._stopped.is_set():
                    connection.close()
                    return
                thread = threading.Thread(
                    target=self._converse, args=(connection,), name="posthog-receiver-connection", daemon=True
                )
                self._connections[connection] = thread
                thread.start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            # A client that goes away is its own affair.
            with suppress(OSError):
                Connection(connection, self._respond)
        finally:
            # Without the shutdown a forked child that inherited the socket would keep it open.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
            with self._changed:
                del self._connections[connection]

    def _respond(self, method: str, path: str, headers: Message, body: bytes | None) -> Answer | None:
        """The answer to one request, None to close the connection without one."""
        address = path.partition("?")[0]
        if method == "GET" and address == "/stats":
            return Answer(headers={"Content-Type": "application/json"}, body=msgspec.json.encode(self.stats()))
        if self._private_api is not None and address.startswith("/api/"):
            return self._private_api.respond(method, path, dict(headers.items()), body)
        capture = method == "POST" and address.removesuffix("/") in {*capture_v0.PATHS, *self._v1}
        verdict = self._judge(address, headers, body) if capture else capture_v0.NOTHING_HERE
        # Before the lock is taken, which this does not need.
        arrived = [(capture_v0.event_key(verdict.api_key, event), event) for event in verdict.events]
        with self._changed:
            answer = self._answers.popleft() if capture and self._answers else None
            if answer is None or answer.accept:
                self._take(arrived)
            if answer is None:
                answer = Answer(verdict.status, body=verdict.answer or verdict.reason.encode() or None)
            status = None if answer.connection == "close" else answer.status
            self._request_count += 1
            if self._keep:
                self._requests.append(Request(method, path, headers, body or b"", verdict.decoded, status))
            self._changed.notify_all()
            released = self._released
        if answer.connection == "hang":
            released.wait()
        return None if answer.connection == "close" or self._stopped.is_set() else answer

    def _take(self, arrived: list[tuple[EventKey, Event]]) -> None:
        self._received += len(arrived)
        for key, event in arrived:
            if key not in self._events:
                self._events[key] = event if self._keep else None
                self._names[key[2]] += 1

    def _judge(self, address: str, headers: Message, body: bytes | None) -> Verdict:
        if address.removesuffix("/") in self._v1:
            with self._changed:
                told = {uuid: results.popleft() for uuid, results in self._told.items() if results}
            return capture_v1.judge(body, {name.lower(): value for name, value in headers.items()}, told)
        return capture_v0.judge(
            body,
            content_type=headers.get("Content-Type", ""),
            content_encoding=headers.get("Content-Encoding", ""),
        )
