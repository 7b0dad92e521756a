"""Start-up through ``opentelemetry-instrument``'s extension point, and the fixture for users' own tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from zentra_otel_posthog import ZentraInstrumentor, flush, payment
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.inspector import Receiver


@pytest.fixture
def instrumentor() -> Iterator[ZentraInstrumentor]:
    """The instrumentor as its entry point names it, uninstrumented at the end."""
    (entry,) = entry_points(group="opentelemetry_instrumentor", name="zentra_posthog")
    found = entry.load()()
    yield found
    if found.is_instrumented_by_opentelemetry:
        found.uninstrument()


def test_it_configures_from_the_environment(
    instrumentor: ZentraInstrumentor, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Instrumented at start-up, events of other code's own spans are delivered without a call of ours."""
    with Receiver() as receiver:
        monkeypatch.setenv("POSTHOG_API_KEY", "phc_invented")
        monkeypatch.setenv("POSTHOG_HOST", receiver.url)
        monkeypatch.setenv("ZENTRA_POSTHOG_SPOOL_DIR", str(tmp_path / "spool"))
        instrumentor.instrument()
        with provider.get_tracer("app").start_as_current_span("request") as span:
            span.add_event("card.issued", {"cardType": "virtual", "tier": "gold"})
        assert flush(10)
        assert [event["event"] for event in receiver.events] == ["card.issued"]


def test_a_wrong_setting_is_told_once(
    instrumentor: ZentraInstrumentor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong key neither stops the application's start nor is it told again at every event; it is never printed."""
    monkeypatch.setenv("POSTHOG_API_KEY", "phx_personal")
    instrumentor.instrument()

    @payment
    def charge(amount_minor: int, currency: str, method: str) -> str:
        return "paid"

    assert charge(5, "NGN", "card") == "paid"
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert "POSTHOG_API_KEY" in record.getMessage()
    assert "phx_personal" not in record.getMessage()


def test_the_fixture(posthog_events: list[Capture]) -> None:
    """``posthog_events`` holds what a test captured."""

    @payment
    def charge(amount_minor: int, currency: str, method: str) -> None: ...

    charge(5, "NGN", "card")
    assert [one.event for one in posthog_events] == ["payment.pending", "payment.completed"]
