"""Arguments, results and exceptions that answer every question with an error do no harm."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, NoReturn

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from zentra_otel_posthog import payment, telemetry
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.testing import captured_events


class Fault(Exception):
    """What a hostile object raises."""


def broken(*_: Any, **__: Any) -> NoReturn:
    raise Fault


class Hostile:
    """Every question is answered by an error."""

    __class__ = property(broken)
    __getattr__ = __eq__ = __ne__ = __bool__ = __hash__ = __str__ = __repr__ = __len__ = __iter__ = broken
    __int__ = __index__ = __float__ = __getitem__ = __contains__ = __lt__ = __call__ = broken


class HostileMapping(dict[str, object]):
    """A mapping that cannot be asked."""

    get = __getitem__ = __contains__ = __iter__ = __len__ = __repr__ = broken


class HostileText(str):
    """A string that cannot be read."""

    __slots__ = ()
    strip = lower = upper = encode = __eq__ = __hash__ = __contains__ = __len__ = __str__ = broken


class HostileError(Exception):
    """An exception that cannot be described."""

    code = reason = property(broken)
    __str__ = __repr__ = broken


VALUES: dict[str, Any] = {
    "object": Hostile(),
    "mapping": HostileMapping(),
    "text": HostileText("card"),
}
RESULTS: dict[str, Any] = {**VALUES, "error": HostileError()}


def settle(result: Any) -> Any:
    if issubclass(type(result), BaseException):
        raise result
    return result


def function(result: Any, **given: Any) -> Any:
    return settle(result)


async def coroutine(result: Any, **given: Any) -> Any:
    return settle(result)


def generator(result: Any, **given: Any) -> Generator[Any, Any, Any]:
    yield result
    return settle(result)


async def async_generator(result: Any, **given: Any) -> AsyncIterator[Any]:
    yield result
    settle(result)


SHAPES: dict[str, Callable[..., Any]] = {
    "function": function,
    "coroutine": coroutine,
    "generator": generator,
    "async generator": async_generator,
}
EVERY_PROPERTY = {name: name for name in ("amount_minor", "currency", "method", "platform", "user_tier")}


def collected(call: Any) -> list[Any]:
    """Run to the end without asyncio, which itself fails over such objects; return all that came, errors too."""
    seen: list[Any] = []
    while True:
        try:
            if inspect.iscoroutine(call):
                seen.append(call.send(None))
            elif inspect.isasyncgen(call):
                next(anext(call).__await__())
            else:
                seen.append(next(call))
        except StopIteration as stop:
            seen.append(stop.value)
            if not inspect.isasyncgen(call):
                return seen
        except StopAsyncIteration:
            return seen
        except HostileError as error:
            return [*seen, error]


def played(decorated: Callable[..., Any], result: Any, **given: Any) -> list[int]:
    """Return the identities of all that a call gives: what it yields, returns and raises."""
    try:
        outcome = decorated(result, **given)
    except HostileError as error:
        return [id(error)]
    if type(outcome).__name__ in {"coroutine", "generator", "async_generator"}:
        return [id(item) for item in collected(outcome)]
    return [id(outcome)]


@pytest.fixture
def production(spans: InMemorySpanExporter) -> Iterator[list[Capture]]:
    """Run as in production: internal errors are kept from the caller."""
    with captured_events(record_exceptions=True) as events:
        telemetry.raise_internal_errors(enabled=False)
        yield events


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_hostile_argument(shape: str, value: str, production: list[Capture]) -> None:
    """It is left out of the event, and the rest of the event goes out."""
    decorated = payment(properties={**EVERY_PROPERTY, "method": "fine"}, tenant="tenant", distinct_id="person")(
        SHAPES[shape]
    )
    hostile = VALUES[value]
    given = dict.fromkeys(("amount_minor", "currency", "platform", "user_tier", "tenant", "person"), hostile)

    assert played(decorated, None, fine="card", **given) == played(SHAPES[shape], None, **given)
    assert [event.event for event in production] == ["payment.pending", "payment.completed"]
    for event in production:
        assert event.properties["method"] == "card"
        assert event.properties["$process_person_profile"] is False
        assert not event.properties.keys() & {"amount_minor", "currency", "platform", "user_tier", "$groups"}


@pytest.mark.parametrize("value", RESULTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_hostile_result(shape: str, value: str, production: list[Capture]) -> None:
    """A result or exception reaches the caller as the object that it is."""
    assert played(payment(SHAPES[shape]), RESULTS[value]) == played(SHAPES[shape], RESULTS[value])
    assert production[0].event == "payment.pending"


SOURCES: dict[str, Any] = {
    "path": "order.name.first",
    "path into the result": "result.name.first",
    "callable": lambda order: order.name,
    "callable that always raises": broken,
}


@pytest.mark.parametrize("option", ["distinct_id", "tenant", "properties", "outcome"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_source_that_raises(shape: str, source: str, option: str, production: list[Capture]) -> None:
    """A path or callable that raises harms neither the function nor the pending event."""
    options: Any = {option: {"currency": SOURCES[source]} if option == "properties" else SOURCES[source]}
    decorated = payment(**options)(SHAPES[shape])

    assert played(decorated, VALUES["object"], order=VALUES["object"]) == played(SHAPES[shape], VALUES["object"])
    assert production[0].event == "payment.pending"
