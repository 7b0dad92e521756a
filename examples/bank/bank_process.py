"""The bank as a process of its own, under ``opentelemetry-instrument``, as it would run in production."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import httpx

_START_TIMEOUT: Final = 30.0
_STOP_TIMEOUT: Final = 25.0  # the bank takes up to 10 s to deliver, its exporters as long
_ATTEMPTS: Final = 3
_SHOWN_LINES: Final = 15
# The command opentelemetry-instrument, of this very environment.
_INSTRUMENT: Final = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"


class BankFailed(RuntimeError):
    """The bank did not start, or did not last."""


class BankProcess:
    """Starts the bank and stops it. Use it as a context manager.

    Args:
        environment: The bank's environment; the path to its package is added.
        log: The file that takes what it prints.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        for _ in range(_ATTEMPTS):
            self._start()
            try:
                if self._wait_until_healthy():
                    return self
            except BaseException:
                self.stop()
                raise
            # Somebody may have taken the free port before the bank did.
            if "address already in use" not in self.printed():
                break
        raise BankFailed(f"the bank did not start; its log ends:\n{self.printed() or '(empty)'}")

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raise ``BankFailed`` where the bank has ended by itself."""
        if self._process is not None and (status := self._process.poll()) is not None:
            raise BankFailed(f"the bank ended with status {status}; its log ends:\n{self.printed() or '(empty)'}")

    def stop(self) -> bool:
        """Stop the bank: gently, so that it delivers what it has, and after a while not gently.

        Returns:
            Whether it went by itself.
        """
        if self._process is None:
            return True
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            return False
        else:
            return True
        finally:
            process.kill()
            process.wait()

    def _start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        server = ("uvicorn", "bank.app:create_app", "--factory", "--port", str(port), "--log-level", "warning")
        command = (sys.executable, "-c", _INSTRUMENT, sys.executable, "-m", *server)
        examples = str(Path(__file__).resolve().parents[1])
        python_path = os.pathsep.join(filter(None, (examples, self._environment.get("PYTHONPATH"))))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env={**self._environment, "PYTHONPATH": python_path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the demonstration, which then stops the bank.
                start_new_session=True,
            )

    def _wait_until_healthy(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + _START_TIMEOUT
        with httpx.Client(base_url=self.url, trust_env=False) as client:
            while self._process.poll() is None:
                try:
                    return client.get("/health", timeout=1).is_success
                except httpx.TransportError:
                    if time.monotonic() > deadline:
                        self.stop()
                        break
                    time.sleep(0.05)
        return False

    def printed(self) -> str:
        """Return the end of what the bank printed: nothing, where all is well."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:])
