"""The decorators: ``payment``, ``transfer``, ``card``, ``auth``, ``kyc``, ``signup`` and ``track``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, TypeVar, Unpack, cast, overload

from zentra_otel_posthog import events, runtime
from zentra_otel_posthog._binding import Bound, Parameters, Read, Source
from zentra_otel_posthog._call import Moment, Plan
from zentra_otel_posthog.events import Event, EventSchema
from zentra_otel_posthog.kinds import Kind
from zentra_otel_posthog.processors import RecordedName

if TYPE_CHECKING:
    from zentra_otel_posthog._functions import Switch

Decorated = TypeVar("Decorated", bound="Callable[..., Any] | classmethod[Any, Any, Any] | staticmethod[Any, Any]")


class Options(TypedDict, total=False):
    """What a decorator may be told.

    A source is a path (``"amount_minor"``, ``"request.amount.minor"``, ``"result.tier"``) or a callable whose
    parameters are named like the function's, or ``result``.

    Args:
        distinct_id: Source of the person.
        tenant: Source of the tenant.
        properties: Event property to its source.
        span_name: The span's name, else ``<module> <function>``.
        outcome: Source of the status, else the result's own ``status`` or ``state``.
    """

    distinct_id: Source | None
    tenant: Source | None
    properties: Mapping[str, Source] | None
    span_name: str | None
    outcome: Source | None


_PERSON_PARAMETERS: Final = ("distinct_id", "user_id", "customer_id")


class Decorator:
    """Records an event for each call of the function that it decorates, on a span of the call's own.

    It stands bare or with options, above or below ``@classmethod`` and ``@staticmethod``, on functions, methods,
    coroutines, generators, async generators, partials and callable objects. What the function returns, raises or
    yields stays as it is.

    A property takes the parameter that bears its name (``amount_minor``, also in snake case: ``cardType`` takes
    ``card_type``); the person takes a parameter called ``distinct_id``, ``user_id`` or ``customer_id``.

    Args:
        completed: Emitted when the call has succeeded.
        pending: Emitted when it starts.
        failed: Emitted when it has failed, with the property ``reason``.
        options: See ``Options``.
    """

    def __init__(
        self,
        completed: EventSchema,
        *,
        pending: EventSchema | None = None,
        failed: EventSchema | None = None,
        doc: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._completed = completed
        self._pending = pending
        self._failed = failed
        self._options = options
        self.__doc__ = doc

    @overload
    def __call__(self, function: Decorated, /) -> Decorated: ...

    @overload
    def __call__(self, function: None = None, /, **options: Unpack[Options]) -> Decorator: ...

    def __call__(self, function: Decorated | None = None, /, **options: Unpack[Options]) -> Any:
        """Decorate a function, or return this decorator with options.

        Args:
            function: What to decorate.
            options: See ``Options``.

        Raises:
            TypeError: An option is unknown or of the wrong type, or the function cannot be decorated.
            ValueError: A path or a property cannot exist.
        """
        for name in options:
            if name not in Options.__annotations__:
                raise TypeError(f"unknown option {name!r}; {events.nearest(name, Options.__annotations__)}")
        if function is None:
            return Decorator(
                self._completed,
                pending=self._pending,
                failed=self._failed,
                doc=self.__doc__,
                **cast("Options", {**self._options, **options}),
            )
        if options:
            raise TypeError("give either a function or options, as in @payment(distinct_id='customer_id')")
        return self.wrap(function)

    def wrap(self, wrapped: Any, switch: Switch | None = None) -> Any:
        """Decorate a function, with a switch where its calls may have to stop being recorded.

        Args:
            wrapped: What to decorate.
            switch: Turns the recording off; calls then go straight to the function.

        Raises:
            TypeError: An option is of the wrong type, or the function cannot be decorated.
            ValueError: A path or a property cannot exist.
        """
        function = wrapped.__func__ if isinstance(wrapped, (classmethod, staticmethod)) else wrapped
        if isinstance(function, str):
            raise TypeError(f"options have names: @payment(distinct_id={function!r}) instead of @payment({function!r})")
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"{wrapped!r} is no function: decorate the function or method itself")
        label = _label(function)
        inner, prefix, keywords = _unbound(function)
        parameters = Parameters(inner, label)
        if not isinstance(self._options.get("span_name") or "", str):
            raise TypeError(f"span_name of {label} is {self._options['span_name']!r}: give a string")
        kinds = self._kinds()
        properties = self._bind_properties(parameters, kinds, label)
        person, tenant = self._bind_person(parameters), self._bind(parameters, "tenant")
        outcome = self._bind(parameters, "outcome")
        entry, exit_ = (
            Moment(
                properties=tuple(
                    (name, bound.read, kinds[name].normalise)
                    for name, bound in properties.items()
                    if bound.needs_result is needs_result
                ),
                distinct_id=_read_at(person, needs_result=needs_result),
                tenant=_read_at(tenant, needs_result=needs_result),
            )
            for needs_result in (False, True)
        )
        plan = Plan(
            span_name=RecordedName(self._options.get("span_name") or label),
            completed=self._completed,
            pending=self._pending,
            failed=self._failed,
            entry=entry,
            exit=exit_ if exit_.properties or exit_.distinct_id or exit_.tenant else None,
            outcome=outcome.read if outcome is not None else None,
            # What binds is handed its instance apart from the arguments, and its signature counts it among them.
            takes_self=inner is function and hasattr(type(function), "__get__"),
            prefix=prefix,
            keywords=keywords,
            narrow=any(name not in schema.kinds for schema in self._schemas() for name in properties),
        )
        from zentra_otel_posthog._functions import Function  # noqa: PLC0415  see there

        return Function(wrapped, self, plan, function, switch)

    def _bind(self, parameters: Parameters, option: Literal["distinct_id", "tenant", "outcome"]) -> Bound | None:
        source = self._options.get(option)
        return parameters.compile(option, source) if source is not None else None

    def _bind_person(self, parameters: Parameters) -> Bound | None:
        if (bound := self._bind(parameters, "distinct_id")) is not None:
            return bound
        return parameters.find(*_PERSON_PARAMETERS)

    def _schemas(self) -> list[EventSchema]:
        return [schema for schema in (self._completed, self._pending, self._failed) if schema is not None]

    def _kinds(self) -> dict[str, Kind]:
        kinds: dict[str, Kind] = {}
        for schema in self._schemas():
            for name, kind in schema.kinds.items():
                if kinds.setdefault(name, kind) is not kind:
                    raise ValueError(
                        f"property {name!r} is a {kind.name} in one event of the decorator for "
                        f"{self._completed.name!r} and a {kinds[name].name} in another: they have to agree"
                    )
        return kinds

    def _bind_properties(self, parameters: Parameters, names: Mapping[str, Kind], label: str) -> dict[str, Bound]:
        given: Mapping[str, Source] = self._options.get("properties") or {}
        if not isinstance(given, Mapping):
            raise TypeError(f"properties of {label} is {given!r}: give a mapping of event property to its source")
        for name in given:
            if name not in names:
                raise ValueError(f"properties of {label}: no property {name!r}; {events.nearest(name, names)}")
        bound = {name: parameters.compile(f"properties[{name!r}]", source) for name, source in given.items()}
        for name in names:
            if name not in bound and (found := parameters.find(name)) is not None:
                bound[name] = found
        return bound


def _unbound(function: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return the function inside a partial or a bound method, and the arguments that these add."""
    if isinstance(function, functools.partial):
        inner, prefix, keywords = _unbound(function.func)
        return inner, (*prefix, *function.args), {**keywords, **function.keywords}
    if inspect.ismethod(function):
        return function.__func__, (function.__self__,), {}
    return function, (), {}


def _read_at(bound: Bound | None, *, needs_result: bool) -> Read | None:
    return bound.read if bound is not None and bound.needs_result is needs_result else None


def _label(function: Any) -> str:
    if isinstance(function, functools.partial):
        return _label(function.func)
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    module = getattr(function, "__module__", None) or type(function).__module__
    return f"{module} {name}"


def track(
    event: str | type[Event],
    *,
    pending: str | type[Event] | None = None,
    failed: str | type[Event] | None = None,
    **options: Unpack[Options],
) -> Decorator:
    """Return a decorator for any declared event.

    Args:
        event: Emitted when the call has succeeded: an ``Event`` class or the name of a declared event.
        pending: Emitted when the call starts.
        failed: Emitted when it has failed.
        options: As for ``payment`` and the others, see ``Options``.

    Raises:
        UnknownEvent: Nothing declares the event; the message names the nearest.
        TypeError: It is neither a name nor an ``Event`` class, as where ``@track`` stands bare.
    """
    decorator = Decorator(
        _schema(event),
        pending=None if pending is None else _schema(pending),
        failed=None if failed is None else _schema(failed),
    )
    return decorator(**options) if options else decorator


def _schema(event: object) -> EventSchema:
    if isinstance(event, type) and issubclass(event, Event) and event is not Event:
        return event.event_schema
    if isinstance(event, str):
        return runtime.schema(event)
    raise TypeError(
        f"track() takes an event's name or an Event class, as in @track('checkout.completed'), not {event!r}"
    )


def family(name: str, doc: str | None = None) -> Decorator:
    """Return the decorator of a family of events, one of ``events.FAMILIES``."""
    completed, pending, failed = events.FAMILIES[name]
    return Decorator(
        completed.event_schema,
        pending=None if pending is None else pending.event_schema,
        failed=None if failed is None else failed.event_schema,
        doc=doc,
    )


payment: Final = family(
    "payment", "Record payment.pending when the call starts, then payment.completed or payment.failed."
)
transfer: Final = family("transfer", "Record transfer.completed when the call has succeeded.")
card: Final = family("card", "Record card.issued when the call has succeeded.")
auth: Final = family("auth", "Record session.authenticated when the call has succeeded.")
kyc: Final = family("kyc", "Record kyc.verified when the verification has passed.")
signup: Final = family("signup", "Record user.signed_up when the call has succeeded.")
