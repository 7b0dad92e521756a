"""What the inspector takes in and refuses is what PostHog does, over every way that clients and browsers send."""

from __future__ import annotations

import base64
import gzip
import json
import re
import socket
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import posthog
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.inspector.conftest import KEY, Inspector, an_event

FORM = "application/x-www-form-urlencoded"
PATHS = ("/batch/", "/capture/", "/e/", "/i/v0/e/", "/batch", "/i/v0/e")


@pytest.mark.parametrize("path", PATHS)
def test_capture_v0_stores_what_it_acknowledges(inspector: Inspector, path: str) -> None:
    """Each endpoint takes a batch, and all of an event is there when the answer is."""
    event = an_event(
        properties={"$lib": "web", "$session_id": "s", "$trace_id": "t", "$span_id": "p", "$groups": {"tenant": "acme"}}
    )
    event["$set"] = {"tier": "gold"}
    assert inspector.post(path, {"api_key": KEY, "batch": [event]}) == (200, b'{"status": "Ok"}')
    (stored,) = inspector.events()
    assert {name: stored[name] for name in ("uuid", "event", "distinct_id", "timestamp", "properties")} == {
        name: event[name] for name in ("uuid", "event", "distinct_id", "timestamp", "properties")
    }
    assert [stored[name] for name in ("lib", "session_id", "trace_id", "span_id")] == ["web", "s", "t", "p"]
    assert stored["set"] == {"tier": "gold"}
    assert stored["groups"] == {"tenant": "acme"}


def browser_bodies() -> list[Any]:
    event = an_event("$pageview", properties={"token": KEY, "$lib": "web"}, timestamp=...)
    text = json.dumps(event).encode()
    encoded = base64.b64encode(text).decode()
    return [
        pytest.param("/e/?ip=1&_=1795598127224&ver=1.300.0", text, "text/plain", id="text"),
        pytest.param("/e/?compression=gzip-js&ip=0", gzip.compress(text), "text/plain", id="gzip-js"),
        pytest.param(
            "/i/v0/e/?compression=gzip-js", gzip.compress(b"[" + text + b"]"), "text/plain", id="gzip-js-array"
        ),
        pytest.param("/e/?compression=base64", urlencode({"data": encoded}).encode(), FORM, id="base64"),
        pytest.param("/e/", f"data={encoded}".encode(), FORM, id="base64-unquoted"),
        pytest.param("/e/", b"[" + text + b"]", "application/json", id="array"),
    ]


@pytest.mark.parametrize(("path", "body", "content_type"), browser_bodies())
def test_what_browsers_send(inspector: Inspector, path: str, body: bytes, content_type: str) -> None:
    """Compressed, as a form, as text: one event each way."""
    assert inspector.post(path, body, Content_Type=content_type)[0] == 200
    assert [event["event"] for event in inspector.events()] == ["$pageview"]


def test_a_beacon_is_answered_without_a_body(inspector: Inspector) -> None:
    """Nobody is left to read one."""
    event = an_event(properties={"token": KEY})
    assert inspector.post("/e/?beacon=1", event, Content_Type="text/plain") == (204, b"")
    assert len(inspector.events()) == 1


def test_a_browser_of_any_origin_may_post(inspector: Inspector) -> None:
    """The preflight, the answer and a refusal all say so."""
    origin = {"Origin": "http://shop.example"}
    asked = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-some"}
    status, headers, _ = inspector.request("OPTIONS", "/i/v0/e/", headers=asked)
    assert status == 200
    assert headers["access-control-allow-headers"] == "content-type,x-some"
    assert "POST" in headers["access-control-allow-methods"]
    for path, body in (("/e/", json.dumps(an_event(api_key=KEY)).encode()), ("/e/", b"{"), ("/nowhere", b"")):
        _, headers, _ = inspector.request("POST", path, body, origin)
        assert headers["access-control-allow-origin"] == "http://shop.example"
        assert headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"api_key": "phc_x", "batch": []}', 400),
        (json.dumps({"batch": [an_event()]}).encode(), 401),
        (json.dumps({"api_key": "phx_personal", "batch": [an_event()]}).encode(), 401),
        (json.dumps({"api_key": KEY, "batch": [an_event(), an_event(distinct_id="")]}).encode(), 400),
        (json.dumps({"api_key": KEY, "batch": [an_event(uuid="no")]}).encode(), 400),
        (json.dumps({"api_key": KEY, "batch": [an_event(properties={"text": "x" * 1_000_001})]}).encode(), 413),
        (b"x" * (20 * 1024 * 1024 + 1), 413),
    ],
    ids=["json", "empty", "no-key", "personal-key", "one-bad-event", "uuid", "event-too-big", "body-too-big"],
)
def test_what_posthog_refuses(inspector: Inspector, body: bytes, status: int) -> None:
    """It is refused with its status, nothing is stored, and the page can say why."""
    assert inspector.post("/batch/", body)[0] == status
    assert inspector.events() == []
    (refusal,) = inspector.get("refused")["requests"]
    assert (refusal["path"], refusal["status"]) == ("/batch/", status)
    assert refusal["reason"]


@pytest.mark.parametrize("length", [1_000, 200_000_000])
def test_a_client_that_goes_away(inspector: Inspector, length: int) -> None:
    """In the middle of a body, or with one without end: the next is served, and the terminal says nothing."""
    address = urlsplit(inspector.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(f"POST /batch/ HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        with suppress(OSError):  # it ends what goes on for too long
            for _ in range(length // 1_000_000 + 1):
                connection.sendall(b"{" * min(length // 2, 1_000_000))
    inspector.send(an_event())
    assert len(inspector.events()) == 1


def test_capture_v1(inspector: Inspector) -> None:
    """Each event has its answer, and the accepted are stored as V0 would have them."""
    good, bad = str(uuid4()), str(uuid4())
    common = {"timestamp": "2026-11-02T10:00:00Z", "options": {}, "properties": {"method": "card"}}
    batch = [
        {"event": "payment.completed", "uuid": good, "distinct_id": "usr_1", "session_id": "s", **common},
        {"event": "payment.completed", "uuid": bad, "distinct_id": " ", **common},
    ]
    headers = {
        "Authorization": f"Bearer {KEY}",
        "PostHog_Sdk_Info": "some-sdk/1.2",
        "PostHog_Attempt": "1",
        "PostHog_Request_Id": str(uuid4()),
        "PostHog_Request_Timestamp": datetime.now(UTC).isoformat(),
        "User_Agent": "some-sdk/1.2",
    }
    status, answer = inspector.post(
        "/i/v1/analytics/events", {"created_at": datetime.now(UTC).isoformat(), "batch": batch}, **headers
    )
    assert status == 200
    assert {uuid: result["result"] for uuid, result in json.loads(answer)["results"].items()} == {
        good: "ok",
        bad: "drop",
    }
    (stored,) = inspector.events()
    assert (stored["uuid"], stored["lib"], stored["session_id"]) == (good, "some-sdk", "s")
    (refusal,) = inspector.get("refused")["requests"]
    assert (refusal["status"], refusal["reason"].split(":")[0]) == (200, f"event {bad}")


def test_an_event_counts_once(inspector: Inspector) -> None:
    """What comes again, in the same request or a later one, is counted as resent."""
    event, other = an_event(), an_event()
    inspector.send(event, event)
    inspector.send(event, other)
    inspector.send({**event, "timestamp": "2026-11-03T10:00:00Z"}, {**event, "event": "payment.failed"})
    inspector.send(event, api_key="phc_other")
    assert [stored["resent"] for stored in inspector.events()] == [2, 0, 0, 0, 0]
    health = inspector.get("health")
    assert (health["received"], health["stored"], health["resent"]) == (7, 5, 2)
    assert [project["events"] for project in inspector.get("projects")["projects"]] == [4, 1]


def test_a_wrong_clock_is_set_right(inspector: Inspector) -> None:
    """PostHog takes the time between happening and sending from the client, unless the event says otherwise."""
    now = datetime.now(UTC)
    batch = [
        an_event("late.sender", timestamp="2001-01-01T00:00:00Z"),
        an_event("own.time", timestamp="2001-01-01T00:00:00Z", properties={"$ignore_sent_at": True}),
        an_event("in.future", timestamp="2999-01-01T00:00:00Z", properties={"$ignore_sent_at": True}),
        an_event("before.clocks", timestamp="0001-01-01T00:00:00+14:00", properties={"$ignore_sent_at": True}),
        an_event("endless.offset", timestamp=..., offset=1e300),
        an_event("browser.offset", timestamp=..., offset=60_000),
    ]
    assert inspector.post("/batch/", {"api_key": KEY, "batch": batch, "sent_at": "2001-01-01T01:00:00Z"})[0] == 200
    times = {event["event"]: datetime.fromisoformat(event["timestamp"]) for event in inspector.events()}
    assert times["own.time"] == datetime(2001, 1, 1, tzinfo=UTC)
    ago = {name: round((now - time).total_seconds() / 60) for name, time in times.items() if name != "own.time"}
    assert ago == {"late.sender": 60, "in.future": 0, "before.clocks": 0, "endless.offset": 0, "browser.offset": 1}


def test_strange_texts_stay_as_they_are(inspector: Inspector) -> None:
    """Quotes, NUL, emoji and great numbers go through the store's JSON twice."""
    properties = {
        "quo\"te'": "a\\\"b'; drop table events; --",
        "nul": "a\0b",
        "emoji": "🏦",
        "big": 2**70,
        "nested": [{"a": None}],
    }
    inspector.send(an_event("odd'\"name", "usr_'\"\\1", properties=properties))
    (stored,) = inspector.events()
    assert (stored["event"], stored["distinct_id"]) == ("odd'\"name", "usr_'\"\\1")
    assert stored["properties"] == properties


def test_the_official_client(inspector: Inspector) -> None:
    """It captures, identifies by ``set`` and aliases, and asks for flags."""
    assert inspector.change("PUT", "flags/rail", {"enabled": True, "variant": "fast"}) == 200
    client = posthog.Posthog(KEY, host=inspector.url)
    try:
        client.capture("payment.completed", distinct_id="usr_1", properties={"method": "card"})
        client.set(distinct_id="usr_1", properties={"tier": "gold"})
        client.alias("anonymous_1", "usr_1")
        assert client.evaluate_flags("usr_1").get_flag("rail") == "fast"
    finally:
        client.shutdown()
    events = inspector.events()
    assert {event["event"] for event in events} == {
        "payment.completed",
        "$set",
        "$create_alias",
        "$feature_flag_called",
    }
    assert {event["person"] for event in events} == {"anonymous_1"}
    (customer,) = inspector.get("customers")["customers"]
    assert customer["properties"]["tier"] == "gold"


def test_posthog_js_is_configured(inspector: Inspector) -> None:
    """It is told to fetch nothing that is not here, as JSON and as a script."""
    _, headers, text = inspector.request("GET", f"/array/{KEY}/config")
    config = json.loads(text)
    assert config["token"] == KEY
    assert config["sessionRecording"] is False
    _, headers, script = inspector.request("GET", f"/array/{KEY}/config.js")
    assert headers["content-type"].startswith("application/javascript")
    found = re.search(rb"_POSTHOG_REMOTE_CONFIG\[\"phc_invented\"\]=(.*);\}\)\(\);", script)
    assert found is not None
    assert json.loads(found[1])["config"] == config


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
likely = st.sampled_from(["$identify", "$create_alias", "payment.completed", "usr_1", "2026-11-02T10:00:00Z", {"a": 1}])
events = st.fixed_dictionaries(
    {"event": likely | anything, "distinct_id": likely | anything},
    optional={
        **dict.fromkeys(("uuid", "timestamp", "offset", "$set", "$set_once"), likely | anything),
        "properties": anything
        | st.dictionaries(
            st.sampled_from(
                [
                    "alias",
                    "$anon_distinct_id",
                    "$set",
                    "$set_once",
                    "$unset",
                    "$groups",
                    "$lib",
                    "$session_id",
                    "$feature_flag",
                ]
            ),
            likely | anything,
            max_size=4,
        ),
    },
)


@pytest.mark.slow  # twenty seconds
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events, max_size=3), st.sampled_from(PATHS), likely | anything)
def test_whatever_comes(inspector: Inspector, batch: list[Any], path: str, sent_at: Any) -> None:
    """It is accepted or refused as PostHog does, never failed at, and what was accepted is there."""
    before = inspector.get("health")["received"]
    status, reason = inspector.post(path, {"api_key": KEY, "batch": batch, "sent_at": sent_at})
    assert status in {200, 400}, reason
    assert inspector.get("health")["received"] == before + (len(batch) if status == 200 else 0)
    inspector.events()
    inspector.get("customers")
