"""A call's span is current inside the function alone: never between yields, never in the caller, never after."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from zentra_otel_posthog import identify, payment, transfer
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.testing import captured_events

Names = list[str]


def current_name() -> str:
    """Return the name of the current span, or nothing where there is none."""
    return str(getattr(trace.get_current_span(), "name", ""))


def span(name: str) -> Any:
    return trace.get_tracer("application").start_as_current_span(name)


@contextmanager
def untouched() -> Iterator[None]:
    """Prove that a step of the caller leaves the caller's context as it was."""
    before = otel_context.get_current()
    yield
    assert otel_context.get_current() is before


def finished(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def parent_of(name: str, spans: InMemorySpanExporter) -> str | None:
    """Return the name of a finished span's parent."""
    parent = finished(spans)[name].parent
    names = {span.context.span_id: span.name for span in spans.get_finished_spans() if span.context is not None}
    return names[parent.span_id] if parent is not None else None


@payment(span_name="charge")
def function(seen: Names) -> None:
    seen.append(current_name())
    with span("inner"):
        seen.append(current_name())
    seen.append(current_name())


@payment(span_name="charge")
async def coroutine(seen: Names) -> None:
    seen.append(current_name())
    await asyncio.sleep(0)
    with span("inner"):
        await asyncio.sleep(0)
        seen.append(current_name())
    seen.append(current_name())


@payment(span_name="charge")
def generator(seen: Names) -> Generator[int, None, None]:
    seen.append(current_name())
    with span("inner"):
        yield 1
        seen.append(current_name())
        yield 2
    seen.append(current_name())


@payment(span_name="charge")
async def async_generator(seen: Names) -> AsyncGenerator[int, None]:
    seen.append(current_name())
    with span("inner"):
        await asyncio.sleep(0)
        yield 1
        seen.append(current_name())
        yield 2
    seen.append(current_name())


def drive_function(seen: Names) -> None:
    with untouched():
        function(seen)


def drive_coroutine(seen: Names) -> None:
    call = coroutine(seen)

    async def drive() -> None:
        with span("caller"), untouched():
            await call
        assert current_name() == ""

    asyncio.run(drive())


def drive_generator(seen: Names) -> None:
    call = generator(seen)
    for expected in (1, 2, None):
        with untouched():
            assert next(call, None) == expected
        with span(f"caller's own {expected}"):
            pass


def drive_async_generator(seen: Names) -> None:
    async def drive() -> None:
        call = async_generator(seen)
        for expected in (1, 2, None):
            with untouched():
                assert await anext(call, None) == expected
            with span(f"caller's own {expected}"):
                await asyncio.sleep(0)

    asyncio.run(drive())


@pytest.mark.parametrize("drive", [drive_function, drive_generator, drive_async_generator])
def test_the_span_is_current_inside_and_nowhere_else(
    drive: Callable[[Names], None], events: list[Capture], spans: InMemorySpanExporter
) -> None:
    """The body sees its own span and those that it opens, across yields too; the caller sees its own throughout."""
    seen: Names = []
    with span("caller"):
        drive(seen)
        assert current_name() == "caller"

    assert seen == ["charge", "inner", "charge"]
    assert parent_of("charge", spans) == "caller"
    assert parent_of("inner", spans) == "charge"
    assert all(parent_of(name, spans) == "caller" for name in finished(spans) if name.startswith("caller's"))
    assert finished(spans)["charge"].kind is SpanKind.INTERNAL
    assert len(events) == 2


def test_a_coroutine_begins_where_it_is_awaited(events: list[Capture], spans: InMemorySpanExporter) -> None:
    """The span's parent is that of the awaiting code, and awaiting leaves that code's context as it was."""
    seen: Names = []
    drive_coroutine(seen)

    assert seen == ["charge", "inner", "charge"]
    assert parent_of("charge", spans) == "caller"
    assert parent_of("inner", spans) == "charge"
    assert len(events) == 2


def test_baggage_and_identity_reach_the_function(events: list[Capture]) -> None:
    """What the caller put into the OpenTelemetry context is what the function and its events see."""

    @payment
    def charge() -> object:
        return baggage.get_baggage("tenant")

    token = otel_context.attach(baggage.set_baggage("tenant", "acme"))
    try:
        with identify("usr_1", platform="ios"):
            assert charge() == "acme"
    finally:
        otel_context.detach(token)

    assert {event.distinct_id for event in events} == {"usr_1"}
    assert {event.properties["platform"] for event in events} == {"ios"}


def test_a_failure_restores_the_context(events: list[Capture]) -> None:
    """Raising leaves the caller's context as returning does."""

    @payment
    def fail() -> None:
        raise LookupError

    @payment
    async def fail_later() -> None:
        await asyncio.sleep(0)
        raise LookupError

    async def drive() -> None:
        with untouched(), suppress(LookupError):
            await fail_later()

    with span("caller"), untouched():
        with suppress(LookupError):
            fail()
        asyncio.run(drive())


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


def setting_sync(seen: Names) -> Generator[None, None, None]:
    seen.append(variable.get())
    variable.set("body")
    yield
    seen.append(variable.get())


async def setting_async(seen: Names) -> AsyncGenerator[None, None]:
    seen.append(variable.get())
    variable.set("body")
    yield
    seen.append(variable.get())


@pytest.mark.parametrize("decorate", [lambda function: function, payment], ids=["undecorated", "decorated"])
def test_other_context_variables_behave_as_undecorated(decorate: Any, events: list[Capture]) -> None:
    """What a body sets its caller sees, and the other way round: generators share their caller's context."""
    seen: Names = []

    def drive() -> None:
        call = decorate(setting_sync)(seen)
        next(call)
        seen.append(variable.get())
        variable.set("caller")
        next(call, None)

    async def drive_async() -> None:
        call = decorate(setting_async)(seen)
        await anext(call)
        seen.append(variable.get())
        variable.set("caller")
        await anext(call, None)

    contextvars.copy_context().run(drive)
    contextvars.copy_context().run(asyncio.run, drive_async())
    assert seen == ["outside", "body", "caller"] * 2


def test_an_async_generator_may_be_driven_from_several_tasks(
    events: list[Capture], spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """Each step may run in a task of its own: one span, one outcome, and no token is detached in a foreign context."""

    @payment(span_name="charge")
    async def charge(seen: Names) -> AsyncGenerator[int, None]:
        for number in range(3):
            await asyncio.sleep(0)
            seen.append(current_name())
            yield number

    async def drive() -> Names:
        seen: Names = []
        call = charge(seen)
        for expected in (0, 1, 2, None):

            async def step() -> int | None:
                result = await anext(call, None)
                assert current_name() == ""
                return result

            assert await asyncio.create_task(step()) == expected
        return seen

    assert asyncio.run(drive()) == ["charge"] * 3
    assert [event.event for event in events] == ["payment.pending", "payment.completed"]
    assert list(finished(spans)) == ["charge"]
    assert not caplog.records


def test_interleaved_generators_keep_their_own_spans(events: list[Capture], spans: InMemorySpanExporter) -> None:
    """Two unfinished generators, one of them decorated twice, do not see each other's spans."""
    seen: Names = []

    def body(name: str) -> Generator[None, None, None]:
        for _ in range(2):
            seen.append(f"{name} {current_name()}")
            yield

    one, two = payment(span_name="one")(body)("one"), transfer(span_name="two")(payment(span_name="inner")(body))("two")
    for _ in range(3):
        next(one, None)
        next(two, None)

    assert seen == ["one one", "two inner", "one one", "two inner"]
    assert parent_of("inner", spans) == "two"
    assert parent_of("one", spans) is None
    assert parent_of("two", spans) is None


def test_concurrent_calls_keep_their_own_spans(events: list[Capture], spans: InMemorySpanExporter) -> None:
    """Calls in gathered coroutines and in threads each have a trace and events of their own."""

    @payment(span_name="coroutine")
    async def charge(user_id: str) -> str:
        await asyncio.sleep(0)
        assert current_name() == "coroutine"
        return user_id

    @payment(span_name="thread")
    def charge_in_thread(user_id: str) -> str:
        assert current_name() == "thread"
        return user_id

    async def gather() -> Names:
        return list(await asyncio.gather(*(charge(f"usr_{number}") for number in range(20))))

    people = [f"usr_{number}" for number in range(20)]
    assert asyncio.run(gather()) == people
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(charge_in_thread, people)) == people

    for person in people:
        traces = [event.properties["$trace_id"] for event in events if event.distinct_id == person]
        assert len(traces) == 4
        assert len(set(traces)) == 2
    assert {span.parent for span in spans.get_finished_spans()} == {None}


Install = Callable[[trace.TracerProvider | None], None]


def test_without_a_tracer_provider_the_context_is_the_callers(install: Install) -> None:
    """Nothing is traced, everything is captured, and the body's context is the caller's."""

    @payment
    def charge(amount_minor: int) -> otel_context.Context:
        return otel_context.get_current()

    install(None)
    around = otel_context.get_current()
    with captured_events() as events:
        assert charge(5) is around

    assert [event.event for event in events] == ["payment.pending", "payment.completed"]
    assert not any("$trace_id" in event.properties for event in events)


def test_a_tracer_provider_may_be_installed_late(install: Install, exported: InMemorySpanExporter) -> None:
    """What was decorated, and even called, before the application set its provider is traced from then on."""
    install(None)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    with captured_events():
        function([])
        assert not exported.get_finished_spans()
        trace.set_tracer_provider(provider)
        function([])

    assert "charge" in finished(exported)
