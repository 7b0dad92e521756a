"""Shows the demonstration in the inspector while it runs: what the stand-in for PostHog takes goes there too."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from zentra_otel_posthog.inspector import Receiver

_PROGRAM: Final = "import sys; from zentra_otel_posthog.cli import main; sys.exit(main())"
_HEADERS: Final = ("Content-Type", "Content-Encoding")
_PAUSE: Final = 0.2  # seconds


class Watching:
    """An inspector in a process of its own, on any free port, which keeps nothing.

    Args:
        receiver: The stand-in whose requests it gets.
        spool: The bank's, beside which it finds what the sanitizer kept back.
    """

    def __init__(self, receiver: Receiver, spool: Path) -> None:
        self._receiver = receiver
        self._environment = {**os.environ, "ZENTRA_POSTHOG_SPOOL_DIR": str(spool)}
        self._over = threading.Event()
        self._forwarder = threading.Thread(target=self._forward, name="demo-watching", daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "inspect", "--memory", "--port", "0"],
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        # "The inspector is at http://..."; it says nothing where it could not start.
        self.url = self._process.stdout.readline().rpartition(" ")[2].strip()
        self._forwarder.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.finish()
        self._process.send_signal(signal.SIGINT)
        self._process.communicate()

    def finish(self) -> None:
        """Return when everything that was received is in the inspector."""
        self._over.set()
        self._forwarder.join()

    def stay(self) -> None:
        """Wait for Ctrl-C, or for the inspector's end."""
        try:
            self._process.wait()
        except KeyboardInterrupt:
            return

    def _forward(self) -> None:
        forwarded = 0
        with httpx.Client(base_url=self.url, trust_env=False, timeout=30) as client:
            while True:
                last = self._over.is_set()
                self._receiver.wait_for_requests(forwarded + 1, timeout=0 if last else _PAUSE)
                new = self._receiver.requests[forwarded:]
                for request in new:
                    headers = {name: request.headers[name] for name in _HEADERS if name in request.headers}
                    client.request(request.method, request.path, content=request.body, headers=headers)
                forwarded += len(new)
                if last:
                    return
