"""Whatever breaks inside the package, the business function does not notice, and the error is counted."""

from __future__ import annotations

import contextvars
import itertools
import logging
import time
import types
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from typing import Any, NoReturn

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import Span, Tracer, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from zentra_otel_posthog import _call, _outcome, _provider, emit, identify, identity, payment, runtime, telemetry
from zentra_otel_posthog.convert import Origin
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.delivery.spool import SpoolFull
from zentra_otel_posthog.sanitize.identifiers import IdentifierGate
from zentra_otel_posthog.testing import MemorySink, captured_events

Log = list[Any]
Drive = Callable[[Callable[..., Any], Any, Any], Log]
Break = Callable[[pytest.MonkeyPatch], None]


class Fault(Exception):
    """What breaks inside the package."""


class Thrown(Exception):
    """What a caller throws into a generator."""


class Declined(Exception):
    code = "card_declined"


get_current = otel_context.get_current  # the real one, also where a fault replaces it


@types.coroutine
def switch() -> Generator[None, None, None]:
    yield


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine without asyncio, which itself fails over objects whose ``repr`` does."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value


def settle(result: Any) -> Any:
    if issubclass(type(result), BaseException):
        raise result
    return result


def function(amount_minor: Any, result: Any, user_id: Any = "usr_1", method: Any = "card") -> Any:
    return settle(result)


async def coroutine(amount_minor: Any, result: Any, user_id: Any = "usr_1", method: Any = "card") -> Any:
    await switch()
    return settle(result)


def generator(amount_minor: Any, result: Any, user_id: Any = "usr_1", method: Any = "card") -> Generator[Any, Any, Any]:
    try:
        answer = yield amount_minor
        yield answer
    except Thrown as thrown:
        yield thrown
    return settle(result)


async def async_generator(
    amount_minor: Any, result: Any, user_id: Any = "usr_1", method: Any = "card"
) -> AsyncGenerator[Any, Any]:
    try:
        answer = yield amount_minor
        await switch()
        yield answer
    except Thrown as thrown:
        yield thrown
    yield settle(result)


def attempt(log: Log, step: Callable[[], Any]) -> None:
    """Log what a step gives, by identity, and that it leaves the caller's context alone."""
    before = get_current()
    try:
        log.append(("gave", id(step())))
    except BaseException as error:
        given = error.value if isinstance(error, StopIteration) else error
        log.append(("raised", type(error), id(given)))
    log.append(get_current() is before)


def drive_function(decorated: Callable[..., Any], argument: Any, result: Any) -> Log:
    log: Log = []
    attempt(log, lambda: decorated(argument, result))
    return log


def drive_coroutine(decorated: Callable[..., Any], argument: Any, result: Any) -> Log:
    log: Log = []
    attempt(log, lambda: run(decorated(argument, result)))
    return log


SENT, THROWN = object(), Thrown()


def drive_generator(decorated: Callable[..., Any], argument: Any, result: Any) -> Log:
    log: Log = []
    call = decorated(argument, result)
    attempt(log, lambda: next(call))
    attempt(log, lambda: call.send(SENT))
    attempt(log, lambda: call.throw(THROWN))
    attempt(log, lambda: next(call))
    closed = decorated(argument, result)
    attempt(log, lambda: next(closed))
    attempt(log, closed.close)
    return log


def drive_async_generator(decorated: Callable[..., Any], argument: Any, result: Any) -> Log:
    log: Log = []

    async def step(awaitable: Any) -> None:
        before = get_current()
        try:
            log.append(("gave", id(await awaitable)))
        except BaseException as error:
            log.append(("raised", type(error), isinstance(error, StopAsyncIteration) or id(error)))
        log.append(get_current() is before)

    async def drive() -> None:
        call = decorated(argument, result)
        await step(anext(call))
        await step(call.asend(SENT))
        await step(call.athrow(THROWN))
        await step(anext(call))
        await step(anext(call))
        closed = decorated(argument, result)
        await step(anext(closed))
        await step(closed.aclose())

    run(drive())
    return log


SHAPES: dict[str, tuple[Callable[..., Any], Drive]] = {
    "function": (function, drive_function),
    "coroutine": (coroutine, drive_coroutine),
    "generator": (generator, drive_generator),
    "async generator": (async_generator, drive_async_generator),
}
RESULTS: dict[str, Any] = {"returns": object(), "says failed": {"status": "failed"}, "raises": Declined("by the bank")}


def broken(*_: Any, **__: Any) -> NoReturn:
    raise Fault


def sink_raising(error: Exception) -> Break:
    class Sink(MemorySink):
        def append(self, capture: Capture) -> None:
            raise error

    return lambda monkeypatch: monkeypatch.setattr(runtime.current(), "sink", Sink())


def breaking(owner: object, *names: str, after: int = 0) -> Break:
    """Return what makes functions raise, from their first call on or later."""

    def replace(monkeypatch: pytest.MonkeyPatch) -> None:
        for name in names:
            original, calls = getattr(owner, name), itertools.count()

            def replacement(*args: Any, original: Any = original, calls: Any = calls, **kwargs: Any) -> Any:
                if next(calls) >= after:
                    raise Fault
                return original(*args, **kwargs)

            monkeypatch.setattr(owner, name, replacement)

    return replace


def forgetting_the_tracer(apply: Break) -> Break:
    """Let the fault be met as at the first call of a process."""

    def forget(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_provider, "_tracer", None)
        apply(monkeypatch)

    return forget


def breaking_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an application's logging filter fail over the report of another failure."""
    unheard_of = type(f"Fault{time.monotonic_ns()}", (Fault,), {})  # only the first of its sort is logged
    monkeypatch.setattr(identity, "current", lambda *_: settle(unheard_of()))
    monkeypatch.setattr(logging.getLogger("zentra_otel_posthog"), "filter", broken)


def refused_and_uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the counting of a refused value fail."""
    monkeypatch.setattr(telemetry, "refused", broken)
    monkeypatch.setattr(identity, "current", lambda *_: identity.Identity(platform="amiga"))


# One fault in each step of a call that decorates: those that every call takes, and those that only a failure takes.
FAULTS: dict[str, Break] = {
    "provider": forgetting_the_tracer(breaking(trace, "get_tracer_provider")),
    "tracer": breaking(_provider, "tracer"),
    "provider's tracer": forgetting_the_tracer(breaking(TracerProvider, "get_tracer")),
    "start of the span": breaking(Tracer, "start_span"),
    "identity": breaking(identity, "current"),
    "common properties": breaking(_call, "clean_declared"),
    "refusal": refused_and_uncounted,
    "span ids": breaking(Span, "get_span_context"),
    "origin": breaking(Origin, "of"),
    "uuid": breaking(Origin, "uuid"),
    "making the span current": breaking(_call, "set_span_in_context"),
    "attach": breaking(otel_context, "attach"),
    "get_current": breaking(otel_context, "get_current"),
    "recording": breaking(_call, "record"),
    "is_recording": breaking(Span, "is_recording"),
    "add_event": breaking(Span, "add_event"),
    "runtime": breaking(runtime, "current"),
    "conversion": breaking(emit, "convert"),
    "identifier gate": breaking(IdentifierGate, "distinct_id"),
    "full spool": sink_raising(SpoolFull()),
    "full disk": sink_raising(OSError(28, "No space left on device")),
    "sink": sink_raising(Fault()),
    "judging": breaking(_outcome, "of_result", "of_error"),
    "end of the span": breaking(Span, "end"),
    "everything of the span": breaking(
        Span, "is_recording", "add_event", "set_status", "set_attribute", "record_exception", "end"
    ),
    "the log": breaking_the_log,
}
FAULTS_OF_FAILURES: dict[str, Break] = {
    "set_attribute": breaking(Span, "set_attribute"),
    "set_status": breaking(Span, "set_status"),
    "record_exception": breaking(Span, "record_exception"),
}


def counted() -> int:
    metrics = (telemetry.INTERNAL_ERRORS, telemetry.LOST, telemetry.REFUSED)
    return sum(sum(telemetry.totals(metric).values()) for metric in metrics)


@pytest.fixture
def production(spans: InMemorySpanExporter) -> Iterator[list[Capture]]:
    """Run as in production: internal errors are kept from the caller, and a request's span and identity surround."""
    parent = NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)))
    with (
        captured_events(record_exceptions=True) as events,
        trace.use_span(parent),
        identify(platform="ios", user_tier="gold"),
    ):
        telemetry.raise_internal_errors(enabled=False)
        yield events


def assert_untouched(shape: str, result: Any, apply: Break, argument: object = 125_000) -> None:
    """Prove that a decorated function does what its twin does, fault or not, and that the fault is counted."""
    undecorated, drive = SHAPES[shape]
    expected = drive(undecorated, argument, result)
    decorated = payment(undecorated)
    before = counted()
    with pytest.MonkeyPatch.context() as monkeypatch:
        apply(monkeypatch)
        log = drive(decorated, argument, result)
    assert log == expected
    assert counted() > before


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_fault_in_any_step(shape: str, result: str, fault: str, production: list[Capture]) -> None:
    """Values, errors and protocol are the undecorated function's, the context is restored, the fault is counted."""
    assert_untouched(shape, RESULTS[result], FAULTS[fault])


@pytest.mark.parametrize("fault", FAULTS_OF_FAILURES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_fault_while_noting_a_failure(shape: str, fault: str, production: list[Capture]) -> None:
    """The function's own exception reaches the caller, whatever tracing makes of it."""
    assert_untouched(shape, RESULTS["raises"], FAULTS_OF_FAILURES[fault])
    assert production[-1].event in {"payment.failed", "payment.pending"}


@pytest.mark.parametrize("fault", ["add_event", "is_recording", "end of the span"])
def test_a_broken_span_loses_no_capture(fault: str, production: list[Capture]) -> None:
    """What PostHog gets does not depend on tracing."""
    assert_untouched("function", RESULTS["returns"], FAULTS[fault])
    assert [event.event for event in production] == ["payment.pending", "payment.completed"]


LATER: dict[str, tuple[object, str]] = {
    "attach": (otel_context, "attach"),
    "get_current": (otel_context, "get_current"),
    "recording": (_call, "record"),
    "add_event": (Span, "add_event"),
    "runtime": (runtime, "current"),
    "conversion": (emit, "convert"),
    "uuid": (Origin, "uuid"),
}


@pytest.mark.parametrize("after", [1, 2, 3])
@pytest.mark.parametrize("fault", LATER)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_fault_half_way(shape: str, fault: str, after: int, production: list[Capture]) -> None:
    """What works when a call begins may fail between its yields or at its end."""
    undecorated, drive = SHAPES[shape]
    for result in RESULTS.values():
        with pytest.MonkeyPatch.context() as monkeypatch:
            breaking(*LATER[fault], after=after)(monkeypatch)
            log = drive(payment(undecorated), 125_000, result)
        assert log == drive(undecorated, 125_000, result)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_context_that_cannot_be_restored(shape: str, production: list[Capture]) -> None:
    """Where OpenTelemetry's own clean-up fails, the function's values and errors are still its own."""

    def values(log: Log) -> Log:
        return [entry for entry in log if not isinstance(entry, bool)]

    undecorated, drive = SHAPES[shape]
    for result in RESULTS.values():
        with pytest.MonkeyPatch.context() as monkeypatch:
            breaking(otel_context, "detach")(monkeypatch)
            log = contextvars.copy_context().run(drive, payment(undecorated), 125_000, result)
        assert values(log) == values(drive(undecorated, 125_000, result))


def test_interpreter_errors_are_not_kept(production: list[Capture], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of our work still interrupts the program, and leaves no span current."""

    def interrupted(*_: Any, **__: Any) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(emit, "convert", interrupted)
    before = get_current()
    with pytest.raises(KeyboardInterrupt):
        payment(function)(125_000, None)
    assert get_current() is before


def test_internal_errors_are_raised_where_tests_ask_for_it(spans: InMemorySpanExporter) -> None:
    """``captured_events`` shows an application's tests what production only counts."""
    with captured_events(), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(emit, "convert", broken)
        with pytest.raises(Fault):
            payment(function)(125_000, None)
