"""The inspector's real server in a process of its own, and events for it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

_PROGRAM = "import sys; from zentra_otel_posthog.cli import main; sys.exit(main())"
_PATIENCE = 30  # seconds for a process to come up


class Inspector:
    """``zentra-otel-posthog inspect`` on a port of its own, which it keeps when it is started again."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-c", _PROGRAM, "inspect", "--port", str(self.port)]
        log = self._folder / "inspector.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--data", str(self._folder / "inspector")], stdout=output, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            try:
                requests.get(f"{self.url}/inspector/api/projects", timeout=5).raise_for_status()
            except requests.ConnectionError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(f"the inspector did not start: {log.read_text()}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_PATIENCE)
            self._process = None

    def get(self, path: str, **parameters: Any) -> Any:
        answer = requests.get(f"{self.url}/inspector/api{path}", params=parameters, timeout=_PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def forget(self) -> None:
        """Have everything stored cleared, as the page does."""
        answer = requests.post(f"{self.url}/inspector/api/clear", headers={"X-Inspector": "1"}, timeout=_PATIENCE)
        answer.raise_for_status()

    def send(self, *events: Mapping[str, Any]) -> None:
        """Have events captured as an official SDK does."""
        body = {"api_key": "phc_local", "batch": list(events), "sent_at": datetime.now(UTC).isoformat()}
        self.post("/batch/", body).raise_for_status()

    def post(self, path: str, body: Any) -> requests.Response:
        return requests.post(f"{self.url}{path}", json=body, timeout=_PATIENCE)


def made(
    event: str, distinct_id: str, properties: Mapping[str, Any] | None = None, at: datetime | None = None
) -> dict[str, Any]:
    """Make an event of the wire; it happens now where ``at`` says nothing else."""
    return {
        "event": event,
        "distinct_id": distinct_id,
        "uuid": str(uuid.uuid4()),
        "timestamp": (at or datetime.now(UTC)).isoformat(),
        "properties": {"$lib": "zentra-otel-posthog", "$ignore_sent_at": True, **(properties or {})},
    }
