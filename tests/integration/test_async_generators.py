"""Async generators keep their whole protocol: values, errors, clean-up, and what the event loop does with them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from zentra_otel_posthog import payment
from zentra_otel_posthog.delivery import Capture

Log = list[Any]
AnyGenerator = Callable[[Log], AsyncGenerator[Any, Any]]


async def echoing(log: Log) -> AsyncGenerator[Any, Any]:
    for number in range(3):
        await asyncio.sleep(0)
        log.append((yield number))


async def tidy(log: Log) -> AsyncGenerator[Any, Any]:
    try:
        yield 1
        yield 2
    finally:
        await asyncio.sleep(0)
        log.append("cleaned")


async def stubborn(log: Log) -> AsyncGenerator[Any, Any]:
    for number in range(3):
        try:
            yield number
        except GeneratorExit:
            log.append("swallowed")


async def recovering(log: Log) -> AsyncGenerator[Any, Any]:
    try:
        yield 1
    except BaseException as error:
        log.append(type(error))
        yield 2


async def replacing(log: Log) -> AsyncGenerator[Any, Any]:
    try:
        yield 1
    except BaseException as error:
        await asyncio.sleep(0)
        raise KeyError("replaced") from error


async def answering_close(log: Log) -> AsyncGenerator[Any, Any]:
    with contextlib.suppress(GeneratorExit):
        yield 1
        log.append("not reached")


async def failing(log: Log) -> AsyncGenerator[Any, Any]:
    yield 1
    raise StopAsyncIteration("of its own")


def described(error: BaseException | None) -> Any:
    """Return what a caller can tell of an error: type, arguments, cause and context."""
    if error is None:
        return None
    return type(error), error.args, described(error.__cause__), described(error.__context__)


STEPS: dict[str, Callable[[Any], Any]] = {
    "anext": anext,
    "asend": lambda generator: generator.asend("sent"),
    "athrow": lambda generator: generator.athrow(ValueError("thrown")),
    "athrow a stop": lambda generator: generator.athrow(StopAsyncIteration("thrown")),
    "cancel": lambda generator: generator.athrow(asyncio.CancelledError),
    "athrow an exit": lambda generator: generator.athrow(GeneratorExit),
    "aclose": lambda generator: generator.aclose(),
}


async def played(function: AnyGenerator, script: tuple[str, ...]) -> Log:
    """Run a script of steps on a new async generator; return all that it did."""
    log: Log = []
    generator = function(log)
    for step in (*script, *["aclose"] * 4):
        try:
            log.append((step, await STEPS[step](generator)))
        except BaseException as error:
            log.append((step, described(error)))
    return list(log)  # what an unfinished one does when it is collected comes later, and is not compared


async def converse(function: AnyGenerator) -> None:
    """Prove that every short conversation with a function goes as with its decorated twin."""
    decorated = payment(function)
    for script in itertools.product(STEPS, repeat=3):
        assert await played(decorated, script) == await played(function, script), script


@pytest.mark.parametrize("function", [echoing, tidy, recovering, answering_close, replacing, failing])
def test_every_short_conversation_goes_as_undecorated(function: AnyGenerator, events: list[Capture]) -> None:
    """All scripts of three asends, athrows and acloses give the same values, errors and clean-up in the same order."""
    asyncio.run(converse(function))
    assert events


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_short_conversation_with_one_that_ignores_aclose(events: list[Capture]) -> None:
    """It cannot be finished; Python itself complains about it in the end, decorated or not."""
    asyncio.run(converse(stubborn))
    gc.collect()  # here, where the complaint is expected


ENDINGS: dict[str, tuple[AnyGenerator, tuple[str, ...], str | None]] = {
    "exhausted": (tidy, ("anext", "anext", "anext"), "payment.completed"),
    "left early": (tidy, ("anext",), None),
    "closed": (tidy, ("anext", "aclose"), None),
    "closed, and ends by itself": (answering_close, ("anext", "aclose"), None),
    "failed": (failing, ("anext", "anext"), "payment.failed"),
    "thrown at": (tidy, ("anext", "athrow"), "payment.failed"),
    "thrown at and recovered": (recovering, ("anext", "athrow", "anext"), "payment.completed"),
    "failed while closing": (replacing, ("anext", "aclose"), "payment.failed"),
    "cancelled": (tidy, ("anext", "cancel"), None),
}


def assert_ended(last: str | None, events: list[Capture], spans: InMemorySpanExporter) -> None:
    assert [event.event for event in events] == ["payment.pending", *([last] if last else [])]
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is (StatusCode.ERROR if last == "payment.failed" else StatusCode.UNSET)


@pytest.mark.parametrize("ending", ENDINGS)
def test_how_an_async_generator_ends_is_how_its_payment_ends(
    ending: str, events: list[Capture], spans: InMemorySpanExporter
) -> None:
    """Exhausted is completed, an error is failed, and one that is left or cancelled before its end is neither."""
    function, script, last = ENDINGS[ending]
    log: Log = []

    async def drive() -> None:
        generator = payment(function)(log)
        for step in script:
            with contextlib.suppress(BaseException):
                await STEPS[step](generator)
        del generator
        for _ in range(5):  # the event loop closes what was left, in a task of its own
            await asyncio.sleep(0)

    asyncio.run(drive())
    assert_ended(last, events, spans)
    assert function is not tidy or log == ["cleaned"]


@pytest.mark.parametrize("function", [tidy, payment(tidy)], ids=["undecorated", "decorated"])
def test_the_event_loop_closes_an_unfinished_generator_at_its_end(
    function: AnyGenerator, caplog: pytest.LogCaptureFixture
) -> None:
    """A generator that is still alive when ``asyncio.run`` ends cleans up, and the loop has nothing to complain of."""
    log: Log = []
    generator = function(log)

    async def begin() -> None:
        await anext(generator)

    asyncio.run(begin())
    assert log == ["cleaned"]
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_an_async_generator_that_is_never_started_records_nothing(
    events: list[Capture], spans: InMemorySpanExporter
) -> None:
    """Closing or dropping what was never driven leaves no span and no event."""

    async def drop() -> None:
        await payment(tidy)([]).aclose()
        payment(tidy)([])

    asyncio.run(drop())
    assert not events
    assert not spans.get_finished_spans()


async def session(log: Log) -> AsyncIterator[str]:
    try:
        yield "entered"
    except LookupError:
        log.append("suppressed")
    finally:
        await asyncio.sleep(0)
        log.append("left")


MANAGED_ENDINGS = [None, LookupError("handled"), ValueError("not handled")]


def test_a_decorated_async_generator_makes_a_context_manager(events: list[Capture]) -> None:
    """``asynccontextmanager`` above the decorator gives the same value, clean-up and treatment of errors."""
    log: Log = []
    managed = contextlib.asynccontextmanager(payment(session))

    async def use() -> None:
        for error in MANAGED_ENDINGS:
            with contextlib.suppress(ValueError):
                async with managed(log) as value:
                    log.append(value)
                    if error is not None:
                        raise error

    asyncio.run(use())
    assert log == ["entered", "left", "entered", "suppressed", "left", "entered", "left"]
    assert [event.event for event in events[1::2]] == ["payment.completed", "payment.completed", "payment.failed"]
