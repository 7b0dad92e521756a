"""Which source names the person, each against each, and what goes with a person whom only the request names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider

from zentra_otel_posthog import capture, identify, payment
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.propagation import PostHogPropagator

SESSION = "0192f0c1-2d3e-7abc-8def-0123456789ab"
OTHER_SESSION = "0192f0c1-2d3e-7abc-8def-0123456789ac"
WINDOW = "0192f0c1-2d3e-7abc-8def-0123456789ad"
PAYMENT: Any = {"amount_minor": 125_000, "currency": "NGN", "method": "card"}
PROPAGATOR = CompositePropagator([W3CBaggagePropagator(), PostHogPropagator()])
BROWSER = {
    "x-posthog-distinct-id": "browser_1",
    "x-posthog-session-id": SESSION,
    "x-posthog-window-id": WINDOW,
}

# The strongest first.
RANK = (
    "argument",
    "event",
    "posthog.distinct_id",
    "identify",
    "posthog.contexts",
    "header",
    "baggage",
    "posthogDistinctId",
    "user.id",
    "enduser.id",
)
PostHogContext = Callable[..., AbstractContextManager[None]]
ON_SPAN = {"posthog.distinct_id", "posthogDistinctId", "user.id", "enduser.id"}


@payment
def pay(
    user_id: str | None = None, amount_minor: int = 125_000, currency: str = "NGN", method: str = "card"
) -> None: ...


@contextmanager
def request(**headers: str) -> Iterator[None]:
    """What a server's instrumentation does with a request."""
    token = otel_context.attach(PROPAGATOR.extract(headers, otel_context.get_current()))
    try:
        yield
    finally:
        otel_context.detach(token)


def surroundings(sources: tuple[str, ...], posthogs: PostHogContext) -> list[AbstractContextManager[Any]]:
    """Return the blocks that make these sources speak, one for each; a request is one block."""
    blocks: list[AbstractContextManager[Any]] = []
    if "identify" in sources:
        blocks.append(identify("identify"))
    if "posthog.contexts" in sources:
        blocks.append(posthogs("posthog.contexts"))
    headers = {}
    if "header" in sources:
        headers["x-posthog-distinct-id"] = "header"
    if "baggage" in sources:
        headers["baggage"] = "posthog.distinct_id=baggage"
    return [*blocks, request(**headers)] if headers else blocks


def said(one: Capture) -> tuple[str | None, str | None, str | None, str | None]:
    """Person (None: nobody), session, window and tenant."""
    properties = one.properties
    person = None if "$process_person_profile" in properties else one.distinct_id
    groups = properties.get("$groups") or {}
    return person, properties.get("$session_id"), properties.get("$window_id"), groups.get("tenant")


@pytest.mark.parametrize("outside_in", [False, True])
@pytest.mark.parametrize(
    "pair", [pair for pair in itertools.combinations(RANK, 2) if pair != RANK[:2]], ids=" over ".join
)
def test_each_against_each(
    provider: TracerProvider,
    events: list[Capture],
    posthogs: PostHogContext,
    pair: tuple[str, str],
    *,
    outside_in: bool,
) -> None:
    """The one that stands first in the order wins, whichever is the inner one and whoever records the event."""
    blocks = surroundings(pair, posthogs)
    with ExitStack() as stack:
        for block in reversed(blocks) if outside_in else blocks:
            stack.enter_context(block)
        on_span = {name: name for name in pair if name in ON_SPAN}
        span = stack.enter_context(provider.get_tracer("app").start_as_current_span("request", attributes=on_span))
        argument = "argument" if "argument" in pair else None
        if RANK[1] not in pair:
            capture("payment.completed", distinct_id=argument, properties=PAYMENT)
            pay(argument)
        if argument is None:
            own = {"posthog.distinct_id": RANK[1]} if RANK[1] in pair else {}
            span.add_event("payment.completed", {**PAYMENT, **own})
    assert {said(one)[0] for one in events} == {pair[0]}
    assert len(events) == 1 + ("argument" in pair) * 2 + (RANK[0] not in pair and RANK[1] not in pair) * 3


class TestTheBrowsersSession:
    @pytest.mark.parametrize("way", ["argument", "decorator", "span", "identify inside", "identify outside"])
    def test_it_is_the_requests_whoever_the_backend_names(
        self, provider: TracerProvider, events: list[Capture], way: str
    ) -> None:
        """A browser that does not know its user yet claims an id of its own; the session is that user's all the same."""
        with ExitStack() as stack:
            if way == "identify outside":
                stack.enter_context(identify("usr_1"))
            stack.enter_context(request(**BROWSER))
            if way == "identify inside":
                stack.enter_context(identify("usr_1"))
            on_span = {"posthog.distinct_id": "usr_1"} if way == "span" else {}
            stack.enter_context(provider.get_tracer("app").start_as_current_span("request", attributes=on_span))
            _ = (
                pay("usr_1")
                if way == "decorator"
                else capture("basket.paid", distinct_id="usr_1" if way == "argument" else None)
            )
        assert {said(one) for one in events} == {("usr_1", SESSION, WINDOW, None)}

    def test_nobody_named(self, events: list[Capture]) -> None:
        """The claimed person gets the event and its person properties, as in PostHog's own middlewares."""
        with request(**BROWSER):
            capture("basket.paid", set={"plan": "pro"})
        assert [said(one) for one in events] == [("browser_1", SESSION, WINDOW, None)]
        assert events[0].properties["$set"] == {"plan": "pro"}

    @pytest.mark.parametrize("way", ["argument", "identify"])
    def test_not_of_a_second_person(self, events: list[Capture], way: str) -> None:
        """Whom the backend names within a block about somebody else did not sit at that browser."""
        with request(**BROWSER), identify("usr_1", tenant="acme"):
            if way == "argument":
                capture("basket.paid", distinct_id="usr_2")
            else:
                with identify("usr_2"):
                    capture("basket.paid")
            capture("basket.paid")
        assert [said(one) for one in events] == [("usr_2", None, None, "acme"), ("usr_1", SESSION, WINDOW, "acme")]

    @pytest.mark.parametrize(("session", "window"), [(SESSION, WINDOW), (OTHER_SESSION, None)])
    @pytest.mark.parametrize("way", ["identify", "posthog.contexts", "span"])
    def test_a_window_goes_with_its_session(
        self,
        provider: TracerProvider,
        events: list[Capture],
        posthogs: PostHogContext,
        way: str,
        session: str,
        window: str | None,
    ) -> None:
        """Where something else names the session, the browser's window counts if it is the same one."""
        blocks: dict[str, AbstractContextManager[Any]] = {
            "identify": identify("usr_1", session_id=session),
            "posthog.contexts": posthogs("usr_1", session),
            "span": provider.get_tracer("app").start_as_current_span(
                "request", attributes={"posthog.session_id": session, "posthog.distinct_id": "usr_1"}
            ),
        }
        with request(**BROWSER), blocks[way]:
            capture("basket.paid")
        assert [said(one) for one in events] == [("usr_1", session, window, None)]

    @pytest.mark.parametrize("header", ["x-posthog-session-id", "x-posthog-window-id"])
    @pytest.mark.parametrize("value", ["", "s3cret", "f47ac10b-58cc-4372-a567-0e02b2c3d479"])
    def test_no_other_ids_leave(self, events: list[Capture], header: str, value: str) -> None:
        """What is no UUIDv7 stays; without a session there is no window."""
        with request(**{**BROWSER, header: value}):
            capture("basket.paid")
        session = None if header == "x-posthog-session-id" else SESSION
        assert [said(one) for one in events] == [("browser_1", session, None, None)]

    def test_a_claimed_id_passes_the_gate(self, events: list[Capture]) -> None:
        """A client that sends an e-mail address as an id gets no person for it."""
        with request(**{**BROWSER, "x-posthog-distinct-id": "ada@example.com"}):
            capture("basket.paid")
        assert [said(one) for one in events] == [(None, SESSION, WINDOW, None)]
        assert "ada@" not in repr(events)


@pytest.mark.parametrize("way", ["argument", "identify inside", "identify outside", "span", None])
def test_the_tenant_of_a_request(provider: TracerProvider, events: list[Capture], way: str | None) -> None:
    """Another service's tenant counts where this one names none."""
    with ExitStack() as stack:
        if way == "identify outside":
            stack.enter_context(identify(tenant="acme"))
        stack.enter_context(request(**{"x-zentra-posthog-tenant": "umbrella"}))
        if way == "identify inside":
            stack.enter_context(identify(tenant="acme"))
        on_span = {"posthog.tenant": "acme"} if way == "span" else {}
        stack.enter_context(provider.get_tracer("app").start_as_current_span("request", attributes=on_span))
        capture("basket.paid", tenant="acme" if way == "argument" else None)
    assert [said(one)[3] for one in events] == ["acme" if way else "umbrella"]


def test_nothing_stays_behind(events: list[Capture]) -> None:
    """After the request nobody is named."""
    with request(**BROWSER, **{"x-zentra-posthog-tenant": "acme"}):
        pass
    capture("basket.paid")
    assert [said(one) for one in events] == [(None, None, None, None)]
