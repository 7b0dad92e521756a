"""Coroutines keep their protocol, and a cancelled payment is neither completed nor failed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from zentra_otel_posthog import payment
from zentra_otel_posthog.delivery import Capture

Log = list[str]
Charge = Callable[..., Coroutine[Any, Any, str]]


async def charge(log: Log, begun: asyncio.Event | None = None) -> str:
    """Wait for ever, unless somebody interferes."""
    if begun is not None:
        begun.set()
    try:
        await asyncio.Event().wait()
    finally:
        log.append("cleaned")
    return "charged"


async def stubborn(begun: asyncio.Event) -> str:
    """Swallow the first cancellation."""
    begun.set()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    return "charged"


async def prompt() -> str:
    return "charged"


def undecorated(function: Charge) -> Charge:
    return function


def returning_coroutine(function: Charge) -> Callable[..., Any]:
    """Wrap as a decorator does that was written for plain functions."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


DECORATORS: dict[str, Callable[[Charge], Charge]] = {
    "coroutine": payment,
    "a function that returns a coroutine": lambda function: payment(returning_coroutine(function)),
}


def assert_neither(events: list[Capture], spans: InMemorySpanExporter) -> None:
    assert [event.event for event in events] == ["payment.pending"]
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.UNSET
    assert not span.attributes


@pytest.mark.parametrize("decorator", DECORATORS)
def test_a_cancelled_payment_is_neither_completed_nor_failed(
    decorator: str, events: list[Capture], spans: InMemorySpanExporter
) -> None:
    """The cancellation reaches the function and the caller, the function cleans up, and the span has no status."""
    log: Log = []

    async def cancel() -> None:
        begun = asyncio.Event()
        task = asyncio.ensure_future(DECORATORS[decorator](charge)(log, begun))
        await begun.wait()
        task.cancel("by the test")
        with pytest.raises(asyncio.CancelledError, match="by the test"):
            await task
        assert task.cancelled()

    asyncio.run(cancel())
    assert log == ["cleaned"]
    assert_neither(events, spans)


@pytest.mark.parametrize("decorator", DECORATORS)
@pytest.mark.parametrize("limit", ["timeout", "wait_for", "task group"])
def test_a_timeout_around_a_payment_is_a_cancellation(
    limit: str, decorator: str, events: list[Capture], spans: InMemorySpanExporter
) -> None:
    """Whoever limits the time gets the TimeoutError; the payment itself was cancelled."""

    async def charge_in_time() -> None:
        if limit == "timeout":
            async with asyncio.timeout(0.01):
                await DECORATORS[decorator](charge)([])
        elif limit == "wait_for":
            await asyncio.wait_for(DECORATORS[decorator](charge)([]), 0.01)
        else:
            async with asyncio.timeout(0.01), asyncio.TaskGroup() as group:
                group.create_task(DECORATORS[decorator](charge)([]))

    with pytest.raises(TimeoutError):
        asyncio.run(charge_in_time())
    assert_neither(events, spans)


def test_a_timeout_inside_a_payment_is_a_failure(events: list[Capture]) -> None:
    """The function itself let its provider's time run out and raised."""

    @payment
    async def charge_provider() -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(charge_provider())
    assert [event.event for event in events] == ["payment.pending", "payment.failed"]
    assert events[1].properties["reason"] == "timeout_error"


def test_a_payment_that_survives_its_cancellation_is_completed(events: list[Capture]) -> None:
    """What counts is how the function ended."""

    async def cancel() -> str:
        begun = asyncio.Event()
        task = asyncio.ensure_future(payment(stubborn)(begun))
        await begun.wait()
        task.cancel()
        return await task

    assert asyncio.run(cancel()) == "charged"
    assert [event.event for event in events] == ["payment.pending", "payment.completed"]


@pytest.mark.parametrize("decorate", [undecorated, *DECORATORS.values()], ids=["undecorated", *DECORATORS])
@pytest.mark.parametrize("end", ["close", "throw", "cancel"])
def test_a_coroutine_that_never_began_leaves_nothing(
    end: str,
    decorate: Callable[[Charge], Charge],
    events: list[Capture],
    spans: InMemorySpanExporter,
    recwarn: pytest.WarningsRecorder,
) -> None:
    """Closing it, throwing into it or cancelling its task before its first step is no warning and no outcome."""

    async def cancel() -> None:
        task = asyncio.ensure_future(decorate(prompt)())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    if end == "cancel":
        asyncio.run(cancel())
    else:
        call = decorate(prompt)()
        if end == "close":
            call.close()
        else:
            with pytest.raises(LookupError):
                call.throw(LookupError())
        del call

    assert not [str(warning.message) for warning in recwarn if warning.category is RuntimeWarning]
    assert "payment.completed" not in {event.event for event in events}
    # A plain function's payment is pending as soon as it is called; its span has to end then, too.
    assert len(spans.get_finished_spans()) == len(events)


@pytest.mark.parametrize("function", [charge, payment(charge)], ids=["undecorated", "decorated"])
def test_forgetting_to_await_is_one_warning_that_names_the_function(
    function: Charge, recwarn: pytest.WarningsRecorder
) -> None:
    """Python's own complaint stays as it is."""
    function([])  # type: ignore[unused-coroutine]  # on purpose

    messages = [str(warning.message) for warning in recwarn if warning.category is RuntimeWarning]
    assert messages == ["coroutine 'charge' was never awaited"]


@pytest.mark.parametrize("decorator", DECORATORS)
def test_a_coroutine_that_is_closed_half_way_cleans_up(
    decorator: str, events: list[Capture], spans: InMemorySpanExporter
) -> None:
    """``close`` reaches the function's own clean-up, as when an event loop is torn down."""
    log: list[str] = []
    loop = asyncio.new_event_loop()
    call = DECORATORS[decorator](charge)(log)
    loop.call_soon(lambda: call.send(None))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    call.close()

    assert log == ["cleaned"]
    assert_neither(events, spans)


@pytest.mark.parametrize("decorate", [undecorated, payment], ids=["undecorated", "decorated"])
def test_what_is_sent_and_thrown_passes_through(decorate: Any, events: list[Capture]) -> None:
    """An event loop of one's own drives a decorated coroutine as it drives any other."""

    @types.coroutine
    def switch(value: str) -> Generator[str, str, str]:
        return (yield value)

    async def conversation() -> str:
        answer = await switch("first")
        try:
            await switch(answer)
        except LookupError as error:
            return str(error.args[0])
        return "not reached"

    call = decorate(conversation)()
    assert call.send(None) == "first"
    assert call.send("second") == "second"
    with pytest.raises(StopIteration) as caught:
        call.throw(LookupError("thrown"))
    assert caught.value.value == "thrown"
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        call.send(None)


@pytest.mark.parametrize("decorator", DECORATORS)
def test_the_coroutine_bears_the_functions_name(decorator: str, events: list[Capture]) -> None:
    """Task names, tracebacks and warnings tell which function it is."""
    call: Any = DECORATORS[decorator](prompt)()
    names = call.__name__, call.__qualname__

    assert inspect.iscoroutine(call)
    assert asyncio.run(call) == "charged"
    assert names == ("prompt", "prompt")


@pytest.mark.parametrize("decorate", [undecorated, payment], ids=["undecorated", "decorated"])
def test_a_coroutine_made_of_a_generator_can_be_awaited(decorate: Any, events: list[Capture]) -> None:
    """``types.coroutine`` marks a generator function as awaitable; decorating keeps the mark."""

    @types.coroutine
    def settle() -> Generator[Any, Any, str]:
        yield from asyncio.sleep(0).__await__()
        return "settled"

    async def wait(function: Callable[[], Awaitable[str]]) -> str:
        return await function()

    assert asyncio.run(wait(decorate(settle))) == "settled"
