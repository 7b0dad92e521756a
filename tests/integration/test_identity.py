"""Who an event is about: the order of the sources, nesting, threads and tasks, and what of it may leave."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NoReturn

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import get_current_span

from zentra_otel_posthog import PaymentCompleted, capture, identify, payment
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.testing import captured_events

SESSION = "0192f0c1-2d3e-7abc-8def-0123456789ab"
OTHER_SESSION = "0192f0c1-2d3e-7abc-8def-0123456789ac"
KEY = "an invented key of thirty-two bytes or more"
PAYMENT: Any = {"amount_minor": 125_000, "currency": "NGN", "method": "card"}


PostHogContext = Callable[..., AbstractContextManager[None]]


@payment
def pay(
    user_id: str | None = None, amount_minor: int = 125_000, currency: str = "NGN", method: str = "card"
) -> None: ...


@contextmanager
def span_says(name: str, value: str) -> Iterator[None]:
    get_current_span().set_attribute(name, value)
    yield


def groups(sent: list[Capture]) -> list[Any]:
    return [one.properties.get("$groups") for one in sent]


class TestSeveralSources:
    def test_an_unrecorded_span_says_nothing(self, events: list[Capture], posthogs: PostHogContext) -> None:
        """Without a recording span the other sources still count."""
        with identify("usr_1"):
            capture("basket.paid")
        with posthogs("usr_2"):
            capture("basket.paid")
        assert [one.distinct_id for one in events] == ["usr_1", "usr_2"]

    @pytest.mark.parametrize("outer", ["posthog", "identify"])
    def test_identify_leaves_open_what_it_does_not_name(
        self, events: list[Capture], posthogs: PostHogContext, outer: str
    ) -> None:
        """A tenant alone does not hide the person that PostHog's own middleware has set, outside or inside."""
        blocks: list[AbstractContextManager[Any]] = [posthogs("usr_1", SESSION), identify(tenant="acme")]
        with ExitStack() as stack:
            for block in blocks if outer == "posthog" else reversed(blocks):
                stack.enter_context(block)
            capture("basket.paid")
        assert (events[0].distinct_id, events[0].properties.get("$session_id")) == ("usr_1", SESSION)
        assert groups(events) == [{"tenant": "acme"}]

    @pytest.mark.parametrize("inner", [42, "42"])
    def test_a_number_and_its_text_are_one_person(self, events: list[Capture], inner: object) -> None:
        """A middleware has an id as text where a view has it as a number: nothing is lost between them."""
        with identify("42", session_id=SESSION, user_tier="gold"), identify(inner):
            capture("basket.paid")
            capture("basket.paid", distinct_id=inner)
        assert [
            (one.distinct_id, one.properties.get("$session_id"), one.properties.get("user_tier")) for one in events
        ] == [("42", SESSION, "gold")] * 2

    @pytest.mark.parametrize("way", ["argument", "decorator", "span"])
    def test_another_person_takes_over_the_tenant_alone(
        self, provider: TracerProvider, events: list[Capture], way: str
    ) -> None:
        """Someone else, named by an argument or the span, gets neither the session nor the tier of the one around."""
        with identify("usr_1", session_id=SESSION, tenant="acme", platform="ios", user_tier="gold"):
            match way:
                case "argument":
                    capture("basket.paid", distinct_id="usr_2")
                case "decorator":
                    pay("usr_2")
                case "span":
                    with provider.get_tracer("app").start_as_current_span(
                        "request", attributes={"posthog.distinct_id": "usr_2"}
                    ):
                        capture("basket.paid")
        assert {one.distinct_id for one in events} == {"usr_2"}
        assert groups(events) == [{"tenant": "acme"}] * len(events)
        assert not any({"$session_id", "platform", "user_tier", "$set"} & set(one.properties) for one in events)


class TestSessionAndTenant:
    @pytest.mark.parametrize(
        ("sources", "session"),
        [(("span", "identify", "contexts"), "1"), (("identify", "contexts"), "2"), (("contexts",), "3"), ((), None)],
    )
    def test_sessions(
        self,
        provider: TracerProvider,
        events: list[Capture],
        posthogs: PostHogContext,
        sources: tuple[str, ...],
        session: str | None,
    ) -> None:
        """The session comes from the span, from ``identify``, then from PostHog's contexts."""
        ways: dict[str, AbstractContextManager[Any]] = {
            "span": span_says("posthog.session_id", f"{SESSION[:-1]}1"),
            "identify": identify("usr_1", session_id=f"{SESSION[:-1]}2"),
            "contexts": posthogs("usr_1", f"{SESSION[:-1]}3"),
        }
        with provider.get_tracer("app").start_as_current_span("request"), ExitStack() as stack:
            for source in sources:
                stack.enter_context(ways[source])
            capture("basket.paid")
        assert events[0].properties.get("$session_id") == (session and SESSION[:-1] + session)

    @pytest.mark.parametrize(
        ("argument", "span", "block", "tenant"),
        [("a", "b", "c", "a"), (None, "b", "c", "b"), (None, None, "c", "c"), (None, None, None, None)],
    )
    def test_tenants(
        self,
        provider: TracerProvider,
        events: list[Capture],
        argument: str | None,
        span: str | None,
        block: str | None,
        tenant: str | None,
    ) -> None:
        """The tenant becomes PostHog's group: the argument's, the span's, then that of ``identify``."""
        with provider.get_tracer("app").start_as_current_span("request"), identify("usr_1", tenant=block):
            if span is not None:
                get_current_span().set_attribute("posthog.tenant", span)
            capture("basket.paid", tenant=argument)
        assert groups(events) == [None if tenant is None else {"tenant": tenant}]

    @pytest.mark.parametrize("session", ["sess_1", "f47ac10b-58cc-4372-a567-0e02b2c3d479", 5, "ada@example.com"])
    def test_no_other_session_leaves(self, events: list[Capture], session: object) -> None:
        """A session id that is no UUIDv7 may be a credential: the event goes without it."""
        with identify("usr_1", session_id=session):
            capture("basket.paid")
        assert (events[0].distinct_id, "$session_id" in events[0].properties) == ("usr_1", False)

    def test_common_properties(self, events: list[Capture]) -> None:
        """Platform and tier go onto each event and the person; the event's own values win."""
        with identify("usr_1", platform="iOS", user_tier="Gold"):
            capture("basket.paid")
            capture("basket.paid", properties={"platform": "web", "user_tier": None})
            capture(PaymentCompleted(**PAYMENT), properties={"platform": "web"})
            pay()
        common = [{name: one.properties.get(name) for name in ("platform", "user_tier")} for one in events]
        assert common == [
            {"platform": platform, "user_tier": "gold"} for platform in ("ios", "web", "web", "ios", "ios")
        ]
        assert [one.properties["$set"] for one in events] == common


class TestNesting:
    @pytest.mark.parametrize(
        ("inner", "expected"),
        [
            ({}, ("usr_1", SESSION, "acme", "ios", "gold")),
            ({"tenant": "umbrella"}, ("usr_1", SESSION, "umbrella", "ios", "gold")),
            ({"platform": "web", "user_tier": "silver"}, ("usr_1", SESSION, "acme", "web", "silver")),
            ({"distinct_id": "usr_1", "session_id": OTHER_SESSION}, ("usr_1", OTHER_SESSION, "acme", "ios", "gold")),
            ({"distinct_id": "usr_2"}, ("usr_2", None, "acme", None, None)),
            (
                {"distinct_id": "usr_2", "tenant": "umbrella", "platform": "web"},
                ("usr_2", None, "umbrella", "web", None),
            ),
        ],
    )
    def test_an_inner_block(
        self, events: list[Capture], inner: dict[str, Any], expected: tuple[str | None, ...]
    ) -> None:
        """It inherits what it does not name; with another person the tenant alone. Outside all is as before."""
        outer = {
            "distinct_id": "usr_1",
            "session_id": SESSION,
            "tenant": "acme",
            "platform": "ios",
            "user_tier": "gold",
        }
        with identify(**outer):
            with identify(**inner):
                capture("basket.paid")
            capture("basket.paid")
        capture("basket.paid")
        seen = [
            (
                one.distinct_id,
                one.properties.get("$session_id"),
                (one.properties.get("$groups") or {}).get("tenant"),
                one.properties.get("platform"),
                one.properties.get("user_tier"),
            )
            for one in events
        ]
        assert seen[:2] == [expected, tuple(outer.values())]
        assert seen[2][1:] == (None,) * 4
        assert "$process_person_profile" in events[2].properties

    def test_an_anonymous_block_takes_a_person_in(self, events: list[Capture]) -> None:
        """A person inside a block that names none inherits all of it."""
        with identify(session_id=SESSION, platform="ios"), identify("usr_1"):
            capture("basket.paid")
        assert (events[0].distinct_id, events[0].properties["$session_id"], events[0].properties["platform"]) == (
            "usr_1",
            SESSION,
            "ios",
        )

    def test_an_exception_ends_the_block(self, events: list[Capture]) -> None:
        """The exception goes through, the identity does not stay."""
        with pytest.raises(ZeroDivisionError), identify("usr_1"):
            raise ZeroDivisionError
        capture("basket.paid")
        assert "$process_person_profile" in events[0].properties

    def test_one_block_may_be_used_again_and_within_itself(self, events: list[Capture]) -> None:
        """The same object works for several blocks, nested ones too."""
        someone = identify("usr_1")
        with someone, identify("usr_2"), someone:
            capture("basket.paid")
        with someone:
            capture("basket.paid")
        assert [one.distinct_id for one in events] == ["usr_1", "usr_1"]

    def test_a_comparison_that_fails_raises_nothing(self, events: list[Capture]) -> None:
        """An id whose comparison raises, as a column expression's does, does not stop the application."""

        class Column:
            def __eq__(self, other: object) -> NoReturn:
                raise TypeError("no truth value")

            __ne__ = __eq__
            __hash__ = object.__hash__

        with identify("usr_1"), identify(Column()):
            capture("basket.paid")
        assert len(events) == 1


class TestConcurrency:
    def test_threads(self, events: list[Capture]) -> None:
        """A copied context carries the identity into a thread; a bare thread knows nobody."""
        with identify("usr_1"), ThreadPoolExecutor(1) as pool:
            pool.submit(contextvars.copy_context().run, capture, "basket.paid").result()
            pool.submit(capture, "basket.paid").result()
        assert events[0].distinct_id == "usr_1"
        assert "$process_person_profile" in events[1].properties

    def test_tasks(self, events: list[Capture]) -> None:
        """Concurrent tasks each keep their own person, and inherit that of the block they were started in."""

        async def request(number: int, turn: asyncio.Barrier) -> None:
            with identify(f"usr_{number}", platform="web"):
                await turn.wait()
                capture("basket.changed")
                await turn.wait()
                await asyncio.create_task(child())

        async def child() -> None:
            capture("basket.paid")

        async def server() -> None:
            turn = asyncio.Barrier(5)
            await asyncio.gather(*(request(number, turn) for number in range(5)))

        asyncio.run(server())
        everyone = sorted(f"usr_{number}" for number in range(5))
        assert sorted(one.distinct_id for one in events if one.event == "basket.changed") == everyone
        assert sorted(one.distinct_id for one in events if one.event == "basket.paid") == everyone


class TestNobody:
    def test_one_stranger_per_trace(self, provider: TracerProvider, events: list[Capture]) -> None:
        """Events about nobody make no person; within a trace they belong together, across traces they do not."""
        tracer = provider.get_tracer("app")
        for _ in range(2):
            with tracer.start_as_current_span("request"), tracer.start_as_current_span("inner"):
                capture("basket.changed", set={"plan": "pro"})
                pay()
        strangers = [one.distinct_id for one in events]
        assert [len(list(same)) for _, same in itertools.groupby(strangers)] == [3, 3]
        assert len(set(strangers)) == 2
        assert all(
            one.properties["$process_person_profile"] is False and "$set" not in one.properties for one in events
        )

    def test_without_tracing_each_is_a_stranger(self, events: list[Capture], install: Any) -> None:
        """Never do many customers share one distinct id, which PostHog would limit."""
        install(None)
        for _ in range(10):
            capture("basket.paid")
        assert len({one.distinct_id for one in events}) == 10

    @pytest.mark.parametrize(
        "distinct_id", ["anonymous", "NULL", "0", 0, "", "ada@example.com", "+2348031234567", b"usr_1", True]
    )
    def test_an_id_that_may_not_leave(self, events: list[Capture], distinct_id: object) -> None:
        """The event goes on about nobody, and the id is nowhere in it."""
        capture("basket.paid", distinct_id=distinct_id, set={"plan": "pro"})
        assert events[0].properties["$process_person_profile"] is False
        assert re.fullmatch("[0-9a-f]{32}", events[0].distinct_id)
        assert "$set" not in events[0].properties

    @pytest.mark.parametrize("personal", ["ada@example.com", "+2348031234567"])
    def test_a_pseudonym_under_a_key(self, personal: str) -> None:
        """With a key it is a person all the same: the same pseudonym by each way, another one as a tenant."""
        with captured_events(pseudonym_key=KEY) as events:
            capture("basket.paid", distinct_id=personal, tenant=personal, set={"plan": "pro"})
            with identify(personal):
                capture("basket.paid")
            pay(personal)
        pseudonyms = {one.distinct_id for one in events}
        assert len(pseudonyms) == 1
        assert re.fullmatch("psn1_[0-9a-f]{40}", pseudonyms.pop())
        assert events[0].properties["$set"] == {"plan": "pro"}
        (group,) = [group for group in groups(events) if group is not None]
        assert re.fullmatch("psn1_[0-9a-f]{40}", group["tenant"])
        assert group["tenant"] != events[0].distinct_id
        assert personal not in repr(events)
