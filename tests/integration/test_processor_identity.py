"""Who an event is about that other code records on its own span: what event and span say, and where the span began."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer

from zentra_otel_posthog import PostHogSpanProcessor, identify, processors
from zentra_otel_posthog.delivery import Capture

PAYMENT: Any = {"amount_minor": 125_000, "currency": "NGN", "method": "card"}


@pytest.fixture
def tracer(provider: TracerProvider, events: list[Capture]) -> Tracer:
    """The application's own tracer; ``events`` has made the package attach itself to its provider."""
    return provider.get_tracer("app")


def own(one: Capture) -> dict[str, Any]:
    return {name: value for name, value in one.properties.items() if not name.startswith("$")}


def test_the_start_of_the_span_counts(tracer: Tracer, events: list[Capture]) -> None:
    """A span that ends elsewhere is still about whom ``identify`` named where it began."""
    with identify("usr_1", tenant="acme", platform="ios"):
        span = tracer.start_span("request")
    with identify("usr_2", tenant="umbrella", platform="web"):
        span.add_event("payment.completed", PAYMENT)
        span.end()
    (one,) = events
    assert (one.distinct_id, one.properties["$groups"], one.properties["platform"]) == (
        "usr_1",
        {"tenant": "acme"},
        "ios",
    )


def test_a_given_parent_context_counts(tracer: Tracer, events: list[Capture]) -> None:
    """A span that is started with a context of its own takes the identity from there."""
    with identify("usr_1"):
        parent = context.get_current()
    span = tracer.start_span("request", context=parent)
    span.add_event("payment.completed", PAYMENT)
    span.end()
    assert [one.distinct_id for one in events] == ["usr_1"]


@pytest.mark.parametrize(
    ("on_event", "on_span", "block", "expected"),
    [
        ({"posthog.distinct_id": "a"}, {"posthog.distinct_id": "b"}, "c", "a"),
        ({}, {"posthog.distinct_id": "b", "user.id": "d"}, "c", "b"),
        ({"user.id": "d"}, {"user.id": "e"}, "c", "c"),
        ({"user.id": "d"}, {"posthog.distinct_id": "b"}, None, "b"),
        ({}, {"user.id": "d", "enduser.id": "e"}, None, "d"),
        ({}, {"enduser.id": "e"}, None, "e"),
        ({}, {}, None, None),
    ],
)
def test_the_order_of_the_sources(
    tracer: Tracer,
    events: list[Capture],
    on_event: dict[str, str],
    on_span: dict[str, str],
    block: str | None,
    expected: str | None,
) -> None:
    """The event's own id, the span's, ``identify``, then OpenTelemetry's conventions."""
    with identify(block), tracer.start_as_current_span("request", attributes=on_span) as span:
        span.add_event("payment.completed", {**PAYMENT, **on_event})
    (one,) = events
    assert ("$process_person_profile" in one.properties) is (expected is None)
    assert expected in {None, one.distinct_id}
    assert own(one) == PAYMENT


def test_session_and_tenant_of_event_and_span(tracer: Tracer, events: list[Capture]) -> None:
    """They are read from attributes like the distinct id, the event's before the span's."""
    sessions = [f"0192f0c1-2d3e-7abc-8def-01234567890{number}" for number in (1, 2)]
    on_span = {"posthog.distinct_id": "usr_1", "posthog.session_id": sessions[0], "posthog.tenant": "acme"}
    with tracer.start_as_current_span("request", attributes=on_span) as span:
        span.add_event("payment.completed", PAYMENT)
        span.add_event(
            "payment.completed", {**PAYMENT, "posthog.session_id": sessions[1], "posthog.tenant": "umbrella"}
        )
    assert [(one.properties["$session_id"], one.properties["$groups"]["tenant"]) for one in events] == [
        (sessions[0], "acme"),
        (sessions[1], "umbrella"),
    ]


def test_personal_ids_stay(tracer: Tracer, events: list[Capture]) -> None:
    """What other code calls a user's id passes the same gate."""
    with tracer.start_as_current_span("request", attributes={"enduser.id": "ada@example.com"}) as span:
        span.add_event("payment.completed", PAYMENT)
    assert "ada@example.com" not in repr(events)
    assert events[0].properties["$process_person_profile"] is False


def test_ended_spans_are_forgotten(provider: TracerProvider, tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of a span goes with it; of spans that never end, only so many are remembered."""
    attached = provider._active_span_processor._span_processors
    (processor,) = (one for one in attached if isinstance(one, PostHogSpanProcessor))
    with identify("usr_1"):
        for _ in range(100):
            tracer.start_span("request").end()
        assert processor._identities == {}
        monkeypatch.setattr(processors, "_REMEMBERED", 10)
        spans = [tracer.start_span("request") for _ in range(50)]
    assert len(processor._identities) == 10
    for span in spans:
        span.end()
    assert processor._identities == {}
