"""Generators keep their whole protocol: values, errors, clean-up and return value."""

from __future__ import annotations

import contextlib
import gc
import itertools
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from zentra_otel_posthog import payment
from zentra_otel_posthog.delivery import Capture

Log = list[Any]
AnyGenerator = Callable[[Log], Generator[Any, Any, Any]]


def echoing(log: Log) -> Generator[Any, Any, Any]:
    for number in range(3):
        log.append((yield number))
    return "echoed"


def delegating(log: Log) -> Generator[Any, Any, Any]:
    result = yield from echoing(log)
    yield result
    return "delegated"


def tidy(log: Log) -> Generator[Any, Any, Any]:
    try:
        yield 1
        yield 2
    finally:
        log.append("cleaned")


def stubborn(log: Log) -> Generator[Any, Any, Any]:
    for number in range(3):
        try:
            yield number
        except GeneratorExit:
            log.append("swallowed")


def recovering(log: Log) -> Generator[Any, Any, Any]:
    try:
        yield 1
    except BaseException as error:
        log.append(type(error))
        yield 2
        return "recovered"
    return "undisturbed"


def answering_close(log: Log) -> Generator[Any, Any, Any]:
    try:
        yield 1
    except GeneratorExit:
        return "closed"


def replacing(log: Log) -> Generator[Any, Any, Any]:
    try:
        yield 1
    except BaseException as error:
        raise KeyError("replaced") from error


def failing(log: Log) -> Generator[Any, Any, Any]:
    yield 1
    raise LookupError("of its own")


def running_dry(log: Log) -> Generator[Any, Any, Any]:
    yield 1
    next(iter(()))


def described(error: BaseException | None) -> Any:
    """Return what a caller can tell of an error: type, arguments, cause and context."""
    if error is None:
        return None
    return type(error), error.args, described(error.__cause__), described(error.__context__)


STEPS: dict[str, Callable[[Any], Any]] = {
    "next": next,
    "send": lambda generator: generator.send("sent"),
    "throw": lambda generator: generator.throw(ValueError("thrown")),
    "throw a stop": lambda generator: generator.throw(StopIteration("thrown")),
    "interrupt": lambda generator: generator.throw(KeyboardInterrupt),
    "throw an exit": lambda generator: generator.throw(GeneratorExit),
    "close": lambda generator: generator.close(),
}


def played(function: AnyGenerator, script: tuple[str, ...]) -> Log:
    """Run a script of steps on a new generator; return all that it did."""
    log: Log = []
    generator = function(log)
    for step in (*script, *["close"] * 4):
        try:
            log.append((step, STEPS[step](generator)))
        except BaseException as error:
            log.append((step, described(error)))
    return log


@pytest.mark.parametrize(
    "function", [echoing, delegating, tidy, stubborn, recovering, answering_close, replacing, failing, running_dry]
)
def test_every_short_conversation_goes_as_undecorated(function: AnyGenerator, events: list[Capture]) -> None:
    """All scripts of four sends, throws and closes give the same values, errors and clean-up in the same order."""
    decorated = payment(function)
    for script in itertools.product(STEPS, repeat=4):
        assert played(decorated, script) == played(function, script), script
    assert events


ENDINGS: dict[str, tuple[AnyGenerator, tuple[str, ...], str | None]] = {
    "exhausted": (tidy, ("next", "next", "next"), "payment.completed"),
    "left early": (tidy, ("next",), None),
    "closed": (tidy, ("next", "close"), None),
    "closed, and returns a value": (answering_close, ("next", "close"), None),
    "closed after it swallowed the first attempts": (stubborn, ("next", "close", "close", "close"), None),
    "swallowed a close, then exhausted": (stubborn, ("next", "close", "next", "next"), "payment.completed"),
    "failed": (failing, ("next", "next"), "payment.failed"),
    "thrown at": (tidy, ("next", "throw"), "payment.failed"),
    "thrown at and recovered": (recovering, ("next", "throw", "next"), "payment.completed"),
    "failed while closing": (replacing, ("next", "close"), "payment.failed"),
    "interrupted": (tidy, ("next", "interrupt"), None),
}


def assert_ended(last: str | None, events: list[Capture], spans: InMemorySpanExporter) -> None:
    assert [event.event for event in events] == ["payment.pending", *([last] if last else [])]
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is (StatusCode.ERROR if last == "payment.failed" else StatusCode.UNSET)


@pytest.mark.parametrize("ending", ENDINGS)
def test_how_a_generator_ends_is_how_its_payment_ends(
    ending: str, events: list[Capture], spans: InMemorySpanExporter
) -> None:
    """Exhausted is completed, an error is failed, and one that is left before its end is neither."""
    function, script, last = ENDINGS[ending]
    generator = payment(function)([])
    for step in script:
        with contextlib.suppress(BaseException):
            STEPS[step](generator)
    del generator

    assert_ended(last, events, spans)


def test_what_a_generator_returns_can_say_that_it_failed(events: list[Capture]) -> None:
    """The return value of a generator is judged as that of a function."""

    @payment
    def charge() -> Generator[int, None, dict[str, str]]:
        yield 1
        return {"status": "failed", "reason": "limit_exceeded"}

    assert list(charge()) == [1]
    assert [event.event for event in events] == ["payment.pending", "payment.failed"]
    assert events[1].properties["reason"] == "limit_exceeded"


def test_a_generator_that_is_never_started_records_nothing(events: list[Capture], spans: InMemorySpanExporter) -> None:
    """Closing or dropping what was never driven leaves no span and no event."""
    payment(tidy)([]).close()
    payment(tidy)([])

    assert not events
    assert not spans.get_finished_spans()


def session(log: Log) -> Iterator[str]:
    try:
        yield "entered"
    except LookupError:
        log.append("suppressed")
    finally:
        log.append("left")


MANAGED_ENDINGS = [None, LookupError("handled"), ValueError("not handled")]


def test_a_decorated_generator_makes_a_context_manager(events: list[Capture]) -> None:
    """``contextmanager`` above the decorator gives the same value, clean-up and treatment of errors."""
    log: Log = []
    managed = contextlib.contextmanager(payment(session))

    for error in MANAGED_ENDINGS:
        with contextlib.suppress(ValueError), managed(log) as value:
            log.append(value)
            if error is not None:
                raise error

    assert log == ["entered", "left", "entered", "suppressed", "left", "entered", "left"]
    assert [event.event for event in events[1::2]] == ["payment.completed", "payment.completed", "payment.failed"]


def test_delegation_to_a_decorated_generator(events: list[Capture]) -> None:
    """``yield from`` passes what is sent, and gets what is returned."""
    log: Log = []

    def outer() -> Generator[Any, Any, Any]:
        return (yield from payment(echoing)(log))

    generator = outer()
    assert [next(generator), generator.send("a"), generator.send("b")] == [0, 1, 2]
    with pytest.raises(StopIteration) as caught:
        generator.send("c")

    assert caught.value.value == "echoed"
    assert log == ["a", "b", "c"]
    assert [event.event for event in events] == ["payment.pending", "payment.completed"]


class Thrown(Exception):
    """Unlike a built-in exception, it takes weak references."""


@pytest.mark.parametrize("function", [tidy, payment(tidy)], ids=["undecorated", "decorated"])
def test_an_error_that_is_thrown_in_is_freed_at_once(function: AnyGenerator) -> None:
    """No cycle keeps an error, and with it the frames and their arguments, until the garbage collector runs."""
    gc.disable()
    try:
        generator = function([])
        next(generator)
        error = Thrown()
        freed = weakref.ref(error)
        with contextlib.suppress(Thrown):
            generator.throw(error)
        del error, generator
        assert freed() is None
    finally:
        gc.enable()
