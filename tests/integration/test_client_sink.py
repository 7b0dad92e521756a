"""``configure(client=...)``: an application's own PostHog client sends what our own wire would send."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import posthog
import posthog.contexts
import pytest
from opentelemetry.sdk.trace import TracerProvider

from zentra_otel_posthog import PaymentCompleted, capture, configure, flush, identify, shutdown, telemetry
from zentra_otel_posthog.config import SettingsError
from zentra_otel_posthog.delivery import ClientSink
from zentra_otel_posthog.inspector import Receiver

MOMENT = datetime(2026, 11, 2, 10, 0, 0, 123456, UTC)
SESSION = "0192f0c1-2d3e-7abc-8def-0123456789ab"
# What the client adds to every event, and the two in which it names itself.
ADDITIONS = {"$python_runtime", "$python_version", "$os", "$os_version", "$os_distro", "$context_tags"}
BY_SENDER = {"$lib", "$lib_version"}


@pytest.fixture
def client(receiver: Receiver) -> Iterator[posthog.Posthog]:
    """An application's own client."""
    own = posthog.Posthog("phc_client", host=receiver.url)
    yield own
    own.shutdown()


def emit() -> list[str | None]:
    """Events with everything that a capture can have, about somebody and about nobody."""
    payment = PaymentCompleted(amount_minor=125_000, currency="NGN", method="card")
    with identify("usr_1", session_id=SESSION, tenant="acme", platform="ios", user_tier="gold"):
        first = capture(payment, timestamp=MOMENT, set={"plan": "pro"}, set_once={"first_seen": "app"})
    return [
        first,
        capture("checkout.completed", timestamp=MOMENT, properties={"ratio": 0.5, "tags": ["a"], "flag": True}),
    ]


def lost(reason: str) -> int:
    return telemetry.totals(telemetry.LOST).get((reason,), 0)


class Slow:
    """A client whose flush does not end."""

    def __init__(self) -> None:
        self.asked, self.goes_on = threading.Event(), threading.Event()

    def capture(self, event: str, **_: Any) -> str:
        return event

    def flush(self) -> None:
        self.asked.set()
        self.goes_on.wait(30)


def test_the_events_are_those_of_our_own_wire(
    receiver: Receiver, client: posthog.Posthog, provider: TracerProvider, tmp_path: Path
) -> None:
    """Event, person, uuid, time and every property agree with what the spool sends, but for the client's additions."""
    sent: dict[str, list[dict[str, Any]]] = {}
    for name, settings in (
        ("phc_ours", {"api_key": "phc_ours", "host": receiver.url, "spool_dir": tmp_path / "spool"}),
        ("phc_client", {"client": client}),
    ):
        configure(**settings)
        with provider.get_tracer("app").start_as_current_span("request"):
            uuids = emit()
        assert shutdown(5)
        sent[name] = receiver.events_of(name)
        assert [event["uuid"] for event in sent[name]] == uuids
    for ours, theirs in zip(*sent.values(), strict=True):
        assert {*ours} == {*theirs}
        assert {*theirs["properties"]} - {*ours["properties"]} <= ADDITIONS
        assert {*ours["properties"]} <= {*theirs["properties"]}
        # Of two executions these differ by nature.
        for event in (ours, theirs):
            for key in ("$trace_id", "$span_id", *BY_SENDER, *ADDITIONS):
                event["properties"].pop(key, None)
            del event["uuid"]
            if event["properties"].get("$process_person_profile") is False:
                assert len(event.pop("distinct_id")) == 32  # the trace's id
        assert (
            datetime.fromisoformat(ours.pop("timestamp")) == datetime.fromisoformat(theirs.pop("timestamp")) == MOMENT
        )
        assert ours == theirs


def test_the_applications_context_stays_out(receiver: Receiver, client: posthog.Posthog) -> None:
    """Tags of ``posthog.contexts``, which PostHog's middlewares fill with a user's e-mail, are not added."""
    configure(client=client)
    with posthog.contexts.new_context(fresh=True):
        posthog.contexts.tag("email", "ada@example.com")
        posthog.contexts.identify_context("ada@example.com")
        emit()
    assert flush(5)
    assert receiver.wait_for(2)
    assert b"ada@example" not in b"".join(request.body for request in receiver.requests)


def test_before_send_is_the_applications(receiver: Receiver) -> None:
    """The client's hook sees each event, and what it drops or the client refuses is counted."""
    names: list[str] = []

    def before_send(event: Any) -> Any:
        names.append(event["event"])
        return None if event["event"] == "payment.completed" else event

    own = posthog.Posthog("phc_client", host=receiver.url, before_send=before_send)
    configure(client=own)
    before = lost("client")
    emit()
    assert flush(5)
    assert names == ["payment.completed", "checkout.completed"]
    assert [event["event"] for event in receiver.events] == ["checkout.completed"]
    assert lost("client") == before + 1
    own.shutdown()
    emit()
    assert lost("client") == before + 3


def test_the_client_stays_the_applications(receiver: Receiver, client: posthog.Posthog) -> None:
    """After ``shutdown`` it goes on, for the application and for another ``configure``."""
    configure(client=client)
    assert shutdown(5)
    configure(client=client)
    emit()
    assert client.capture("own.event", distinct_id="usr_1") is not None
    assert flush(5)
    assert receiver.wait_for(3)


def test_the_module_is_a_client(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """``posthog`` itself, as many applications set it up, serves too."""
    monkeypatch.setattr(posthog, "api_key", "phc_module")
    monkeypatch.setattr(posthog, "host", receiver.url)
    monkeypatch.setattr(posthog, "default_client", None)
    configure(client=posthog)
    emit()
    assert flush(5)
    assert receiver.wait_for(2)
    posthog.shutdown()


def test_a_flush_that_does_not_end() -> None:
    """A client that blocks for minutes blocks a thread of ours, one, and no flush longer than it was told."""
    slow = Slow()
    configure(client=slow)
    try:
        assert [flush(0.01), flush(0.01), shutdown(0)] == [False, False, False]
        assert slow.asked.wait(5)
        assert Counter(thread.name for thread in threading.enumerate())["zentra-posthog-client-flush"] == 1
    finally:
        slow.goes_on.set()
    assert flush(5)


def test_a_client_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """What a client raises reaches nobody, and is counted."""

    class Broken(Slow):
        def capture(self, event: str, **_: Any) -> str:
            raise ValueError("ada@example.com")

    telemetry.raise_internal_errors(enabled=False)
    broken = Broken()
    broken.goes_on.set()
    configure(client=broken)
    before = lost("sink")
    assert all(emit())
    assert lost("sink") == before + 2
    assert "ada@example.com" not in caplog.text


def test_what_waits_at_exit(receiver: Receiver) -> None:
    """At interpreter exit, where no thread starts, the client still sends what it has."""
    program = f"""
import posthog
from zentra_otel_posthog import capture, configure
configure(client=posthog.Posthog("phc_exit", host={receiver.url!r}, flush_interval=60))
capture("checkout.completed", distinct_id="usr_1")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert [event["event"] for event in receiver.events_of("phc_exit")] == ["checkout.completed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda: {"client": Slow(), "sink": ClientSink(Slow())}, "client and sink: .*leave the other out"),
        (lambda: {"client": Slow(), "sink": "console"}, "client and sink"),
        (
            lambda: {"client": Slow(), "api_key": "phc_one", "flush_at": 5},
            "client and api_key, flush_at: .*leave out client",
        ),
        (lambda: {"sink": ClientSink(Slow()), "spool_dir": "spool"}, "sink and spool_dir"),
        (lambda: {"client": object()}, "client is a object, which has no capture and flush.*posthog.Posthog"),
        (lambda: {"client": posthog.AsyncPosthog("phc_one", send=False)}, "not an AsyncPosthog"),
        (lambda: {"sink": Slow()}, "sink is a Slow without append, shutdown.*delivery.Sink"),
    ],
)
def test_what_excludes_each_other(arguments: Callable[[], dict[str, Any]], message: str) -> None:
    """Two answers to where captures go, or an object that takes none, are one clear error."""
    with pytest.raises(SettingsError, match=message):
        configure(**arguments())


def test_an_environment_for_others(monkeypatch: pytest.MonkeyPatch, client: posthog.Posthog) -> None:
    """A key in the environment, which the client may have been made with, is no contradiction."""
    monkeypatch.setenv("POSTHOG_API_KEY", "phc_client")
    configure(client=client)
    emit()
    assert flush(5)
