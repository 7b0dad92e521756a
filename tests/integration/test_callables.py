"""Whatever can be called can be decorated: partials, callable objects, other decorators' wrappers, inherited methods."""

from __future__ import annotations

import abc
import asyncio
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import wrapt
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from zentra_otel_posthog import payment, transfer
from zentra_otel_posthog.delivery import Capture

Call = Callable[..., Any]
PAYMENT = {"amount_minor": 125_000, "currency": "NGN", "method": "card"}


def function(amount_minor: int, currency: str, method: str = "card") -> str:
    return f"{method} {currency} {amount_minor}"


async def coroutine(amount_minor: int, currency: str, method: str = "card") -> str:
    return function(amount_minor, currency, method)


class Bank:
    rank = 1

    def method(self, amount_minor: int, currency: str, method: str = "card") -> str:
        return function(amount_minor, currency, method)

    @classmethod
    def class_method(cls, amount_minor: int, currency: str, method: str = "card") -> str:
        return function(amount_minor, currency, method)

    @functools.cache  # noqa: B019  the test's own
    def cached(self, amount_minor: int, currency: str, method: str = "card") -> str:
        return function(amount_minor, currency, method)

    def __call__(self, amount_minor: int, currency: str, method: str = "card") -> str:
        return function(amount_minor, currency, method)


class AsyncBank:
    async def __call__(self, amount_minor: int, currency: str, method: str = "card") -> str:
        return function(amount_minor, currency, method)


def with_wraps(function: Call) -> Call:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def with_async_wraps(function: Call) -> Call:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


@wrapt.decorator
def with_wrapt(wrapped: Call, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return wrapped(*args, **kwargs)


CALLABLES: dict[str, Call] = {
    "lambda": lambda amount_minor, currency, method="card": function(amount_minor, currency, method),
    "partial of a function": functools.partial(function, currency="NGN"),
    "partial of a coroutine function": functools.partial(coroutine, currency="NGN"),
    "partial of a partial": functools.partial(functools.partial(function, method="card"), currency="NGN"),
    "partial of a method": functools.partial(Bank().method, currency="NGN"),
    "bound method": Bank().method,
    "bound class method": Bank.class_method,
    "method of the class": functools.partial(Bank.method, Bank()),
    "callable object": Bank(),
    "callable object with async __call__": AsyncBank(),
    "cached function": functools.cache(function),
    "wrapped with functools": with_wraps(function),
    "coroutine wrapped by a plain function": with_wraps(coroutine),
    "coroutine wrapped by a coroutine": with_async_wraps(coroutine),
    "wrapped with wrapt": with_wrapt(function),
    "coroutine wrapped with wrapt": with_wrapt(coroutine),
    "method wrapped with wrapt": with_wrapt(Bank().method),
    "wrapped three times": with_wraps(with_wrapt(with_wraps(function))),
}


def called(function: Call) -> Any:
    """Call and, where it is to be awaited, await."""

    async def wait(result: Any) -> Any:
        return await result

    result = function(125_000, currency="NGN")
    return asyncio.run(wait(result)) if inspect.isawaitable(result) else result


@pytest.mark.parametrize("name", CALLABLES)
def test_whatever_can_be_called_can_be_decorated(name: str, events: list[Capture], spans: InMemorySpanExporter) -> None:
    """The value and every detection are the original's, and the event has the call's arguments."""
    original = CALLABLES[name]
    decorated = payment(original)

    assert called(decorated) == called(original) == "card NGN 125000"
    assert [event.event for event in events] == ["payment.pending", "payment.completed"]
    assert events[1].properties.items() >= PAYMENT.items()
    assert inspect.signature(decorated) == inspect.signature(original)
    for detect in (inspect.iscoroutinefunction, asyncio.iscoroutinefunction, inspect.isfunction, inspect.ismethod):
        assert detect(decorated) == detect(original)
    (span,) = spans.get_finished_spans()
    assert span.name.startswith(f"{__name__} ")
    assert "0x" not in span.name


@pytest.mark.parametrize("above", [with_wraps, with_wrapt, functools.cache, staticmethod, functools.partial])
def test_other_decorators_above(above: Call, events: list[Capture]) -> None:
    """A decorated function may be wrapped further."""
    assert called(above(payment(function))) == "card NGN 125000"
    assert events[1].properties.items() >= PAYMENT.items()


@pytest.mark.parametrize("below", [with_wraps, with_wrapt, functools.cache])
def test_a_method_wrapped_otherwise_takes_its_own_arguments(below: Call, events: list[Capture]) -> None:
    """The instance is no argument of the event, whatever kind of descriptor stands below the decorator."""

    class Service:
        @payment
        @below
        def charge(self, amount_minor: int, currency: str, method: str = "card") -> str:
            return function(amount_minor, currency, method)

    service = Service()
    assert called(service.charge) == "card NGN 125000"
    assert service.charge(125_000, "NGN", "card") == "card NGN 125000"
    assert Service.charge(service, 125_000, "NGN", "card") == "card NGN 125000"
    for event in events:
        assert event.properties.items() >= PAYMENT.items()


def test_a_partial_with_positional_arguments(events: list[Capture]) -> None:
    """Arguments that a partial already holds are the call's arguments, too."""
    assert payment(functools.partial(function, 125_000))("NGN") == "card NGN 125000"
    assert events[1].properties.items() >= PAYMENT.items()


class Base(abc.ABC):
    @payment
    def charge(self, amount_minor: int, currency: str, method: str = "card") -> str:
        return f"base {function(amount_minor, currency, method)}"

    @payment
    @abc.abstractmethod
    def refund(self) -> str: ...

    @abc.abstractmethod
    @payment
    def settle(self) -> str: ...

    @payment
    @classmethod
    def create(cls, amount_minor: int) -> str:
        return f"{cls.__name__} {amount_minor}"

    @classmethod
    @payment
    def build(cls, amount_minor: int) -> str:
        return f"{cls.__name__} {amount_minor}"

    @payment
    @staticmethod
    def check(amount_minor: int) -> int:
        return amount_minor


class Derived(Base):
    def charge(self, amount_minor: int, currency: str, method: str = "card") -> str:
        return f"derived {super().charge(amount_minor, currency, method)}"

    def refund(self) -> str:
        return "refunded"

    def settle(self) -> str:
        return "settled"

    @payment
    @classmethod
    def create(cls, amount_minor: int) -> str:
        return super().create(amount_minor)

    @classmethod
    @payment
    def build(cls, amount_minor: int) -> str:
        return super().build(amount_minor)

    @payment
    @staticmethod
    def check(amount_minor: int) -> int:
        return Base.check(amount_minor)


def test_abstract_methods_stay_abstract() -> None:
    """An abstract method may be decorated on either side, and the class cannot be instantiated."""
    assert Base.__abstractmethods__ == {"refund", "settle"}
    with pytest.raises(TypeError, match="abstract"):
        Base()  # type: ignore[abstract]


@pytest.mark.parametrize("owner", [Derived(), Derived], ids=["instance", "class"])
def test_inherited_and_overridden_methods(owner: Any, events: list[Capture]) -> None:
    """``super()`` reaches the decorated method of the base class; class methods get the class they are called on."""
    assert owner.create(1) == "Derived 1"
    assert owner.build(2) == "Derived 2"
    assert owner.check(3) == 3
    completed = [event.properties["amount_minor"] for event in events if event.event == "payment.completed"]
    assert completed == [1, 1, 2, 2, 3, 3]


def test_super_from_an_override(events: list[Capture]) -> None:
    """An override that is not decorated records what its decorated base does."""
    assert Derived().charge(125_000, "NGN") == "derived base card NGN 125000"
    assert [event.event for event in events] == ["payment.pending", "payment.completed"]
    assert events[1].properties.items() >= PAYMENT.items()


def test_a_property_around_a_decorated_getter(events: list[Capture]) -> None:
    """``property`` and ``cached_property`` call what they were given."""

    class Account:
        amount_minor = 5

        @property
        @payment(properties={"amount_minor": "self.amount_minor"})
        def balance(self) -> int:
            return 7

        @functools.cached_property
        @payment
        def limit(self) -> int:
            return 8

    account = Account()
    assert (account.balance, account.limit, account.limit) == (7, 8, 8)
    assert [event.properties.get("amount_minor") for event in events] == [5, 5, None, None]


def test_two_decorators_on_one_function(events: list[Capture], spans: InMemorySpanExporter) -> None:
    """Each records its own event on its own span, the outer one around the inner one."""

    @transfer(properties={"destination": lambda: "bank"})
    @payment
    def pay(amount_minor: int, currency: str) -> str:
        return "paid"

    assert pay(125_000, "NGN") == "paid"
    assert [event.event for event in events] == ["payment.pending", "payment.completed", "transfer.completed"]
    inner, outer = spans.get_finished_spans()
    assert outer.context is not None
    assert inner.parent == outer.context


class Point(NamedTuple):
    x: int

    @payment
    def charge(self, amount_minor: int) -> int:
        return self.x + amount_minor


class Slotted:
    __slots__ = ("amount",)

    @payment(properties={"amount_minor": "self.amount"})
    def charge(self) -> str:
        return "charged"

    @payment
    def __call__(self, amount_minor: int) -> int:
        return amount_minor

    @payment
    def __iter__(self) -> Iterator[int]:
        yield 1


def test_unusual_classes(events: list[Capture]) -> None:
    """Named tuples, classes with slots and special methods take decorators as any other class does."""
    slotted = Slotted()
    slotted.amount = 9  # type: ignore[attr-defined]  # __slots__ declares it

    assert Point(1).charge(2) == 3
    assert slotted.charge() == "charged"
    assert slotted(4) == 4
    assert list(slotted) == [1]
    assert [event.properties.get("amount_minor") for event in events[1::2]] == [2, 9, 4, None]


def test_a_method_set_on_a_class_later(events: list[Capture]) -> None:
    """What is decorated and then put onto a class or an instance binds as a function does."""

    class Service:
        charge: Call

    Service.charge = payment(Bank.method)
    service = Service()
    assert service.charge(125_000, "NGN") == "card NGN 125000"
    service.charge = payment(function)
    assert service.charge(125_000, "NGN") == "card NGN 125000"
    assert Bank.method(service, 125_000, "NGN") == Service.charge(self=service, amount_minor=125_000, currency="NGN")  # type: ignore[arg-type]  # not a Bank, on purpose
    for event in events:
        assert event.properties.items() >= PAYMENT.items()
