"""Flags by OpenFeature, evaluated over a real socket: what the events say, and what is asked."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.flags.conftest import FlagServer

from zentra_otel_posthog import capture, identify, payment
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.delivery.capture import ClaimedTenantCapture
from zentra_otel_posthog.flags import use_posthog_flags
from zentra_otel_posthog.propagation import PostHogPropagator

EXPOSURE = "$feature_flag_called"


def named(captures: list[Capture], name: str) -> list[dict[str, Any]]:
    return [one.properties for one in captures if one.event == name]


def answers(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name.startswith(("$feature/", "$active"))}


def test_the_answer_is_on_the_events_that_follow_and_not_on_those_before(
    flags: OpenFeatureClient, server: FlagServer, captures: list[Capture]
) -> None:
    """A payment whose flag is asked for inside: pending without, completed and what comes after with the variant."""
    server.flags = {"rail": "instant", "receipt": False}

    @payment
    def charge(customer_id: str, amount_minor: int, currency: str, method: str) -> str:
        assert flags.get_string_value("rail", "batch") == "instant"
        assert flags.get_boolean_value("receipt", True) is False
        return "ok"

    with identify("usr_1", tenant="acme"):
        capture("checkout.started")
        charge("usr_1", 125000, "NGN", "card")
        capture("checkout.completed")
    capture("session.ended", distinct_id="usr_1")

    said = {"$feature/rail": "instant", "$feature/receipt": False, "$active_feature_flags": ["rail"]}
    assert {one.event: answers(one.properties) for one in captures if one.event != EXPOSURE} == {
        "checkout.started": {},
        "payment.pending": {},
        "payment.completed": said,
        "checkout.completed": said,
        "session.ended": {},
    }


def test_other_people_and_other_blocks_have_nothing_of_it(
    flags: OpenFeatureClient, server: FlagServer, captures: list[Capture]
) -> None:
    """An event about somebody else, a block beside, and the block around an inner one."""
    server.flags = {"rail": "instant"}

    with identify(tenant="acme"):
        with identify("usr_1"):
            flags.get_string_value("rail", "batch")
            capture("payment.reviewed", distinct_id="usr_2")
            with identify("usr_2"):
                capture("payment.shown")
            with identify(platform="web"):
                capture("payment.seen")
        capture("payment.closed", distinct_id="usr_1")
    with identify("usr_1"):
        capture("payment.opened")

    assert {one.event: len(answers(one.properties)) for one in captures if one.event != EXPOSURE} == {
        "payment.reviewed": 0,
        "payment.shown": 0,
        "payment.seen": 2,
        "payment.closed": 0,
        "payment.opened": 0,
    }


def test_concurrent_requests_keep_their_answers_apart(
    flags: OpenFeatureClient, server: FlagServer, captures: list[Capture]
) -> None:
    """Fifty tasks, each in a block of its own; the odd ones ask for the flag, in a task and in a thread of theirs."""
    server.flags = {"rail": "instant"}

    async def request(number: int) -> None:
        with identify(f"usr_{number}"):
            if number % 4 == 1:
                await asyncio.create_task(flags.get_string_value_async("rail", "batch"))
            elif number % 4 == 3:
                await asyncio.to_thread(flags.get_string_value, "rail", "batch")
            await asyncio.sleep(0)
            capture("payment.shown")

    async def requests() -> None:
        await asyncio.gather(*map(request, range(50)))

    asyncio.run(requests())

    shown = {one.distinct_id: answers(one.properties) for one in captures if one.event == "payment.shown"}
    assert shown == {
        f"usr_{number}": {"$feature/rail": "instant", "$active_feature_flags": ["rail"]} if number % 2 else {}
        for number in range(50)
    }


def test_threads_of_one_block_lose_no_answer(
    flags: OpenFeatureClient, server: FlagServer, captures: list[Capture]
) -> None:
    """Eight threads ask for twenty flags while others capture."""
    server.flags = {f"flag-{number}": True for number in range(20)}

    with identify("usr_1"), ThreadPoolExecutor(8) as pool:
        for key in server.flags:
            pool.submit(copy_context().run, flags.get_boolean_value, key, False)
            pool.submit(copy_context().run, capture, "payment.shown")
        pool.shutdown()
        capture("payment.closed")

    (closed,) = named(captures, "payment.closed")
    assert set(closed["$active_feature_flags"]) == set(server.flags)


def test_an_exposure_is_captured_once_for_each_person_flag_and_answer(
    flags: OpenFeatureClient, server: FlagServer, captures: list[Capture]
) -> None:
    """PostHog's rule, kept by its own client; it goes the way of every capture, with the tenant and our constants."""
    for variant in ("instant", "instant", "batch", "instant"):
        server.flags = {"rail": variant, "other": True}
        for person in ("usr_1", "usr_2"):
            with identify(person, tenant="acme"):
                flags.get_boolean_value("other", False)
                flags.get_string_value("rail", "batch")

    exposures = [one for one in captures if one.event == EXPOSURE]
    assert sorted(
        (one.distinct_id, one.properties["$feature_flag"], one.properties["$feature_flag_response"])
        for one in exposures
    ) == sorted(
        [(person, "rail", variant) for person in ("usr_1", "usr_2") for variant in ("instant", "batch")]
        + [(person, "other", True) for person in ("usr_1", "usr_2")]
    )
    assert captures == exposures
    assert len({one.uuid for one in exposures}) == len(exposures)
    properties = next(one.properties for one in exposures if one.properties["$feature_flag"] == "rail")
    assert properties.pop("$lib_version")
    assert properties == {
        "$feature_flag": "rail",
        "$feature_flag_response": "instant",
        "$feature/rail": "instant",
        "$feature_flag_id": 7,
        "$feature_flag_version": 3,
        "$feature_flag_reason": "Matched condition set 1",
        "$feature_flag_request_id": "7e0b1b52-6a6e-4b7f-9d3e-2f1f0a3b9c11",
        "$feature_flag_evaluated_at": 1764057600000,
        "locally_evaluated": False,
        "$groups": {"tenant": "acme"},
        "$lib": "zentra-otel-posthog",
        "$geoip_disable": True,
        "$is_server": True,
        "$ignore_sent_at": True,
    }


def test_a_claimed_tenant_stays_a_claim(flags: OpenFeatureClient, server: FlagServer, captures: list[Capture]) -> None:
    """The exposure for a tenant that only a request names may choose no project, as no other capture of it may."""
    server.flags = {"rail": True}
    token = otel_context.attach(PostHogPropagator().extract({"x-zentra-posthog-tenant": "acme"}))
    try:
        with identify("usr_1"):
            flags.get_boolean_value("rail", False)
            capture("checkout.completed")
    finally:
        otel_context.detach(token)

    assert [type(one) for one in captures] == [ClaimedTenantCapture, ClaimedTenantCapture]
    assert [one.properties["$groups"] for one in captures] == [{"tenant": "acme"}, {"tenant": "acme"}]


def test_whom_the_flag_is_for_is_whom_identify_names(
    flags: OpenFeatureClient, server: FlagServer, captures: list[Capture]
) -> None:
    """With the tenant as group and the common properties; a targeting key goes before it."""
    server.flags = {"rail": True}

    with identify("usr_1", tenant="acme", platform="ios"):
        assert flags.get_boolean_value("rail", False) is True
        assert flags.get_boolean_value("rail", False, EvaluationContext("usr_2")) is True

    first, second = server.asked
    assert (first["distinct_id"], first["groups"]) == ("usr_1", {"tenant": "acme"})
    assert first["person_properties"]["platform"] == "ios"
    assert (second["distinct_id"], second["groups"]) == ("usr_2", {"tenant": "acme"})
    assert "platform" not in second["person_properties"]


def test_nobody_gets_the_default_and_nothing_is_asked(
    flags: OpenFeatureClient, server: FlagServer, captures: list[Capture]
) -> None:
    """Without a person, and with one who is personal data where there is no pseudonym key."""
    server.flags = {"rail": True}

    for context in (None, EvaluationContext("ada@example.com")):
        details = flags.get_boolean_details("rail", False, context)
        assert details.value is False
        assert details.error_code is ErrorCode.TARGETING_KEY_MISSING

    assert server.asked == []
    assert captures == []


@pytest.mark.parametrize("settings", [{"pseudonym_key": "k" * 32}])
def test_nothing_personal_is_asked_captured_or_traced(
    flags: OpenFeatureClient,
    server: FlagServer,
    captures: list[Capture],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A personal id goes as its pseudonym, everywhere the same; person and group properties pass the detectors."""
    server.flags = {"rail": True}
    exported = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    context = EvaluationContext(
        "ada@example.com",
        {
            "email": "ada@example.com",
            "plan": "gold",
            "groups": {"tenant": "bob@example.com"},
            "group_properties": {"tenant": {"owner": "bob@example.com", "size": 3}},
        },
    )

    with identify("ada@example.com"), provider.get_tracer("test").start_as_current_span("request"):
        assert flags.get_boolean_value("rail", False, context) is True
        assert flags.get_boolean_value("rail", False) is True
        capture("payment.shown")
    provider.shutdown()

    traced = "".join(span.to_json() for span in exported.get_finished_spans())
    everything = json.dumps(server.asked) + "".join(map(repr, captures)) + traced
    assert "example.com" not in everything
    asked = server.asked[0]
    assert asked["distinct_id"].startswith("psn1_")
    assert asked["person_properties"]["plan"] == "gold"
    assert asked["group_properties"]["tenant"]["size"] == 3
    assert {one.distinct_id for one in captures} == {asked["distinct_id"]}
    assert named(captures, "payment.shown")[0]["$feature/rail"] is True
    (first, _) = (
        event for event in exported.get_finished_spans()[-1].events if event.name == "feature_flag.evaluation"
    )
    assert first.attributes is not None
    assert first.attributes["feature_flag.key"] == "rail"
    assert first.attributes["feature_flag.context.id"] == asked["distinct_id"]


@pytest.mark.parametrize("variant", ["ada@example.com", "4111111111111111"])
def test_a_variant_passes_the_detectors(
    flags: OpenFeatureClient, server: FlagServer, captures: list[Capture], variant: str
) -> None:
    """The application has its answer; the events do not, and neither has the exposure."""
    server.flags = {"rail": variant}

    with identify("usr_1"):
        assert flags.get_string_value("rail", "batch") == variant
        capture("payment.shown")

    assert answers(named(captures, "payment.shown")[0]) == {}
    assert variant not in repr(captures)


def outage(server: FlagServer, kind: str) -> None:
    match kind:
        case "hangs":
            server.hangs = True
        case "refuses":
            server.status = 503
        case "gone":
            server.shutdown()
            server.server_close()


@pytest.mark.parametrize(
    ("kind", "error"), [("hangs", "timeout"), ("refuses", "api_error_503"), ("gone", "connection_error")]
)
def test_an_outage_gives_the_default_within_the_timeout(
    flags: OpenFeatureClient, server: FlagServer, captures: list[Capture], kind: str, error: str
) -> None:
    """One attempt, given up after the timeout; events carry no answer, the exposure says why, nothing is raised."""
    use_posthog_flags(timeout=0.2)
    outage(server, kind)

    with identify("usr_1"):
        assert flags.get_boolean_value("rail", True) is True
        capture("payment.shown")

    assert len(server.asked) == (0 if kind == "gone" else 1)
    assert answers(named(captures, "payment.shown")[0]) == {}
    (exposure,) = named(captures, EXPOSURE)
    assert exposure["$feature_flag_error"] == error
    assert "$feature_flag_response" not in exposure


def test_the_event_loop_goes_on_while_a_flag_is_waited_for(flags: OpenFeatureClient, server: FlagServer) -> None:
    """The provider of PostHog blocks; asked with ``await``, it does so in a thread, and its answer comes."""
    use_posthog_flags(timeout=20)
    server.hangs, server.flags = True, {"rail": True}

    async def request() -> bool:
        with identify("usr_1"):
            asked = asyncio.create_task(flags.get_boolean_value_async("rail", False))
            await asyncio.to_thread(server.arrived.wait)
            server.released.set()
            return await asked

    assert asyncio.run(request()) is True


def test_a_batch_keeps_the_answers_of_the_latest_people_only(
    flags: OpenFeatureClient, server: FlagServer, captures: list[Capture]
) -> None:
    """One block that asks for a hundred people does not grow with them."""
    server.flags = {"rail": True}

    with identify(tenant="acme"):
        for number in range(100):
            flags.get_boolean_value("rail", False, EvaluationContext(f"usr_{number}"))
        for number in range(100):
            capture("payment.shown", distinct_id=f"usr_{number}")

    shown = [bool(answers(properties)) for properties in named(captures, "payment.shown")]
    assert shown == [False] * 36 + [True] * 64


def test_without_a_project_key_flags_have_their_defaults(caplog: pytest.LogCaptureFixture) -> None:
    """One warning, no request."""
    use_posthog_flags()

    with identify("usr_1"):
        assert api.get_client().get_boolean_value("rail", True) is True
    assert "feature flags have their defaults" in caplog.text


def test_a_timeout_that_is_none_is_an_error_at_start_up() -> None:
    """It names the argument."""
    with pytest.raises(ValueError, match="timeout = 0"):
        use_posthog_flags(timeout=0)
