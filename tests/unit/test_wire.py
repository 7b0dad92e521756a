"""The wire posts lines as they lie and reads an answer without trusting it, over a real socket."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.delivery.wire import Answer, Batch, Wire
from zentra_otel_posthog.delivery.wire_v0 import WireV0
from zentra_otel_posthog.inspector import Answer as Reply
from zentra_otel_posthog.inspector import Receiver

KEY = "phc_invented"
# Spacing, key order, escapes and bytes beyond ASCII are the spool's, and have to stay so.
LINES = [
    b'{"event":"payment.completed","distinct_id":"usr_1","uuid":"b7b7ea9d-ccbc-50a7-ba19-d55c5344b266","properties":{}}',
    '{ "uuid" : "4d44e096-1f09-5889-a582-7a957ff3d5bc", "distinct_id":"usr_\\u00e9", "event":"é.ü" }'.encode(),
]
DATE_LIKE = r"[MTW][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{1,5} [0-9]{1,2}:[0-9:]{1,6} ?[-+]?[A-Z0-9]{0,5}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def post(wire: Wire, lines: list[bytes] = LINES, timeout: float = 5) -> Answer:
    return wire.post(Batch(lines, UUID(int=1), 1, datetime.now(UTC)), timeout)


def body_of(receiver: Receiver, position: int = -1) -> bytes:
    request = receiver.requests[position]
    return gzip.decompress(request.body) if request.headers["Content-Encoding"] == "gzip" else request.body


class TestRequest:
    @pytest.mark.parametrize("compression", ["none", "gzip"])
    @pytest.mark.parametrize("lines", [LINES[:1], LINES])
    def test_the_body_byte_for_byte(self, receiver: Receiver, lines: list[bytes], compression: str) -> None:
        """The key, the time of sending, and the lines as they lie; nothing else."""
        assert post(WireV0(KEY, receiver.url, compression), lines) == Answer(200)

        body = body_of(receiver)
        sent_at = re.findall(rb'"sent_at":"([^"]*)"', body)
        assert body == b'{"api_key":"phc_invented","sent_at":"%b","batch":[%b]}' % (sent_at[0], b",".join(lines))
        assert [event["uuid"] for event in receiver.events] == [json.loads(line)["uuid"] for line in lines]

    @pytest.mark.parametrize(("compression", "encoding"), [("none", None), ("gzip", "gzip")])
    def test_the_headers(self, receiver: Receiver, compression: str, encoding: str | None) -> None:
        """A POST to /batch/ that says what it carries and who sends it, and names no key outside the body."""
        post(WireV0(KEY, receiver.url, compression))

        request = receiver.requests[0]
        assert (request.method, request.path) == ("POST", "/batch/")
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["Content-Encoding"] == encoding
        assert request.headers["Content-Length"] == str(len(request.body))
        assert request.headers["User-Agent"] == f"zentra-otel-posthog/{__version__}"
        assert KEY not in request.headers.as_string() + request.path

    def test_sent_at_is_the_time_of_each_attempt(self, receiver: Receiver) -> None:
        """PostHog corrects clocks by ``sent_at``, so every attempt carries its own, with its time zone."""
        wire = WireV0(KEY, receiver.url, "gzip")
        moments = [datetime.now(UTC)]
        for _ in range(2):
            post(wire)
            moments += [datetime.fromisoformat(receiver.requests[-1].decoded["sent_at"]), datetime.now(UTC)]
        assert moments == sorted(moments)

    def test_a_key_is_quoted(self, receiver: Receiver) -> None:
        """A key with JSON's own characters stays one string."""
        assert post(WireV0('phc_"\\,{}', receiver.url, "none")) == Answer(200)
        assert receiver.requests[0].decoded["api_key"] == 'phc_"\\,{}'

    def test_it_goes_on_after_a_fork(self, receiver: Receiver) -> None:
        """A forked child forgets the parent's connection and opens its own."""
        wire = WireV0(KEY, receiver.url, "gzip")
        post(wire)
        wire.before_fork()
        wire.after_fork_in_child()
        assert post(wire) == Answer(200)


class TestAnswer:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("7", 7.0),
            ("0.25", 0.25),
            (" 7 ", 7.0),
            ("0", 0.0),
            ("-3", 0.0),
            ("nan", 0.0),
            ("-inf", 0.0),
            ("300", 300.0),
            ("301", 300.0),
            ("1e400", 300.0),
            ("inf", 300.0),
            ("soon", None),
            ("", None),
            ("Wed, 99 Foo 2026 10:00:00 GMT", None),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 300.0),
        ],
    )
    def test_retry_after(self, receiver: Receiver, value: str, seconds: float | None) -> None:
        """Seconds or a date (RFC 9110), never negative, never beyond five minutes; nonsense is as good as nothing."""
        receiver.answer(Reply(503, {"Retry-After": value}))
        assert post(WireV0(KEY, receiver.url, "gzip")) == Answer(503, seconds)

    def test_retry_after_a_date(self, receiver: Receiver) -> None:
        """An HTTP date becomes the seconds until then."""
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
        receiver.answer(Reply(429, {"Retry-After": date}))

        answer = post(WireV0(KEY, receiver.url, "gzip"))

        assert answer.status == 429
        assert answer.retry_after == pytest.approx(60, abs=5)

    def test_no_retry_after_is_believed_blindly(self, receiver: Receiver) -> None:
        """Whatever a server puts there, nothing is raised and the pause stays within its bounds."""
        wire = WireV0(KEY, receiver.url, "none")

        @settings(max_examples=100, deadline=None)
        @given(
            st.text(st.characters(codec="ascii", exclude_categories=["Cc"])) | st.from_regex(DATE_LIKE, fullmatch=True)
        )
        def check(value: str) -> None:
            receiver.answer(Reply(503, {"Retry-After": value}))
            answer = post(wire, LINES[:1])
            assert answer.status == 503
            assert answer.retry_after is None or 0 <= answer.retry_after <= 300

        check()

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirects_are_not_followed(self, receiver: Receiver, status: int) -> None:
        """A redirect is an answer: events and key go to no host that nobody configured."""
        with Receiver() as elsewhere:
            receiver.answer(Reply(status, {"Location": f"{elsewhere.url}/batch/"}))

            assert post(WireV0(KEY, receiver.url, "gzip")) == Answer(status)
            assert elsewhere.requests == []

    @pytest.mark.parametrize("trouble", ["refused", "closed", "hangs"])
    def test_no_answer_is_an_os_error(self, receiver: Receiver, trouble: str) -> None:
        """A server that is away, goes away or says nothing raises ``OSError`` in time, which names no key."""
        if trouble == "refused":
            receiver.stop()
        else:
            receiver.answer(Reply(connection="hang" if trouble == "hangs" else "close"))
        with pytest.raises(OSError) as raised:  # noqa: PT011  which one depends on the trouble
            post(WireV0(KEY, receiver.url, "gzip"), timeout=0.2)
        assert KEY not in str(raised.value)
