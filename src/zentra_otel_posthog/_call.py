"""One call of a decorated function: its span, what is read from it, and the events that it records.

Nothing here raises into the business function: each step keeps its errors (``telemetry.internal_error``), and a call
whose beginning failed runs as if it were not decorated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from opentelemetry import context as otel_context
from opentelemetry.trace import INVALID_SPAN, Span, Status, StatusCode, get_current_span, set_span_in_context

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


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What is read from a call at one moment: when it begins, or when its result is known.

    Args:
        properties: The events' properties.
        distinct_id: The person, where the decorator names one.
        tenant: The tenant, likewise.
    """

    properties: tuple[Argument, ...]
    distinct_id: Read | None
    tenant: Read | None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
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

    def owner(self, name: str) -> str:
        """Return the event under which a refused value is counted: the first that declares the property."""
        return next(
            (one.name for one in (self.completed, self.failed, self.pending) if one is not None and name in one.kinds),
            self.completed.name,
        )


class Call:
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
        surrounding = get_current_span(context)
        self._subject = identity.current(context, surrounding)
        self._properties: dict[str, Any] = {}
        self._read(plan.entry, None)
        self._span: Span = _provider.start_span(plan.span_name, context)
        self._origin = Origin.of(self._span)
        self._position = _OWN_POSITIONS
        if surrounding is not INVALID_SPAN and self._origin.span_id == surrounding.get_span_context().span_id:
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
            _provider.end(self._span)

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
            _provider.end(self._span)

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
        args, kwargs, properties = self._args, self._kwargs, self._properties
        for name, read, normalise in moment.properties:
            try:
                if (value := read(args, kwargs, result)) is not None:
                    properties[name] = normalise(value)
            except Refused as refusal:
                telemetry.refused(self._plan.owner(name), name, refusal.rule)
            except Exception:
                # The application's own property or callable: a value that cannot be had is a value left out.
                telemetry.refused(self._plan.owner(name), name, "unreadable")
        distinct_id = tenant = None
        try:
            if moment.distinct_id is not None:
                distinct_id = moment.distinct_id(args, kwargs, result)
        except Exception:
            telemetry.refused(self._plan.completed.name, "distinct_id", "unreadable")
        try:
            if moment.tenant is not None:
                tenant = moment.tenant(args, kwargs, result)
        except Exception:
            telemetry.refused(self._plan.completed.name, "tenant", "unreadable")
        if distinct_id is not None or tenant is not None:
            self._subject = identity.about(Identity(distinct_id, None, tenant), self._subject)

    def _note(self, error: BaseException) -> None:
        """Give tracing the failure: its type; its message and stack only where the settings say so."""
        description = error_type = type(error).__qualname__
        self._span.set_attribute("error.type", error_type)
        if runtime.current().settings.record_exceptions:
            self._span.record_exception(error)
            description = f"{error_type}: {error}"
        self._span.set_status(Status(StatusCode.ERROR, description))


class NoCall:
    """Stands in where the beginning of a call failed."""

    def resume(self) -> None: ...

    def suspend(self) -> None: ...

    def returned(self, result: object) -> None: ...

    def raised(self, error: BaseException) -> None: ...


NO_CALL: Final = NoCall()


def begin(plan: Plan, instance: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | NoCall:
    """Begin a call, or stand in for it where that fails."""
    try:
        return Call(plan, instance, args, kwargs)
    except Exception as error:
        telemetry.lost("start_of_call", 1 if plan.pending is None else 2)
        telemetry.internal_error("start of a decorated call", error)
        return NO_CALL
