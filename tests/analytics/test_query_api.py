"""What the query endpoint may answer, over real sockets: rows, later, not now, no."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple

import pytest

from zentra_otel_posthog.analytics import Analytics, AnalyticsError, FailureReason, queries

KEY = "phx_0123456789secret"
SINCE, UNTIL = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
ROWS = {"results": [["declined", 3]], "columns": ["reason", "payments"], "hasMore": False}
HANG = -1


class Asked(NamedTuple):
    method: str
    path: str
    headers: Message
    body: Any


class Handler(BaseHTTPRequestHandler):
    answers: ClassVar[deque[tuple[int, object, dict[str, str]]]]
    asked: ClassVar[list[Asked]]
    released: ClassVar[threading.Event]

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        self.asked.append(Asked(self.command, self.path, self.headers, json.loads(self.rfile.read(length) or b"null")))
        status, answer, headers = self.answers.popleft()
        if status == HANG:
            self.released.wait()
            return
        encoded = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(encoded)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(encoded)

    do_GET = do_POST  # noqa: N815  http.server names them

    def log_message(self, *arguments: object) -> None: ...


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        class Scripted(Handler):
            answers: ClassVar = deque()
            asked: ClassVar = []
            released: ClassVar = threading.Event()

        self.handler = Scripted
        super().__init__(("127.0.0.1", 0), Scripted)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def will(self, status: int, answer: object = None, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.handler.answers.append((status, answer, named))


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.handler.released.set()
        running.shutdown()
        thread.join()


def ask(server: Server, *, timeout: float = 20.0, tenant: str = "acme") -> list[FailureReason]:
    analytics = Analytics(personal_key=KEY, project_id=7, host=server.url, timeout=timeout)
    return analytics.failure_reasons(tenant=tenant, since=SINCE, until=UNTIL)


def test_a_query_is_a_constant_text_with_values_beside_it(server: Server) -> None:
    """The tenant and the time travel as values, the key as a header; the rows come back typed."""
    server.will(200, ROWS)

    assert ask(server, tenant="it's {acme}") == [FailureReason("declined", 3, 1.0)]

    (asked,) = server.handler.asked
    assert asked.path == "/api/projects/7/query/"
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert asked.body == {
        "query": {
            "kind": "HogQLQuery",
            "query": queries.FAILURE_REASONS.text(all_tenants=False),
            "values": {
                "tenant": "it's {acme}",
                "since": "2026-11-01T00:00:00+00:00",
                "until": "2026-11-02T00:00:00+00:00",
            },
        },
        "name": "zentra-otel-posthog failure reasons",
        "refresh": "blocking",
    }


def test_a_query_that_goes_on_in_the_background_is_asked_for_until_it_is_complete(
    server: Server, pauses: list[float]
) -> None:
    """202 with a query_status: its id is polled, and the result lies in the status."""
    for _ in range(3):
        server.will(202, {"query_status": {"id": "a/b", "complete": False, "results": None}})
    server.will(200, {"query_status": {"id": "a/b", "complete": True, "error": False, "results": ROWS}})

    assert ask(server) == [FailureReason("declined", 3, 1.0)]

    assert [(asked.method, asked.path) for asked in server.handler.asked[1:]] == [
        ("GET", "/api/projects/7/query/a%2Fb/")
    ] * 3
    assert pauses == [0.5, 1.0, 2.0]


def test_not_now_is_asked_again_after_the_pause_that_the_server_names(server: Server, pauses: list[float]) -> None:
    """429 with Retry-After, then 503 without: the query changes nothing, and is made again."""
    server.will(429, {"detail": "throttled"}, Retry_After="3")
    server.will(503, b"")
    server.will(200, ROWS)

    assert ask(server) == [FailureReason("declined", 3, 1.0)]

    assert pauses == [3.0, 1.0]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr("zentra_otel_posthog.analytics.query_api.time.sleep", taken.append)
    return taken


def test_a_pause_beyond_the_timeout_is_not_waited_for(server: Server) -> None:
    """A Retry-After of an hour is an error at once."""
    server.will(429, {"detail": "throttled"}, Retry_After="3600")

    with pytest.raises(AnalyticsError, match=r"limits the rate of requests \(throttled\)"):
        ask(server)


def test_attempts_end(server: Server, pauses: list[float]) -> None:
    """A server that always says not now is asked four times."""
    for _ in range(9):
        server.will(429, {"detail": "throttled"}, Retry_After="0")

    with pytest.raises(AnalyticsError, match="limits the rate"):
        ask(server)

    assert len(server.handler.asked) == 4


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (401, {"detail": "Invalid personal API key."}, "does not know the personal key.*query:read"),
        (403, {"detail": "API key missing required scope 'query:read'"}, "required scope.*takes the scope query:read"),
        (404, {"detail": "Not found."}, "no project 7 for this key: check the project's number"),
        (400, {"detail": "Unable to resolve field: x"}, r"with 400 \(Unable to resolve field: x\)"),
        (302, b"", "with 302"),
        (200, b"<html>", "no JSON: is it PostHog's app host"),
        (200, {"status": "Ok"}, "without results: is it PostHog's app host"),
        (200, {"results": [["declined", "many"]]}, "not as expected"),
        (200, {"results": [["declined", 3]], "hasMore": True}, "more than PostHog's 50,000 rows"),
        (200, {"results": [["declined", 3]] * 50_000}, "more than PostHog's 50,000 rows"),
        (200, {"query_status": {"id": "q", "complete": True, "error": True, "error_message": "too slow"}}, "too slow"),
    ],
)
def test_a_refusal_is_one_sentence(server: Server, status: int, answer: object, said: str) -> None:
    """It names what to do, nothing of the key, and an answer that is cut off is none."""
    server.will(status, answer)

    with pytest.raises(AnalyticsError, match=said) as raised:
        ask(server)

    assert KEY[4:] not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_server_that_hangs_costs_the_timeout(server: Server) -> None:
    """No answer: an error that names the host and the time that it took, which is longer on a busy machine."""
    server.will(HANG)

    with pytest.raises(AnalyticsError, match=r"did not answer \(ReadTimeout after [\d.]+ s\)"):
        ask(server, timeout=0.2)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"personal_key": "phc_0123456789secret"}, "project key"),
        ({"personal_key": ""}, "no key"),
        ({"personal_key": "phx_0123456789secret\n"}, "no key"),
        ({"project_id": "1/../2"}, "project_id"),
        ({"host": "eu.posthog.com"}, "host"),
    ],
)
def test_a_wrong_argument_is_found_before_anything_is_sent(wrong: dict[str, Any], said: str) -> None:
    """The error names the argument, and no key."""
    with pytest.raises(AnalyticsError, match=said) as raised:
        Analytics(**{"personal_key": KEY, "project_id": 1, **wrong})

    assert "0123456789secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"interval": "weeks"}, "did you mean 'week'"),
        ({"since": UNTIL, "until": SINCE}, "is not before"),
        ({"since": "2026-11-01"}, "since = '2026-11-01' is no date"),
    ],
)
def test_a_wrong_question_is_not_asked(server: Server, wrong: dict[str, Any], said: str) -> None:
    """The error names the argument."""
    analytics = Analytics(personal_key=KEY, project_id=1, host=server.url)

    with pytest.raises(AnalyticsError, match=said):
        analytics.active_users(**{"tenant": "acme", "since": SINCE, "until": UNTIL, **wrong})

    assert server.handler.asked == []


def test_a_personal_tenant_is_asked_for_under_its_pseudonym(server: Server) -> None:
    """As its captures carry it, and never as it is."""
    server.will(200, ROWS)
    analytics = Analytics(personal_key=KEY, project_id=1, host=server.url, pseudonym_key="k" * 32)

    analytics.failure_reasons(tenant="ada@example.com", since=SINCE, until=UNTIL)

    asked = server.handler.asked[0].body["query"]["values"]["tenant"]
    assert asked.startswith("psn1_")
    assert "ada" not in asked
