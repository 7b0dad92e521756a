"""``requests`` with one deadline for a whole exchange. Imported at the first delivery: it takes longer than the rest.

The timeout of ``requests`` is one for each read, so a server that drips a byte now and then holds a request for ever.
Here each read and write gets what is left of the whole. Two things stay outside: name resolution, which no timeout of
Python's reaches, and the second and later addresses of a host, of which each may take ``_CONNECT_TIMEOUT``.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
import traceback
from typing import Any, Final, NamedTuple, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from zentra_otel_posthog._version import __version__

_CONNECT_TIMEOUT: Final = 5.0  # seconds
_PIECE: Final = 16 << 10  # bytes of a write, as TLS cuts its records
# Of an answer. Capture V1 tells a result for each of the captures in a segment: 14,000 small ones made 1.3 MB.
_ANSWER_BYTES: Final = 8 << 20

_exchange = threading.local()  # .deadline: that of the request which this thread is making


class Reply(NamedTuple):
    """An HTTP answer.

    Args:
        status: The HTTP status.
        retry_after: The header, as it came.
        body: At most 8 MiB of it.
        whole: False where the connection broke, or the bound was reached, within the body.
    """

    status: int
    retry_after: str | None
    body: bytes
    whole: bool


class Client:
    """A session with one host; used by one thread at a time."""

    def __init__(self) -> None:
        self._session = requests.Session()
        adapter = _Adapter()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)
        # No compression: an answer is small, and one that unfolds could not be bounded as simply.
        self._session.headers.update(
            {"User-Agent": f"zentra-otel-posthog/{__version__}", "Accept-Encoding": "identity"}
        )

    def post(self, url: str, body: bytes, headers: dict[str, str], timeout: float) -> Reply:
        """Post; as ``exchange``."""
        return self.exchange("POST", url, body, headers, timeout)

    def get(self, url: str, headers: dict[str, str], timeout: float) -> Reply:
        """Get; as ``exchange``."""
        return self.exchange("GET", url, None, headers, timeout)

    def exchange(self, method: str, url: str, body: bytes | None, headers: dict[str, str], timeout: float) -> Reply:
        """Make a request, honouring the proxies of the environment, following no redirect.

        Args:
            method: As HTTP names it.
            url: Where to.
            body: Encoded; None for none.
            headers: Beside those of the session.
            timeout: Seconds for all of it.

        Raises:
            OSError: There is no answer (``requests`` derives its errors from it).
        """
        _exchange.deadline = time.monotonic() + timeout
        try:
            response = self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                timeout=(min(_CONNECT_TIMEOUT, timeout), timeout),
                allow_redirects=False,
                stream=True,
                auth=_as_given,
            )
        except OSError as error:
            _let_go(error)
            raise
        with response:
            answer, whole = _body(response.raw)
            return Reply(response.status_code, response.headers.get("Retry-After"), answer, whole)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep ``requests`` from putting the password of a ``.netrc`` in the place of the project key."""
    return request


def _let_go(error: BaseException) -> None:
    """Empty the frames in which a request failed.

    Those of urllib3 and their errors hold each other, and the body with them, until the garbage is collected: in an
    outage a process grew by 60 MiB, and grows by 9 without them (benchmarks/outage.py).
    """
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__context__


def _body(raw: urllib3.BaseHTTPResponse) -> tuple[bytes, bool]:
    pieces: list[bytes] = []
    size = 0
    try:
        while size < _ANSWER_BYTES and (piece := raw.read(min(_PIECE, _ANSWER_BYTES - size), decode_content=False)):
            pieces.append(piece)
            size += len(piece)
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError):
        return b"".join(pieces), False
    return b"".join(pieces), size < _ANSWER_BYTES


def _remaining() -> float:
    remaining: float = _exchange.deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("the request's deadline has passed")
    return remaining


class _DeadlineReader(io.RawIOBase):
    def __init__(self, connection: socket.socket, raw: io.RawIOBase) -> None:
        self._connection = connection
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(_remaining())
        return cast("int | None", self._raw.readinto(buffer))

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_DeadlineReader(sock, self.fp.detach()))


class _Deadlines:
    """What plain and encrypted connections share."""

    def send(self, data: Any) -> None:
        for start in range(0, len(data), _PIECE):
            if (connection := getattr(self, "sock", None)) is not None:
                connection.settimeout(_remaining())
            super().send(data[start : start + _PIECE])  # type: ignore[misc]  # of the connection


class _HTTPConnection(_Deadlines, HTTPConnection):
    response_class = _Response


class _HTTPSConnection(_Deadlines, HTTPSConnection):
    response_class = _Response


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS: Final = {"http": _HTTPPool, "https": _HTTPSPool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        if type(manager) is urllib3.ProxyManager:  # one for SOCKS has pools of its own, and reads without a deadline
            manager.pool_classes_by_scheme = _POOLS
        return manager
