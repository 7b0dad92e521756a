"""The stand-in refuses with capture V1 what PostHog refuses, and tells a result for each event of the rest."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
import requests

from zentra_otel_posthog.inspector import Receiver
from zentra_otel_posthog.inspector.capture_v1 import BODY_LIMIT, DECOMPRESSED_LIMIT

UUIDS = ["0192f0c1-2d3e-7abc-8def-0123456789ab", "b7b7ea9d-ccbc-50a7-ba19-d55c5344b266"]
HEADERS = {
    "Authorization": "Bearer phc_invented",
    "Content-Type": "application/json",
    "User-Agent": "test/1",
    "PostHog-Sdk-Info": "test/1",
    "PostHog-Attempt": "1",
    "PostHog-Request-Id": UUIDS[0],
    "PostHog-Request-Timestamp": "2026-11-02T10:00:00Z",
}


def an_event(**changes: Any) -> dict[str, Any]:
    event = {"event": "a.b", "uuid": UUIDS[0], "distinct_id": "usr_1", "timestamp": "2026-11-02T10:00:00Z"}
    return {**event, "options": {}, "properties": {}, **changes}


def body(*events: Any, **changes: Any) -> bytes:
    return json.dumps({"created_at": "2026-11-02T10:00:00Z", "batch": list(events), **changes}).encode()


def post(receiver: Receiver, data: bytes, **headers: str | None) -> requests.Response:
    merged = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return requests.post(f"{receiver.url}/i/v1/analytics/events", data=data, headers=merged, timeout=10)


def test_it_is_stored_as_v0_has_it(receiver: Receiver) -> None:
    """What V1 moves out of the properties is back in them in what PostHog stores."""
    sent = an_event(
        options={"process_person_profile": False, "disable_skew_correction": True},
        session_id="s",
        properties={"n": 1, "$set": {"a": 1}},
    )
    answer = post(receiver, body(sent))
    assert answer.json() == {"results": {UUIDS[0]: {"result": "ok"}}}
    assert receiver.events == [
        {
            "event": "a.b",
            "uuid": UUIDS[0],
            "distinct_id": "usr_1",
            "timestamp": "2026-11-02T10:00:00Z",
            "properties": {
                "n": 1,
                "$set": {"a": 1},
                "$lib": "test",
                "$lib_version": "1",
                "$process_person_profile": False,
                "$ignore_sent_at": True,
                "$session_id": "s",
            },
        }
    ]
    assert receiver.events_of("phc_invented") == receiver.events


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": "Basic phc_invented"}, 401),
        ({"Authorization": "Bearer phx_personal"}, 401),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Encoding": "compress"}, 415),
        ({"PostHog_Sdk_Info": None}, 400),
        ({"PostHog_Sdk_Info": "test"}, 400),
        ({"PostHog_Attempt": "0"}, 400),
        ({"PostHog_Request_Id": "one"}, 400),
        ({"PostHog_Request_Timestamp": "2026-11-02T10:00:00"}, 400),
        ({"Content_Encoding": "gzip"}, 400),
        ({"Content_Encoding": "zstd"}, 400),
    ],
)
def test_headers_that_refuse_the_request(receiver: Receiver, headers: dict[str, str | None], status: int) -> None:
    """A wrong key, header or encoding refuses all of it."""
    assert post(receiver, body(an_event()), **headers).status_code == status
    assert receiver.events == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        body(),
        body(an_event(), created_at="today"),
        body(an_event(options={"process_person_profile": "yes"})),
        body(an_event(distinct_id=5)),
        body(an_event(properties=[])),
        body({name: value for name, value in an_event().items() if name != "options"}),
    ],
)
def test_bodies_that_refuse_the_request(receiver: Receiver, data: bytes) -> None:
    """One wrong JSON type refuses the whole batch."""
    assert post(receiver, data).status_code == 400
    assert receiver.events == []


@pytest.mark.parametrize(
    "change", [{"event": ""}, {"distinct_id": " "}, {"timestamp": "2026-11-02"}, {"event": "x" * 201}]
)
def test_an_event_is_dropped_alone(receiver: Receiver, change: dict[str, str]) -> None:
    """A wrong value drops its event and no other."""
    answer = post(receiver, body(an_event(**change), an_event(uuid=UUIDS[1])))
    results = answer.json()["results"]
    assert (results[UUIDS[0]]["result"], results[UUIDS[1]]["result"]) == ("drop", "ok")
    assert [event["uuid"] for event in receiver.events] == UUIDS[1:]


def test_results_on_request(receiver: Receiver) -> None:
    """Told results come in order, one a request; only what is accepted is in."""
    receiver.tell(UUIDS[0], "retry", "limited", "warning")
    told = [post(receiver, body(an_event())).json()["results"][UUIDS[0]]["result"] for _ in range(4)]
    assert told == ["retry", "limited", "warning", "ok"]
    assert (receiver.received, len(receiver.events)) == (2, 1)


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
def test_what_is_too_big(receiver: Receiver, encoding: str) -> None:
    """A body over the limit, or one that unfolds beyond it, is a 413."""
    data = b" " * (BODY_LIMIT + 1)
    if encoding != "identity":
        bomb = b" " * (DECOMPRESSED_LIMIT + 1)
        data = gzip.compress(bomb) if encoding == "gzip" else zlib.compress(bomb)
    assert post(receiver, data, Content_Encoding=encoding).status_code == 413


def test_a_server_without_it() -> None:
    """V1 is there only where the server enables it."""
    with Receiver(v1=False) as receiver:
        assert post(receiver, body(an_event())).status_code == 404
