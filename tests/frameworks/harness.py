"""Runs an application on a real framework against the stand-in for PostHog, and compares what both sides saw.

An application calls ``work`` (applications/work.py) once for each request or task. That makes the events below and
then, when the decorated function has returned, writes the identifier to the side log: from there on the events are
owed to PostHog, whatever becomes of the process.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from zentra_otel_posthog.inspector import Receiver

EVENTS: Final = ("payment.pending", "payment.completed", "checkout.completed")
"""What one call of ``work`` makes of its identifier, which is the distinct id."""

GRACE: Final = 15.0
"""Seconds that an operator's process manager leaves a process between SIGTERM and SIGKILL."""

# Only an exit delivers.
_ONLY_AT_EXIT: Final = {"ZENTRA_POSTHOG_FLUSH_INTERVAL": "3600", "ZENTRA_POSTHOG_FLUSH_AT": "1000000"}
# Deliveries are under way all the time.
_ALL_THE_TIME: Final = {"ZENTRA_POSTHOG_FLUSH_INTERVAL": "0.2", "ZENTRA_POSTHOG_FLUSH_AT": "3"}
_APPLICATIONS: Final = Path(__file__).parent / "applications"
_COMPLAINT: Final = re.compile(r"Traceback \(most recent|zentra")
_POLL: Final = 0.02  # seconds


def wait_until(reached: Callable[[], bool], what: str, timeout: float = 30.0) -> None:
    """Wait for a condition that another process brings about."""
    deadline = time.monotonic() + timeout
    while not reached():
        assert time.monotonic() < deadline, f"waited {timeout} s in vain until {what}"
        time.sleep(_POLL)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of the events of one scenario."""

    events: int
    lost: int
    duplicated: int
    resent: int
    before_exit: bool


class Process:
    """One started program, the leader of a process group of its own."""

    def __init__(self, arguments: list[str], environment: dict[str, str], folder: Path, address: Path) -> None:
        self._errors = folder / f"stderr-{time.monotonic_ns()}.txt"
        self._address = address
        with self._errors.open("wb") as errors:
            self._popen = subprocess.Popen(
                [sys.executable, *arguments],
                env=environment,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                text=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def children(self) -> list[int]:
        """Return the process ids of its children."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def read_line(self) -> str:
        """Wait for a line of its standard output."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        assert line, self.errors
        return line.strip()

    def write_line(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{line}\n")
        self._popen.stdin.flush()

    def drive(self, identifiers: list[str]) -> set[int]:
        """Make one request for each identifier, four at once. Return the workers' process ids.

        A request may fail where its worker dies; what counts is the side log.
        """
        wait_until(self._serves, "the server accepts connections")
        with ThreadPoolExecutor(4) as pool:
            return {pid for pid in pool.map(self._request, identifiers) if pid is not None}

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the leader a signal and wait for its end. Return its exit status."""
        os.kill(self.pid, number)
        return self.wait()

    def kill(self) -> None:
        """End the whole group at once, as the end of its container does."""
        os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._address.unlink(missing_ok=True)  # a worker's listener may outlive the leader by a moment

    def wait(self) -> int:
        """Wait for its end, at most as long as a process manager does; nothing of ours may be on its stderr."""
        try:
            self._popen.communicate(timeout=GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {GRACE} s: {self.errors}") from None
        assert not _COMPLAINT.search(self.errors), self.errors
        return self._popen.returncode

    def close(self) -> None:
        """Leave nothing behind, whichever way a test ends."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.communicate()

    def _serves(self) -> bool:
        assert self._popen.poll() is None, self.errors
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self._address)) == 0

    def _request(self, identifier: str) -> int | None:
        connection = _Connection(self._address)
        try:
            connection.request("GET", f"/{identifier}", headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return int(body) if response.status == HTTPStatus.OK else None


class _Connection(http.client.HTTPConnection):
    """To a socket in the file system, whose name is free, as a port may not be."""

    def __init__(self, address: Path) -> None:
        super().__init__("bank", timeout=GRACE)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._address))


class Deployment:
    """A place to run applications: a receiver, a spool, a side log, and the environment that names them."""

    def __init__(self, receiver: Receiver, folder: Path, record: Callable[[Row], None]) -> None:
        self.receiver = receiver
        self.folder = folder
        self.address = folder / "http.sock"
        self._record = record
        self._spool = folder / "spool"
        self._log = folder / "side.log"
        self._log.touch()
        self._numbers = iter(range(1, 1_000_000))
        self._processes: list[Process] = []

    def identifiers(self, count: int) -> list[str]:
        """Return so many new identifiers."""
        return [f"usr_{next(self._numbers)}" for _ in range(count)]

    def logged(self) -> list[str]:
        """Return the identifiers whose work has returned."""
        return self._log.read_text().split()

    def start(self, *arguments: str, deliveries: str = "at exit", **environment: str) -> Process:
        """Start ``python`` with these arguments.

        Args:
            arguments: Of the interpreter; applications are importable.
            deliveries: ``at exit`` only, or ``all the time``.
            environment: What the application reads beyond the settings.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        settings = {
            "POSTHOG_API_KEY": "phc_invented",
            "POSTHOG_HOST": self.receiver.url,
            "ZENTRA_POSTHOG_SPOOL_DIR": str(self._spool),
            "SIDE_LOG": str(self._log),
            "PYTHONPATH": str(_APPLICATIONS),
            "PYTHONWARNINGS": "default",
            **(_ONLY_AT_EXIT if deliveries == "at exit" else _ALL_THE_TIME),
        }
        process = Process(list(arguments), {**inherited, **settings, **environment}, self.folder, self.address)
        self._processes.append(process)
        return process

    def deliver_the_rest(self) -> None:
        """Do what the next start of any application on the same spool does."""
        flush = "import sys, zentra_otel_posthog; sys.exit(not zentra_otel_posthog.flush(10))"
        assert self.start("-c", flush).wait() == 0

    def check(self, *, before_exit: bool | None = None, least: int = 1) -> Row:
        """Compare the side log with the receiver, all processes having ended: nothing lost, nothing doubled.

        Args:
            before_exit: Whether everything must have been delivered by the processes themselves, or must not (which
                is what the documentation promises); None where either may happen.
            least: So many identifiers are in the side log at least.
        """
        assert len(self.logged()) >= least
        delivered = not self.missing() and not self._spooled()
        if not delivered:
            self.deliver_the_rest()
        missing = self.missing()
        pairs = Counter((event["distinct_id"], event["event"]) for event in self.receiver.events)
        row = Row(
            events=len(self.logged()) * len(EVENTS),
            lost=len(missing),
            duplicated=sum(count - 1 for count in pairs.values()),
            resent=self.receiver.received - len(self.receiver.events),
            before_exit=delivered,
        )
        self._record(row)
        assert (row.lost, row.duplicated) == (0, 0), row
        assert before_exit in {None, delivered}, row
        assert self._spooled() == []
        return row

    def _spooled(self) -> list[Path]:
        return list(self._spool.glob("*/*.jsonl"))

    def close(self) -> None:
        """Leave no process behind."""
        for process in self._processes:
            process.close()

    def missing(self) -> set[tuple[str, str]]:
        """Return what is owed to PostHog and has not arrived."""
        owed = {(identifier, event) for identifier in self.logged() for event in EVENTS}
        return owed - {(event["distinct_id"], event["event"]) for event in self.receiver.events}
