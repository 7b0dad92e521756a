"""A stand-in for PostHog's flags, and OpenFeature set up with it."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient

from zentra_otel_posthog import identity
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.flags import use_posthog_flags
from zentra_otel_posthog.testing import captured_events


class FlagServer(ThreadingHTTPServer):
    """Answers ``POST /flags/``.

    Attributes:
        flags: What each flag answers: on or off, or a variant.
        status: The HTTP status of every answer.
        hangs: Whether it reads and does not answer until it is released.
        asked: The bodies of the requests.
        arrived: Set by the first of them.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.flags: dict[str, bool | str] = {}
        self.status = 200
        self.hangs = False
        self.arrived, self.released = threading.Event(), threading.Event()
        self.asked: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self) -> dict[str, Any]:
        flags = {
            key: {
                "key": key,
                "enabled": value is not False,
                "variant": value if isinstance(value, str) else None,
                "reason": {"code": "condition_match", "condition_index": 0, "description": "Matched condition set 1"},
                "metadata": {"id": 7, "version": 3, "payload": None},
            }
            for key, value in self.flags.items()
        }
        return {
            "flags": flags,
            "errorsWhileComputingFlags": False,
            "requestId": "7e0b1b52-6a6e-4b7f-9d3e-2f1f0a3b9c11",
            "evaluatedAt": 1764057600000,
        }


class _Handler(BaseHTTPRequestHandler):
    server: FlagServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert self.path.startswith("/flags/")
        self.server.asked.append(json.loads(body))
        self.server.arrived.set()
        if self.server.hangs:
            self.server.released.wait()
        encoded = json.dumps(self.server.answer()).encode()
        with suppress(OSError):  # a client that has given up
            self.send_response(self.server.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def server() -> Iterator[FlagServer]:
    with FlagServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def settings() -> dict[str, Any]:
    """Return settings beyond key and host; tests override it."""
    return {}


@pytest.fixture
def captures(server: FlagServer, settings: dict[str, Any]) -> Iterator[list[Capture]]:
    with captured_events(api_key="phc_test", host=server.url, **settings) as events:
        yield events


@pytest.fixture
def flags(captures: list[Capture], monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenFeatureClient]:
    """Set flags up, and return OpenFeature's client."""
    monkeypatch.setattr(identity, "flags_used", False)
    use_posthog_flags()
    yield api.get_client()
    api.shutdown()
