"""Rules: every shape of target, wrapped before or after its import, put back exactly."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from zentra_otel_posthog import ZentraInstrumentor
from zentra_otel_posthog.testing import captured_events

Instrument = Callable[..., ZentraInstrumentor]
Write = Callable[[str, str], None]
Shop = Callable[[], ModuleType]
EventsOf = Callable[[Callable[[], object]], list[str]]
TARGETS: dict[str, Callable[[ModuleType], Any]] = {
    "function": lambda shop: shop.function("usr_1", 5),
    "coroutine": lambda shop: asyncio.run(shop.coroutine("usr_1", 5)),
    "generator": lambda shop: next(iter([*shop.generator("usr_1", 5)])),
    "async_generator": lambda shop: asyncio.run(first(shop.async_generator("usr_1", 5))),
    "behind_wraps": lambda shop: shop.behind_wraps("usr_1", 5),
    "callable_object": lambda shop: shop.callable_object("usr_1", 5),
    "partial": lambda shop: shop.partial(5),
    "bound": lambda shop: shop.bound("usr_1", 5),
    "instance.method": lambda shop: shop.instance.method("usr_1", 5),
    "Base.method": lambda shop: shop.Base().method("usr_1", 5),
    "Base.async_method": lambda shop: asyncio.run(shop.Base().async_method("usr_1", 5)),
    "Base.class_method": lambda shop: shop.Base.class_method("usr_1", 5),
    "Base.static_method": lambda shop: shop.Base().static_method("usr_1", 5),
    "Base.callable_attribute": lambda shop: shop.Base().callable_attribute("usr_1", 5),
    "Base.Inner.method": lambda shop: shop.Base.Inner().method("usr_1", 5),
    "Inheriting.method": lambda shop: shop.Inheriting().method("usr_1", 5),
    "Inheriting.class_method": lambda shop: shop.Inheriting.class_method("usr_1", 5),
    "Inheriting.static_method": lambda shop: shop.Inheriting.static_method("usr_1", 5),
    "Overriding.method": lambda shop: shop.Overriding().method("usr_1", 5),
}
ONCE = ["payment.pending", "payment.completed"]


async def first(items: Any) -> Any:
    return next(iter([item async for item in items]))


def states(instrumentor: ZentraInstrumentor) -> list[str]:
    return [one.state for one in instrumentor.states()]


@pytest.mark.parametrize("imported", ["before", "after"])
@pytest.mark.parametrize("target", TARGETS)
def test_each_target(events_of: EventsOf, instrument: Instrument, shop: Shop, target: str, imported: str) -> None:
    """Its calls are recorded once and answer as they did; taken back, every namespace holds the very same objects."""
    call = TARGETS[target]
    if imported == "before":
        shop()
    for _ in range(2):
        instrumentor = instrument(f"shop:{target}")
        with captured_events() as captures:
            answered = call(shop())
        assert [capture.event for capture in captures] == ONCE
        assert [capture.distinct_id for capture in captures] == ["usr_1"] * 2
        assert states(instrumentor) == ["wrapped"]

        instrumentor.uninstrument()
        assert events_of(lambda: call(shop())) == []
        assert call(shop()) == answered
        for here, before in zip(shop().raw(), shop().RAW, strict=True):
            assert here.keys() == before.keys()
            assert [name for name in before if here[name] is not before[name] and name != "RAW"] == []


class TestInheritance:
    def test_a_class_attribute_is_inherited(self, events_of: EventsOf, instrument: Instrument, shop: Shop) -> None:
        """A rule for a base class covers those that inherit or call it, and not one that overrides it."""
        instrument("shop:Base.method")
        assert events_of(lambda: shop().Inheriting().method("usr_1", 5)) == ONCE
        assert events_of(lambda: shop().Extending().method("usr_1", 5)) == ONCE
        assert events_of(lambda: shop().Overriding().method("usr_1", 5)) == []

    def test_a_rule_for_a_subclass_is_about_it_alone(
        self, events_of: EventsOf, instrument: Instrument, shop: Shop
    ) -> None:
        """What it inherits stays as it is for the others."""
        instrument("shop:Inheriting.method")
        assert events_of(lambda: shop().Base().method("usr_1", 5)) == []
        assert events_of(lambda: shop().Inheriting().method("usr_1", 5)) == ONCE

    @pytest.mark.parametrize("targets", [("Base.method", "Inheriting.method"), ("Inheriting.method", "Base.method")])
    def test_rules_for_both_record_once(
        self, events_of: EventsOf, instrument: Instrument, shop: Shop, targets: tuple[str, str]
    ) -> None:
        """In whichever order they are carried out."""
        instrument(*(f"shop:{target}" for target in targets))
        assert events_of(lambda: shop().Base().method("usr_1", 5)) == ONCE
        assert events_of(lambda: shop().Inheriting().method("usr_1", 5)) == ONCE


@pytest.fixture
def package(write: Write) -> None:
    """A package that re-exports a function and a class, and a module that imports both from it."""
    write(
        "bazaar.payments",
        "def charge(customer_id, amount_minor): ...\nclass Till:\n def charge(self, customer_id, amount_minor): ...\n",
    )
    write("bazaar.__init__", "from bazaar.payments import Till, charge\n")
    write("web", "from bazaar import Till, charge\n")


class TestReexports:
    """``from bazaar.payments import charge`` in a package, and a target named either way."""

    @pytest.mark.parametrize("target", ["bazaar.payments:charge", "bazaar:charge"])
    @pytest.mark.usefixtures("package")
    def test_a_function(self, events_of: EventsOf, instrument: Instrument, target: str) -> None:
        """Its definition, its re-export and what imports it later are the same wrapped function."""
        instrument(target)
        web = importlib.import_module("web")
        bazaar, payments = sys.modules["bazaar"], sys.modules["bazaar.payments"]
        assert web.charge is bazaar.charge is payments.charge
        assert events_of(lambda: web.charge("usr_1", 5)) == ONCE

    @pytest.mark.usefixtures("package")
    def test_a_reexport_is_put_back_in_both_places(self, instrument: Instrument) -> None:
        """Taken back, definition and re-export are the original."""
        importlib.import_module("bazaar")
        bazaar, payments = sys.modules["bazaar"], sys.modules["bazaar.payments"]
        before = payments.charge
        instrument("bazaar:charge").uninstrument()
        assert before is bazaar.charge is payments.charge

    @pytest.mark.parametrize("target", ["bazaar.payments:Till.charge", "bazaar:Till.charge"])
    @pytest.mark.usefixtures("package")
    def test_a_class(self, events_of: EventsOf, instrument: Instrument, target: str) -> None:
        """A class is the same wherever it is named."""
        instrument(target)
        assert events_of(lambda: importlib.import_module("web").Till().charge("usr_1", 5)) == ONCE

    @pytest.mark.usefixtures("package")
    def test_two_names_of_one_function(
        self, events_of: EventsOf, instrument: Instrument, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Two rules that come to the same function record it once, and that is said."""
        caplog.set_level(logging.INFO)
        instrumentor = instrument("bazaar.payments:charge", "bazaar:charge")
        assert events_of(lambda: importlib.import_module("web").charge("usr_1", 5)) == ONCE
        assert states(instrumentor) == ["wrapped", "decorated already"]
        assert [one.message for one in caplog.records if "decorated already" in one.message] != []

    @pytest.mark.usefixtures("package")
    def test_a_name_imported_while_it_was_on(self, events_of: EventsOf, instrument: Instrument) -> None:
        """What another module has imported is off and on with the rule, though nobody can put it back."""
        instrumentor = instrument("bazaar.payments:charge")
        web = importlib.import_module("web")
        instrumentor.uninstrument()
        assert events_of(lambda: web.charge("usr_1", 5)) == []
        instrument("bazaar.payments:charge")
        assert events_of(lambda: web.charge("usr_1", 5)) == ONCE
        assert events_of(lambda: sys.modules["bazaar.payments"].charge("usr_1", 5)) == ONCE

    @pytest.mark.usefixtures("package")
    def test_what_is_off_is_not_decorated(self, events_of: EventsOf, instrument: Instrument) -> None:
        """A name that still holds what an earlier rule wrapped can be the target of another."""
        instrumentor = instrument("bazaar.payments:charge")
        web = importlib.import_module("web")
        instrumentor.uninstrument()
        assert states(instrument("web:charge")) == ["wrapped"]
        assert events_of(lambda: web.charge("usr_1", 5)) == ONCE
