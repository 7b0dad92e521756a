"""One wrapper, four call shapes: function, coroutine, generator, async generator.

Nothing here raises into the business function: each step of ours keeps its errors (``telemetry.internal_error``), and
a call whose beginning failed runs as if it were not decorated.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from types import CoroutineType
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context

from zentra_otel_posthog import _outcome, _provider, identity, runtime, telemetry
from zentra_otel_posthog._binding import Bound
from zentra_otel_posthog._outcome import Outcome
from zentra_otel_posthog.events import EventSchema
from zentra_otel_posthog.sanitize.schema import clean_declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What decorating one function comes to, prepared once.

    Args:
        span_name: The span's name.
        completed: Emitted when the call has succeeded.
        pending: Emitted when it starts.
        failed: Emitted when it has failed.
        properties: Event property to its source.
        distinct_id: Source of the person.
        tenant: Source of the tenant.
        outcome: Source of the status, instead of the result's own.
        takes_self: The compiled sources count the instance or class as the first argument.
    """

    span_name: str
    completed: EventSchema
    pending: EventSchema | None
    failed: EventSchema | None
    properties: Mapping[str, Bound]
    distinct_id: Bound | None
    tenant: Bound | None
    outcome: Bound | None
    takes_self: bool


class _Call:
    """One call: its span, and the values that its events take."""

    __slots__ = ("_args", "_context", "_kwargs", "_plan", "_span", "_token", "_values")

    def __init__(self, plan: Plan, instance: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if plan.takes_self and instance is not None:
            args = (instance, *args)
        self._plan = plan
        self._args = args
        self._kwargs = kwargs
        self._values: dict[str, Any] = {}
        self._token: Any = None
        self._read(needs_result=False, result=None)
        tracer, shared = _provider.tracer()
        span = tracer.start_span(plan.span_name, record_exception=False, set_status_on_exception=False)
        if not span.is_recording():
            tracer, shared = _provider.private_tracer()
            span = tracer.start_span(plan.span_name, record_exception=False, set_status_on_exception=False)
        self._span: Span = span
        self._context = set_span_in_context(span) if shared else None
        self._identify(needs_result=False, result=None)
        if plan.pending is not None:
            self._emit(plan.pending)

    def resume(self) -> None:
        """Make the span current."""
        if self._context is not None:
            self._token = otel_context.attach(self._context)

    def suspend(self) -> None:
        """Give the caller its own context back, and keep the function's for the next resumption."""
        if self._token is not None:
            context, token, self._token = otel_context.get_current(), self._token, None
            self._context = context
            otel_context.detach(token)

    def returned(self, result: object) -> None:
        """End the call with what the function returned."""
        try:
            self.suspend()
            plan = self._plan
            if plan.outcome is None:
                outcome, reason = _outcome.of_result(result)
            else:
                outcome, reason = _outcome.of_status(plan.outcome.read(self._args, self._kwargs, result), result)
            self._finish(outcome, reason, result)
        except Exception as error:
            telemetry.internal_error("end of a decorated call", error)
        finally:
            self._end()

    def raised(self, error: BaseException) -> None:
        """End the call with what the function raised."""
        try:
            self.suspend()
            outcome, reason = _outcome.of_error(error)
            if outcome is Outcome.FAILED:
                self._note(error)
            self._finish(outcome, reason, None)
        except Exception as internal:
            telemetry.internal_error("end of a decorated call", internal)
        finally:
            self._end()

    def _finish(self, outcome: Outcome, reason: object, result: object) -> None:
        plan = self._plan
        self._read(needs_result=True, result=result)
        self._identify(needs_result=True, result=result)
        if outcome is Outcome.COMPLETED:
            self._emit(plan.completed)
        elif outcome is Outcome.FAILED and plan.failed is not None:
            if reason is not None:
                self._values.setdefault("reason", reason)
            self._emit(plan.failed)

    def _emit(self, schema: EventSchema) -> None:
        self._span.add_event(schema.name, clean_declared(schema, self._values))

    def _read(self, *, needs_result: bool, result: object) -> None:
        for name, bound in self._plan.properties.items():
            if bound.needs_result is needs_result:
                value = self._read_one(name, bound, result)
                if value is not None:
                    self._values[name] = value

    def _read_one(self, name: str, bound: Bound, result: object) -> Any:
        try:
            return bound.read(self._args, self._kwargs, result)
        except Exception:
            # The application's own property or callable: a value that cannot be had is a value left out.
            telemetry.refused(self._plan.completed.name, name, "unreadable")
            return None

    def _identify(self, *, needs_result: bool, result: object) -> None:
        plan = self._plan
        event = plan.completed.name
        if plan.distinct_id is not None and plan.distinct_id.needs_result is needs_result:
            person = self._read_one("distinct_id", plan.distinct_id, result)
            if person is not None and (allowed := runtime.current().gate.distinct_id(event, person)) is not None:
                self._span.set_attribute(identity.DISTINCT_ID, allowed)
        if plan.tenant is not None and plan.tenant.needs_result is needs_result:
            tenant = self._read_one("tenant", plan.tenant, result)
            if tenant is not None and (allowed := runtime.current().gate.group_key(event, tenant)) is not None:
                self._span.set_attribute(identity.TENANT, allowed)

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
    for is_shape, drive in (
        (inspect.isasyncgenfunction, _drive_async_generator),
        (inspect.isgeneratorfunction, _drive_generator),
        (inspect.iscoroutinefunction, _drive_coroutine),
    ):
        if is_shape(function):
            return _deferred(plan, drive)
    return _immediate(plan)


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
            return _drive_coroutine(result, lambda: current)
        current.returned(result)
        return result

    return call


def _deferred(plan: Plan, drive: Callable[[Any, _Begin], Any]) -> Wrapper:
    def call(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # Called here, so that wrong arguments raise here; begun when the body begins, or never.
        driver = drive(wrapped(*args, **kwargs), lambda: _begin(plan, instance, args, kwargs))
        with contextlib.suppress(AttributeError):
            driver.__name__, driver.__qualname__ = wrapped.__name__, wrapped.__qualname__
        return driver

    return call


async def _drive_coroutine(coroutine: Coroutine[Any, Any, Any], begin: _Begin) -> Any:
    call = begin()
    call.resume()
    try:
        result = await coroutine
    except BaseException as error:
        call.raised(error)
        raise
    call.returned(result)
    return result


def _drive_generator(generator: Generator[Any, Any, Any], begin: _Begin) -> Generator[Any, Any, Any]:
    call = begin()
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
            try:
                value, step = (yield item), generator.send
            except BaseException as error:  # also GeneratorExit: the function may answer to it as it likes
                value, step = error, generator.throw
    except BaseException as error:
        call.raised(error)
        raise
    if isinstance(value, GeneratorExit):
        call.raised(value)
    else:
        call.returned(result)
    return result


async def _drive_async_generator(generator: AsyncGenerator[Any, Any], begin: _Begin) -> AsyncGenerator[Any, Any]:
    call = begin()
    step: Callable[[Any], Any] = generator.asend
    value: Any = None
    try:
        while True:
            call.resume()
            try:
                item = await step(value)
            except StopAsyncIteration:
                break
            finally:
                call.suspend()
            try:
                value, step = (yield item), generator.asend
            except BaseException as error:  # as in _drive_generator
                value, step = error, generator.athrow
    except BaseException as error:
        call.raised(error)
        raise
    if isinstance(value, GeneratorExit):
        call.raised(value)
    else:
        call.returned(None)
