"""Span processor: picks the events that the tracking plan designates and other code recorded on its spans."""

from __future__ import annotations

from typing import Final

from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from zentra_otel_posthog import identity, runtime, telemetry
from zentra_otel_posthog.convert import Origin, convert
from zentra_otel_posthog.events import schema_of
from zentra_otel_posthog.identity import NOBODY, Identity
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
    """

    def __init__(self) -> None:
        self._identities: dict[int, Identity] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember who ``identify`` named where the span began; it may end in another context."""
        if type(span.name) is RecordedName:
            return  # of a decorated call, which knows
        try:
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
            for event in span.events:
                if type(event.name) is not RecordedName and schema_of(event.name) is not None:
                    _capture_events(span, surrounding)
                    break
        except Exception as error:
            telemetry.internal_error("span processor", error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what was captured, within so many milliseconds."""
        return runtime.flush(timeout_millis / 1000)


def _capture_events(span: ReadableSpan, surrounding: Identity) -> None:
    # Every processor of a provider is handed the same object, so two of ours would meet here.
    if getattr(span, _CONVERTED, False):
        return
    setattr(span, _CONVERTED, True)
    if type(span.name) is RecordedName:
        surrounding = identity.from_context(get_current())  # a decorated call ends where it began
    current = runtime.current()
    origin = Origin.of(span)
    surrounding = identity.noted_on(span.attributes, surrounding)
    for position, event in enumerate(span.events, start=span.dropped_events):
        schema = schema_of(event.name)
        if schema is None or type(event.name) is RecordedName:
            continue
        subject = identity.noted_on(event.attributes, surrounding)
        attributes = identity.with_common(subject, event.attributes or {})
        current.append(
            convert(
                schema,
                clean_declared(schema, attributes),
                subject,
                origin,
                origin.uuid(position, event.name),
                event.timestamp,
                current.gate,
            )
        )
