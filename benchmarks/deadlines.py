"""How exactly ``flush`` and ``shutdown`` keep their deadlines against servers that never answer.

Run with ``python -m benchmarks.deadlines``. Each figure is how much later than asked a call returned.
"""

from __future__ import annotations

import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.table import Table

from zentra_otel_posthog import capture, configure, flush, shutdown

_TIMEOUT = 0.25  # seconds
_ROUNDS = 20


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a server that treats every connection so."""

    def converse(connection: socket.socket) -> None:
        with suppress(OSError):
            answer(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=converse, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def hang(connection: socket.socket) -> None:
    """Read everything, and say nothing."""
    while connection.recv(65536):
        pass


def drip(connection: socket.socket) -> None:
    """Begin an answer that never ends, a byte at a time."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.01)


def ignore(_: socket.socket) -> None:
    """Read nothing at all; the kernel's buffers fill up."""
    threading.Event().wait()


def overruns(host: str, call: Callable[[float], bool]) -> list[float]:
    """Return by how many milliseconds each call was late."""
    late = []
    for _ in range(_ROUNDS):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as spool:
            configure(api_key="phc_benchmark", host=host, spool_dir=spool, flush_interval=3600)
            for _ in range(2000):
                capture("checkout.completed", distinct_id="usr_1")
            began = time.monotonic()
            delivered = call(_TIMEOUT)
            late.append((time.monotonic() - began - _TIMEOUT) * 1000)
            assert not delivered
            shutdown(0)
    return late


def resolve_never(*_: object, **__: object) -> list[object]:
    """Stand for a resolver that hangs."""
    threading.Event().wait()
    return []


def main() -> int:
    """Measure and print the table."""
    table = Table(title=f"Milliseconds beyond a timeout of {_TIMEOUT * 1000:.0f} ms, {_ROUNDS} calls each")
    table.add_column("the server")
    for heading in ("call", "median", "worst"):
        table.add_column(heading, justify="right")
    with server(hang) as hung, server(drip) as dripping, server(ignore) as deaf:
        hosts = {
            "hangs": hung,
            "drips an answer": dripping,
            "reads nothing": deaf,
            "hangs in the TLS handshake": hung.replace("http:", "https:"),
            "has a name that never resolves": "https://posthog.invalid",
        }
        resolve = socket.getaddrinfo
        for label, host in hosts.items():
            socket.getaddrinfo = resolve_never if "resolves" in label else resolve  # type: ignore[assignment]
            for name, call in {"flush": flush, "shutdown": shutdown}.items():
                late = overruns(host, call)
                table.add_row(label, name, f"{statistics.median(late):.1f}", f"{max(late):.1f}")
    Console(width=100).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
