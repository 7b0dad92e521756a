"""One wrapper, four call shapes: function, coroutine, generator, async generator."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from types import CoroutineType
from typing import Any

from zentra_otel_posthog._call import NO_CALL, Call, NoCall, Plan, begin

Begin = Callable[[], "Call | NoCall"]
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
        current = begin(plan, instance, args, kwargs)
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
        return _started(drive, wrapped(*args, **kwargs), lambda: begin(plan, instance, args, kwargs))

    return call


class _Body:
    """A body that has not begun. If it never does, it is closed without the warning that nobody awaited it.

    Args:
        body: The coroutine or generator.
        call: Its call, where that has begun already.
    """

    __slots__ = ("_body", "_call")

    def __init__(self, body: Any, call: Call | NoCall = NO_CALL) -> None:
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


_Drive = Callable[[_Body, Begin], Any]


def _started(drive: _Drive, body: Any, start: Begin, call: Call | NoCall = NO_CALL) -> Any:
    driver = drive(_Body(body, call), start)
    # Its own name is what a warning, a task or a debugger shows.
    try:  # noqa: SIM105  suppress() takes 0.3 µs of each coroutine
        driver.__name__, driver.__qualname__ = body.__name__, body.__qualname__
    except AttributeError:
        pass
    return driver


async def _drive_coroutine(body: _Body, start: Begin) -> Any:
    coroutine: Coroutine[Any, Any, Any] = body.take()
    call = start()
    call.resume()
    try:
        result = await coroutine
    except BaseException as error:
        call.raised(error)
        raise
    call.returned(result)
    return result


def _drive_generator(body: _Body, start: Begin) -> Generator[Any, Any, Any]:
    generator: Generator[Any, Any, Any] = body.take()
    call = start()
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
def _drive_awaitable_generator(body: _Body, start: Begin) -> Generator[Any, Any, Any]:
    return (yield from _drive_generator(body, start))


async def _drive_async_generator(body: _Body, start: Begin) -> AsyncGenerator[Any, Any]:
    generator: AsyncGenerator[Any, Any] = body.take()
    call = start()
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
