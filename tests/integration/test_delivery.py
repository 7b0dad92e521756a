"""From ``capture`` to PostHog over a real socket: every event, once, whatever the server answers."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from requests import Session

from zentra_otel_posthog import capture, configure, flush, shutdown, telemetry
from zentra_otel_posthog.delivery import segments, sender
from zentra_otel_posthog.delivery.attempt import Attempt
from zentra_otel_posthog.delivery.spool import FileSpool
from zentra_otel_posthog.inspector import Answer, Receiver

KEY = "phc_invented"
# A capture by its shape, which only PostHog refuses.
POISON = b'{"event":"","distinct_id":"usr_1","uuid":"b7b7ea9d-ccbc-50a7-ba19-d55c5344b266","timestamp":"2026-11-02T10:00:00Z","properties":{}}\n'

Start = Callable[..., None]


@pytest.fixture
def mode(request: pytest.FixtureRequest) -> str:
    """The capture version."""
    return str(getattr(request, "param", "v0"))


@pytest.fixture
def start(receiver: Receiver, tmp_path: Path, mode: str) -> Start:
    """Configures delivery to the receiver; only a flush is ever due, unless settings say otherwise."""
    defaults = {"api_key": KEY, "host": receiver.url, "spool_dir": tmp_path / "spool", "flush_at": 10_000}
    defaults["capture_mode"] = mode
    return lambda **settings: configure(**{**defaults, "flush_interval": 3600, **settings})


@pytest.fixture
def lost() -> Callable[[], dict[str, int]]:
    """What was lost since the test began, by reason."""
    before = Counter(telemetry.totals(telemetry.LOST))
    return lambda: {reason: count for (reason,), count in (Counter(telemetry.totals(telemetry.LOST)) - before).items()}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes backoff a hundredth of a second, where a test does not ask for another."""
    monkeypatch.setattr(sender, "_BACKOFF_FIRST", 0.01)


def captured(count: int, name: str = "checkout.completed") -> list[str]:
    return [str(capture(name, distinct_id=f"usr_{number}")) for number in range(count)]


def uuids(receiver: Receiver) -> list[str]:
    return [event["uuid"] for event in receiver.events]


def batches(receiver: Receiver) -> list[bytes]:
    """The batch of each request, byte for byte; needs ``compression="none"``."""
    return [request.body.partition(b'"batch":')[2] for request in receiver.requests]


def spooled(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "spool").glob("*/*.v0.jsonl"))


def dead_letters(tmp_path: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted((tmp_path / "spool").glob("*/dead-letters*"))
        for line in path.read_bytes().splitlines()
    ]


def leave(folder: Path, lines: list[bytes]) -> None:
    """As a process that died."""
    other = FileSpool(folder, 1 << 20)
    for line in lines:
        other.append(line)
    other.after_fork_in_child()


class TestDelivery:
    def test_flush_delivers_each_once_and_in_order(self, receiver: Receiver, start: Start, tmp_path: Path) -> None:
        """After a flush that says so, everything is there, in one request, and the spool is empty."""
        start()
        sent = captured(50)

        assert flush(5)
        assert uuids(receiver) == sent
        assert (receiver.received, len(receiver.requests)) == (50, 1)
        assert spooled(tmp_path) == []
        assert flush(5)
        assert len(receiver.requests) == 1

    def test_threads_that_capture_while_it_delivers(self, receiver: Receiver, start: Start) -> None:
        """Nothing is lost or doubled between threads, the sender and flushes."""
        start(flush_at=7)
        sent: list[str] = []
        threads = [threading.Thread(target=lambda: sent.extend(captured(100))) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert flush(5)
        assert flush(5)
        assert sorted(uuids(receiver)) == sorted(sent)
        assert receiver.received == 400

    @pytest.mark.parametrize("settings", [{"flush_at": 10}, {"flush_interval": 0.2}], ids=["by count", "by age"])
    def test_what_is_due_goes_by_itself(self, receiver: Receiver, start: Start, settings: dict[str, float]) -> None:
        """Enough waiting events, or old enough ones, are sent without a flush, together."""
        start(**settings)
        sent = captured(10)

        assert receiver.wait_for(10)
        assert uuids(receiver) == sent
        assert len(receiver.requests) <= 2

    def test_a_request_holds_one_segment(
        self, receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is too much for one request goes in several."""
        monkeypatch.setattr(segments, "SEGMENT_BYTES", 4000)
        start(compression="none")
        sent = captured(60)

        assert flush(5)
        assert uuids(receiver) == sent
        assert len(receiver.requests) > 2
        assert max(map(len, batches(receiver))) < 4100

    def test_two_projects_share_a_folder(self, receiver: Receiver, start: Start) -> None:
        """An event reaches the project that it was captured for, though another empties the same folder."""
        receiver.stop()
        start(api_key="phc_first")
        captured(2)
        shutdown(0)
        receiver.start()
        start(api_key="phc_second")
        captured(3)
        assert flush(5)
        assert (len(receiver.events_of("phc_first")), len(receiver.events_of("phc_second"))) == (0, 3)

    def test_the_key_is_not_on_disk(self, start: Start, tmp_path: Path) -> None:
        """Neither names nor contents in the spool hold the project key."""
        start()
        captured(1)
        (path,) = spooled(tmp_path)
        assert KEY not in str(path)
        assert KEY.encode() not in path.read_bytes()

    def test_its_own_requests_make_no_spans(
        self, receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An HTTP instrumentation sees itself switched off in the sender's thread, also in one that a flush starts anew."""
        seen: list[tuple[str, bool]] = []
        send = Session.send

        def instrumented(*arguments: object, **options: object) -> object:
            seen.append((threading.current_thread().name, is_instrumentation_enabled()))
            return send(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(Session, "send", instrumented)
        start()
        captured(1)
        assert flush(5)
        shutdown(5)
        for thread in threading.enumerate():
            if thread.name == "zentra-posthog-sender":
                thread.join(5)
        captured(1)
        assert flush(5)
        assert seen == [("zentra-posthog-sender", False)] * 2

    def test_a_flush_beside_subprocesses(self, receiver: Receiver, start: Start) -> None:
        """A process that starts others all the time is not told that it flushed what it did not."""
        start()
        done = threading.Event()

        def spawn() -> None:
            while not done.is_set():
                subprocess.run(["/bin/true"], check=True)

        threads = [threading.Thread(target=spawn) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for count in range(1, 31):
                captured(1)
                assert flush(5)
                assert len(receiver.events) == count
        finally:
            done.set()
            for thread in threads:
                thread.join()

    def test_a_flush_is_not_true_of_what_another_process_sends(
        self, receiver: Receiver, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While another process holds events of ours, a flush is not true; when they are back, it delivers them."""
        monkeypatch.setattr(sender, "_BACKOFF_FIRST", 60)
        start()
        receiver.stop()
        sent = captured(2)
        assert not flush(0.2)
        another = FileSpool(spooled(tmp_path)[0].parent, 1 << 20)
        deadline = time.monotonic() + 5
        while not (held := list(another.claim())):
            assert time.monotonic() < deadline
        receiver.start()

        assert not flush(0.3)
        held[0].release()
        assert flush(5)
        assert uuids(receiver) == sent


@pytest.mark.parametrize("mode", ["v0", "v1"], indirect=True)
class TestAnswers:
    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599, "close"])
    def test_trouble_that_passes(self, receiver: Receiver, start: Start, status: int | str) -> None:
        """The same bytes are sent until they are taken."""
        start(compression="none")
        receiver.answer(Answer(connection="close") if status == "close" else Answer(int(status)), times=3)
        sent = captured(5)

        assert flush(5)
        assert uuids(receiver) == sent
        assert len(receiver.requests) == 4
        assert len(set(batches(receiver))) == 1

    @pytest.mark.parametrize("answer", [Answer(503, accept=True), Answer(accept=True, connection="close")])
    def test_a_lost_acceptance(self, receiver: Receiver, start: Start, answer: Answer) -> None:
        """What PostHog took and could not say so is sent again, and PostHog counts it once."""
        start()
        receiver.answer(answer)
        sent = captured(5)

        assert flush(5)
        assert uuids(receiver) == sent
        assert receiver.received == 10

    def test_retry_after_binds_even_a_flush(self, receiver: Receiver, start: Start) -> None:
        """Nothing is sent before the server wants it; then everything is."""
        start()
        receiver.answer(Answer(429, {"Retry-After": "1"}))
        sent = captured(3)
        began = time.monotonic()

        assert not flush(0.4)
        assert len(receiver.requests) == 1
        assert flush(5)
        assert time.monotonic() - began >= 1
        assert uuids(receiver) == sent

    def test_a_flush_does_not_wait_for_backoff(
        self, receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The sender's own patience is not the caller's."""
        monkeypatch.setattr(sender, "_BACKOFF_FIRST", 60)
        start()
        receiver.answer(Answer(503))
        captured(1)

        assert not flush(0.3)
        assert len(receiver.requests) == 1
        assert flush(5)

    def test_too_much_is_split(self, receiver: Receiver, start: Start, lost: Callable[[], dict[str, int]]) -> None:
        """413 splits a batch; a single event that is too big is lost and counted."""
        start()
        receiver.answer(Answer(413), times=3)
        sent = captured(4)
        # Refused: all four, the first two, the first.
        assert flush(5)
        assert uuids(receiver) == sent[1:]
        assert lost() == {"status_413": 1}

    @pytest.mark.parametrize("status", [301, 401, 402, 403, 404, 405, 407, 415])
    def test_a_wrong_setting_loses_nothing(
        self, receiver: Receiver, start: Start, caplog: pytest.LogCaptureFixture, status: int
    ) -> None:
        """With a wrong key, host or proxy everything is kept until that is put right; logged once, without the key."""
        start()
        receiver.answer(Answer(status), times=2)
        sent = captured(4)

        with caplog.at_level(logging.DEBUG):
            assert not flush(0.3)
            assert not flush(0.3)
            assert flush(5)
        assert uuids(receiver) == sent
        assert [
            f"answered {status}" in record.getMessage()
            for record in caplog.records
            if record.levelno >= logging.WARNING
        ] == [True]
        assert KEY not in caplog.text

    @pytest.mark.parametrize("status", [409, 410, 422, 451])
    def test_a_final_refusal_is_set_aside(
        self, receiver: Receiver, start: Start, lost: Callable[[], dict[str, int]], tmp_path: Path, status: int
    ) -> None:
        """What PostHog will never take is kept beside, counted by its status, and not in the way of what follows."""
        start()
        sent = captured(1)
        assert flush(5)
        receiver.answer(Answer(status, body=f"never {KEY} ".encode() * 100))
        refused = captured(4)
        assert flush(5)
        sent += captured(2)
        assert flush(5)
        assert uuids(receiver) == sent
        assert lost() == {f"status_{status}": 4}
        letters = dead_letters(tmp_path)
        assert [letter["capture"]["uuid"] for letter in letters] == refused
        assert {(letter["status"], letter["reason"]) for letter in letters} == {(status, f"status_{status}")}
        assert {letter["answer"] for letter in letters} == {("never … " * 100)[:500]}

    @pytest.mark.parametrize("status", [400, 410])
    def test_a_server_that_never_accepted_anything_is_not_believed(
        self, receiver: Receiver, start: Start, lost: Callable[[], dict[str, int]], tmp_path: Path, status: int
    ) -> None:
        """One that refuses everything may be the wrong one: nothing is set aside, and the requests are few."""
        start()
        receiver.answer(Answer(status), times=1000)
        sent = captured(200)
        assert not flush(0.5)
        assert len(receiver.requests) < 50
        assert (lost(), dead_letters(tmp_path)) == ({}, [])
        receiver.stop()
        receiver.clear()
        receiver.start()
        assert flush(5)
        assert uuids(receiver) == sent

    def test_refusals_end_soon(
        self, receiver: Receiver, start: Start, lost: Callable[[], dict[str, int]], tmp_path: Path
    ) -> None:
        """A believed server that refuses 1,000 captures is asked about a few; a second such segment is kept."""
        start()
        captured(1)
        assert flush(5)
        receiver.clear()
        receiver.answer(Answer(400), times=1000)
        captured(1000)
        assert flush(5)
        assert len(receiver.requests) < 50
        assert (lost(), len(dead_letters(tmp_path))) == ({"status_400": 1000}, 1000)
        captured(2)
        assert not flush(0.3)
        assert lost() == {"status_400": 1000}

    def test_garbage_is_set_aside_without_asking(
        self, receiver: Receiver, start: Start, lost: Callable[[], dict[str, int]], tmp_path: Path, mode: str
    ) -> None:
        """Lines that a failing disk left are found without a request each, and those between them are delivered."""
        start()
        sent = captured(50)
        (path,) = spooled(tmp_path)
        garbage = [b"\xff\x00\xfe" * 4000, b"null", b"{}", b'{"event":"a', b"\0" * 5000, b"", b"[" * 100_000]
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"")
        leave(path.parent, [part for index, line in enumerate(lines) for part in (line, garbage[index % 7] + b"\n")])

        assert flush(5)
        assert uuids(receiver) == sent
        assert len(receiver.requests) == (2 if mode == "v0" else 1)
        assert lost() == {"corrupt": 50}
        assert {len(letter["capture"]) <= 4096 and letter["status"] is None for letter in dead_letters(tmp_path)} == {
            True
        }

    def test_a_segment_that_fails_again_and_again_rests(
        self, receiver: Receiver, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the server cannot digest does not hold up what comes after it, is kept, and is tried again by a flush."""
        start(max_retries=2, flush_interval=0.05)
        receiver.answer(Answer(500), times=3)
        first = captured(1)
        assert receiver.wait_for_requests(3)
        then = captured(2)
        assert receiver.wait_for(2)
        assert uuids(receiver) == then
        assert not receiver.wait_for(3, timeout=0.3)
        assert flush(5)
        assert uuids(receiver) == then + first

    def test_a_segment_that_breaks_the_sender_rests(
        self, receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An error of our own in one segment is counted, and neither ends delivery nor holds up the others."""
        telemetry.raise_internal_errors(enabled=False)
        run = Attempt.run
        broken: list[Attempt] = []

        def once(attempt: Attempt) -> None:
            if not broken:
                broken.append(attempt)
                raise LookupError
            run(attempt)

        monkeypatch.setattr(Attempt, "run", once)
        start(flush_at=1)
        first = captured(1)
        deadline = time.monotonic() + 5
        while not broken:
            assert time.monotonic() < deadline
        then = captured(1)
        assert receiver.wait_for(1)
        assert uuids(receiver) == then
        assert flush(5)
        assert uuids(receiver) == then + first

    def test_a_segment_that_cannot_be_read_rests(
        self, receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A bad sector under one segment does not keep the others from being sent."""
        content = segments.content
        bad: list[int] = []

        def read(descriptor: int) -> bytes:
            if not bad or os.fstat(descriptor).st_ino == bad[0]:
                bad.append(os.fstat(descriptor).st_ino)
                raise OSError(errno.EIO, "Input/output error")
            return content(descriptor)

        monkeypatch.setattr(segments, "content", read)
        start(flush_at=1, max_retries=0)
        captured(1)
        deadline = time.monotonic() + 5
        while not bad:
            assert time.monotonic() < deadline
        then = captured(1)
        assert receiver.wait_for(1)
        assert uuids(receiver) == then
        assert not flush(0.2)
        monkeypatch.setattr(segments, "content", content)
        assert flush(5)
        assert len(receiver.events) == 2

    def test_a_rest_ends(self, receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        """A segment at rest is tried again by itself, also where nothing new is captured."""
        monkeypatch.setattr(sender, "_REST", 0.3)
        start(max_retries=0, flush_at=1)
        receiver.answer(Answer(500), times=2)
        sent = captured(1)
        assert receiver.wait_for(1)
        assert uuids(receiver) == sent

    def test_the_sender_rests_when_there_is_nothing_to_send(
        self, receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After trouble that ended without a 200 (another process delivered, or a final refusal) it does not spin."""
        claims = Counter[str]()
        claim = FileSpool.claim
        monkeypatch.setattr(FileSpool, "claim", lambda *arguments: claims.update(["claim"]) or claim(*arguments))
        start()
        captured(1)
        assert flush(5)
        receiver.answer(Answer(503))
        receiver.answer(Answer(410))
        captured(1)
        assert flush(5)

        assert not receiver.wait_for_requests(4, timeout=0.5)
        assert claims["claim"] < 7


class TestBadEvents:
    @pytest.mark.parametrize("poisoned", [{0}, {6}, {12}, {3, 4}, {0, 12}, set(range(13))], ids=str)
    def test_one_bad_event_does_not_take_the_good_ones_along(
        self, receiver: Receiver, start: Start, lost: Callable[[], dict[str, int]], tmp_path: Path, poisoned: set[int]
    ) -> None:
        """A batch that is refused is halved until only the bad events are left, which are set aside and counted."""
        start()
        captured(1)
        assert flush(5)  # the server's refusals are believed from here
        receiver.clear()
        captured(13)
        (path,) = spooled(tmp_path)
        good = path.read_bytes().splitlines(keepends=True)
        leave(path.parent, [POISON if position in poisoned else line for position, line in enumerate(good)])
        path.write_bytes(b"")

        assert flush(5)
        assert receiver.received == len(receiver.events) == 13 - len(poisoned)
        assert lost() == {"status_400": len(poisoned)}
        letters = dead_letters(tmp_path)
        assert [letter["capture"] for letter in letters] == [json.loads(POISON)] * len(poisoned)
        assert {(letter["status"], "has no name" in letter["answer"]) for letter in letters} == {(400, True)}

    def test_a_loss_is_counted_once(
        self, receiver: Receiver, start: Start, lost: Callable[[], dict[str, int]], tmp_path: Path
    ) -> None:
        """Trouble in the middle of the halving does not count a bad event twice."""
        start()
        captured(1)
        (path,) = spooled(tmp_path)
        leave(path.parent, [POISON, *path.read_bytes().splitlines(keepends=True)])
        path.write_bytes(b"")
        for status in (400, 400, 503):
            receiver.answer(Answer(status))

        assert flush(5)
        assert len(receiver.events) == 1
        assert lost() == {"status_400": 1}
        assert len(dead_letters(tmp_path)) == 1
        assert len(receiver.requests) == 4  # both, the bad one, the good one twice
