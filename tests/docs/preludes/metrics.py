"""A personal key, a project, and PostHog's app, which answers queries with invented rows."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

_ROWS: dict[str, list[list[object]]] = {
    "payment success rate": [["2026-11-02T00:00:00Z", 90, 10]],
    "payment volume": [["2026-11-02T00:00:00Z", "NGN", 90, 11_250_000]],
    "retention": [
        ["2026-11-02T00:00:00Z", "user.signed_up", "2026-11-02T00:00:00Z", 40],
        ["2026-11-02T00:00:00Z", "payment.completed", "2026-11-09T00:00:00Z", 10],
    ],
}


class _App(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"results": _ROWS[asked["name"].removeprefix("zentra-otel-posthog ")]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None: ...


@contextmanager
def reader_has(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, object]]:
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", "phx_invented")
    monkeypatch.setenv("POSTHOG_PROJECT_ID", "12345")
    with HTTPServer(("127.0.0.1", 0), _App) as app:
        monkeypatch.setattr("posthog.request.determine_app_host", lambda _: f"http://127.0.0.1:{app.server_port}")
        serving = threading.Thread(target=app.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield {}
        app.shutdown()
        serving.join()
