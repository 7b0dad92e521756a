"""What goes over the wire to the inspector, seen from the wire: a proxy before it that keeps every request."""

from __future__ import annotations

import base64
import binascii
import gzip
import http.client
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

# A connection's own, and what http.client and http.server write themselves.
_NOT_PASSED_ON = {"host", "connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class Passed(NamedTuple):
    """One request, and how it was answered."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    status: int

    def readings(self) -> list[bytes]:
        """Return all that can be read in it: the request as it stands, and its body as unpacked as it goes."""
        texts = [self.path.encode(), repr(self.headers).encode(), self.body]
        body = self.body
        if b"data=" in body[:5]:
            (form,) = parse_qs(body.decode())["data"]
            with suppress(binascii.Error):
                body = base64.b64decode(form, validate=True)
                texts.append(body)
        if body.startswith(b"\x1f\x8b"):
            texts.append(gzip.decompress(body))
        return texts


class Wire(ThreadingHTTPServer):
    """Passes requests on to the inspector and its answers back. Use it as a context manager.

    Args:
        inspector: The inspector's URL.
    """

    daemon_threads = True

    def __init__(self, inspector: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.inspector = urlsplit(inspector).netloc
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.passed: list[Passed] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Wire
    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection(self.server.inspector, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_PASSED_ON}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        lowered = {name.lower(): value for name, value in self.headers.items()}
        self.server.passed.append(Passed(self.command, self.path, lowered, body, answer.status))
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        if answer.status != http.HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(said)))
        with suppress(ConnectionError):  # a tab that is closed does not wait for its answers
            self.end_headers()
            self.wfile.write(said)

    do_GET = do_POST = do_OPTIONS = _pass  # noqa: N815  the names that http.server looks for

    def log_message(self, *_: object) -> None: ...
