"""One wrapper, four call shapes: function, coroutine, generator, async generator.

Nothing here raises into the business function: each step of ours keeps its errors (``telemetry.internal_error``), and
a call whose beginning failed runs as if it were not decorated.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import types
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from types import CoroutineType
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.trace import Span, Status, StatusCode, get_current_span, set_span_in_context

from zentra_otel_posthog import _outcome, _provider, identity, runtime, telemetry
from zentra_otel_posthog._binding import Read
from zentra_otel_posthog._outcome import Outcome
from zentra_otel_posthog.convert import Origin, random_position
from zentra_otel_posthog.emit import record
from zentra_otel_posthog.events import EventSchema
from zentra_otel_posthog.identity import Identity
from zentra_otel_posthog.kinds import Refused
from zentra_otel_posthog.sanitize.schema import clean_declared

Argument = tuple[str, Read, Callable[[object], Any]]
"""A property's name, how to read it from a call, and the kind that normalises it."""

# A call's events have different names, so one position serves; it is none that the span processor counts to, should
# other code record an event of the same name on the span.
_OWN_POSITIONS: Final = 1 << 61
# Reading a member off its enumeration costs as much as a call.
_COMPLETED: Final = Outcome.COMPLETED
_FAILED: Final = Outcome.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is read from a call at one moment: when it begins, or when its result is known.

    Args:
        properties: The events' properties.
        distinct_id: The person, where the decorator names one.
        tenant: The tenant, likewise.
    """

    properties: tuple[Argument, ...]
    distinct_id: Read | None
    tenant: Read | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What decorating one function comes to, prepared once.

    Args:
        span_name: The span's name.
        completed: Emitted when the call has succeeded.
        pending: Emitted when it starts.
        failed: Emitted when it has failed.
        entry: Read when the call begins.
        exit: Read when the result is known; None where nothing waits for it.
        outcome: Source of the status, instead of the result's own.
        takes_self: The sources count the instance or class as the first argument.
        prefix: Arguments that a partial or a bound method adds before the call's own.
        keywords: Likewise, by keyword.
        narrow: Some property belongs to some of the events only.
    """

    span_name: str
    completed: EventSchema
    pending: EventSchema | None
    failed: EventSchema | None
    entry: Moment
    exit: Moment | None
    outcome: Read | None
    takes_self: bool
    prefix: tuple[Any, ...]
    keywords: Mapping[str, Any]
    narrow: bool


class _Call:
    """One call: its span, and the properties that its events take."""

    __slots__ = (
        "_args", "_context", "_kwargs", "_origin", "_plan", "_position", "_properties", "_span", "_subject", "_token",
    )  # fmt: skip

    def __init__(self, plan: Plan, instance: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if plan.takes_self and instance is not None:
            args = (instance, *args)
        if plan.prefix or plan.keywords:
            args, kwargs = (*plan.prefix, *args), {**plan.keywords, **kwargs}
        self._plan = plan
        self._args = args
        self._kwargs = kwargs
        self._token: Any = None
        # Read once and handed on: the SDK looks it up four times for a span that is started without it.
        context = otel_context.get_current()
        self._subject = identity.current(context)
        self._properties: dict[str, Any] = {}
        self._read(plan.entry, None)
        self._span: Span = _provider.tracer().start_span(plan.span_name, context)
        self._origin = Origin.of(self._span)
        self._position = _OWN_POSITIONS
        if self._origin.span_id == get_current_span(context).get_span_context().span_id:
            # No span of the call's own: a tracer that makes none hands out the caller's, which other calls share.
            self._position = random_position()
        # Without a provider there is no span to make current, and the caller's must stay.
        self._context = set_span_in_context(self._span, context) if self._origin.traced else None
        if plan.pending is not None:
            self._emit(plan.pending)

    def resume(self) -> None:
        """Make the span current."""
        if self._context is not None:
            try:
                self._token = otel_context.attach(self._context)
            except Exception as error:
                telemetry.internal_error("making a span current", error)

    def suspend(self) -> None:
        """Give the caller its own context back, and keep the function's for the next resumption."""
        if self._token is not None:
            try:
                self._context = otel_context.get_current()
            except Exception as error:
                telemetry.internal_error("leaving a span", error)
            self._detach()

    def returned(self, result: object) -> None:
        """End the call with what the function returned."""
        self._detach()
        try:
            plan = self._plan
            if plan.outcome is None:
                outcome, reason = _outcome.of_result(result)
            else:
                outcome, reason = _outcome.of_status(plan.outcome(self._args, self._kwargs, result), result)
            self._finish(outcome, reason, result)
        except Exception as error:
            telemetry.internal_error("end of a decorated call", error)
        finally:
            self._end()

    def raised(self, error: BaseException) -> None:
        """End the call with what the function raised."""
        self._detach()
        try:
            outcome, reason = _outcome.of_error(error)
            if outcome is _FAILED:
                self._note(error)
            self._finish(outcome, reason, None)
        except Exception as internal:
            telemetry.internal_error("end of a decorated call", internal)
        finally:
            self._end()

    def _detach(self) -> None:
        if self._token is not None:
            token, self._token = self._token, None
            try:
                otel_context.detach(token)
            except Exception as error:
                telemetry.internal_error("leaving a span", error)

    def _finish(self, outcome: Outcome, reason: object, result: object) -> None:
        plan = self._plan
        if plan.exit is not None:
            self._read(plan.exit, result)
        if outcome is _COMPLETED:
            self._emit(plan.completed)
        elif outcome is _FAILED and plan.failed is not None:
            if reason is not None:
                self._properties.setdefault("reason", reason)
            self._emit(plan.failed)

    def _emit(self, schema: EventSchema) -> None:
        properties, subject = self._properties, self._subject
        try:
            if self._plan.narrow:
                properties = {name: value for name, value in properties.items() if name in schema.kinds}
            if subject.platform is not None or subject.user_tier is not None:
                properties = {**clean_declared(schema, identity.with_common(subject, {})), **properties}
            record(self._span, schema, properties, subject, self._origin, self._position)
        except Exception as error:
            telemetry.internal_error("recording an event", error)

    def _read(self, moment: Moment, result: object) -> None:
        """Read the properties, normalised, and who the call is about."""
        for name, read, normalise in moment.properties:
            try:
                if (value := read(self._args, self._kwargs, result)) is not None:
                    self._properties[name] = normalise(value)
            except Refused as refusal:
                telemetry.refused(self._plan.completed.name, name, refusal.rule)
            except Exception:
                # The application's own property or callable: a value that cannot be had is a value left out.
                telemetry.refused(self._plan.completed.name, name, "unreadable")
        distinct_id = tenant = None
        if moment.distinct_id is not None:
            distinct_id = self._read_identity("distinct_id", moment.distinct_id, result)
        if moment.tenant is not None:
            tenant = self._read_identity("tenant", moment.tenant, result)
        if distinct_id is not None or tenant is not None:
            self._subject = identity.about(Identity(distinct_id, None, tenant), self._subject)

    def _read_identity(self, name: str, read: Read, result: object) -> object:
        try:
            return read(self._args, self._kwargs, result)
        except Exception:
            telemetry.refused(self._plan.completed.name, name, "unreadable")
            return None

    def _note(self, error: BaseException) -> None:
        """Give tracing the failure: its type; its message and stack only where the settings say so."""
        description = error_type = type(error).__qualname__
        self._span.set_attribute("error.type", error_type)
        if runtime.current().settings.record_exceptions:
            self._span.record_exception(error)
            description = f"{error_type}: {error}"
        self._span.set_status(Status(StatusCode.ERROR, description))

    def _end(self) -> None:
        try:
            self._span.end()
        except Exception as error:
            telemetry.internal_error("end of a span", error)


class _NoCall:
    """Stands in where the beginning of a call failed."""

    def resume(self) -> None: ...

    def suspend(self) -> None: ...

    def returned(self, result: object) -> None: ...

    def raised(self, error: BaseException) -> None: ...


_NO_CALL: Final = _NoCall()


_Begin = Callable[[], "_Call | _NoCall"]


def _begin(plan: Plan, instance: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Call | _NoCall:
    try:
        return _Call(plan, instance, args, kwargs)
    except Exception as error:
        telemetry.internal_error("start of a decorated call", error)
        return _NO_CALL


Wrapper = Callable[[Callable[..., Any], object, tuple[Any, ...], dict[str, Any]], Any]


def wrapper_of(plan: Plan, function: object) -> Wrapper:
    """Return the wrapper, as wrapt wants it, for a function's call shape.

    Args:
        plan: What each call does.
        function: The function, partial or callable object that is decorated.
    """
    if not inspect.isroutine(function) and not isinstance(function, functools.partial):
        function = type(function).__call__  # a callable object's shape is its method's
    if _flags(function) & inspect.CO_ITERABLE_COROUTINE:
        return _deferred(plan, _drive_awaitable_generator)
    for is_shape, drive in (
        (inspect.isasyncgenfunction, _drive_async_generator),
        (inspect.isgeneratorfunction, _drive_generator),
        (inspect.iscoroutinefunction, _drive_coroutine),
    ):
        if is_shape(function):
            return _deferred(plan, drive)
    return _immediate(plan)


def _flags(function: object) -> int:
    return int(getattr(getattr(function, "__code__", None), "co_flags", 0))


def _immediate(plan: Plan) -> Wrapper:
    def call(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        current = _begin(plan, instance, args, kwargs)
        current.resume()
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            current.raised(error)
            raise
        if type(result) is CoroutineType:
            # A plain function that returns a coroutine, as other decorators' wrappers do: the call ends with that.
            current.suspend()
            return _started(_drive_coroutine, result, lambda: current, current)
        current.returned(result)
        return result

    return call


def _deferred(plan: Plan, drive: _Drive) -> Wrapper:
    def call(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # Called here, so that wrong arguments raise here; begun when the body begins, or never.
        return _started(drive, wrapped(*args, **kwargs), lambda: _begin(plan, instance, args, kwargs))

    return call


class _Body:
    """A body that has not begun. If it never does, it is closed without the warning that nobody awaited it.

    Args:
        body: The coroutine or generator.
        call: Its call, where that has begun already.
    """

    __slots__ = ("_body", "_call")

    def __init__(self, body: Any, call: _Call | _NoCall = _NO_CALL) -> None:
        self._body = body
        self._call = call

    def take(self) -> Any:
        body, self._body = self._body, None
        return body

    def __del__(self) -> None:
        if self._body is not None:
            if type(self._body) is CoroutineType:
                self._body.close()
            self._call.raised(GeneratorExit())


_Drive = Callable[[_Body, _Begin], Any]


def _started(drive: _Drive, body: Any, begin: _Begin, call: _Call | _NoCall = _NO_CALL) -> Any:
    driver = drive(_Body(body, call), begin)
    # Its own name is what a warning, a task or a debugger shows.
    with contextlib.suppress(AttributeError):
        driver.__name__, driver.__qualname__ = body.__name__, body.__qualname__
    return driver


async def _drive_coroutine(body: _Body, begin: _Begin) -> Any:
    coroutine: Coroutine[Any, Any, Any] = body.take()
    call = begin()
    call.resume()
    try:
        result = await coroutine
    except BaseException as error:
        call.raised(error)
        raise
    call.returned(result)
    return result


def _drive_generator(body: _Body, begin: _Begin) -> Generator[Any, Any, Any]:
    generator: Generator[Any, Any, Any] = body.take()
    call = begin()
    closing = False
    step: Callable[[Any], Any] = generator.send
    value: Any = None
    try:
        while True:
            call.resume()
            try:
                item = step(value)
            except StopIteration as stop:
                result = stop.value
                break
            finally:
                call.suspend()
                value = None  # an error that was thrown in is the caller's to keep alive
            try:
                value, step, closing = (yield item), generator.send, False
            except BaseException as error:  # also GeneratorExit: the function may answer to it as it likes
                value, step, closing = error, generator.throw, isinstance(error, GeneratorExit)
    except BaseException as error:
        call.raised(error)
        raise
    if closing:
        call.raised(GeneratorExit())
    else:
        call.returned(result)
    return result


@types.coroutine
def _drive_awaitable_generator(body: _Body, begin: _Begin) -> Generator[Any, Any, Any]:
    return (yield from _drive_generator(body, begin))


async def _drive_async_generator(body: _Body, begin: _Begin) -> AsyncGenerator[Any, Any]:
    generator: AsyncGenerator[Any, Any] = body.take()
    call = begin()
    closing = False
    value: Any = None
    step: Callable[[Any], Any] = _unhooked(generator)
    try:
        while True:
            call.resume()
            try:
                item = await step(value)
            except StopAsyncIteration:
                break
            finally:
                call.suspend()
                value = None  # as in _drive_generator
            try:
                value, step, closing = (yield item), generator.asend, False
            except BaseException as error:  # as in _drive_generator
                value, step, closing = error, generator.athrow, isinstance(error, GeneratorExit)
    except BaseException as error:
        call.raised(error)
        raise
    if closing:
        call.raised(GeneratorExit())
    else:
        call.returned(None)


def _unhooked(generator: AsyncGenerator[Any, Any]) -> Callable[[Any], Any]:
    """Return its first step, unknown to the event loop, which at its end would close it beside its driver."""

    def first(value: Any) -> Any:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            return generator.asend(value)
        finally:
            sys.set_asyncgen_hooks(*hooks)

    return first
