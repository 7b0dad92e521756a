"""A call: decorated, by hand, through the official client, and as tracing products have it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from benchmarks.harness import Row, Runner, interleave, row, times
from benchmarks.subjects import CARD, PAYMENT, charge, issue, issue_later, running
from zentra_otel_posthog import capture, flush

_ROUNDS = 41
_CALLS = 1000  # a round
_PEER_CALLS = 500
_PROPERTIES = {"cardType": CARD[1], "tier": CARD[2]}


def decorated() -> list[Row]:
    """Against the hand-written span and event, without a processor: the limit."""
    with running() as (_, by_hand):
        costs = interleave(
            {
                "one": times(partial(issue, *CARD)),
                "one by hand": times(partial(by_hand.issue, *CARD)),
                "two": times(partial(charge, *PAYMENT)),
                "two by hand": times(partial(by_hand.charge, *PAYMENT)),
            },
            rounds=_ROUNDS,
            count=_CALLS,
            settle=flush,
        )
    return [
        row(
            "decorated call, one event", costs["one"], "span and add_event by hand", costs["one by hand"], at_most=1.25
        ),
        row("decorated call, two events", costs["two"], "span and two add_event by hand", costs["two by hand"]),
    ]


def asynchronous() -> list[Row]:
    """The same of a coroutine."""

    def awaited(function: Callable[..., Awaitable[object]]) -> Runner:
        async def run(count: int) -> None:
            for _ in range(count):
                await function(*CARD)

        return lambda count: asyncio.run(run(count))

    with running() as (_, by_hand):
        costs = interleave(
            {"ours": awaited(issue_later), "by hand": awaited(by_hand.issue_later)},
            rounds=_ROUNDS,
            count=_CALLS,
            settle=flush,
        )
    return [row("decorated coroutine, one event", costs["ours"], "span and add_event by hand", costs["by hand"])]


def dropped() -> list[Row]:
    """Where the sampler drops every span: tracing has nothing, analytics everything."""
    with running(ALWAYS_OFF) as (_, by_hand):
        costs = interleave(
            {"ours": times(partial(issue, *CARD)), "by hand": times(partial(by_hand.issue, *CARD))},
            rounds=_ROUNDS,
            count=_CALLS,
            settle=flush,
        )
    return [row("decorated call, span dropped", costs["ours"], "dropped span by hand, no capture", costs["by hand"])]


def beside_the_client() -> list[Row]:
    """Against the official client, with and without a span beside it."""
    from posthog import Posthog  # loaded, it is asked for its contexts at each call, so no other process has it

    with running() as (host, by_hand):
        client = Posthog("phc_benchmark", host=host)

        def span_and_capture() -> None:
            by_hand.issue(*CARD)
            client.capture("card.issued", distinct_id=CARD[0], properties=_PROPERTIES)

        def settle() -> None:
            flush()
            client.flush()

        costs = interleave(
            {
                "decorated": times(partial(issue, *CARD)),
                "span and client": times(span_and_capture),
                "capture": times(partial(capture, "card.issued", distinct_id=CARD[0], properties=_PROPERTIES)),
                "client": times(partial(client.capture, "card.issued", distinct_id=CARD[0], properties=_PROPERTIES)),
            },
            rounds=_ROUNDS,
            count=_CALLS,
            settle=settle,
        )
        client.shutdown()
    return [
        row(
            "decorated call, one event",
            costs["decorated"],
            "span by hand and posthog.capture",
            costs["span and client"],
            at_most=0.4,
        ),
        row("capture, with a span of its own", costs["capture"], "posthog.capture, no span", costs["client"]),
    ]


def capture_alone() -> list[Row]:
    """Without tracing, of which the client knows nothing either."""
    from posthog import Posthog

    with running(None) as (host, _):
        client = Posthog("phc_benchmark", host=host)

        def settle() -> None:
            flush()
            client.flush()

        costs = interleave(
            {
                "ours": times(partial(capture, "card.issued", distinct_id=CARD[0], properties=_PROPERTIES)),
                "client": times(partial(client.capture, "card.issued", distinct_id=CARD[0], properties=_PROPERTIES)),
            },
            rounds=_ROUNDS,
            count=_CALLS,
            settle=settle,
        )
        client.shutdown()
    return [row("capture, no tracing set up", costs["ours"], "posthog.capture", costs["client"])]


class _Discard(SpanExporter):
    """Takes spans as a backend's exporter would, and sends nothing."""

    def export(self, spans: object) -> SpanExportResult:  # noqa: ARG002
        return SpanExportResult.SUCCESS


def beside_logfire() -> list[Row]:
    """Against logfire's decorator, its scrubber at work, its exporter replaced by one that sends nothing."""
    import logfire

    local = logfire.configure(
        local=True, send_to_logfire=False, console=False, additional_span_processors=[BatchSpanProcessor(_Discard())]
    )

    def issue_card(customer_id: str, card_type: str, tier: str) -> None: ...

    return _beside("logfire.instrument, scrubber on", local.instrument("issue")(issue_card), local.force_flush)


def beside_langfuse() -> list[Row]:
    """Against langfuse's decorator, its exporter replaced by one that sends nothing."""
    import langfuse
    from opentelemetry.sdk.trace import TracerProvider

    client = langfuse.Langfuse(
        public_key="pk-benchmark", secret_key="sk-benchmark", tracer_provider=TracerProvider(), span_exporter=_Discard()
    )

    @langfuse.observe
    def issue_card(customer_id: str, card_type: str, tier: str) -> None: ...

    rows = _beside("langfuse.observe", issue_card, client.flush)
    client.shutdown()
    return rows


def _beside(product: str, call: Callable[..., object], settle_peer: Callable[[], object]) -> list[Row]:
    with running():

        def settle() -> None:
            flush()
            settle_peer()

        costs = interleave(
            {"ours": times(partial(issue, *CARD)), "theirs": times(partial(call, *CARD))},
            rounds=_ROUNDS,
            count=_PEER_CALLS,
            settle=settle,
        )
    return [row("decorated call, one event", costs["ours"], product, costs["theirs"])]
