"""Beside every tracing product: it gets what it would get without us, and ours; PostHog gets each event once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bank_process import CARD_NUMBER, EMAIL
from endpoint import Span
from peers import SESSION
from runs import Outcome, run_both

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CHARGE, ISSUE = "__main__ Bank._charge", "__main__ Bank._issue"
OURS = {CHARGE, ISSUE, "report.ready", "bank.opened"}
OUR_EVENTS = {"checkout.completed", "report.ready"}  # what ``capture`` records on the application's own spans
OTHERS = ("payment.completed", 7)  # the event that other code records on its span, told by its amount
# What differs between two runs of the same program, or holds lines of our code where an exception passed it.
VOLATILE = {
    "thread.id", "exception.stacktrace", "error.stack", "runtime-id", "process_id", "_dd.p.tid", "_dd.tags.process",
}  # fmt: skip


def application_trees(spans: Iterable[Span]) -> list[Any]:
    """Return the application's spans as trees in order of their beginning, ours left out, ids and times likewise."""
    spans = sorted(spans, key=lambda span: span.start)
    known = {span.identifier for span in spans}
    children: dict[str, list[Span]] = {}
    for span in spans:
        children.setdefault(span.parent if span.parent in known else "", []).append(span)

    def below(parent: str) -> list[Any]:
        found: list[Any] = []
        for span in children.get(parent, ()):
            if not span.identifier:
                found.append(span.name)
            elif is_ours(span):
                found += below(span.identifier)
            else:
                events = [(name, lasting(attributes)) for name, _, attributes in span.events if name not in OUR_EVENTS]
                found.append([
                    span.name, span.scope, span.kind, span.status, lasting(span.attributes), events,
                    below(span.identifier),
                ])  # fmt: skip
        return found

    return below("")


def is_ours(span: Span) -> bool:
    assert not span.scope or (span.scope == "zentra_otel_posthog") == (span.name in OURS), span
    return span.name in OURS


def lasting(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: attributes[key] for key in sorted(attributes.keys() - VOLATILE)}


def assert_spans_are_undisturbed(without: Outcome, with_us: Outcome) -> None:
    """The product's server has the same spans of the application, and ours with nothing but their schema's."""
    assert without.sampled == with_us.sampled
    assert without.spans.keys() == with_us.spans.keys()
    for path, spans in with_us.spans.items():
        assert not any(is_ours(span) for span in without.spans[path])
        assert application_trees(spans) == application_trees(without.spans[path]), path
        ours = [span for span in spans if is_ours(span)]
        requests = sum(span.name == "checkout" for span in spans)
        expected = Counter({CHARGE: 2 * requests, ISSUE: requests})
        assert Counter(span.name for span in ours if span.name in {CHARGE, ISSUE}) == +expected
        for span in spans:
            for name, moment, _ in span.events:
                assert is_ours(span) <= (span.start <= moment <= span.end), (span.name, name)
                assert (name in OUR_EVENTS) <= (span.start <= moment <= span.end), (span.name, name)
        told = json.dumps([
            [(span.name, span.status, span.attributes, span.events) for span in ours],
            [event for span in spans for event in span.events if event[0] in OUR_EVENTS],
        ])  # fmt: skip
        assert EMAIL not in told
        assert CARD_NUMBER not in told


def expected_captures(requests: int, others: Iterable[int]) -> Counter[tuple[str, str, Any]]:
    """Return what PostHog is to have, by event, person and amount. ``others``: requests whose span events are seen."""
    expected: Counter[tuple[str, str, Any]] = Counter({("report.ready", "usr_0", None): 1})
    for number in range(requests):
        person = f"usr_{number}"
        expected.update([
            ("payment.pending", person, 125_000),
            ("payment.completed", person, 125_000),
            ("card.issued", person, None),
            ("payment.pending", person, 5),
            ("payment.failed", person, 5),
            ("checkout.completed", person, None),
        ])  # fmt: skip
    event, amount = OTHERS
    expected.update((event, f"usr_{number}", amount) for number in others)
    return expected


def assert_captures_are_complete(outcome: Outcome, order: str, others: Iterable[int]) -> None:
    """Each event once, about the right person and in the right trace, with nothing personal."""
    own = [one for one in outcome.captures if one["event"] not in {"statement.viewed", "bank.opened"}]
    found = Counter((one["event"], one["distinct_id"], one["properties"].get("amount_minor")) for one in own)
    assert found == expected_captures(len(outcome.traces), others)
    assert outcome.received == len(outcome.captures)
    assert len({one["uuid"] for one in outcome.captures}) == len(outcome.captures)
    opened = [one for one in outcome.captures if one["event"] == "bank.opened"]
    assert len(opened) == (order == "ours")
    for one in own:
        if one["event"] != "report.ready":
            number = int(one["distinct_id"].removeprefix("usr_"))
            assert one["properties"]["$trace_id"] == outcome.traces[number]
            assert one["properties"]["$groups"] == {"tenant": "acme"}
    assert EMAIL not in outcome.bodies
    assert CARD_NUMBER not in outcome.bodies


PATHS = {
    "datadog": {"/info", "/v0.4/traces"},
    "everything": {"/v1/traces", "/api/1/integration/otlp/v1/traces/", "/api/public/otel/v1/traces"},
    "langfuse": {"/api/public/otel/v1/traces"},
    "langfuse-filtered": {"/v1/traces", "/api/public/otel/v1/traces"},
    "langfuse-shared": {"/v1/traces", "/api/public/otel/v1/traces"},
    "sentry-otlp": {"/api/1/integration/otlp/v1/traces/", "/api/1/envelope/"},
    "sentry-transactions": {"/api/1/envelope/"},
}
# Under ``opentelemetry-instrument`` there is a provider already: OpenTelemetry refuses that of Logfire and of Sentry's
# transactions, and Langfuse shares it.
EVERY_SAMPLE = [
    (peer, order)
    for peer in (
        "otlp", "logfire", "sentry-otlp", "sentry-transactions", "langfuse", "langfuse-shared", "datadog", "posthog",
        "everything",
    )
    for order in ("peer", "ours", "auto")
    if order != "auto" or peer not in {"logfire", "sentry-transactions", "langfuse"}
]  # fmt: skip


@pytest.mark.parametrize(("peer", "order"), EVERY_SAMPLE)
def test_every_order(tmp_path: Path, peer: str, order: str) -> None:
    """Whoever is set up first: the product gets what it would get without us, and PostHog each event once."""
    without, with_us = run_both(tmp_path, peer, order)
    assert all(with_us.sampled)
    launchers = {"/v1/traces"} if order == "auto" and peer != "datadog" else set()
    assert with_us.spans.keys() == PATHS.get(peer, {"/v1/traces"}) | launchers
    # Some paths take no spans: the agent's description, Sentry's errors.
    assert {sum(span.name == "checkout" for span in spans) for spans in with_us.spans.values()} - {0} == {3}
    assert_spans_are_undisturbed(without, with_us)
    # Datadog's provider takes no span processors, so what other code records on its spans is not seen.
    assert_captures_are_complete(with_us, order, () if peer == "datadog" else range(3))
    theirs = [one["event"] for one in without.captures]
    assert theirs == [one["event"] for one in with_us.captures if one["event"] == "statement.viewed"]
    if peer in {"posthog", "everything"}:
        assert len(theirs) == 3
        sessions = {one["properties"].get("$session_id") for one in with_us.captures if one["event"] == "card.issued"}
        assert sessions == {SESSION}


# Where the product drops a span before a processor sees it, so does it what other code records on that.
@pytest.mark.parametrize(
    ("peer", "rate", "others_are_seen"),
    [
        ("otlp", 0.1, False),
        ("otlp", 0.0, False),
        ("otlp-always-record", 0.1, True),
        ("otlp-always-record", 0.0, True),
        ("logfire", 0.1, False),
        ("sentry-otlp", 0.1, False),
        ("sentry-transactions", 0.0, True),  # its sampling is not OpenTelemetry's
        ("langfuse", 0.1, False),
        ("langfuse-shared", 0.1, False),
        ("everything", 0.1, False),
        ("datadog", 0.0, False),
    ],
)
def test_sampling(tmp_path: Path, peer: str, rate: float, *, others_are_seen: bool) -> None:
    """A sampler thins out the product's traces as it does without us, and none of our captures."""
    without, with_us = run_both(tmp_path, peer, "peer", rate, requests=30)
    sampled = [number for number, taken in enumerate(with_us.sampled) if taken]
    if peer != "sentry-transactions":
        assert (0 < len(sampled) < 10) if rate else not sampled
        if peer != "datadog":
            assert with_us.traces == without.traces
    assert_spans_are_undisturbed(without, with_us)
    assert_captures_are_complete(
        with_us, "peer", range(30) if others_are_seen else sampled if peer != "datadog" else ()
    )


@pytest.mark.parametrize("peer", ["langfuse-by-default", "langfuse-isolated"])
def test_langfuse_without_our_spans(tmp_path: Path, peer: str) -> None:
    """Where Langfuse's filter or a provider of its own keeps our spans out, it has the same observations all the same.

    One that begins inside a decorated call names a parent that Langfuse never gets, as it does inside any other span
    that is kept out: a filter that lets ours through keeps the tree whole.
    """
    without, with_us = run_both(tmp_path, peer, "peer")
    path = "/api/public/otel/v1/traces"
    assert sorted(map(flat, with_us.spans[path])) == sorted(map(flat, without.spans[path]))
    assert application_trees(with_us.spans["/v1/traces"]) == application_trees(without.spans["/v1/traces"])
    assert sum(is_ours(span) for span in with_us.spans["/v1/traces"]) == 3 * 3 + 1
    assert_captures_are_complete(with_us, "peer", range(3))


def flat(span: Span) -> str:
    return repr((span.name, span.scope, span.status, lasting(span.attributes), span.events))


def test_logfire_configured_again(tmp_path: Path) -> None:
    """A second ``logfire.configure`` drops the processors of others; ours is back at the next decorated call."""
    without, with_us = run_both(tmp_path, "logfire-again", "peer")
    assert_spans_are_undisturbed(without, with_us)
    assert_captures_are_complete(with_us, "ours", range(3))


@pytest.mark.parametrize("peer", ["otlp", "logfire", "everything", "datadog"])
def test_log_events(tmp_path: Path, peer: str) -> None:
    """Events as log records instead of span events: the spans are free of them, and the captures are the same."""
    without, with_us = run_both(tmp_path, peer, "peer", settings={"ZENTRA_POSTHOG_EVENTS": "log"})
    assert_spans_are_undisturbed(without, with_us)
    events = {name for spans in with_us.spans.values() for span in spans for name, _, _ in span.events}
    assert events == {"validated", "payment.completed", "exception"}
    assert_captures_are_complete(with_us, "peer", () if peer == "datadog" else range(3))


@pytest.mark.parametrize(
    ("peer", "inner"), [("otlp", "always_off"), ("everything", "always_off"), ("otlp", "always_on")]
)
def test_our_sampler(tmp_path: Path, peer: str, inner: str) -> None:
    """Around the application's sampler it exports what that would, and analytics sees other code's events as well."""
    without, with_us = run_both(
        tmp_path,
        peer,
        "auto",
        baseline={"OTEL_TRACES_SAMPLER": inner},
        settings={"OTEL_TRACES_SAMPLER": "zentra_posthog", "OTEL_TRACES_SAMPLER_ARG": inner},
    )
    assert with_us.sampled == [inner == "always_on"] * 3
    assert_spans_are_undisturbed(without, with_us)
    assert_captures_are_complete(with_us, "auto", range(3))
