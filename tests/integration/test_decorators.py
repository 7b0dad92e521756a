"""A decorated function is its undecorated twin in all that a caller can see, and records its events besides."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import typing
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from zentra_otel_posthog import payment
from zentra_otel_posthog.delivery import Capture

Callee = Callable[..., Any]

PLACES = ("plain", "method", "above classmethod", "below classmethod", "above staticmethod", "below staticmethod")
ACCESSES = [
    pytest.param(place, access, id=f"{place}, {access}")
    for place, access in itertools.product(PLACES, ("instance", "class"))
    if not (place == "plain" and access == "class")
]
DECORATORS = {
    "bare": payment,
    "called": payment(),
    "with options": payment(distinct_id="user_id", properties={"method": lambda method: method}, span_name="charge"),
}
PAYMENT = {"amount_minor": 125_000, "currency": "NGN", "method": "card"}


class Receipt:
    """What a charge returns; its identity proves that it is passed on as it is."""


RECEIPT = Receipt()


class Declined(Exception):
    code = "card_declined"


def undecorated(function: Any) -> Any:
    return function


def settle(fails: Exception | None) -> Receipt:
    if fails is not None:
        raise fails
    return RECEIPT


def owned_function(
    self: Any, amount_minor: int, /, currency: str, *, method: str = "card", user_id: str, fails: Any = None
) -> Any:
    """Charge."""
    return settle(fails)


def function(amount_minor: int, /, currency: str, *, method: str = "card", user_id: str, fails: Any = None) -> Any:
    """Charge."""
    return settle(fails)


async def owned_coroutine(
    self: Any, amount_minor: int, /, currency: str, *, method: str = "card", user_id: str, fails: Any = None
) -> Any:
    """Charge."""
    await asyncio.sleep(0)
    return settle(fails)


async def coroutine(
    amount_minor: int, /, currency: str, *, method: str = "card", user_id: str, fails: Any = None
) -> Any:
    """Charge."""
    await asyncio.sleep(0)
    return settle(fails)


def owned_generator(
    self: Any, amount_minor: int, /, currency: str, *, method: str = "card", user_id: str, fails: Any = None
) -> Any:
    """Charge."""
    yield currency
    return settle(fails)


def generator(amount_minor: int, /, currency: str, *, method: str = "card", user_id: str, fails: Any = None) -> Any:
    """Charge."""
    yield currency
    return settle(fails)


async def owned_async_generator(
    self: Any, amount_minor: int, /, currency: str, *, method: str = "card", user_id: str, fails: Any = None
) -> Any:
    """Charge."""
    yield currency
    yield settle(fails)


async def async_generator(
    amount_minor: int, /, currency: str, *, method: str = "card", user_id: str, fails: Any = None
) -> Any:
    """Charge."""
    yield currency
    yield settle(fails)


# Call shape: as a method or class method takes it, and as a plain function or static method does.
BODIES: dict[str, tuple[Callee, Callee]] = {
    "function": (owned_function, function),
    "coroutine": (owned_coroutine, coroutine),
    "generator": (owned_generator, generator),
    "async generator": (owned_async_generator, async_generator),
}


def prepare(decorate: Callee, shape: str, place: str, access: str) -> tuple[Any, tuple[Any, ...]]:
    """Return the function, or the method as an instance or its class gives it, and positional arguments for it."""
    owned, alone = BODIES[shape]
    places: dict[str, Callable[[], Any]] = {
        "method": lambda: decorate(owned),
        "above classmethod": lambda: decorate(classmethod(owned)),
        "below classmethod": lambda: classmethod(decorate(owned)),
        "above staticmethod": lambda: decorate(staticmethod(alone)),
        "below staticmethod": lambda: staticmethod(decorate(alone)),
    }
    if place == "plain":
        return decorate(alone), (125_000, "NGN")
    bank: Any = type("Bank", (), {"charge": places[place]()})
    if access == "instance":
        return bank().charge, (125_000, "NGN")
    return bank.charge, (*((bank(),) if place == "method" else ()), 125_000, "NGN")


def play(result: Any) -> tuple[list[Any], Any]:
    """Run what a call gave to its end; return what was yielded and what was returned."""
    if inspect.iscoroutine(result):
        return [], asyncio.run(result)
    if inspect.isasyncgen(result):

        async def collect() -> list[Any]:
            return [item async for item in result]

        return asyncio.run(collect()), None
    if inspect.isgenerator(result):
        items = []
        while True:
            try:
                items.append(next(result))
            except StopIteration as stop:
                return items, stop.value
    return [], result


@pytest.mark.parametrize("decorator", DECORATORS)
@pytest.mark.parametrize(("place", "access"), ACCESSES)
@pytest.mark.parametrize("shape", BODIES)
def test_a_call_returns_what_the_function_returns(
    shape: str, place: str, access: str, decorator: str, events: list[Capture], spans: InMemorySpanExporter
) -> None:
    """Values pass through as the same objects, and pending and completed carry the call's own arguments."""
    twin, args = prepare(undecorated, shape, place, access)
    expected = play(twin(*args, user_id="usr_1"))
    charge, args = prepare(DECORATORS[decorator], shape, place, access)

    assert play(charge(*args, user_id="usr_1")) == expected
    assert [event.event for event in events] == ["payment.pending", "payment.completed"]
    for event in events:
        assert event.distinct_id == "usr_1"
        assert event.properties.items() >= PAYMENT.items()
    name = f"{charge.__module__} {charge.__qualname__}"
    assert [span.name for span in spans.get_finished_spans()] == ["charge" if decorator == "with options" else name]


@pytest.mark.parametrize("decorator", DECORATORS)
@pytest.mark.parametrize(("place", "access"), ACCESSES)
@pytest.mark.parametrize("shape", BODIES)
def test_a_call_raises_what_the_function_raises(
    shape: str, place: str, access: str, decorator: str, events: list[Capture]
) -> None:
    """The very exception object reaches the caller, and failed carries its code as the reason."""
    charge, args = prepare(DECORATORS[decorator], shape, place, access)
    error = Declined("card 4242")

    with pytest.raises(Declined) as caught:
        play(charge(*args, user_id="usr_1", fails=error))

    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert [event.event for event in events] == ["payment.pending", "payment.failed"]
    assert events[1].properties.items() >= {**PAYMENT, "reason": "card_declined"}.items()


@pytest.mark.parametrize(("place", "access"), ACCESSES)
@pytest.mark.parametrize("shape", BODIES)
def test_a_function_looks_as_if_it_were_not_decorated(shape: str, place: str, access: str) -> None:
    """Signature, names, documentation and every detection of the call shape are those of the twin."""
    twin, charge = (prepare(decorate, shape, place, access)[0] for decorate in (undecorated, payment))

    assert inspect.signature(charge) == inspect.signature(twin)
    assert typing.get_type_hints(charge) == typing.get_type_hints(twin)
    for name in (
        "__name__",
        "__qualname__",
        "__doc__",
        "__module__",
        "__annotations__",
        "__defaults__",
        "__kwdefaults__",
    ):
        assert getattr(charge, name) == getattr(twin, name)
    for detect in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.isfunction,
        inspect.ismethod,
        inspect.isroutine,
        asyncio.iscoroutinefunction,
        callable,
    ):
        assert detect(charge) == detect(twin), detect
    assert inspect.getsource(charge) == inspect.getsource(twin)
    assert isinstance(charge, type(twin))


@pytest.mark.parametrize(("place", "access"), ACCESSES)
@pytest.mark.parametrize("shape", BODIES)
def test_what_a_call_gives_looks_the_same(shape: str, place: str, access: str) -> None:
    """A coroutine or generator has the type and the names that its twin's has, in tracebacks and warnings too."""
    prepared = [prepare(decorate, shape, place, access) for decorate in (undecorated, payment)]
    calls = [charge(*args, user_id="usr_1") for charge, args in prepared]

    assert type(calls[1]) is type(calls[0])
    if shape != "function":
        assert calls[1].__name__ == calls[0].__name__
        assert calls[1].__qualname__ == calls[0].__qualname__
        for call in calls:
            play(call)


@pytest.mark.parametrize("shape", BODIES)
def test_only_what_was_awaitable_is(shape: str) -> None:
    """Frameworks ask a result whether it is to be awaited; a plain generator is not."""
    prepared = [prepare(decorate, shape, "plain", "instance") for decorate in (undecorated, payment)]
    calls = [charge(*args, user_id="usr_1") for charge, args in prepared]

    assert inspect.isawaitable(calls[1]) == inspect.isawaitable(calls[0])
    for call in calls:
        play(call)


WRONG_ARGUMENTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "none": ((), {}),
    "one missing": ((125_000, "NGN"), {}),
    "one too many": ((125_000, "NGN", "card", 4, 5), {"user_id": "usr_1"}),
    "unknown": ((125_000, "NGN"), {"user_id": "usr_1", "amount": 1}),
    "twice": ((125_000, "NGN", "NGN"), {"user_id": "usr_1", "currency": "NGN"}),
    "positional by name": ((), {"amount_minor": 125_000, "currency": "NGN", "user_id": "usr_1"}),
}


@pytest.mark.parametrize("wrong", WRONG_ARGUMENTS)
@pytest.mark.parametrize(("place", "access"), ACCESSES)
@pytest.mark.parametrize("shape", BODIES)
def test_wrong_arguments_are_the_same_error_at_the_same_moment(
    shape: str, place: str, access: str, wrong: str, events: list[Capture]
) -> None:
    """The TypeError comes from the call, not from the first iteration, in Python's own words; nothing has succeeded."""
    args, kwargs = WRONG_ARGUMENTS[wrong]
    messages = []
    for decorate in (undecorated, payment):
        with pytest.raises(TypeError) as caught:
            prepare(decorate, shape, place, access)[0](*args, **kwargs)
        messages.append(str(caught.value))

    assert messages[1] == messages[0]
    assert "payment.completed" not in {event.event for event in events}


@pytest.mark.parametrize("shape", BODIES)
def test_the_order_of_evaluation_is_the_same(shape: str, events: list[Capture]) -> None:
    """Nothing of a coroutine or generator runs, and nothing is recorded, before it is first driven."""
    charge, args = prepare(payment, shape, "plain", "instance")

    call = charge(*args, user_id="usr_1")
    assert len(events) == (2 if shape == "function" else 0)

    assert play(call)
    assert len(events) == 2
