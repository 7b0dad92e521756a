"""Whatever a server does with a connection, a call returns in time, the request ends, and every capture is delivered."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from zentra_otel_posthog import capture, configure, flush, shutdown
from zentra_otel_posthog.delivery import attempt, sender
from zentra_otel_posthog.delivery.spool import FileSpool
from zentra_otel_posthog.delivery.wire import Answer, Batch
from zentra_otel_posthog.delivery.wire_v0 import WireV0
from zentra_otel_posthog.inspector import Receiver

KEY = "phc_invented"
GENEROUS = 2.0  # seconds that a busy machine may add

Behaviour = Callable[[socket.socket, threading.Event], None]


def says_nothing(connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def drips(connection: socket.socket, over: threading.Event) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX-Drip: " + b"x" * 10_000:
        connection.sendall(bytes([byte]))
        if over.wait(0.02):
            return


def drips_a_body(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 503 Later\r\nContent-Length: 10000\r\n\r\n")
    while not over.wait(0.02):
        connection.sendall(b"x")


def never_ends(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 503 Later\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"x" * 65536)


def reads_nothing(connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def cuts_the_header(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 20")


def cuts_the_body(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 503 Later\r\nContent-Length: 100\r\n\r\nhalf")


def speaks_no_http(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


BEHAVIOURS: list[Behaviour] = [
    says_nothing,
    drips,
    drips_a_body,
    never_ends,
    reads_nothing,
    cuts_the_header,
    cuts_the_body,
    speaks_no_http,
]


@contextmanager
def server(behaviour: Behaviour) -> Iterator[str]:
    """Run a server that does this to every connection; yield where."""
    over, threads = threading.Event(), []

    def converse(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if behaviour is not reads_nothing:
                connection.recv(65536)
            behaviour(connection, over)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threads.append(threading.Thread(target=converse, args=(listener.accept()[0],)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads.append(threading.Thread(target=accept))
        threads[0].start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes backoff a hundredth of a second and a request half a one."""
    monkeypatch.setattr(sender, "_BACKOFF_FIRST", 0.01)
    monkeypatch.setattr(attempt, "_REQUEST_TIMEOUT", 0.5)


@pytest.fixture
def start(tmp_path: Path) -> Callable[[str], None]:
    """Configures delivery to a host; only a flush is ever due."""
    return lambda host: configure(api_key=KEY, host=host, spool_dir=tmp_path / "spool", flush_interval=3600)


def waiting(tmp_path: Path) -> int:
    """How many captures the spool holds."""
    (folder,) = (tmp_path / "spool").iterdir()
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.v0.jsonl"))


def wait_for_thread(name: str = "zentra-posthog-sender") -> None:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(10)
            assert not thread.is_alive()


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_request_has_one_deadline(behaviour: Behaviour) -> None:
    """The timeout is for the whole exchange: a byte now and then does not prolong it, and no answer is endless."""
    # Random bytes, more than both sides' buffers hold, for the server that does not read.
    lines = [b'"' + (b"%030x" % number) * 100 + b'"' for number in range(4000)]
    batch = Batch(lines if behaviour is reads_nothing else lines[:1], UUID(int=1), 1, datetime.now(UTC))
    with server(behaviour) as host:
        began = time.monotonic()
        answer: Answer | None = None
        with suppress(OSError):
            answer = WireV0(KEY, host, "none").post(batch, timeout=0.5)
        assert time.monotonic() - began < 0.5 + GENEROUS
    # What said its status has answered, whatever comes of the rest.
    assert answer == (Answer(503) if behaviour in {drips_a_body, never_ends, cuts_the_body} else None)


@pytest.mark.parametrize("call", [flush, shutdown])
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_calls_return_in_time_and_nothing_is_lost(
    behaviour: Behaviour, call: Callable[[float], bool], start: Callable[[str], None], tmp_path: Path
) -> None:
    """Neither ``flush`` nor ``shutdown`` waits beyond its timeout, and both say that captures are left."""
    with server(behaviour) as host:
        start(host)
        for _ in range(3):
            capture("checkout.completed", distinct_id="usr_1")
        began = time.monotonic()
        assert call(0.2) is False
        assert time.monotonic() - began < 0.2 + GENEROUS
        assert waiting(tmp_path) == 3
        shutdown(0)
        wait_for_thread()
    assert waiting(tmp_path) == 3


@pytest.mark.parametrize("trouble", ["name resolution", "TLS handshake"])
def test_before_a_connection_stands(
    trouble: str, start: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver or a TLS handshake that hangs does it to the sender's thread alone."""
    over = threading.Event()

    def resolve(*_: object, **__: object) -> list[object]:
        over.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    with server(says_nothing) as host:
        if trouble == "name resolution":
            monkeypatch.setattr(socket, "getaddrinfo", resolve)
            start("https://posthog.invalid")
        else:
            start(host.replace("http:", "https:"))
        capture("checkout.completed", distinct_id="usr_1")
        for call in (flush, shutdown):
            began = time.monotonic()
            assert call(0.2) is False
            assert time.monotonic() - began < 0.2 + GENEROUS
        over.set()
        wait_for_thread()
    assert waiting(tmp_path) == 1


def test_a_proxy_of_the_environment(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY is used, and NO_PROXY exempts a host from it."""
    monkeypatch.setenv("HTTP_PROXY", receiver.url)
    monkeypatch.setenv("http_proxy", receiver.url)
    batch = Batch([b"{}"], UUID(int=1), 1, datetime.now(UTC))
    WireV0(KEY, "http://posthog.invalid", "none").post(batch, timeout=5)
    assert [request.path for request in receiver.requests] == ["http://posthog.invalid/batch/"]
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "posthog.invalid")
    with pytest.raises(OSError):  # noqa: PT011  the name resolves nowhere
        WireV0(KEY, "http://posthog.invalid", "none").post(batch, timeout=5)


def test_a_password_of_netrc_stays_at_home(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own credentials for the host are not sent along."""
    (tmp_path / ".netrc").write_text("default login ada password invented\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    WireV0(KEY, receiver.url, "none").post(Batch([b"{}"], UUID(int=1), 1, datetime.now(UTC)), timeout=5)
    assert receiver.requests[0].headers["Authorization"] is None


def test_a_flush_says_what_another_holds(tmp_path: Path, receiver: Receiver, start: Callable[[str], None]) -> None:
    """With no time at all a flush tells at once whether anything waits."""
    start(receiver.url)
    assert flush(0)
    capture("checkout.completed", distinct_id="usr_1")
    (folder,) = (tmp_path / "spool").iterdir()
    assert not flush(0)
    assert flush(float("inf"))
    assert flush(0)
    assert FileSpool(folder, 1 << 20).usage().oldest is None


def test_a_server_without_encryption(receiver: Receiver) -> None:
    """TLS that fails is trouble like any other."""
    with pytest.raises(OSError) as raised:  # noqa: PT011  requests' SSLError
        WireV0(KEY, receiver.url.replace("http:", "https:"), "none").post(
            Batch([b"{}"], UUID(int=1), 1, datetime.now(UTC)), timeout=5
        )
    assert KEY not in str(raised.value)
