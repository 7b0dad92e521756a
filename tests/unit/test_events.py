"""The tracking plan is the one agreed on, and what extends it is either right or one clear error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zentra_otel_posthog
from zentra_otel_posthog import Event, config, events, runtime
from zentra_otel_posthog.config import SettingsError
from zentra_otel_posthog.events import EventSchema, UnknownEvent
from zentra_otel_posthog.kinds import KINDS, Count, Country, Flag, MinorUnits, Slug, SlugList

COMMON = {"platform": "platform", "user_tier": "slug"}
PLAN: dict[str, tuple[str, dict[str, str], set[str]]] = {  # event: its class, its properties' kinds, those required
    "payment.pending": ("PaymentPending", {"amount_minor": "minor_units", "currency": "currency", "method": "slug"}, {"amount_minor", "currency", "method"}),
    "payment.completed": ("PaymentCompleted", {"amount_minor": "minor_units", "currency": "currency", "method": "slug"}, {"amount_minor", "currency", "method"}),
    "payment.failed": ("PaymentFailed", {"reason": "slug", "amount_minor": "minor_units", "currency": "currency", "method": "slug"}, {"reason", "amount_minor"}),
    "transfer.completed": ("TransferCompleted", {"amount_minor": "minor_units", "destination": "partner", "currency": "currency"}, {"amount_minor", "destination"}),
    "card.issued": ("CardIssued", {"cardType": "slug", "tier": "slug"}, {"cardType", "tier"}),
    "kyc.verified": ("KycVerified", {"tier": "slug", "documents": "slug_list"}, {"tier", "documents"}),
    "user.signed_up": ("UserSignedUp", {"channel": "slug", "referral": "partner"}, {"channel"}),
    "session.authenticated": ("SessionAuthenticated", {"method": "slug", "deviceType": "slug"}, {"method"}),
}  # fmt: skip
ORIGIN = "a test's file"


pytestmark = pytest.mark.usefixtures("declarations")


def kinds_of(schema: EventSchema) -> dict[str, str]:
    return {name: kind.name for name, kind in schema.kinds.items()}


class TestTrackingPlan:
    def test_it_has_these_eight_events(self) -> None:
        """Importing the package declares the agreed events and no other."""
        ours = [schema.name for schema in events.schemas() if schema.origin.startswith("zentra_otel_posthog.events.")]
        assert sorted(ours) == sorted(PLAN)

    @pytest.mark.parametrize("name", PLAN)
    def test_an_event_has_exactly_its_properties(self, name: str) -> None:
        """Each event takes its own properties within their kinds, and the common ones."""
        schema = events.require(name)
        assert (schema.name, kinds_of(schema)) == (name, PLAN[name][1] | COMMON)

    @pytest.mark.parametrize("name", PLAN)
    def test_a_class_asks_for_what_the_plan_requires(self, name: str) -> None:
        """The public class of an event has the same properties; those that may be absent have a default."""
        class_name, properties, required = PLAN[name]
        event: Any = getattr(zentra_otel_posthog, class_name)
        fields = {field.name: field.default is dataclasses.MISSING for field in dataclasses.fields(event)}
        assert fields == {field: field in required for field in properties | COMMON}
        assert event.event_schema is events.schema_of(name)
        with pytest.raises(TypeError, match="required keyword-only argument"):
            event()
        instance = event(**dict.fromkeys(required, "x"))
        with pytest.raises(dataclasses.FrozenInstanceError):
            instance.platform = "ios"

    @pytest.mark.parametrize(
        ("name", "person_set", "person_set_once"),
        [
            *((name, {}, {}) for name in PLAN if name not in {"kyc.verified", "user.signed_up"}),
            ("kyc.verified", {"kyc_tier": "tier"}, {}),
            ("user.signed_up", {}, {"signup_channel": "channel"}),
        ],
    )
    def test_person_properties(self, name: str, person_set: dict[str, str], person_set_once: dict[str, str]) -> None:
        """Every event keeps platform and tier on the person; two add what cohorts are made of."""
        schema = events.require(name)
        assert schema.person_set == {"platform": "platform", "user_tier": "user_tier", **person_set}
        assert schema.person_set_once == person_set_once


class TestClasses:
    def test_a_subclass_declares_an_event(self) -> None:
        """A class with annotations is a schema: inherited, optional and common properties included."""

        class BasketChanged(
            Event, name="basket.changed", set={"last_country": "country"}, set_once={"first_items": "items"}
        ):
            items: Count
            country: Country | None = None

        class BasketPaid(BasketChanged, name="basket.paid"):
            amount_minor: MinorUnits
            gift: Flag = False
            documents: SlugList | None = None
            method: Slug | None = None

        schema = events.require("basket.changed")
        assert kinds_of(schema) == {"items": "count", "country": "country", **COMMON}
        assert schema.person_set["last_country"] == "country"
        assert schema.person_set_once == {"first_items": "items"}
        paid = {"amount_minor": "minor_units", "gift": "flag", "documents": "slug_list", "method": "slug"}
        assert kinds_of(events.require("basket.paid")) == {"items": "count", "country": "country", **paid, **COMMON}

    @pytest.mark.parametrize("annotation", [int, str, "list[str] | None", dict[str, str]])
    def test_a_property_without_a_kind(self, annotation: object) -> None:
        """An annotation that allows anything is refused, with the kinds to choose from."""
        with pytest.raises(TypeError, match=r"'items' of Basket has no kind.*MinorUnits, Currency"):
            type("Basket", (Event,), {"__annotations__": {"items": annotation}}, name="basket.changed")
        assert events.schema_of("basket.changed") is None

    def test_a_class_may_be_defined_again(self) -> None:
        """A module that is loaded anew declares its events anew, also changed."""
        for properties in ({"items": Count}, {"items": Count, "country": Country}):
            type("Basket", (Event,), {"__annotations__": properties, "__module__": "shop"}, name="basket.changed")
        assert kinds_of(events.require("basket.changed")) == {"items": "count", "country": "country", **COMMON}


@pytest.mark.parametrize(
    "name",
    [
        *("checkout", "checkout.", ".completed", "Checkout.completed", "checkout.Completed", "a.b.c", "check out.done"),
        *(
            "checkout-x.done",
            "1a.b",
            "a.1b",
            "a.b\n",
            "ä.b",
            "$pageview",
            "",
            "a" * 199 + ".b",
            None,
            5,
            b"a.b",
            ["a.b"],
        ),
    ],
)
@pytest.mark.parametrize(
    "declare",
    [
        lambda name: events.declare(name, {}, origin=ORIGIN),
        lambda name: events.declare_from_mapping({"name": name}, origin=ORIGIN),
        lambda name: type("Basket", (Event,), {}, name=name),
    ],
    ids=["declare", "mapping", "class"],
)
def test_a_wrong_name(declare: Callable[[object], object], name: object) -> None:
    """A name that is not noun.verb, or that PostHog would cut, is an error that shows the form."""
    with pytest.raises(ValueError, match=r"is not of the form noun\.verb, as in 'checkout\.completed'"):
        declare(name)


@pytest.mark.parametrize("name", ["a.b", "user.signed_in", "kyc2.level_3", "a" * 198 + ".b"])
def test_a_right_name(name: str) -> None:
    """Two lower-case words with a dot between them are a name."""
    assert events.declare(name, {}, origin=ORIGIN) is events.schema_of(name)


class TestMistakes:
    @pytest.mark.parametrize(
        ("declaration", "message"),
        [
            ({"propertys": {}}, r"unknown key 'propertys'; did you mean 'properties'\?"),
            (
                {"properties": {"items": "cuont"}},
                r"property 'items' of event 'basket.changed' in a test's file has an unknown kind 'cuont'; did you mean 'count'\?",
            ),
            (
                {"properties": {"items": "zzz"}},
                r"unknown kind 'zzz'; there are: minor_units, currency, country, count, flag",
            ),
            (
                {"properties": {"items": "count"}, "set": {"most": "itmes"}},
                r"has no property 'itmes'; did you mean 'items'\?",
            ),
            ({"set_once": {"first": "tier"}}, r"has no property 'tier'; did you mean 'user_tier'\?"),
        ],
    )
    def test_messages_name_the_nearest(self, declaration: dict[str, Any], message: str) -> None:
        """A misspelt key, kind or source is named, with where it stands and what was probably meant."""
        with pytest.raises(ValueError, match=message):
            events.declare_from_mapping({"name": "basket.changed", **declaration}, origin=ORIGIN)
        assert events.schema_of("basket.changed") is None

    @pytest.mark.parametrize(
        "declaration",
        [
            {"properties": ["items"]},
            {"properties": "count"},
            {"properties": {"items": ["count"]}},
            {"properties": {"items": 5}},
            {"properties": {"items": {"kind": "count"}}},
            {"set": "items"},
            {"set": {"most": ["items"]}},
            {"set_once": 5},
        ],
    )
    def test_a_wrong_shape(self, declaration: dict[str, Any]) -> None:
        """What TOML can express and no declaration means is the same sort of error."""
        with pytest.raises(ValueError, match=r"basket\.changed"):
            events.declare_from_mapping({"name": "basket.changed", **declaration}, origin=ORIGIN)

    @pytest.mark.parametrize("name", ["$set", "$process_person_profile", "", "a b", "x" * 300])
    def test_a_property_that_posthog_reads_otherwise(self, name: str) -> None:
        """A declared property cannot pass for one of PostHog's own, nor have an impossible name."""
        with pytest.raises(ValueError, match="basket"):
            events.declare("basket.changed", {name: KINDS["slug"]}, origin=ORIGIN)

    def test_a_name_that_is_taken(self) -> None:
        """Two owners of one name are told of each other."""
        with pytest.raises(
            ValueError,
            match=r"'payment\.failed' is declared twice, by zentra_otel_posthog\.events\.PaymentFailed and by a test's file",
        ):
            events.declare_from_mapping({"name": "payment.failed", "properties": {"reason": "slug"}}, origin=ORIGIN)

    def test_an_unknown_event(self) -> None:
        """Asking for an event that nothing declares names the nearest and how to declare one."""
        with pytest.raises(
            UnknownEvent,
            match=r"no event 'payment\.complete' .* did you mean 'payment\.completed'\? .*subclass of Event or as \[\[event\]\]",
        ):
            events.require("payment.complete")


class TestForget:
    def test_an_origin_takes_its_own_events_with_it(self) -> None:
        """Events of one origin go, all others stay."""
        events.declare("basket.changed", {}, origin=ORIGIN)
        events.declare("basket.paid", {}, origin="elsewhere")
        events.forget(ORIGIN)
        assert events.schema_of("basket.changed") is None
        assert events.schema_of("basket.paid") is not None
        assert set(PLAN) <= {schema.name for schema in events.schemas()}

    def test_a_repeated_declaration_stays_with_its_first_owner(self) -> None:
        """A file that repeats an event of the tracking plan word for word does not take it away in the end."""
        kinds = {"channel": "slug", "referral": "partner"}
        events.declare_from_mapping(
            {"name": "user.signed_up", "properties": kinds, "set_once": {"signup_channel": "channel"}}, origin=ORIGIN
        )
        events.forget(ORIGIN)
        assert events.schema_of("user.signed_up") is not None


class TestFiles:
    @pytest.mark.parametrize(
        ("path", "prefix"), [("zentra-otel-posthog.toml", ""), ("pyproject.toml", "tool.zentra-otel-posthog.")]
    )
    def test_toml(self, tmp_path: Path, path: str, prefix: str) -> None:
        """``[[event]]`` declares events in the file of its own and in pyproject.toml."""
        (tmp_path / path).write_text(
            f'[[{prefix}event]]\nname = "basket.changed"\nproperties = {{ items = "count", method = "slug" }}\n'
            f'set = {{ last_method = "method" }}\n[[{prefix}event]]\nname = "basket.paid"\nset_once = {{ first_platform = "platform" }}\n'
        )
        schema = runtime.schema("basket.changed")
        assert kinds_of(schema) == {"items": "count", "method": "slug", **COMMON}
        assert schema.person_set["last_method"] == "method"
        assert events.require("basket.paid").person_set_once == {"first_platform": "platform"}

    def test_a_new_configuration_replaces_its_events(self, tmp_path: Path) -> None:
        """Events of the file that was in force go when another comes."""
        file = tmp_path / config._FILE
        for name in ("basket.changed", "basket.paid"):
            file.write_text(f'[[event]]\nname = "{name}"\n')
            runtime.configure(disabled=True)
            runtime.shutdown()
        assert events.schema_of("basket.changed") is None
        assert events.schema_of("basket.paid") is not None

    @pytest.mark.parametrize(
        "text",
        [
            '[[event]]\nname = "basket.paid"\nproperties = { items = "cuont" }',
            '[[event]]\nname = "basket.paid"\nproperties = ["items"]',
            '[[event]]\nname = "basket.paid"\n[[event]]\nname = "basket.paid"\nproperties = { items = "count" }',
            '[[event]]\nname = "payment.failed"',
            "[[event]]",
            "event = 5",
            "event = [5]",
        ],
    )
    def test_a_mistake_in_the_file(self, tmp_path: Path, text: str) -> None:
        """A wrong or repeated declaration stops ``configure`` with a settings error."""
        (tmp_path / config._FILE).write_text(text)
        with pytest.raises(SettingsError):
            runtime.configure(disabled=True)
