"""Whatever ``capture`` is given: what may leave does, the rest stays and is counted, and nothing is raised."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import Enum
from typing import Any, NoReturn

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zentra_otel_posthog as zentra
from zentra_otel_posthog import Event, capture, runtime, telemetry
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.delivery.capture import encode_line
from zentra_otel_posthog.delivery.spool import SpoolFull
from zentra_otel_posthog.testing import captured_events

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
PAYMENT = {"amount_minor": 125_000, "currency": "NGN", "method": "card"}
OWN_NAMES = ("$feature/", "$active_feature_flags")  # the "$" names that a caller may give
ANY_TEXT = st.text(st.characters(exclude_categories=()))
ANYTHING = st.recursive(
    ANY_TEXT
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.booleans()
    | st.none()
    | st.binary()
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.uuids(),
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT | st.integers() | st.booleans() | st.none(), inner),
    max_leaves=5,
)
COMMON: Any = {"platform": "ios"}


@pytest.fixture
def sent() -> Iterator[list[Capture]]:
    with captured_events() as captures:
        yield captures


@pytest.fixture
def quiet(sent: list[Capture]) -> Iterator[None]:
    """Keep internal errors in, as in production."""
    before = telemetry.raise_internal_errors(enabled=False)
    yield
    telemetry.raise_internal_errors(enabled=before)


def own(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name[:1] != "$" or name.startswith(OWN_NAMES)}


def counted(metric: str, before: dict[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
    return dict(Counter(telemetry.totals(metric)) - Counter(before))


class _Colour(Enum):
    RED = "red"


class TestProperties:
    def test_undeclared_ones_pass_the_detectors(self, sent: list[Capture]) -> None:
        """On an event that nothing declares, and beside declared properties, what is no personal data is kept."""
        kept = {
            "items": 3,
            "ratio": 0.5,
            "gift": True,
            "colour": "red",
            "tags": ["a", "b"],
            "nested": {"a": 1},
            "$feature/new-flow": "test",
            "$active_feature_flags": ["new-flow"],
        }
        refused = {
            "note": "write to ada@example.com",
            "card": "4111 1111 1111 1111",
            "password": "hunter2",
            "$set": {"a": 1},
            "$lib": "x",
            "bad name": 1,
            "": 1,
        }
        given = {**kept, "colour": _Colour.RED, "ratio": Decimal("0.5"), **refused, "absent": None}
        capture("basket.paid", properties=given)
        capture("payment.completed", properties={**given, **PAYMENT})
        assert own(sent[0].properties) == kept
        assert own(sent[1].properties) == {**kept, **PAYMENT}

    def test_undeclared_names_that_are_none(self, sent: list[Capture]) -> None:
        """A key that is no text, or too long, or personal data itself, stays here with its value: no count names it."""
        before = telemetry.totals(telemetry.REFUSED)
        given: Any = {
            5: "a",
            None: "a",
            ("a",): "a",
            "x" * 101: "a",
            "ada@example.com": "a",
            "account_22212345678": True,
        }
        capture("basket.paid", properties=given)
        assert own(sent[0].properties) == {}
        refused = counted(telemetry.REFUSED, before)
        assert sum(refused.values()) == len(given)
        assert {name for _, name, _ in refused} == {"(unnameable)"}

    def test_a_refused_value_is_left_out_and_counted(self, sent: list[Capture]) -> None:
        """The event goes on without the value; the count names the property and the rule."""
        before = telemetry.totals(telemetry.REFUSED)
        capture("payment.completed", properties={"amount_minor": -5, "currency": "naira", "method": "card"})
        assert own(sent[0].properties) == {"method": "card"}
        assert counted(telemetry.REFUSED, before) == {
            ("payment.completed", "amount_minor", "minor_units"): 1,
            ("payment.completed", "currency", "currency"): 1,
        }

    def test_properties_win_over_the_instances(self, sent: list[Capture]) -> None:
        """A property given beside an instance stands in for the instance's."""
        capture(zentra.CardIssued(cardType="virtual", tier="1"), properties={"tier": "2", "colour": "red"})
        assert own(sent[0].properties) == {"cardType": "virtual", "tier": "2", "colour": "red"}

    def test_the_callers_own_are_untouched(self, sent: list[Capture]) -> None:
        """What was passed is not changed."""
        given = {"tags": ["a", "ada@example.com"], "nested": {"email": "ada@example.com"}, "amount_minor": "5"}
        before = copy.deepcopy(given)
        capture("payment.completed", properties=given, set=given, set_once=given)
        assert given == before
        assert sent[0].properties["amount_minor"] == 5


# Name: a value as an application may have it, and what is to leave of it (... for: whatever, but the event).
UNUSUAL: dict[str, tuple[object, object]] = {
    "text of another class": (type("SafeString", (str,), {})("abc"), "abc"),
    "float of another class": (type("float64", (float,), {})(1.5), 1.5),
    "int of another class": (type("int64", (int,), {})(3), 3),
    "nested": ({"a": [type("SafeString", (str,), {})("abc")]}, {"a": ["abc"]}),
    "enumeration": ([_Colour.RED], ["red"]),
    "decimal": ([Decimal("1.5")], ...),
    "signalling": (Decimal("sNaN"), ...),
    "nan": (float("nan"), ...),
    "half a character": ("a\ud800b", ...),
    "half a character inside": ({"a": ["\udcff"]}, ...),
    "half a character in a key": ({"\ud800": 1}, ...),
    "truth as a key": ({True: 1}, ...),
    "number as a key": ({1: 1, 1.5: 2}, ...),
    "set": ({1}, [1]),
    "bytes": (b"abc", ...),
}


class TestWire:
    @pytest.mark.parametrize("name", UNUSUAL)
    def test_an_unusual_value_does_not_lose_the_event(self, sent: list[Capture], name: str) -> None:
        """What was captured can be encoded, in UTF-8 and plain JSON, whatever types its values are of."""
        value, expected = UNUSUAL[name]
        uuid = capture(
            "basket.paid", distinct_id="usr_1", properties={"value": value, "items": 3}, set={"value": value}
        )
        sent_event = msgspec.json.decode(encode_line(sent[0]))
        assert (sent_event["uuid"], sent_event["properties"]["items"]) == (uuid, 3)
        if expected is not ...:
            assert sent_event["properties"]["value"] == sent_event["properties"]["$set"]["value"] == expected

    @pytest.mark.parametrize("argument", ["distinct_id", "tenant"])
    def test_half_a_character_in_an_id(self, sent: list[Capture], argument: str) -> None:
        """An id that is no text in UTF-8, as a client may send it in JSON, is refused; the event goes on."""
        arguments: Any = {"distinct_id": "usr_1", argument: "usr_\ud800"}
        capture("basket.paid", **arguments)
        sent_event = msgspec.json.decode(encode_line(sent[0]))
        assert ("$process_person_profile" in sent_event["properties"]) is (argument == "distinct_id")
        assert "$groups" not in sent_event["properties"]

    @PATIENT
    @given(properties=st.dictionaries(ANY_TEXT, ANYTHING))
    def test_whatever_comes_can_be_sent(self, properties: dict[str, Any]) -> None:
        """Any value that passes the detectors can be encoded."""
        with captured_events() as sent:
            uuid = capture("basket.paid", distinct_id="usr_1", properties=properties, set=properties)
        assert msgspec.json.decode(encode_line(sent[0]))["uuid"] == uuid


class TestPersonProperties:
    def test_given_and_derived(self, sent: list[Capture]) -> None:
        """Given person properties join the schema's and win over them."""
        capture(
            zentra.KycVerified(tier="2", documents=[], **COMMON),
            distinct_id="usr_1",
            set={"plan": "pro", "kyc_tier": "3"},
            set_once={"first_seen": "app"},
        )
        assert sent[0].properties["$set"] == {"plan": "pro", "kyc_tier": "3", "platform": "ios"}
        assert sent[0].properties["$set_once"] == {"first_seen": "app"}

    def test_personal_ones_stay(self, sent: list[Capture]) -> None:
        """Person properties pass the detectors as well."""
        capture(
            "basket.paid",
            distinct_id="usr_1",
            set={"email": "ada@example.com", "plan": "pro"},
            set_once={"phone": "+2348031234567"},
        )
        assert sent[0].properties["$set"] == {"plan": "pro"}
        assert "$set_once" not in sent[0].properties

    @pytest.mark.parametrize("which", ["set", "set_once"])
    @pytest.mark.parametrize(
        ("event", "given", "kept"),
        [
            ("basket.paid", {"user_tier": "Gold", "platform": "iOS"}, {"user_tier": "gold", "platform": "ios"}),
            ("kyc.verified", {"tier": "3"}, {"tier": "3"}),
        ],
    )
    def test_names_that_the_event_declares(
        self, sent: list[Capture], which: str, event: str, given: dict[str, Any], kept: dict[str, Any]
    ) -> None:
        """A person property may bear the name of an event property; it is normalised like that."""
        capture(event, distinct_id="usr_1", **{which: given})  # type: ignore[arg-type]  # one of two alike
        assert sent[0].properties[f"${which}"] == kept

    def test_nobody_has_none(self, sent: list[Capture]) -> None:
        """An event about nobody sets nothing on anybody."""
        capture(zentra.UserSignedUp(channel="web", **COMMON), set={"plan": "pro"}, set_once={"first_seen": "app"})
        assert not {"$set", "$set_once"} & set(sent[0].properties)
        assert sent[0].properties["$process_person_profile"] is False


@pytest.mark.parametrize(
    "name",
    [
        *("checkout", "Checkout.completed", "$pageview", "a.b.c", "", "a" * 200 + ".b"),
        *(None, 5, b"a.b", ["a.b"], Event, object()),
    ],
)
def test_a_name_that_is_none(sent: list[Capture], name: Any) -> None:
    """What is no event's name is not captured, and counted as lost; the caller goes on."""
    before = telemetry.totals(telemetry.LOST)
    assert capture(name, distinct_id="usr_1") is None
    assert sent == []
    assert counted(telemetry.LOST, before) == {("event_name",): 1}


@pytest.mark.parametrize("name", ["user_2348031234567.paid", "card_4111111111111111.used", "paid.to_acct_0123456789"])
def test_a_name_that_is_personal(sent: list[Capture], name: str) -> None:
    """A name that was put together from a customer's data does not leave, and no count names it."""
    before = telemetry.totals(telemetry.LOST), telemetry.totals(telemetry.REFUSED)
    assert capture(name, properties={"method": "card", "note": "ada@example.com"}) is None
    assert sent == []
    assert counted(telemetry.LOST, before[0]) == {("event_name",): 1}
    assert counted(telemetry.REFUSED, before[1]) == {}


def _fails(*_: object, **__: object) -> NoReturn:
    raise ZeroDivisionError


_Hostile = type(
    "_Hostile",
    (),
    dict.fromkeys(
        ["__str__", "__repr__", "__eq__", "__hash__", "__bool__", "__len__", "__iter__", "__index__", "__getattr__"],
        _fails,
    ),
)
_HostileText = type(
    "_HostileText",
    (str,),
    dict.fromkeys(("strip", "lower", "upper", "__str__", "__eq__"), _fails) | {"__hash__": str.__hash__},
)


@pytest.mark.usefixtures("quiet")
class TestHostileArguments:
    @pytest.mark.parametrize("hostile", [_Hostile, lambda: _HostileText("usr_1")], ids=["object", "text"])
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda value: {"distinct_id": value},
            lambda value: {"tenant": value},
            lambda value: {"properties": {"method": value, "note": value, "tags": [value]}},
            lambda value: {"set": {"plan": value}},
        ],
        ids=["distinct_id", "tenant", "properties", "set"],
    )
    def test_values_that_fail_are_left_out(
        self, sent: list[Capture], hostile: Callable[[], object], wrap: Callable[[object], dict[str, Any]]
    ) -> None:
        """The event is captured without the value whose own methods raise."""
        assert capture("payment.completed", **{"distinct_id": "usr_1", **wrap(hostile())}) == sent[0].uuid
        assert not {"method", "$groups"} & set(sent[0].properties)

    @pytest.mark.parametrize("argument", ["properties", "timestamp", "set", "set_once"])
    @pytest.mark.parametrize("value", ["2026-11-02", 5, 1.5, [1], _Hostile, object(), Decimal])
    def test_arguments_of_another_type(self, sent: list[Capture], argument: str, value: Any) -> None:
        """A wrong argument raises nothing into the caller, and the loss is counted."""
        before = telemetry.totals(telemetry.INTERNAL_ERRORS)
        uuid = capture("payment.completed", **{argument: value() if value is _Hostile else value})
        assert [one.uuid for one in sent] == ([] if uuid is None else [uuid])
        assert uuid is not None or counted(telemetry.INTERNAL_ERRORS, before)

    @pytest.mark.parametrize(
        ("error", "reason"),
        [(SpoolFull(), "spool_full"), (OSError(28, "no space"), "spool_write"), (ZeroDivisionError(), "sink")],
    )
    def test_a_sink_that_fails(self, error: Exception, reason: str) -> None:
        """What the sink cannot keep is counted by reason."""

        class Failing:
            def append(self, _: Capture) -> NoReturn:
                raise error

            def flush(self, timeout: float) -> bool:
                return True

            shutdown = flush

        before = telemetry.totals(telemetry.LOST)
        runtime.replace(runtime.Runtime(Settings(), Failing()))
        capture("payment.completed", properties=PAYMENT)
        assert counted(telemetry.LOST, before) == {(reason,): 1}
