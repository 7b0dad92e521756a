"""Rules beside all else: reloads, other wrappers, decorators; what cannot be carried out is told and fails nothing."""

from __future__ import annotations

import functools
import importlib
import logging
import pickle
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import wrapt

from zentra_otel_posthog import ZentraInstrumentor
from zentra_otel_posthog._imports import ModuleHooks
from zentra_otel_posthog._targets import Instrumented
from zentra_otel_posthog.testing import captured_events

Instrument = Callable[..., ZentraInstrumentor]
Write = Callable[[str, str], None]
Shop = Callable[[], ModuleType]
EventsOf = Callable[[Callable[[], object]], list[str]]
ONCE = ["payment.pending", "payment.completed"]


def states(instrumentor: ZentraInstrumentor) -> list[str]:
    return [one.state for one in instrumentor.states()]


class TestModules:
    """When a module is executed, and how often."""

    def test_a_reload_wraps_again(self, events_of: EventsOf, instrument: Instrument, shop: Shop) -> None:
        """What a reload defines anew is wrapped anew, and put back."""
        instrumentor = instrument("shop:function", "shop:Base.method")
        shop()
        for _ in range(2):
            importlib.reload(shop())
            assert events_of(lambda: shop().function("usr_1", 5)) == ONCE
            assert events_of(lambda: shop().Base().method("usr_1", 5)) == ONCE
        instrumentor.uninstrument()
        assert shop().function is shop().RAW[0]["function"]
        importlib.reload(shop())
        assert events_of(lambda: shop().function("usr_1", 5)) == []

    def test_an_import_anew_wraps_again(self, events_of: EventsOf, instrument: Instrument, shop: Shop) -> None:
        """A module that left ``sys.modules`` and comes back, as test suites have it, is wrapped too."""
        instrument("shop:function")
        shop()
        del sys.modules["shop"]
        assert events_of(lambda: shop().function("usr_1", 5)) == ONCE

    def test_the_module_is_as_without_us(self, instrument: Instrument, shop: Shop) -> None:
        """Its loader and its spec are the import system's own."""
        instrument("shop:function")
        shop()
        assert type(shop().__loader__) is type(importlib.import_module("wave").__loader__)
        assert (spec := shop().__spec__) is not None
        assert spec.loader is shop().__loader__

    def test_beside_the_hooks_of_wrapt(self, events_of: EventsOf, instrument: Instrument, shop: Shop) -> None:
        """Another instrumentation's import hook for the same module runs as well, once."""
        seen: list[ModuleType] = []
        wrapt.register_post_import_hook(seen.append, "shop")
        instrument("shop:function")
        assert events_of(lambda: shop().function("usr_1", 5)) == ONCE
        assert seen == [shop()]

    def test_each_execution_is_told_once(self, shop: Shop) -> None:
        """Also where another finder searches the whole import path again, as wrapt's does."""
        wrapt.register_post_import_hook(lambda _: None, "shop")
        told: list[str] = []
        hooks = ModuleHooks({"shop"}, lambda name, _: told.append(name))
        hooks.install()
        shop()
        importlib.reload(shop())
        hooks.remove()
        importlib.reload(shop())
        assert told == ["shop", "shop"]

    def test_nothing_is_left_behind(self, instrument: Instrument) -> None:
        """Taken back, the import system is as it was."""
        before = list(sys.meta_path)
        instrument("shop:function").uninstrument()
        assert sys.meta_path == before

    def test_a_module_that_raises(self, instrument: Instrument, write: Write) -> None:
        """Its own error is the import's, and nothing is wrapped."""
        write("broken", "raise LookupError('its own')")
        instrumentor = instrument("broken:function")
        with pytest.raises(LookupError, match="its own"):
            importlib.import_module("broken")
        assert states(instrumentor) == ["pending import"]

    def test_a_module_that_puts_another_in_its_place(
        self, events_of: EventsOf, instrument: Instrument, write: Write
    ) -> None:
        """What stands in ``sys.modules`` is wrapped."""
        write(
            "lazy",
            "import sys, types\nown = types.ModuleType('lazy')\nown.charge = lambda customer_id: None\nsys.modules['lazy'] = own\n",
        )
        instrument("lazy:charge")
        assert events_of(lambda: importlib.import_module("lazy").charge("usr_1")) == ONCE


def closure(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return function(*args)

    return call


class TestOtherWrappers:
    """Other code that wraps the same function."""

    def test_above_by_wrapt(self, events_of: EventsOf, instrument: Instrument, shop: Shop) -> None:
        """Ours is taken from under one of wrapt's, which stays."""
        shop()
        seen: list[str] = []

        def note(wrapped: Any, instance: object, args: Any, kwargs: Any) -> Any:
            seen.append("foreign")
            return wrapped(*args, **kwargs)

        instrumentor = instrument("shop:Base.class_method")
        above = wrapt.wrap_function_wrapper(shop(), "Base.class_method", note)
        assert events_of(lambda: shop().Base.class_method("usr_1", 5)) == ONCE
        instrumentor.uninstrument()
        assert events_of(lambda: shop().Base.class_method("usr_1", 5)) == []
        assert vars(shop().Base)["class_method"] is above
        assert above.__wrapped__ is shop().RAW[1]["class_method"]
        assert seen == ["foreign"] * 2

    def test_above_by_a_closure(self, events_of: EventsOf, instrument: Instrument, shop: Shop) -> None:
        """Ours cannot be taken from under a plain function: it stays and records nothing."""
        instrumentor = instrument("shop:function")
        inner = shop().function
        shop().function = closure(inner)  # type: ignore[attr-defined]
        instrumentor.uninstrument()
        assert events_of(lambda: shop().function("usr_1", 5)) == []
        assert shop().function("usr_1", 5) == "paid"

    @pytest.mark.parametrize("plain", [True, False])
    def test_below(self, events_of: EventsOf, instrument: Instrument, shop: Shop, plain: bool) -> None:
        """What was there before stays under ours, and is what is put back."""
        raw = shop().function
        below = closure(raw) if plain else wrapt.FunctionWrapper(raw, lambda w, i, a, k: w(*a, **k))
        shop().function = below  # type: ignore[attr-defined]
        instrumentor = instrument("shop:function")
        assert events_of(lambda: shop().function("usr_1", 5)) == ONCE
        instrumentor.uninstrument()
        assert shop().function is below

    def test_replaced_since(self, instrument: Instrument, shop: Shop) -> None:
        """A function that somebody has put in its place stays there."""
        instrumentor = instrument("shop:function")
        replacement = shop().function = lambda *args: "other"  # type: ignore[attr-defined]
        instrumentor.uninstrument()
        assert shop().function is replacement


DECORATED = """
import functools
from zentra_otel_posthog import payment

def logged(function):
    @functools.wraps(function)
    def call(*args): return function(*args)
    return call

@payment
def bare(customer_id): ...

@logged
@payment
def under_another(customer_id): ...

class Till:
    @classmethod
    @payment
    def below(cls, customer_id): ...
    @payment
    @staticmethod
    def above(customer_id): ...
"""


@pytest.mark.parametrize("target", ["bare", "under_another", "Till.below", "Till.above"])
def test_what_is_decorated_already(
    events_of: EventsOf, instrument: Instrument, write: Write, caplog: pytest.LogCaptureFixture, target: str
) -> None:
    """A function with a decorator is not wrapped a second time: its events come once, and that is said once."""
    caplog.set_level(logging.INFO)
    write("decorated", DECORATED)
    instrumentor = instrument(f"decorated:{target}")
    module = importlib.import_module("decorated")
    importlib.reload(module)
    function = functools.reduce(getattr, target.split("."), module)
    assert events_of(lambda: function("usr_1")) == ONCE  # type: ignore[operator]
    assert states(instrumentor) == ["decorated already"]
    assert len([one for one in caplog.records if "decorated already" in one.getMessage()]) == 1


NOT_WRAPPED = {
    "functoin": ({}, "shop has no 'functoin'; did you mean 'function'?"),
    "Base.metod": ({}, "shop.Base has no 'metod'; did you mean 'method'?"),
    "Base.Iner.method": ({}, "shop.Base has no 'Iner'; did you mean 'Inner'?"),
    "function.deeper": ({}, "shop.function has no 'deeper'; there are none"),
    "Base": ({}, "is no function: decorate the function or method itself"),
    "types": ({}, "is no function: decorate the function or method itself"),
    "function": ({"distinct_id": "custmer_id"}, "no parameter 'custmer_id'; did you mean 'customer_id'?"),
    "Base.method": ({"outcome": "request.status"}, "no parameter 'request'"),
    "types.SimpleNamespace.__repr__": ({}, "cannot set '__repr__' attribute of immutable type"),
}


class TestNotWrapped:
    """What cannot be carried out is a warning, never an import that fails."""

    @pytest.mark.parametrize("target", NOT_WRAPPED)
    def test_it_is_told_once(
        self, instrument: Instrument, shop: Shop, caplog: pytest.LogCaptureFixture, target: str
    ) -> None:
        """The warning names the rule and the nearest right name, also after a reload; the state keeps it."""
        options, message = NOT_WRAPPED[target]
        instrumentor = instrument(f"shop:{target}", **options)
        assert shop().function("usr_1", 5) == "paid"
        importlib.reload(shop())
        (state,) = instrumentor.states()
        assert (state.name, state.event, state.state) == (f"shop:{target}", "payment", "not wrapped")
        assert message in str(state.reason)
        (record,) = [one for one in caplog.records if "not wrapped" in one.getMessage()]
        assert record.levelno == logging.WARNING
        assert record.getMessage().startswith(f"[[instrument]] 'shop:{target}' in configure() is not wrapped: ")
        assert message in record.getMessage()

    @pytest.mark.parametrize("imported", ["before", "after"])
    @pytest.mark.parametrize(
        ("module", "message"),
        [
            ("bazaar.paymnts", "there is no module 'bazaar.paymnts'; did you mean 'payments'?"),
            ("bazaar.rails.bank", "there is no module 'bazaar.rails'; there are: payments"),
            ("bazaar.payments.bank", "there is no module 'bazaar.payments.bank'"),
        ],
    )
    def test_a_module_that_is_not_there(
        self,
        instrument: Instrument,
        write: Write,
        caplog: pytest.LogCaptureFixture,
        module: str,
        message: str,
        imported: str,
    ) -> None:
        """As soon as the package is imported in which it would be, it is told, once, with the nearest name."""
        write("bazaar.payments", "")
        write("bazaar.__init__", "")
        if imported == "before":
            importlib.import_module("bazaar.payments")
        instrumentor = instrument(f"{module}:charge")
        importlib.import_module("bazaar.payments")
        importlib.reload(importlib.import_module("bazaar"))
        (record,) = [one for one in caplog.records if "not wrapped" in one.getMessage()]
        assert message in record.getMessage()
        assert [(one.state, one.reason) for one in instrumentor.states()] == [("not wrapped", message)]

    def test_a_module_that_waits(self, instrument: Instrument, write: Write, caplog: pytest.LogCaptureFixture) -> None:
        """A module that nobody has imported yet is no warning, and is not imported to find out."""
        write("bazaar.payments", "")
        write("bazaar.__init__", "")
        instrumentor = instrument("bazaar.payments:charge")
        importlib.import_module("bazaar")
        assert instrumentor.states() == [Instrumented("bazaar.payments:charge", "payment", "pending import")]
        assert [one for one in caplog.records if "instrument" in one.getMessage()] == []
        assert "bazaar.payments" not in sys.modules

    def test_a_package_that_is_not_there(self, instrument: Instrument) -> None:
        """It may come to the path later: its state says that it waits, and why it may wait for ever."""
        (state,) = instrument("no_such_package.payments:charge").states()
        assert (state.state, str(state.reason).split(";")[0]) == (
            "pending import",
            "there is no module 'no_such_package'",
        )

    def test_a_module_whose_attributes_raise(self, instrument: Instrument, write: Write) -> None:
        """An error of the application's own is told by its type; its message may be about a customer."""
        write("hostile", "def __getattr__(name): raise RuntimeError('usr_1')")
        instrumentor = instrument("hostile:function")
        importlib.import_module("hostile")
        assert [one.reason for one in instrumentor.states()] == ["it raised RuntimeError"]


def test_a_wrapped_function_is_pickled_by_its_name(events_of: EventsOf, instrument: Instrument, shop: Shop) -> None:
    """A function that a rule wraps can be sent to another process, as it could before."""
    instrument("shop:function", "shop:Base.method")
    copies = [pickle.loads(pickle.dumps(function)) for function in (shop().function, shop().instance.method)]
    assert events_of(lambda: [function("usr_1", 5) for function in copies]) == ONCE * 2


def test_any_declared_event(events_of: EventsOf, instrument: Instrument, shop: Shop) -> None:
    """A rule may name single events, as ``track`` does."""
    instrument("shop:function", event="payment.completed", failed="payment.failed")
    assert events_of(lambda: shop().function("usr_1", 5)) == ["payment.completed"]


def test_a_custom_event_of_the_settings(shop: Shop, instrument: Instrument) -> None:
    """A rule may record what ``[[event]]`` declares beside it."""
    ZentraInstrumentor().instrument(
        event=[{"name": "basket.ordered", "properties": {"amount_minor": "minor_units"}}],
        instrument=[{"target": "shop:function", "event": "basket.ordered", "distinct_id": "customer_id"}],
    )
    with captured_events() as captures:
        shop().function("usr_1", 5)
    assert [(one.event, one.distinct_id, one.properties["amount_minor"]) for one in captures] == [
        ("basket.ordered", "usr_1", 5)
    ]
