"""Span processor: picks the events that the tracking plan designates and other code recorded on its spans."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from zentra_otel_posthog import identity, runtime, telemetry
from zentra_otel_posthog.convert import Origin, convert
from zentra_otel_posthog.events import EventSchema, schema_of
from zentra_otel_posthog.identity import NOBODY, POSTHOG_CONTEXTS, Identity
from zentra_otel_posthog.sanitize.schema import clean_declared


class RecordedName(str):
    """The name of a span or event that the package made itself: what is to be captured of it already is.

    A type of its own, because an attribute would be seen by every tracing backend and cost 0.4 µs an event.
    """

    __slots__ = ()


_REMEMBERED: Final = 65_536  # spans at once whose identity is kept; beyond, the oldest were never ended
_CONVERTED: Final = "_zentra_posthog_converted"


class PostHogSpanProcessor(SpanProcessor):
    """Turns designated events that other code records on its spans into captures.

    What decorators and ``capture`` record needs no processor: it is captured as it happens.
    ``configure`` and the decorators attach one to the application's tracer provider by themselves. Adding one by hand
    as well is harmless: a span is converted once.

    A span that the sampler dropped records nothing, so its events cannot be seen: see ``zentra_otel_posthog.sampler``.
    A span keeps the newest 128 events (``OTEL_SPAN_EVENT_COUNT_LIMIT``). Where it carries designated ones, those that
    OpenTelemetry dropped are counted as lost, by the reason ``span_event_limit``: at most so many captures, because
    what is dropped has no name any more.
    """

    def __init__(self) -> None:
        self._identities: dict[int, Identity] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember who ``identify`` named where the span began; it may end in another context."""
        try:
            # Most spans begin in nobody's name, or are those of a decorated call, which knows.
            if not (identity.ever_said or POSTHOG_CONTEXTS in sys.modules) or type(span.name) is RecordedName:
                return
            found = identity.from_context(get_current() if parent_context is None else parent_context)
            if found is not NOBODY:
                if len(self._identities) >= _REMEMBERED:
                    self._identities.pop(next(iter(self._identities)), None)
                self._identities[span.get_span_context().span_id] = found
        except Exception as error:
            telemetry.internal_error("span processor", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Convert the span's designated events and append their captures to the sink."""
        try:
            surrounding = NOBODY
            if self._identities and (span_context := span.get_span_context()) is not None:
                surrounding = self._identities.pop(span_context.span_id, NOBODY)
            # Most spans have no events. The public property copies them under a lock, 0.6 µs even then; what it copies
            # is read as it lies, where it lies there: an ended span takes no more.
            try:
                events = span._events._dq  # type: ignore[attr-defined]  # noqa: SLF001
            except AttributeError:
                events = span.events
            if not events:
                return
            for event in events:
                name = event.name
                if type(name) is not RecordedName and schema_of(name) is not None:
                    _capture_events(span, surrounding)
                    break
        except Exception as error:
            telemetry.internal_error("span processor", error)

    def shutdown(self) -> None:
        """Have the provider looked at again. Delivery goes on until ``zentra_otel_posthog.shutdown``."""
        from zentra_otel_posthog import _provider  # noqa: PLC0415  its module imports this one

        _provider.look_again()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what was captured, within so many milliseconds."""
        return runtime.flush(timeout_millis / 1000)


def capture_recorded(
    schema: EventSchema,
    attributes: Mapping[str, Any] | None,
    surrounding: Identity,
    origin: Origin,
    position: int,
    timestamp: int,
) -> None:
    """Capture an event that other code recorded. What cannot be converted is counted as lost; nothing is raised.

    Args:
        schema: The event's schema.
        attributes: As recorded, raw; what they say of identity comes first.
        surrounding: Who the event is about where they say nothing.
        origin: The ids of its span.
        position: Its place on the span; see ``Origin.uuid``.
        timestamp: When it happened, nanoseconds since the epoch.
    """
    try:
        subject = identity.noted_on(attributes, surrounding)
        completed = identity.with_common(subject, attributes or {})
        current = runtime.current()
        current.append(
            convert(
                schema,
                clean_declared(schema, completed),
                subject,
                origin,
                origin.uuid(position, schema.name),
                timestamp,
                current.gate,
            )
        )
    except Exception as error:
        telemetry.lost("conversion")
        telemetry.internal_error("conversion", error)


def _capture_events(span: ReadableSpan, surrounding: Identity) -> None:
    # Every processor of a provider is handed the same object, so two of ours would meet here.
    mark = object()
    if vars(span).setdefault(_CONVERTED, mark) is not mark:
        return
    if type(span.name) is RecordedName:
        surrounding = identity.from_context(get_current())  # a decorated call ends where it began
    origin = Origin.of(span)
    surrounding = identity.noted_on(span.attributes, surrounding)
    if span.dropped_events:
        telemetry.lost("span_event_limit", span.dropped_events)
    for position, event in enumerate(span.events, start=span.dropped_events):
        if type(event.name) is not RecordedName and (schema := schema_of(event.name)) is not None:
            capture_recorded(schema, event.attributes, surrounding, origin, position, event.timestamp)
