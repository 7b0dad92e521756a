"""The receiver holds what it promises, so that tests that lean on it prove something."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID, uuid4

import posthog
import pytest

from zentra_otel_posthog.inspector import Answer, Receiver, Request

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "phc_invented"
MIB = 1024 * 1024


def an_event(**changes: Any) -> dict[str, Any]:
    event = {
        "event": "payment.completed",
        "distinct_id": "usr_1",
        "uuid": str(uuid4()),
        "timestamp": "2026-11-02T10:00:00.123456Z",
        "properties": {"amount_minor": 125000, "currency": "NGN", "method": "card"},
    }
    return {name: value for name, value in {**event, **changes}.items() if value is not ...}


def a_batch(*events: Any, **changes: Any) -> dict[str, Any]:
    return {"api_key": KEY, "batch": list(events), **changes}


def connect(receiver: Receiver) -> closing[http.client.HTTPConnection]:
    address = urlsplit(receiver.url)
    return closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=10))


def post(
    receiver: Receiver,
    payload: Any,
    *,
    path: str = "/batch/",
    headers: dict[str, str] | None = None,
    connection: http.client.HTTPConnection | None = None,
) -> tuple[int, bytes]:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    if connection is None:
        with connect(receiver) as own:
            return post(receiver, body, path=path, headers=headers, connection=own)
    connection.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})
    response = connection.getresponse()
    return response.status, response.read()


@pytest.fixture
def threads() -> Callable[[], int]:
    """How many threads there are that were not there before."""
    before = set(threading.enumerate())
    return lambda: len(set(threading.enumerate()) - before)


class TestAcceptance:
    def test_a_batch_is_kept_as_it_was_sent(self, receiver: Receiver) -> None:
        """A canonical event comes out field by field as it went in, and the answer is PostHog's."""
        events = [an_event(), an_event(event="card.issued", **{"$set": {"tier": "gold"}})]

        status, answer = post(receiver, a_batch(*events, historical_migration=False, sent_at="2026-11-02T10:00:01Z"))

        assert (status, json.loads(answer)) == (200, {"status": "Ok"})
        assert receiver.events == events
        assert receiver.received == 2

    @pytest.mark.parametrize("path", ["/batch", "/batch/", "/i/v0/e/", "/i/v0/e", "/e/", "/capture/", "/batch/?ip=0"])
    def test_every_v0_path_takes_batches(self, receiver: Receiver, path: str) -> None:
        """Each path of capture V0 is served, with and without a slash or a query."""
        assert post(receiver, a_batch(an_event()), path=path)[0] == 200
        assert receiver.wait_for(1, timeout=0)

    @pytest.mark.parametrize("key", ["api_key", "token", "$token"])
    def test_single_events_and_lists_bring_their_own_key(self, receiver: Receiver, key: str) -> None:
        """What is no batch carries the project key on its events."""
        assert post(receiver, an_event(**{key: KEY}), path="/e/")[0] == 200
        assert post(receiver, [an_event(**{key: KEY}), an_event()], path="/e/")[0] == 200
        assert len(receiver.events) == 3

    def test_the_key_may_be_a_property(self, receiver: Receiver) -> None:
        """posthog-js puts the project key into the properties."""
        assert post(receiver, an_event(properties={"token": KEY}), path="/e/")[0] == 200

    @pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {}], ids=["declared", "by its first bytes"])
    def test_gzip_is_decompressed(self, receiver: Receiver, headers: dict[str, str]) -> None:
        """Gzip is taken whether a header names it or not; the request keeps the bytes of the wire."""
        event = an_event()
        body = gzip.compress(json.dumps(a_batch(event)).encode())

        assert post(receiver, body, headers=headers)[0] == 200
        assert receiver.events == [event]
        assert receiver.requests[0].body == body
        assert receiver.requests[0].decoded == a_batch(event)

    @pytest.mark.parametrize("encoding", ["json", "base64", "base64 with bare plus signs"])
    def test_a_form_brings_its_payload_in_a_field(self, receiver: Receiver, encoding: str) -> None:
        """posthog-js may post a form whose field `data` is the payload, in base64 or not."""
        text = json.dumps(a_batch(an_event(properties={"note": "ÿ>~~~?"})), ensure_ascii=False).encode()
        encoded = base64.b64encode(text)
        assert b"+" in encoded
        form = (
            b"data=" + encoded
            if "bare" in encoding
            else urlencode({"data": text if encoding == "json" else encoded}).encode()
        )

        status, _ = post(receiver, form, path="/e/", headers={"Content-Type": "application/x-www-form-urlencoded"})

        assert status == 200
        assert receiver.events[0]["properties"] == {"note": "ÿ>~~~?"}

    def test_a_chunked_body_is_read(self, receiver: Receiver) -> None:
        """A client that streams its body is understood, and the connection stays usable."""
        pieces = [b'{"api_key": "phc_invented", ', b'"batch": [{"event": "a", "distinct_id": "b"}]}']
        with connect(receiver) as connection:
            connection.request(
                "POST", "/batch/", iter(pieces), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
            )
            assert connection.getresponse().read() == b'{"status": "Ok"}'
            assert post(receiver, a_batch(an_event()), connection=connection)[0] == 200

        assert len(receiver.events) == 2

    @pytest.mark.parametrize(
        ("sent", "stored"),
        [
            (42, "42"),
            (4.5, "4.5"),
            (True, "true"),
            (["b", "a"], '["b","a"]'),
            ({"b": 1, "a": 2}, '{"a":2,"b":1}'),
            (" usr 1 ", " usr 1 "),
            ("nul\0byte", "nul\N{REPLACEMENT CHARACTER}byte"),
            ("ö" * 201, "ö" * 200),
        ],
    )
    def test_distinct_ids_become_strings_of_200_characters(self, receiver: Receiver, sent: Any, stored: str) -> None:
        """A distinct id of any JSON type is stringified and cut; the decoded body keeps what was sent."""
        assert post(receiver, a_batch(an_event(distinct_id=sent)))[0] == 200
        assert receiver.events[0]["distinct_id"] == stored
        assert receiver.requests[0].decoded["batch"][0]["distinct_id"] == sent

    @pytest.mark.parametrize("changes", [{"$distinct_id": "usr_2"}, {"properties": {"distinct_id": "usr_2"}}])
    def test_a_distinct_id_is_also_found_elsewhere(self, receiver: Receiver, changes: dict[str, Any]) -> None:
        """Without a distinct id of its own an event may have it under the alias or in its properties."""
        assert post(receiver, a_batch(an_event(distinct_id=..., **changes)))[0] == 200
        assert receiver.events[0]["distinct_id"] == "usr_2"

    def test_names_are_cut_at_200_characters(self, receiver: Receiver) -> None:
        """A long event name loses its end."""
        assert post(receiver, a_batch(an_event(event="n" * 201)))[0] == 200
        assert receiver.events[0]["event"] == "n" * 200

    @pytest.mark.parametrize("absent", [..., None, ""])
    def test_an_event_without_uuid_gets_a_new_one(self, receiver: Receiver, absent: Any) -> None:
        """Without a uuid nothing tells that a resent event is the same one."""
        batch = a_batch(an_event(uuid=absent))

        assert [post(receiver, batch)[0] for _ in range(2)] == [200, 200]
        assert len({UUID(event["uuid"]) for event in receiver.events}) == 2

    @pytest.mark.parametrize("form", ["{0}", "{{{0}}}", "urn:uuid:{0}", "simple", "upper"])
    def test_uuids_are_stored_in_one_form(self, receiver: Receiver, form: str) -> None:
        """Every spelling of a uuid that PostHog parses is the same uuid."""
        text = "0190c1f0-6a2b-7cde-8f00-0123456789ab"
        sent = {"simple": text.replace("-", ""), "upper": text.upper()}.get(form, form.format(text))

        assert post(receiver, a_batch(an_event(uuid=sent), an_event(uuid=text)))[0] == 200
        assert [event["uuid"] for event in receiver.events] == [text]

    @pytest.mark.parametrize("key", ["unknown but well-formed", "k" * 64, " phc_invented\n"])
    def test_an_unknown_key_is_accepted(self, receiver: Receiver, key: str) -> None:
        """Capture looks at a key's shape only, blanks around it aside."""
        assert post(receiver, a_batch(an_event(), api_key=key))[0] == 200
        assert receiver.events_of(key.strip()) == receiver.events


REFUSED_EVENTS = {
    "no name": an_event(event=...),
    "empty name": an_event(event=""),
    "name of another type": an_event(event=5),
    "no distinct_id": an_event(distinct_id=...),
    "null distinct_id": an_event(distinct_id=None),
    "empty distinct_id": an_event(distinct_id=""),
    "blank distinct_id": an_event(distinct_id=" \t"),
    "uuid of letters": an_event(uuid="not-a-uuid"),
    "uuid with a wrong digit": an_event(uuid="0190c1f0-6a2b-7cde-8f00-0123456789ag"),
    "uuid with blanks": an_event(uuid="0190c1f0-6a2b-7cde-8f00-0123456789  "),
    "32 digits and blanks": an_event(uuid="0190c1f06a2b7cde8f000123456789ab  "),
    "uuid with hyphens elsewhere": an_event(uuid="0190c1f06-a2b-7cde-8f00-0123456789ab"),
    "uuid with too many hyphens": an_event(uuid="0190c1f0-6a2b-7cde-8f00-01234567-9ab"),
    "uuid too short": an_event(uuid="0190c1f0"),
    "braces around 32 digits": an_event(uuid="{0190c1f06a2b7cde8f000123456789ab}"),
    "empty braces": an_event(uuid="{}"),
    "uuid of another type": an_event(uuid=5),
    "timestamp of another type": an_event(timestamp=1762077600),
    "properties of another type": an_event(properties=[]),
    "null properties": an_event(properties=None),
    "$set of another type": an_event(**{"$set": []}),
    "no object": "payment.completed",
}


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GZIP = {"Content-Encoding": "gzip"}
UNPARSABLE: dict[str, tuple[bytes, dict[str, str]]] = {
    "nothing": (b"", {}),
    "half an object": (b"{", {}),
    "words": (b"not json", {}),
    "no UTF-8": (b'{"api_key": "phc_invented", "batch": [{"event": "\xff", "distinct_id": "a"}]}', {}),
    "too deep": (b"[" * 100_000, {}),
    "no gzip": (b"not gzip", GZIP),
    "half a gzip": (gzip.compress(b"{}")[:-4], GZIP),
    "JSON for a form": (b'{"api_key": "phc_invented"}', FORM),
    "form without base64": (b"data=%21%21%21", FORM),
}


class TestRefusal:
    @pytest.mark.parametrize("event", REFUSED_EVENTS.values(), ids=REFUSED_EVENTS)
    def test_one_bad_event_rejects_the_whole_batch(self, receiver: Receiver, event: Any) -> None:
        """A batch with one bad event is a 400, and the good ones before and after it are not in."""
        assert post(receiver, a_batch(an_event(), event, an_event()))[0] == 400
        assert receiver.events == []
        assert receiver.received == 0

    def test_a_refusal_names_the_event(self, receiver: Receiver) -> None:
        """The answer says which event is wrong, for whoever debugs a batch."""
        assert b"event 2 " in post(receiver, a_batch(an_event(), an_event(event="")))[1]

    @pytest.mark.parametrize(("body", "headers"), UNPARSABLE.values(), ids=UNPARSABLE)
    def test_an_unparsable_body_is_a_400(self, receiver: Receiver, body: bytes, headers: dict[str, str]) -> None:
        """A body that is no JSON after decoding is refused, and recorded with nothing decoded."""
        assert post(receiver, body, headers=headers)[0] == 400
        assert [(request.decoded, request.status) for request in receiver.requests] == [(None, 400)]

    @pytest.mark.parametrize("payload", [a_batch(), [], {"api_key": KEY, "batch": None}, {"api_key": KEY, "batch": {}}])
    def test_an_empty_batch_is_a_400(self, receiver: Receiver, payload: Any) -> None:
        """A request without an event is refused."""
        assert post(receiver, payload)[0] == 400

    @pytest.mark.parametrize("key", ["", "  ", "k" * 65, "phc_invénted", "phx_personal", "phc\0invented", 5, {}, None])
    def test_an_impossible_key_is_a_401(self, receiver: Receiver, key: Any) -> None:
        """No project key looks like this; a personal key is none either."""
        assert post(receiver, a_batch(an_event(), api_key=key))[0] == 401
        assert post(receiver, an_event(api_key=key), path="/e/")[0] == 401
        assert receiver.events == []

    def test_no_key_or_two_keys_are_a_401(self, receiver: Receiver) -> None:
        """A request is of one project."""
        assert post(receiver, {"batch": [an_event()]})[0] == 401
        assert post(receiver, [an_event()], path="/e/")[0] == 401
        assert post(receiver, [an_event(token="a"), an_event(token="b")], path="/e/")[0] == 401

    def test_a_body_over_20_mib_is_a_413(self, receiver: Receiver) -> None:
        """At the limit a body is read; one byte more is answered, not reset, and the connection lives on."""
        room = 20 * MIB - len(json.dumps(a_batch(an_event())))
        body = json.dumps(a_batch(an_event())).encode() + b" " * room
        with connect(receiver) as connection:
            assert post(receiver, body, connection=connection)[0] == 200
            assert post(receiver, body + b" ", connection=connection)[0] == 413
            assert post(receiver, a_batch(an_event()), connection=connection)[0] == 200

        assert [len(request.body) > 0 for request in receiver.requests] == [True, False, True]

    def test_a_gzip_bomb_is_a_413(self, receiver: Receiver) -> None:
        """Over 100 MiB of decompressed body is refused."""
        body = gzip.compress(b" " * (100 * MIB + 1), compresslevel=1)

        assert post(receiver, body, headers={"Content-Encoding": "gzip"})[0] == 413

    def test_an_event_too_big_is_a_413_after_those_before_it(self, receiver: Receiver) -> None:
        """PostHog finds an event too big when those before it are in: a resend has to bear the same uuids."""
        events = [an_event(), an_event(properties={"text": "x" * 1_000_000}), an_event()]

        assert post(receiver, a_batch(*events))[0] == 413
        assert receiver.events == events[:1]
        assert post(receiver, a_batch(events[0], events[2]))[0] == 200
        assert receiver.events == [events[0], events[2]]
        assert receiver.received == 3

    def test_the_size_of_an_event_counts_its_escapes(self, receiver: Receiver) -> None:
        """The queue holds an event as a JSON string, where each quotation mark takes two bytes more."""
        assert post(receiver, a_batch(an_event(properties={"text": "x" * 900_000})))[0] == 200
        assert post(receiver, a_batch(an_event(properties={"text": '"' * 300_000})))[0] == 413

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/"),
            ("POST", "/i/v1/analytics/event"),
            ("POST", "/batch//"),
            ("GET", "/batch/"),
            ("POST", "/stats"),
            ("PUT", "/batch/"),
            ("DELETE", "/e/"),
        ],
    )
    def test_anything_else_is_a_404(self, receiver: Receiver, method: str, path: str) -> None:
        """What capture V0 does not serve is absent, and uses up no queued answer."""
        receiver.answer(Answer(503))
        with connect(receiver) as connection:
            connection.request(method, path, json.dumps(a_batch(an_event())))
            assert connection.getresponse().status == 404

        assert [(request.method, request.path, request.status) for request in receiver.requests] == [
            (method, path, 404)
        ]
        assert post(receiver, a_batch(an_event()))[0] == 503

    @pytest.mark.parametrize("length", ["many", "-1"])
    def test_an_impossible_length_is_a_400(self, receiver: Receiver, length: str) -> None:
        """A request that cannot be read is answered and the connection closed."""
        with connect(receiver) as connection:
            connection.putrequest("POST", "/batch/")
            connection.putheader("Content-Length", length)
            connection.endheaders()
            response = connection.getresponse()

        assert (response.status, response.getheader("Connection")) == (400, "close")


class TestDeduplication:
    def test_a_resent_event_counts_once(self, receiver: Receiver) -> None:
        """An event that agrees in project, day, name, distinct id and uuid is the same one."""
        event = an_event()
        later = {**event, "timestamp": "2026-11-02T23:59:59Z", "properties": {}}

        for resent in (event, event, later):
            assert post(receiver, a_batch(resent))[0] == 200

        assert receiver.events == [event]
        assert receiver.received == 3

    @pytest.mark.parametrize(
        "changes",
        [
            {"uuid": str(uuid4())},
            {"event": "payment.failed"},
            {"distinct_id": "usr_2"},
            {"timestamp": "2026-11-03T00:00:00Z"},
            {"timestamp": "2026-11-02T23:30:00-01:00"},
        ],
    )
    def test_a_difference_in_what_identifies_makes_two(self, receiver: Receiver, changes: dict[str, str]) -> None:
        """One changed field, or another day in UTC, and PostHog counts twice."""
        event = an_event()

        assert post(receiver, a_batch(event, {**event, **changes}))[0] == 200
        assert len(receiver.events) == 2

    def test_the_same_moment_in_another_zone_is_the_same_day(self, receiver: Receiver) -> None:
        """The day is the one in UTC, however the timestamp is written."""
        event = an_event()

        assert post(receiver, a_batch(event, {**event, "timestamp": "2026-11-03T00:30:00+01:00"}))[0] == 200
        assert len(receiver.events) == 1

    @pytest.mark.parametrize("timestamp", [..., None, "yesterday", "0001-01-01T00:00:00+10:00"])
    def test_no_timestamp_is_the_time_of_arrival(self, receiver: Receiver, timestamp: Any) -> None:
        """An event without a usable timestamp falls on today."""
        event = an_event(timestamp=timestamp)
        now = {**event, "timestamp": datetime.now(UTC).isoformat()}

        assert post(receiver, a_batch(event, now))[0] == 200
        assert len(receiver.events) == 1

    def test_two_projects_share_nothing(self, receiver: Receiver) -> None:
        """The same event under two keys is two events, and each project sees its own."""
        event = an_event()

        post(receiver, a_batch(event))
        post(receiver, a_batch(event, api_key="phc_other"))

        assert receiver.events == [event, event]
        assert receiver.events_of("phc_other") == [event]


class TestOfficialClient:
    @pytest.mark.parametrize("compressed", [True, False], ids=["gzip", "plain"])
    def test_the_official_client_is_accepted(self, receiver: Receiver, compressed: bool) -> None:
        """What posthog.Posthog captures is received, field by field, in one batch."""
        client = posthog.Posthog(KEY, host=receiver.url, gzip=compressed)
        when = datetime(2026, 11, 2, 10, 0, 0, 123456, tzinfo=UTC)
        sent = [
            client.capture(
                name, distinct_id="usr_1", properties={"amount_minor": amount, "currency": "NGN"}, timestamp=when
            )
            for amount, name in enumerate(["payment.pending", "payment.completed", "transfer.completed"])
        ]
        client.flush()
        client.shutdown()

        assert receiver.wait_for(3)
        assert [event["uuid"] for event in receiver.events] == sent
        assert [event["event"] for event in receiver.events] == [
            "payment.pending",
            "payment.completed",
            "transfer.completed",
        ]
        assert {event["distinct_id"] for event in receiver.events} == {"usr_1"}
        assert {event["timestamp"] for event in receiver.events} == {when.isoformat()}
        assert [event["properties"]["amount_minor"] for event in receiver.events] == [0, 1, 2]
        assert receiver.events == receiver.events_of(KEY)
        assert [event for request in receiver.requests for event in request.decoded["batch"]] == receiver.events
        assert {request.headers["content-encoding"] for request in receiver.requests} == {
            "gzip" if compressed else None
        }
        assert receiver.received == 3

    def test_the_official_client_resends_what_it_got_no_answer_to(self, receiver: Receiver) -> None:
        """A connection cut after acceptance makes it send again, which counts once."""
        receiver.answer(Answer(accept=True, connection="close"))
        client = posthog.Posthog(KEY, host=receiver.url)
        client.capture("payment.completed", distinct_id="usr_1")
        client.shutdown()

        assert receiver.received == 2
        assert len(receiver.events) == 1


class TestFaults:
    def test_queued_answers_come_in_order_and_then_normality(self, receiver: Receiver) -> None:
        """Each queued answer serves its number of requests and takes no event in."""
        batch = a_batch(an_event())
        receiver.answer(Answer(503, headers={"Retry-After": "1"}, body=b"busy"), times=2)
        receiver.answer(Answer(429))

        answers = [post(receiver, batch) for _ in range(4)]

        assert answers == [(503, b"busy"), (503, b"busy"), (429, b"Too Many Requests"), (200, b'{"status": "Ok"}')]
        assert [request.status for request in receiver.requests] == [503, 503, 429, 200]
        assert all(request.decoded == batch for request in receiver.requests)
        assert receiver.received == 1

    def test_an_answer_brings_its_headers(self, receiver: Receiver) -> None:
        """Retry-After and the like reach the client."""
        receiver.answer(Answer(503, headers={"Retry-After": "7"}))
        with connect(receiver) as connection:
            connection.request("POST", "/batch/", json.dumps(a_batch(an_event())))
            assert connection.getresponse().getheader("Retry-After") == "7"

    def test_a_lost_200_leaves_the_events_in(self, receiver: Receiver) -> None:
        """An answer may be a failure although the events were accepted; the resend is a duplicate."""
        batch = a_batch(an_event())
        receiver.answer(Answer(502, accept=True))

        assert post(receiver, batch)[0] == 502
        assert len(receiver.events) == 1
        assert post(receiver, batch)[0] == 200
        assert (len(receiver.events), receiver.received) == (1, 2)

    def test_accepting_does_not_mend_a_bad_batch(self, receiver: Receiver) -> None:
        """An answer of 200 for what PostHog would refuse lets nothing in."""
        receiver.answer(Answer(200, accept=True))

        assert post(receiver, a_batch(an_event(event="")))[0] == 200
        assert receiver.events == []

    @pytest.mark.parametrize("accept", [True, False])
    def test_a_connection_closes_without_an_answer(self, receiver: Receiver, accept: bool) -> None:
        """The client sees the connection end, whether the events are in or not."""
        receiver.answer(Answer(accept=accept, connection="close"))

        with pytest.raises(http.client.RemoteDisconnected):
            post(receiver, a_batch(an_event()))

        assert len(receiver.events) == accept
        assert [request.status for request in receiver.requests] == [None]

    def test_a_hanging_request_is_answered_when_released(self, receiver: Receiver) -> None:
        """The request is there and its events are in while the client still waits."""
        receiver.answer(Answer(accept=True, connection="hang"))
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(post, receiver, a_batch(an_event()))
            assert receiver.wait_for_requests(1)
            assert len(receiver.events) == 1
            assert not answer.done()
            receiver.release()

            assert answer.result(timeout=10)[0] == 200

    def test_a_release_does_not_reach_later_requests(self, receiver: Receiver) -> None:
        """Only what hangs at that time goes on."""
        receiver.release()
        receiver.answer(Answer(connection="hang"))
        with connect(receiver) as connection:
            connection.request("POST", "/batch/", json.dumps(a_batch(an_event())))
            assert receiver.wait_for_requests(1)
            assert connection.sock is not None
            connection.sock.settimeout(0.05)
            with pytest.raises(TimeoutError):
                connection.getresponse()

    def test_clear_forgets_everything(self, receiver: Receiver) -> None:
        """After clear the receiver is as new, queued answers included."""
        event = an_event()
        post(receiver, a_batch(event))
        receiver.answer(Answer(503))

        receiver.clear()

        assert (receiver.events, receiver.requests, receiver.received) == ([], [], 0)
        assert receiver.stats() == {"received": 0, "events": 0, "by_name": {}}
        assert not receiver.wait_for_requests(1, timeout=0)
        assert post(receiver, a_batch(event))[0] == 200
        assert receiver.events == [event]


class TestLifecycle:
    def test_a_url_exists_once_started(self) -> None:
        """There is no URL before a port is known; it stays known afterwards."""
        receiver = Receiver()
        with pytest.raises(RuntimeError):
            _ = receiver.url
        with receiver:
            url = receiver.url
        assert receiver.url == url

    def test_it_stops_at_once_and_leaves_no_thread(self, threads: Callable[[], int]) -> None:
        """An idle connection, one in the middle of a body and a hanging request end with the receiver."""
        receiver = Receiver()
        receiver.start()
        receiver.answer(Answer(connection="hang"))
        with connect(receiver) as idle, connect(receiver) as unfinished, connect(receiver) as hanging:
            idle.connect()
            unfinished.putrequest("POST", "/batch/")
            unfinished.putheader("Content-Length", "100")
            unfinished.endheaders(b"{")
            hanging.request("POST", "/batch/", json.dumps(a_batch(an_event())))
            assert receiver.wait_for_requests(1)

            began = time.monotonic()
            receiver.stop()
            took = time.monotonic() - began

            assert threads() == 0
            assert took < 1
            with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
                hanging.getresponse()
            with pytest.raises(ConnectionError), connect(receiver) as another:
                another.connect()

    def test_starting_and_stopping_twice_changes_nothing(self, threads: Callable[[], int]) -> None:
        """Both may be called in any state."""
        receiver = Receiver()
        receiver.stop()
        receiver.start()
        url = receiver.url
        receiver.start()
        assert (receiver.url, threads()) == (url, 1)
        receiver.stop()
        receiver.stop()
        assert threads() == 0

    def test_an_outage_ends_at_the_same_address(self) -> None:
        """After a stop the same port opens again, and what was received is still there."""
        first, second = an_event(), an_event()
        with Receiver() as receiver:
            url = receiver.url
            post(receiver, a_batch(first))
            receiver.stop()
            with pytest.raises(ConnectionError):
                post(receiver, a_batch(second))
            receiver.start()

            assert receiver.url == url
            assert post(receiver, a_batch(second))[0] == 200
            assert receiver.events == [first, second]

    def test_a_taken_port_is_an_error(self, receiver: Receiver, threads: Callable[[], int]) -> None:
        """A second receiver on the same port fails when it starts and leaves nothing behind."""
        port = urlsplit(receiver.url).port
        assert port is not None

        with pytest.raises(OSError, match="in use"):
            Receiver(port).start()

        assert threads() == 0

    def test_waiting_ends_when_the_receiver_stops(self) -> None:
        """Nobody waits for events that cannot come any more."""
        receiver = Receiver()
        receiver.start()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(receiver.wait_for, 1, timeout=30)
            receiver.stop()

            assert waiting.result(timeout=5) is False

    def test_waiting_ends_when_the_events_are_there(self, receiver: Receiver) -> None:
        """A waiting thread is woken by the event, and a wait in vain says so."""
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(receiver.wait_for, 2, timeout=30)
            post(receiver, a_batch(an_event(), an_event()))

            assert waiting.result(timeout=5) is True
        assert receiver.wait_for(3, timeout=0.01) is False

    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_a_forked_child_does_no_harm(self) -> None:
        """A child that leaves the with block does not end its parent's receiver, nor keep its port open."""
        with Receiver() as receiver:
            leave, hold = os.pipe(), os.pipe()
            child = os.fork()
            if child == 0:
                receiver.stop()
                os.write(leave[1], b"stopped")
                os.close(hold[1])
                os.read(hold[0], 1)
                os._exit(0)
            try:
                assert os.read(leave[0], 7) == b"stopped"
                assert post(receiver, a_batch(an_event()))[0] == 200
                receiver.stop()
                with pytest.raises(ConnectionError):
                    post(receiver, a_batch(an_event()))
            finally:
                for end in (*leave, *hold):
                    os.close(end)
                os.waitpid(child, 0)

    def test_connections_are_kept_alive(self, receiver: Receiver) -> None:
        """Requests in turn share a connection, refused ones too, until the client says otherwise."""
        with connect(receiver) as connection:
            for payload in (a_batch(an_event()), a_batch(), a_batch(an_event())):
                post(receiver, payload, connection=connection)
            first = connection.sock
            assert first is not None
            post(receiver, a_batch(an_event()), connection=connection, headers={"Connection": "close"})
            assert connection.sock is None

        assert [request.status for request in receiver.requests] == [200, 400, 200, 200]

    @pytest.mark.parametrize("linger", [b"\1\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\0"], ids=["reset", "end"])
    def test_a_client_that_goes_away_is_no_matter(
        self, receiver: Receiver, capfd: pytest.CaptureFixture[str], linger: bytes
    ) -> None:
        """Half a request, ended in either way, is neither recorded nor printed, and the next one is served."""
        with connect(receiver) as rude:
            rude.putrequest("POST", "/batch/")
            rude.putheader("Content-Length", "100")
            rude.endheaders(b"{")
            assert rude.sock is not None
            rude.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

        assert post(receiver, a_batch(an_event()))[0] == 200
        receiver.stop()
        assert len(receiver.requests) == 1
        assert capfd.readouterr() == ("", "")

    def test_what_is_no_http_is_answered_in_silence(
        self, receiver: Receiver, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Nonsense gets a 400 and is not printed."""
        address = urlsplit(receiver.url)
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(b"this is no request\r\n\r\n")
            assert b"400" in connection.recv(65536)

        receiver.stop()
        assert capfd.readouterr() == ("", "")


class TestUse:
    def test_a_request_shows_the_wire(self, receiver: Receiver) -> None:
        """Path, headers in any case, body, decoded body and status are there."""
        payload = a_batch(an_event())
        post(receiver, payload, path="/batch/?v=1", headers={"User-Agent": "zentra/1"})

        (request,) = receiver.requests
        assert isinstance(request, Request)
        assert (request.method, request.path, request.status) == ("POST", "/batch/?v=1", 200)
        assert (request.headers["user-agent"], request.headers["X-Absent"]) == ("zentra/1", None)
        assert json.loads(request.body) == request.decoded == payload

    def test_many_threads_lose_nothing(self, receiver: Receiver) -> None:
        """Clients that send at once, while others read, find every event once."""
        batches = [[an_event(distinct_id=f"usr_{batch}") for _ in range(25)] for batch in range(40)]

        def send(batch: list[dict[str, Any]]) -> int:
            status, _ = post(receiver, a_batch(*batch))
            assert len(receiver.events) <= receiver.received
            return status

        with ThreadPoolExecutor(8) as pool:
            statuses = set(pool.map(send, batches))

        assert statuses == {200}
        assert receiver.received == len(receiver.events) == 1000
        assert {event["uuid"] for event in receiver.events} == {event["uuid"] for batch in batches for event in batch}

    def test_stats_are_served(self, receiver: Receiver) -> None:
        """Another process reads the counts, and reading them leaves no trace."""
        event = an_event()
        post(receiver, a_batch(event, event, an_event(event="card.issued")))
        with connect(receiver) as connection:
            connection.request("GET", "/stats")
            response = connection.getresponse()
            counts = json.loads(response.read())

        assert response.getheader("Content-Type") == "application/json"
        assert counts == {"received": 3, "events": 2, "by_name": {"payment.completed": 1, "card.issued": 1}}
        assert len(receiver.requests) == 1

    def test_it_may_only_count(self) -> None:
        """Without keeping, duplicates are still told and waiting still works."""
        event = an_event()
        with Receiver(keep=False) as receiver:
            post(receiver, a_batch(event, event))

            assert receiver.wait_for(1, timeout=0)
            assert receiver.wait_for_requests(1, timeout=0)
            assert receiver.stats() == {"received": 2, "events": 1, "by_name": {"payment.completed": 1}}
            assert (receiver.events, receiver.requests) == ([], [])

    @pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("quiet", [True, False])
    def test_it_runs_in_the_foreground(self, ending: signal.Signals, quiet: bool) -> None:
        """The module prints its URL, serves, and ends with a signal as it should."""
        command = [sys.executable, "-m", "zentra_otel_posthog.inspector", *(["--quiet"] if quiet else [])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                assert process.stdout is not None
                address = urlsplit(process.stdout.readline().strip())
                with closing(
                    http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
                ) as connection:
                    connection.request("POST", "/batch/", json.dumps(a_batch(an_event())))
                    assert connection.getresponse().read() == b'{"status": "Ok"}'
                    process.send_signal(ending)
                    rest = process.stdout.read()
                    assert process.wait(10) == 0
            finally:
                process.kill()

        assert rest == ("" if quiet else "1 received, 1 events\n")

    def test_a_taken_port_ends_the_command(self, receiver: Receiver) -> None:
        """The command says what is wrong, without a traceback."""
        command = [sys.executable, "-m", "zentra_otel_posthog.inspector", "--port", str(urlsplit(receiver.url).port)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

        assert result.returncode == 2
        assert "in use" in result.stderr
        assert "Traceback" not in result.stderr
