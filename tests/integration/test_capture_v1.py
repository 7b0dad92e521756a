"""Capture V1: what the official client sends, field by field, and an answer for each capture."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import posthog
import posthog.contexts
import pytest
import zstandard
from opentelemetry.sdk.trace import TracerProvider

from zentra_otel_posthog import PaymentCompleted, capture, configure, flush, identify, shutdown, telemetry
from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.delivery import sender
from zentra_otel_posthog.delivery.wire import Batch
from zentra_otel_posthog.delivery.wire_v1 import WireV1
from zentra_otel_posthog.inspector import Answer, Receiver, Request

OURS, OFFICIAL = "phc_ours", "phc_official"
SESSION = "0192f0c1-2d3e-7abc-8def-0123456789ab"
MOMENT = datetime(2026, 11, 2, 10, 0, 0, 123456, UTC)
# Properties that one side alone has; why: see test_official_client.
ONLY_OFFICIAL = {"$python_runtime", "$python_version", "$os", "$os_version", "$os_distro", "$context_tags"}

Start = Callable[..., None]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes backoff a hundredth of a second."""
    monkeypatch.setattr(sender, "_BACKOFF_FIRST", 0.01)


@pytest.fixture
def start(receiver: Receiver, tmp_path: Path) -> Start:
    """Configures delivery over V1; only a flush is ever due."""
    defaults = {"api_key": OURS, "host": receiver.url, "spool_dir": tmp_path / "spool", "capture_mode": "v1"}
    return lambda **settings: configure(**{**defaults, "flush_interval": 3600, "flush_at": 10_000, **settings})


@pytest.fixture
def official(receiver: Receiver) -> Iterator[posthog.Posthog]:
    client = posthog.Posthog(
        OFFICIAL, host=receiver.url, capture_mode="v1", capture_compression="gzip", capture_trace_context=True
    )
    yield client
    client.shutdown()


@pytest.fixture
def counted() -> Callable[[], dict[tuple[str, ...], int]]:
    """What was delivered and lost since the test began."""

    def now() -> Counter[tuple[str, ...]]:
        totals = {**telemetry.totals(telemetry.LOST), **telemetry.totals(telemetry.CAPTURES)}
        return Counter({names: count for names, count in totals.items() if names != ("spooled",)})

    before = now()
    return lambda: dict(now() - before)


def request_of(receiver: Receiver, api_key: str) -> Request:
    (found,) = (r for r in receiver.requests if r.headers["Authorization"] == f"Bearer {api_key}")
    assert (found.status, found.method, found.path) == (200, "POST", "/i/v1/analytics/events")
    return found


def captured(count: int) -> list[str]:
    return [str(capture("basket.paid", distinct_id=f"usr_{number}")) for number in range(count)]


def uuids(receiver: Receiver) -> list[str]:
    return [event["uuid"] for event in receiver.events]


def sent(request: Request) -> list[str]:
    return [event["uuid"] for event in request.decoded["batch"]]


def dead_letters(tmp_path: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in (tmp_path / "spool").glob("*/dead-letters.jsonl")
        for line in path.read_bytes().splitlines()
    ]


class TestOfficialClient:
    @pytest.mark.parametrize("person", ["usr_1", None])
    def test_an_event_is_the_official_clients(
        self, receiver: Receiver, start: Start, official: posthog.Posthog, provider: TracerProvider, person: str | None
    ) -> None:
        """The same event: same fields, options and properties, of the same types and values."""
        start()
        event = PaymentCompleted(amount_minor=125_000, currency="NGN", method="card", platform="ios")
        properties: dict[str, Any] = {"amount_minor": 125_000, "currency": "NGN", "method": "card", "platform": "ios"}
        with provider.get_tracer("app").start_as_current_span("request"):
            with identify(person, session_id=SESSION, tenant="acme"):
                uuid = capture(event, timestamp=MOMENT)
            with posthog.contexts.new_context(fresh=True):
                posthog.contexts.set_context_session(SESSION)
                if person:
                    properties["$set"] = {"platform": "ios"}
                official.capture(
                    "payment.completed",
                    distinct_id=person,
                    uuid=uuid,
                    timestamp=MOMENT,
                    groups={"tenant": "acme"},
                    properties=properties,
                )
        official.flush()
        assert flush(5)
        (mine,), (theirs,) = (request_of(receiver, key).decoded["batch"] for key in (OURS, OFFICIAL))

        assert set(mine) == set(theirs)
        assert {"event", "uuid", "distinct_id", "timestamp", "session_id", "options", "properties"} == set(mine)
        for name in {"event", "uuid", "session_id"} | ({"distinct_id"} if person else set()):
            assert mine[name] == theirs[name]
        assert datetime.fromisoformat(mine["timestamp"]) == datetime.fromisoformat(theirs["timestamp"]) == MOMENT
        # A server's clock is right, so ours asks for no correction; about nobody both ask for no profile.
        assert mine["options"] == {**theirs["options"], "disable_skew_correction": True}
        assert mine["options"].get("process_person_profile") is (None if person else False)
        assert set(theirs["properties"]) - set(mine["properties"]) <= ONLY_OFFICIAL
        assert {name: value for name, value in theirs["properties"].items() if name not in ONLY_OFFICIAL} == mine[
            "properties"
        ]

    def test_the_request_is_the_official_clients(
        self, receiver: Receiver, start: Start, official: posthog.Posthog
    ) -> None:
        """The same headers and the same envelope."""
        start()
        capture("basket.paid", distinct_id="usr_1")
        official.capture("basket.paid", distinct_id="usr_1")
        official.flush()
        assert flush(5)
        mine, theirs = request_of(receiver, OURS), request_of(receiver, OFFICIAL)
        assert set(mine.decoded) == set(theirs.decoded) == {"created_at", "batch"}
        ours_only = {name.lower() for name in mine.headers} ^ {name.lower() for name in theirs.headers}
        assert ours_only <= {"accept-encoding", "accept", "connection"}
        for name in ("Content-Type", "Content-Encoding", "PostHog-Attempt"):
            assert mine.headers[name] == theirs.headers[name]
        assert mine.headers["PostHog-Sdk-Info"] == mine.headers["User-Agent"] == f"zentra-otel-posthog/{__version__}"
        for request in (mine, theirs):
            assert str(UUID(request.headers["PostHog-Request-Id"])) == request.headers["PostHog-Request-Id"]
            for moment in (request.headers["PostHog-Request-Timestamp"], request.decoded["created_at"]):
                assert abs(datetime.now(UTC) - datetime.fromisoformat(moment)) < timedelta(minutes=1)

    def test_stored_alike_by_both_versions(self, receiver: Receiver, start: Start) -> None:
        """What PostHog stores of an event does not depend on the wire."""
        for mode in ("v0", "v1"):
            start(capture_mode=mode)
            with identify("usr_1", session_id=SESSION, tenant="acme"):
                capture("basket.paid", timestamp=MOMENT, properties={"n": 1})
            assert flush(5)
            shutdown(5)
        first, second = receiver.events
        assert first.pop("uuid") != second.pop("uuid")
        assert first == second


class TestWire:
    @pytest.mark.parametrize("compression", ["none", "gzip", "deflate", "zstd"])
    def test_compressions(self, receiver: Receiver, start: Start, compression: str) -> None:
        """Each arrives, and says what it is."""
        start(compression=compression)
        uuid = captured(1)
        assert flush(5)
        (request,) = receiver.requests
        assert uuids(receiver) == uuid
        assert request.headers["Content-Encoding"] == (None if compression == "none" else compression)
        unfold: dict[str, Callable[[bytes], bytes]] = {
            "none": bytes,
            "gzip": lambda body: zlib.decompress(body, 31),
            "deflate": zlib.decompress,
            "zstd": lambda body: zstandard.ZstdDecompressor().stream_reader(body).read(),
        }
        assert json.loads(unfold[compression](request.body)) == request.decoded

    @pytest.mark.parametrize("status", [408, 429, 500, 503, 504, "close"])
    def test_attempts_of_one_request(self, receiver: Receiver, start: Start, status: int | str) -> None:
        """Over retries everything is the same but the attempt's number and the time of sending."""
        start(compression="none")
        receiver.answer(Answer(connection="close") if status == "close" else Answer(int(status)), times=2)
        uuid = captured(3)
        assert flush(5)
        assert uuids(receiver) == uuid
        assert [request.headers["PostHog-Attempt"] for request in receiver.requests] == ["1", "2", "3"]
        assert len({request.headers["PostHog-Request-Id"] for request in receiver.requests}) == 1
        assert len({request.body for request in receiver.requests}) == 1
        times = [request.headers["PostHog-Request-Timestamp"] for request in receiver.requests]
        assert sorted(set(times)) == times

    def test_attempts_of_the_next_process(self, receiver: Receiver, start: Start) -> None:
        """Who sends again what another process could not keeps the request's id and time of creation."""
        start()
        receiver.answer(Answer(503, connection="hang"))
        captured(1)
        assert not flush(0.2)
        shutdown(0)
        receiver.release()
        start()
        assert flush(5)
        assert len({request.headers["PostHog-Request-Id"] for request in receiver.requests}) == 1
        assert len({request.decoded["created_at"] for request in receiver.requests}) == 1

    def test_halves_are_requests_of_their_own(self, receiver: Receiver, start: Start) -> None:
        """413 splits; every part has an id of its own, the same when it is sent again."""
        start()
        for status in (413, 503, 413):
            receiver.answer(Answer(status))
        uuid = captured(4)
        assert flush(5)
        assert uuids(receiver) == uuid
        ids = [(request.headers["PostHog-Request-Id"], len(sent(request))) for request in receiver.requests]
        assert ids[0] == ids[2]
        assert ids[1] == ids[3]
        assert ids[4] not in ids[:4]

    def test_a_spool_of_the_other_version(self, receiver: Receiver, start: Start) -> None:
        """What waits when the wire is changed goes over the new one."""
        uuid = []
        for before, after in (("v0", "v1"), ("v1", "v0")):
            receiver.answer(Answer(503, connection="hang"))
            start(capture_mode=before)
            uuid += captured(2)
            assert not flush(0.2)
            shutdown(0)
            receiver.release()
            start(capture_mode=after)
            assert flush(5)
            assert receiver.requests[-1].path == ("/batch/" if after == "v0" else "/i/v1/analytics/events")
            shutdown(5)
        assert uuids(receiver) == uuid

    def test_values_that_v1_would_refuse(self, receiver: Receiver) -> None:
        """An option of the wrong type is left out, as the official client does, rather than cost the batch."""
        properties = {
            "$session_id": 5,
            "$window_id": "w",
            "$process_person_profile": "maybe",
            "$product_tour_id": "t",
            "$ignore_sent_at": 1,
            "$cookieless_mode": False,
            "$lib": "x",
            "$set": {"a": 1},
            "n": 1.5,
        }
        line = {"event": "a.b", "distinct_id": "u", "uuid": SESSION, "timestamp": "2026-11-02T10:00:00Z"}
        batch = Batch([json.dumps({**line, "properties": properties}).encode()], UUID(int=1), 1, MOMENT)
        assert WireV1(OURS, receiver.url, "none").post(batch, 5).status == 200
        (event,) = receiver.requests[0].decoded["batch"]
        assert event["options"] == {"product_tour_id": "t", "cookieless_mode": False}
        assert event["properties"] == {"$set": {"a": 1}, "n": 1.5}
        assert (event["window_id"], "session_id" in event) == ("w", False)


class TestResults:
    @pytest.mark.parametrize("result", ["warning", "drop", "limited", "unheard_of"])
    def test_final(
        self,
        receiver: Receiver,
        start: Start,
        counted: Callable[[], dict[tuple[str, ...], int]],
        tmp_path: Path,
        result: str,
    ) -> None:
        """Accepted with a warning is delivered; what is refused is set aside with the details; neither is sent again."""
        start()
        uuid = captured(3)
        receiver.tell(uuid[1], result)
        assert flush(5)
        assert len(receiver.requests) == 1
        letters = [(letter["capture"]["uuid"], letter["reason"], letter["answer"]) for letter in dead_letters(tmp_path)]
        if result == "warning":
            assert (counted(), letters) == ({("delivered",): 3}, [])
        else:
            reason = "result_unknown" if result == "unheard_of" else f"result_{result}"
            assert counted() == {("delivered",): 2, (reason,): 1}
            assert letters == [(uuid[1], reason, "as told")]

    def test_retry(
        self, receiver: Receiver, start: Start, counted: Callable[[], dict[tuple[str, ...], int]], tmp_path: Path
    ) -> None:
        """Only what is to be sent again is, under the same request id, until it is accepted or refused."""
        start()
        uuid = captured(5)
        receiver.tell(uuid[1], "retry", "retry", "ok")
        receiver.tell(uuid[3], "retry", "drop")
        assert flush(5)
        assert [sent(request) for request in receiver.requests] == [uuid, [uuid[1], uuid[3]], [uuid[1]]]
        assert len({request.headers["PostHog-Request-Id"] for request in receiver.requests}) == 1
        assert len({request.decoded["created_at"] for request in receiver.requests}) == 1
        assert counted() == {("delivered",): 4, ("result_drop",): 1}
        assert [letter["capture"]["uuid"] for letter in dead_letters(tmp_path)] == [uuid[3]]

    def test_what_is_left_out_is_accepted(self, receiver: Receiver, start: Start) -> None:
        """As the official client has it."""
        start()
        receiver.answer(Answer(200, body=b'{"results":{}}', accept=True))
        uuid = captured(2)
        assert flush(5)
        assert uuids(receiver) == uuid
        assert len(receiver.requests) == 1

    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"[]", b'{"results":[]}', b'{"results":{"x":5}}', b'{"status":"Ok"}', b"[" * 200_000]
    )
    def test_a_success_that_says_nothing(self, receiver: Receiver, start: Start, body: bytes) -> None:
        """Whoever answers so is no capture V1: everything is sent again."""
        start()
        receiver.answer(Answer(200, body=body), times=2)
        uuid = captured(2)
        assert flush(5)
        assert uuids(receiver) == uuid
        assert len(receiver.requests) == 3

    def test_the_route_is_not_there(
        self, receiver: Receiver, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A server without V1 loses nothing and is told about once; V0 then delivers."""
        with Receiver(v1=False) as old:
            start(host=old.url)
            uuid = captured(2)
            assert not flush(0.3)
            assert [request.status for request in old.requests] == [404]
            (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
            assert "answered 404" in record.getMessage()
            assert "POSTHOG_CAPTURE_MODE" in record.getMessage()
            shutdown(0)
            start(host=old.url, capture_mode="v0")
            assert flush(5)
            assert uuids(old) == uuid
