"""The HTTP side of the receiver: reads requests within bounds and writes answers, each in one piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Literal, cast

from zentra_otel_posthog.inspector.capture_v0 import BODY_LIMIT, DECOMPRESSED_LIMIT

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping
    from email.message import Message
    from socketserver import BaseServer

_PIECE = 1024 * 1024
_LINE_LIMIT = 65536


@dataclass(frozen=True, slots=True)
class Answer:
    """What to do with a capture request instead of the normal handling.

    Attributes:
        status: HTTP status.
        headers: Headers beside Content-Type and Content-Length, or in their place.
        body: The body; None for what PostHog would plausibly say with that status.
        accept: Take the events in all the same. With a failure as the answer this is the lost 200: PostHog
            has them and the sender does not know.
        connection: "answer"; "close" without an answer; or "hang", which answers after `Receiver.release` and
            never when the receiver stops first.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    accept: bool = False
    connection: Literal["answer", "close", "hang"] = "answer"


class Connection(BaseHTTPRequestHandler):
    """One connection, kept alive over any number of requests; it is over when the constructor returns.

    Args:
        connection: The accepted socket; closing it is left to the caller.
        respond: Gets method, path with query, headers and body (None for one over the limit), and returns what
            to answer, or None to end the connection without an answer.

    Raises:
        OSError: The client went away.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(
        self,
        connection: socket.socket,
        respond: Callable[[str, str, Message, bytes | None], Answer | None],
    ) -> None:
        self._respond = respond
        # The server is an attribute for subclasses only, and there is none.
        super().__init__(connection, None, cast("BaseServer", None))

    def do_POST(self) -> None:
        """Read the request, ask for its answer, and write that. Other methods take the same way."""
        try:
            body = self._body()
        except ValueError:
            self.close_connection = True
            self._write(Answer(400, body=b"the length of the body is no number"))
            return
        answer = self._respond(self.command, self.path, self.headers, body)
        if answer is None:
            self.close_connection = True
        else:
            self._write(answer)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815 (http.server names them)

    def _body(self) -> bytes | None:
        """The body, None for one that is too big.

        A body that is too big is read on and thrown away, since a client that is still sending would see a
        reset connection and no answer. Past another bound it gets the reset.
        """
        size = 0
        pieces: list[bytes] = []
        for piece in self._pieces():
            size += len(piece)
            if size <= BODY_LIMIT:
                pieces.append(piece)
            else:
                pieces.clear()
            if size > DECOMPRESSED_LIMIT:
                self.close_connection = True
                break
        return b"".join(pieces) if size <= BODY_LIMIT else None

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield from self._exactly(int(self.headers.get("Content-Length", "0")))
            return
        while size := int(self.rfile.readline(_LINE_LIMIT).partition(b";")[0], 16):
            yield from self._exactly(size)
            self.rfile.readline(_LINE_LIMIT)
        while self.rfile.readline(_LINE_LIMIT).strip():
            pass

    def _exactly(self, size: int) -> Iterator[bytes]:
        if size < 0:
            raise ValueError(size)
        while size:
            piece = self.rfile.read(min(size, _PIECE))
            if not piece:
                raise ConnectionResetError
            size -= len(piece)
            yield piece

    def _write(self, answer: Answer) -> None:
        phrase = self.responses.get(answer.status, ("",))[0]
        body = answer.body
        if body is None:
            body = b'{"status": "Ok"}' if answer.status == HTTPStatus.OK else phrase.encode()
        headers = {
            "Content-Type": "application/json" if body.startswith(b"{") else "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            **({"Connection": "close"} if self.close_connection else {}),
            **answer.headers,
        }
        lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it)
        """Nothing is printed."""
