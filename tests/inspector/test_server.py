"""The inspector as a server: what it keeps, whom it lets in, how it starts and ends."""

from __future__ import annotations

import http.client
import json
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.inspector.conftest import KEY, Inspector, an_event

from zentra_otel_posthog.cli import main


@contextmanager
def stream(inspector: Inspector) -> Iterator[http.client.HTTPResponse]:
    address = urlsplit(inspector.url)
    with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)) as connection:
        connection.request("GET", "/inspector/api/stream")
        response = connection.getresponse()
        assert response.readline().startswith(b"retry:")
        yield response


def next_message(response: http.client.HTTPResponse) -> dict[str, str]:
    message: dict[str, str] = {}
    while line := response.readline().decode().rstrip("\n") or ("" if message else "empty"):
        if line != "empty" and not line.startswith(":"):
            name, _, value = line.partition(": ")
            message[name] = value
    return message


def test_arrivals_and_flags_are_streamed(inspector: Inspector) -> None:
    """An open page hears of events and of switched flags without asking."""
    with stream(inspector) as response:
        inspector.send(an_event(), an_event("payment.failed"))
        message = next_message(response)
        assert message["event"] == "arrived"
        data = json.loads(message["data"])
        assert data["count"] == 2
        assert data["names"] == {"payment.completed": 1, "payment.failed": 1}
        assert data["seq"] == inspector.events()[-1]["seq"]
        assert inspector.change("PUT", "flags/rail", {"enabled": True}) == 200
        assert next_message(response)["event"] == "flags"


@pytest.mark.slow  # processes of its own
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_with_a_page_open(tmp_path: Path, end: int) -> None:
    """Ctrl-C is no error, though a stream is open."""
    inspector = Inspector("--memory")
    with stream(inspector):
        assert inspector.stop(end) == 0


@pytest.mark.slow  # processes of its own
def test_what_it_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """Events, persons and flags are there for the next one, in files that only their owner reads."""
    first = Inspector("--data", str(tmp_path / "data"))
    event = an_event("$identify", properties={"$anon_distinct_id": "anon"})
    first.send(event)
    assert first.change("PUT", "flags/rail", {"enabled": True, "variant": "fast"}) == 200
    first.stop(signal.SIGKILL)
    second = Inspector("--data", str(tmp_path / "data"))
    try:
        second.send(event, an_event(distinct_id="anon"))
        assert [(stored["resent"], stored["person"]) for stored in second.events()] == [(1, "usr_1"), (0, "usr_1")]
        assert [(flag["key"], flag["variant"]) for flag in second.get("flags")["flags"]] == [("rail", "fast")]
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
        assert modes == {0o600}
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    finally:
        assert second.stop() == 0


@pytest.mark.slow  # processes of its own
def test_a_kill_in_the_middle_of_everything(tmp_path: Path) -> None:
    """Whatever was answered with 200 by then is there afterwards, once, and nothing that nobody sent."""
    folder = str(tmp_path / "data")
    acknowledged: set[str] = set()
    sent: set[str] = set()
    for _ in range(3):
        running = Inspector("--data", folder)

        def send(inspector: Inspector = running) -> None:
            with suppress(OSError, http.client.HTTPException):  # its end
                while True:
                    batch = [an_event() for _ in range(5)]
                    sent.update(event["uuid"] for event in batch)
                    if inspector.post("/batch/", {"api_key": KEY, "batch": batch})[0] == 200:
                        acknowledged.update(event["uuid"] for event in batch)

        senders = [threading.Thread(target=send) for _ in range(4)]
        for sender in senders:
            sender.start()
        before = len(acknowledged)
        while len(acknowledged) < before + 150:
            time.sleep(0.01)
        running.stop(signal.SIGKILL)
        for sender in senders:
            sender.join()
    last = Inspector("--data", folder)
    try:
        stored: list[str] = []
        newest = 10**15
        while page := last.get("events", limit=1000, before=newest)["events"]:
            stored.extend(event["uuid"] for event in page)
            newest = page[-1]["seq"]
        assert len(stored) == len(set(stored)) == last.get("health")["stored"]
        assert acknowledged <= set(stored) <= sent
    finally:
        assert last.stop() == 0


@pytest.mark.slow  # processes of its own
def test_the_browser_is_opened(tmp_path: Path) -> None:
    """At the page, and the inspector goes on whatever the browser does."""
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    script = f'#!/bin/sh\nexec >/dev/null 2>&1\necho "$1" > {opened}.new && mv {opened}.new {opened}\nexec sleep 5\n'
    browser.write_text(script)
    browser.chmod(0o700)
    inspector = Inspector("--memory", "--open", environment={"BROWSER": str(browser)})
    try:
        while not opened.exists():
            time.sleep(0.01)
        assert opened.read_text() == f"{inspector.url}\n"
        inspector.send(an_event())
    finally:
        assert inspector.stop() == 0


def test_without_the_extra(tmp_path: Path) -> None:
    """Whoever has installed the base package alone is told what to install."""
    program = "import sys; sys.modules['duckdb'] = None; from zentra_otel_posthog.cli import main; main(['inspect'])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "the inspector needs packages: pip install 'zentra-otel-posthog[tools]'" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.slow  # processes of its own
def test_two_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a folder nor a port is shared, and each says so in a sentence."""
    first = Inspector("--data", str(tmp_path / "data"))
    try:
        with pytest.raises(RuntimeError) as raised:
            Inspector("--data", str(tmp_path / "data"))
        said = str(raised.value)
        assert "another inspector has it open; end that one, or name another folder" in said
        assert said.count("\n") == 1
        with pytest.raises(SystemExit) as ended:
            main(["inspect", "--memory", "--port", str(urlsplit(first.url).port)])
        assert ended.value.code == 2
        assert "the port is taken; name another, or --port 0" in capsys.readouterr().err
    finally:
        first.stop()


def test_no_foreign_page_gets_in(inspector: Inspector) -> None:
    """Neither by a name that resolves to this machine, nor by a request across origins."""
    for path in ("/", "/inspector/api/events", "/inspector/page/index.html", "/inspector/api/stream"):
        assert inspector.request("GET", path, headers={"Host": "evil.example"})[0] == 403
    assert inspector.request("POST", "/inspector/api/clear")[0] == 403
    assert inspector.request("PUT", "/inspector/api/flags/rail", b'{"enabled": true}')[0] == 403
    status, headers, _ = inspector.request(
        "OPTIONS",
        "/inspector/api/clear",
        headers={"Origin": "http://evil.example", "Access-Control-Request-Headers": "x-inspector"},
    )
    assert status == 403
    assert not [name for name in headers if name.startswith("access-control")]
    for path in ("/", "/inspector/api/events"):
        _, headers, _ = inspector.request("GET", path, headers={"Origin": "http://evil.example"})
        assert not [name for name in headers if name.startswith("access-control")]


def test_the_page(inspector: Inspector) -> None:
    """It may load from here alone, and an unchanged asset is not sent again."""
    status, headers, body = inspector.request("GET", "/")
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert b"<html" in body
    status, headers, _ = inspector.request("GET", "/inspector/page/index.html")
    again = inspector.request("GET", "/inspector/page/index.html", headers={"If-None-Match": headers["etag"]})
    assert again[0] == 304


def test_flags(inspector: Inspector) -> None:
    """A flag is met when an application asks for it, and answered as it is switched, in both forms of the answer."""
    body = {"token": KEY, "distinct_id": "usr_1", "flag_keys_to_evaluate": ["rail"]}
    first = json.loads(inspector.post("/flags/?v=2", body)[1])
    assert first["flags"]["rail"]["enabled"] is False
    assert inspector.change("PUT", "flags/rail", {"enabled": True, "variant": "fast"}) == 200
    second = json.loads(inspector.post("/flags/?v=2&config=true", body)[1])
    assert (second["flags"]["rail"]["enabled"], second["flags"]["rail"]["variant"]) == (True, "fast")
    assert second["sessionRecording"] is False
    assert json.loads(inspector.post("/flags/", body)[1])["featureFlags"] == {"rail": "fast"}
    (flag,) = inspector.get("flags")["flags"]
    assert (flag["key"], flag["enabled"], flag["variant"], flag["asked"]) == ("rail", True, "fast", 3)
    assert flag["last_answer_at"].endswith("Z")
    assert inspector.post("/flags/?v=2", {"distinct_id": "usr_1"})[0] == 401
    assert inspector.post("/flags/?v=2", {"token": KEY})[0] == 400
    assert inspector.change("DELETE", "flags/rail") == 204
    assert inspector.change("DELETE", "flags/rail") == 404


@pytest.mark.parametrize(
    ("view", "error"),
    [
        ("events?limit=0", "limit=0: choose a number from 1 to 1000"),
        ("events?after=x", "after=x: it is no whole number"),
        ("funnel?steps=one", "steps=one: name 2 to 10 events, joined by commas"),
        ("funnel?window_days=x", "window_days=x: choose a number of days above 0, up to 3650"),
        ("retention?period=weak", "period=weak: did you mean 'week'?"),
        ("trends?to=9999-12-31T23:59:59Z", "to=9999-12-31T23:59:59Z: write a time as in 2026-11-25T09:00:00Z"),
        ("events?from=yesterday", "from=yesterday: write a time as in 2026-11-25T09:00:00Z"),
    ],
)
def test_wrong_parameters(inspector: Inspector, view: str, error: str) -> None:
    """Each is named, with the way out."""
    status, _, body = inspector.request("GET", f"/inspector/api/{view}")
    assert (status, json.loads(body)["error"]) == (400, error)
