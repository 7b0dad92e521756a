"""The inspector in a process of its own, as users run it; emptied before each test."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

import pytest

KEY = "phc_invented"
_PROGRAM = "import sys; from zentra_otel_posthog.cli import main; sys.exit(main())"


class Inspector:
    """A running inspector."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "inspect", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        if not first:
            raise RuntimeError(self.process.communicate()[1])
        self.url = first.split()[-1]

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        address = urlsplit(self.url)
        with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)) as connection:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def post(self, path: str, payload: Any, **headers: str) -> tuple[int, bytes]:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, _, answer = self.request("POST", path, body, {"Content-Type": "application/json", **named})
        return status, answer

    def send(self, *events: dict[str, Any], api_key: str = KEY) -> None:
        """Send events as our own sender does."""
        body = gzip.compress(json.dumps({"api_key": api_key, "batch": events}).encode())
        status, answer = self.post("/batch/", body, Content_Encoding="gzip")
        assert status == 200, answer

    def get(self, view: str, /, **query: Any) -> Any:
        """Return what a view answers; ``since`` stands for ``from``."""
        asked = {{"since": "from"}.get(name, name): value for name, value in query.items()}
        status, _, body = self.request("GET", f"/inspector/api/{quote(view)}?{urlencode(asked)}")
        assert status == 200, body
        return json.loads(body)

    def change(self, method: str, view: str, document: Any = None) -> int:
        body = None if document is None else json.dumps(document).encode()
        return self.request(method, f"/inspector/api/{quote(view)}", body, {"X-Inspector": "1"})[0]

    def events(self, **query: Any) -> list[dict[str, Any]]:
        """Return stored events, oldest first."""
        found: list[dict[str, Any]] = self.get("events", limit=1000, **query)["events"]
        return found[::-1]

    def stop(self, number: int = signal.SIGINT) -> int:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        self.errors = self.process.communicate(timeout=20)[1]
        return self.process.returncode


def an_event(event: str = "payment.completed", distinct_id: str = "usr_1", **changes: Any) -> dict[str, Any]:
    """An event with a uuid of its own; ``...`` leaves a field out."""
    made = {
        "event": event,
        "distinct_id": distinct_id,
        "uuid": str(uuid4()),
        "timestamp": "2026-11-02T10:00:00.123456Z",
        "properties": {"amount_minor": 125000, "currency": "NGN", "method": "card"},
    }
    return {name: value for name, value in {**made, **changes}.items() if value is not ...}


@pytest.fixture(scope="session")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inspector")


@pytest.fixture
def spool(_folder: Path) -> Iterator[Path]:
    """The spool's folder that the inspector looks into, empty."""
    yield _folder / "spool"
    shutil.rmtree(_folder / "spool")


@pytest.fixture(scope="session")
def _running(_folder: Path) -> Iterator[Inspector]:
    folder = _folder
    environment = {"XDG_STATE_HOME": str(folder), "ZENTRA_POSTHOG_SPOOL_DIR": str(folder / "spool")}
    running = Inspector("--data", str(folder / "data"), environment=environment)
    yield running
    assert running.stop() == 0
    assert running.errors == ""  # nothing was failed at


@pytest.fixture
def inspector(_running: Inspector) -> Inspector:
    """An empty inspector."""
    assert _running.change("POST", "clear") == 204
    for flag in _running.get("flags")["flags"]:
        assert _running.change("DELETE", f"flags/{flag['key']}") == 204
    return _running
