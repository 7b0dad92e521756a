"""The wire: how lines become a request, and what the answer means. One class for each of PostHog's capture versions."""

from __future__ import annotations

import email.utils
import gzip
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from zentra_otel_posthog.delivery._http import Client, Reply

# JSON lines repeat themselves. For 2,000 captures level 1 took 3.4 ms and made 160 KB of 811, level 9 14.4 ms and 139.
_LEVEL: Final = 1
_RETRY_AFTER_MAX: Final = 300.0  # seconds; a server may not silence a fleet for hours by mistake
_TEXT: Final = 500  # characters of an answer that are kept


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request carries.

    Args:
        lines: Encoded captures, as they lie in the spool.
        request_id: The same at every attempt.
        attempt: Its number, from 1.
        created_at: When the last of the captures was spooled, UTC; the same at every attempt.
    """

    lines: Sequence[bytes]
    request_id: UUID
    attempt: int
    created_at: datetime


class Result(NamedTuple):
    """What became of one capture (capture V1).

    Args:
        result: ``ok``, ``warning``, ``drop``, ``limited``, ``retry``, or what a newer server may say.
        details: Why.
    """

    result: str
    details: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said.

    Args:
        status: The HTTP status.
        retry_after: Seconds to wait before another attempt, where the server named them.
        text: The beginning of its body, without the project key.
        results: By the captures' position in the batch, where the server told them apart.
        readable: False where the answer to a success makes no sense, so nobody knows what was accepted.
    """

    status: int
    retry_after: float | None = None
    text: str = field(default="", compare=False)
    results: Mapping[int, Result] = field(default_factory=dict)
    readable: bool = True


class Wire(ABC):
    """Posts captures to one project.

    Args:
        url: Where to.
        api_key: The project key.
        compression: ``none``, ``gzip``, ``deflate`` or ``zstd``.
    """

    def __init__(self, url: str, api_key: str, compression: str) -> None:
        self.url = url
        self._api_key = api_key
        self._compression = compression
        self._client: Client | None = None
        self._importing = threading.Lock()

    def post(self, batch: Batch, timeout: float) -> Answer:
        """Post captures.

        Args:
            batch: At least one.
            timeout: Seconds for the whole exchange.

        Returns:
            What the server said.

        Raises:
            OSError: The server cannot be reached or went away.
            ValueError: A line is no capture; nothing was sent.
        """
        body = self._body(batch)
        headers = {"Content-Type": "application/json", **self._headers(batch)}
        if self._compression != "none":
            body = _COMPRESSIONS[self._compression](body)
            headers["Content-Encoding"] = self._compression
        return self._answer(self._connected().post(self.url, body, headers, timeout), batch)

    @abstractmethod
    def _body(self, batch: Batch) -> bytes: ...

    def _headers(self, batch: Batch) -> dict[str, str]:  # noqa: ARG002  a version may need it
        return {}

    def _answer(self, reply: Reply, batch: Batch) -> Answer:  # noqa: ARG002  likewise
        return Answer(reply.status, retry_after(reply.retry_after), self._text(reply))

    def _text(self, reply: Reply) -> str:
        return self._shown(reply.body[: 8 * _TEXT].decode(errors="replace"))

    def _shown(self, text: str) -> str:
        return text.replace(self._api_key, "…")[:_TEXT]

    def disconnect(self) -> None:
        """Close the connection; the next post opens another. For the thread that posts."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def before_fork(self) -> None:
        """Finish an import that is under way: in the child nobody would, and it would wait for it for ever."""
        self._importing.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._importing.release()

    def after_fork_in_child(self) -> None:
        """Forget the connections, which belong to the parent."""
        self._importing = threading.Lock()
        self._client = None

    def _connected(self) -> Client:
        if self._client is None:
            with self._importing:
                # At the first delivery, in the sender's thread: it takes longer than all of this package.
                from zentra_otel_posthog.delivery._http import Client  # noqa: PLC0415
            self._client = Client()
        return self._client


def _zstd(body: bytes) -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found]  # noqa: PLC0415  since Python 3.14
    except ImportError:
        import zstandard  # noqa: PLC0415  an extra

        return zstandard.compress(body)
    compressed: bytes = zstd.compress(body)
    return compressed


_COMPRESSIONS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "gzip": lambda body: gzip.compress(body, _LEVEL, mtime=0),
    "deflate": lambda body: zlib.compress(body, _LEVEL),  # HTTP's deflate is zlib's format (RFC 9110)
    "zstd": _zstd,
}


def retry_after(value: str | None) -> float | None:
    """Read RFC 9110's Retry-After: seconds or an HTTP date, at most five minutes."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    # Written so that NaN becomes the maximum's opposite, zero.
    return min(seconds, _RETRY_AFTER_MAX) if seconds > 0 else 0.0
