"""A server that is away or hangs, folders that fail, shutdown and exit: calls return in time and nothing is lost."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from zentra_otel_posthog import Settings, capture, configure, flush, runtime, shutdown, telemetry
from zentra_otel_posthog.delivery import Capture, Sink, sender, sinks
from zentra_otel_posthog.inspector import Answer, Receiver

KEY = "phc_invented"

Start = Callable[..., None]


@pytest.fixture
def start(receiver: Receiver, tmp_path: Path) -> Start:
    """Configures delivery to the receiver; only a flush is ever due, unless settings say otherwise."""
    defaults = {"api_key": KEY, "host": receiver.url, "spool_dir": tmp_path / "spool", "flush_interval": 3600}
    return lambda **settings: configure(**{**defaults, **settings})


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes backoff a hundredth of a second."""
    monkeypatch.setattr(sender, "_BACKOFF_FIRST", 0.01)


def captured(count: int, name: str = "checkout.completed") -> list[str]:
    return [str(capture(name, distinct_id=f"usr_{number}")) for number in range(count)]


def uuids(receiver: Receiver) -> list[str]:
    return [event["uuid"] for event in receiver.events]


def sender_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "zentra-posthog-sender"]


class TestServer:
    def test_it_comes_late(self, receiver: Receiver, start: Start) -> None:
        """What was captured before the server was up arrives when it is, by itself."""
        receiver.stop()
        start()
        sent = captured(5)
        assert not flush(0.3)

        receiver.start()
        assert receiver.wait_for(5)
        assert uuids(receiver) == sent

    def test_it_goes_and_comes_back(self, receiver: Receiver, start: Start) -> None:
        """An outage in the middle loses and doubles nothing."""
        start(flush_at=5)
        sent = captured(12)
        assert flush(5)
        receiver.stop()
        sent += captured(12)
        assert not flush(0.2)
        sent += captured(12)
        receiver.start()
        assert flush(5)
        assert uuids(receiver) == sent
        assert receiver.received == 36

    @pytest.mark.parametrize("call", [flush, shutdown])
    def test_it_hangs(self, receiver: Receiver, start: Start, call: Callable[[float], bool]) -> None:
        """Neither flush nor shutdown waits longer than it was told; what they could not deliver is delivered later."""
        start()
        receiver.answer(Answer(connection="hang", accept=True))
        sent = captured(3)
        began = time.monotonic()

        assert call(0.3) is False
        assert 0.3 <= time.monotonic() - began < 1.5
        receiver.release()
        if call is flush:
            assert flush(5)
        assert uuids(receiver) == sent


class TestShutdown:
    def test_what_is_captured_afterwards_waits_for_the_next(self, receiver: Receiver, start: Start) -> None:
        """After shutdown captures are spooled, and the next ``configure`` on the same folder delivers them."""
        start()
        sent = captured(2)
        assert shutdown(5)
        for thread in sender_threads():
            thread.join(5)
        sent += captured(3)
        assert len(receiver.events) == 2
        start()
        sent += captured(1)
        assert flush(5)
        assert uuids(receiver) == sent
        assert receiver.received == 6

    def test_configured_anew_while_a_request_hangs(self, receiver: Receiver, start: Start) -> None:
        """A flush is true of what the sender before could not deliver, also of what came after its shutdown."""
        start()
        receiver.answer(Answer(503, connection="hang"))
        sent = captured(2)
        assert not shutdown(0.2)
        sent += captured(1, "checkout.abandoned")
        start()
        threading.Timer(0.3, receiver.release).start()

        assert flush(5)
        assert sorted(uuids(receiver)) == sorted(sent)

    def test_captured_while_it_is_configured_anew(
        self, receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What another thread captures in the middle of ``configure`` is delivered by the sink that follows."""
        start()
        shutdown(5)
        sent: list[str] = []
        by_settings = sinks.by_settings

        def slow_sink(settings: Settings) -> Sink | None:
            sent.extend(captured(2))
            return by_settings(settings)

        monkeypatch.setattr(sinks, "by_settings", slow_sink)
        start()

        assert flush(5)
        assert uuids(receiver) == sent

    def test_flush_after_shutdown(self, receiver: Receiver, start: Start) -> None:
        """A flush while the stopped sender still waits for its last answer delivers by itself, soon."""
        start()
        receiver.answer(Answer(503, connection="hang"))
        sent = captured(2)
        assert not shutdown(0.2)
        threading.Timer(0.2, receiver.release).start()
        began = time.monotonic()

        assert flush(4)
        assert time.monotonic() - began < 3
        assert uuids(receiver) == sent


class TestExit:
    SCRIPT = """
import signal, sys
signal.alarm(30)
from zentra_otel_posthog import Settings, capture, configure, shutdown
host, spool_dir, end = sys.argv[1:]
configure(api_key="phc_invented", host=host, spool_dir=spool_dir, flush_interval=3600)
for number in range(5):
    print(capture("checkout.completed", distinct_id=f"usr_{number}"))
sys.stdout.flush()
if end == "shut down":
    shutdown(5)
elif end == "raised":
    raise SystemExit(3)
"""

    def run(self, receiver: Receiver, tmp_path: Path, end: str) -> tuple[list[str], float]:
        began = time.monotonic()
        arguments = [sys.executable, "-c", self.SCRIPT, receiver.url, str(tmp_path / "spool"), end]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=40, check=False)
        assert done.returncode == (3 if end == "raised" else 0), done.stderr
        return done.stdout.split(), time.monotonic() - began

    @pytest.mark.parametrize("end", ["returned", "raised", "shut down"])
    def test_a_process_delivers_at_its_end(self, receiver: Receiver, tmp_path: Path, end: str) -> None:
        """A process that ends normally leaves nothing behind, whatever its exit."""
        sent, _ = self.run(receiver, tmp_path, end)
        assert uuids(receiver) == sent
        assert len(sent) == receiver.received == 5

    @pytest.mark.parametrize("trouble", ["away", "hangs"])
    def test_a_process_ends_without_the_server(
        self, receiver: Receiver, start: Start, tmp_path: Path, trouble: str
    ) -> None:
        """An outage holds an exit up for about two seconds, and the next process delivers."""
        if trouble == "away":
            receiver.stop()
        else:
            receiver.answer(Answer(connection="hang"), times=9)
        sent, seconds = self.run(receiver, tmp_path, "returned")
        assert seconds < 5

        receiver.clear()
        receiver.stop()
        receiver.start()
        start()
        assert flush(5)
        assert uuids(receiver) == sent

    def test_no_thread_is_started_at_exit(self, receiver: Receiver, start: Start, tmp_path: Path) -> None:
        """What is captured after a shutdown waits for the next process: Python 3.12 forbids new threads at exit."""
        source = """
import signal, sys, threading
signal.alarm(30)
from zentra_otel_posthog import capture, configure, shutdown
configure(api_key="phc_invented", host=sys.argv[1], spool_dir=sys.argv[2], flush_interval=3600)
assert shutdown(5)
for thread in threading.enumerate():
    if thread.name == "zentra-posthog-sender":
        thread.join()
print(capture("checkout.completed", distinct_id="usr_1"))
threading.Thread.start = lambda thread: print("a thread was started")
"""
        command = [sys.executable, "-c", source, receiver.url, str(tmp_path / "spool")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=True)
        sent = done.stdout.split()
        assert len(sent) == 1
        assert receiver.requests == []
        start()
        assert flush(5)
        assert uuids(receiver) == sent


class TestFolder:
    def test_a_capture_over_a_segment(self, receiver: Receiver, start: Start) -> None:
        """What no request could carry is counted under a reason of its own."""
        start()
        before = telemetry.totals(telemetry.LOST).get(("too_long",), 0)
        (uuid,) = captured(1)
        huge = Capture("a.b", "usr_1", uuid, datetime.now(UTC), {"text": "x" * (5 << 20)})
        runtime.current().append(huge)
        assert telemetry.totals(telemetry.LOST)["too_long",] - before == 1
        assert flush(5)
        assert uuids(receiver) == [uuid]

    def test_the_temporary_folder_is_next(
        self, receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Where the user's state folder cannot be written, the temporary one keeps captures, silently."""
        (tmp_path / "no folder").write_text("")
        (tmp_path / "temporary").mkdir()
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "no folder"))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        start(spool_dir=None)
        sent = captured(2)

        assert len(list((tmp_path / "temporary").glob("zentra-otel-posthog-*/*/*.jsonl"))) == 1
        assert flush(5)
        assert uuids(receiver) == sent

    @pytest.mark.parametrize("planted", ["another user's", "a link", "writable by all"])
    def test_a_temporary_folder_that_somebody_else_put_there(
        self, receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, planted: str
    ) -> None:
        """Captures are not laid where another user may read, move or replace them."""
        (tmp_path / "no folder").write_text("")
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "no folder"))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        user = os.geteuid()
        folder = tmp_path / f"zentra-otel-posthog-{user}"
        if planted == "a link":
            (tmp_path / "elsewhere").mkdir(mode=0o700)
            folder.symlink_to(tmp_path / "elsewhere")
        else:
            folder.mkdir()
            folder.chmod(0o777 if planted == "writable by all" else 0o700)
        if planted == "another user's":
            folder = folder.rename(tmp_path / f"zentra-otel-posthog-{user + 1}")
            monkeypatch.setattr(os, "geteuid", lambda: user + 1)
        start(spool_dir=None)
        sent = captured(2)

        assert list(folder.iterdir()) == []
        assert flush(5)
        assert uuids(receiver) == sent

    def test_memory_is_the_last(
        self, receiver: Receiver, start: Start, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        """With no folder at all events are delivered from memory; one warning and a metric say what that means."""
        (tmp_path / "no folder").write_text("")
        before = Counter(telemetry.totals(telemetry.SPOOL_IN_MEMORY))
        start(spool_dir=tmp_path / "no folder")
        sent = captured(3)

        assert flush(5)
        assert uuids(receiver) == sent
        assert Counter(telemetry.totals(telemetry.SPOOL_IN_MEMORY)) - before == {(): 1}
        (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert "ZENTRA_POSTHOG_SPOOL_DIR" in warning.getMessage()

    def test_a_folder_that_is_removed_under_it(self, receiver: Receiver, start: Start, tmp_path: Path) -> None:
        """Whoever cleans up under a running process makes nothing vanish silently: it arrives or is counted."""
        before = telemetry.totals(telemetry.LOST).get(("spool_write",), 0)
        start()
        captured(2)
        shutil.rmtree(tmp_path / "spool")
        assert flush(5)
        captured(3)
        assert flush(5)

        assert len(receiver.events) + telemetry.totals(telemetry.LOST).get(("spool_write",), 0) - before == 5

    def test_flush_never_raises(
        self, receiver: Receiver, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A broken folder is not the caller's affair, not even without the sender's thread."""
        telemetry.raise_internal_errors(enabled=False)
        start()
        shutdown(5)
        for thread in sender_threads():
            thread.join(5)
        captured(1)
        odd = next((tmp_path / "spool").iterdir()) / "0-1-a.v0.jsonl"
        odd.mkdir()
        try:
            assert flush(1) in {True, False}
        finally:
            odd.rmdir()
