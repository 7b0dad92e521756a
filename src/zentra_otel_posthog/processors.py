"""Span processor: picks the events that the tracking plan designates, whoever recorded them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from zentra_otel_posthog import identity, runtime, telemetry
from zentra_otel_posthog.convert import Origin, convert
from zentra_otel_posthog.events import EventSchema, schema_of
from zentra_otel_posthog.identity import NOBODY, Identity
from zentra_otel_posthog.sanitize.schema import clean_declared


class RecordedName(str):
    """The name of an event that the package recorded on a span itself: its capture is already in the sink.

    A type of its own, because an attribute would be seen by every tracing backend and cost 0.5 µs an event.
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
        try:
            if (found := identity.from_context(parent_context)) is not None:
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
            designated = [
                (position, event, schema)
                for position, event in enumerate(span.events)
                if type(event.name) is not RecordedName and (schema := schema_of(event.name)) is not None
            ]
            if designated:
                _capture_events(span, designated, surrounding)
        except Exception as error:
            telemetry.internal_error("span processor", error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what was captured, within so many milliseconds."""
        return runtime.flush(timeout_millis / 1000)


def _capture_events(
    span: ReadableSpan, designated: Sequence[tuple[int, SpanEvent, EventSchema]], surrounding: Identity
) -> None:
    # Every processor of a provider is handed the same object, so two of ours would meet here.
    if getattr(span, _CONVERTED, False):
        return
    setattr(span, _CONVERTED, True)
    current = runtime.current()
    span_context = span.get_span_context()
    assert span_context is not None
    origin = Origin.of(span_context)
    surrounding = identity.noted_on(span.attributes, surrounding)
    for position, event, schema in designated:
        attributes = identity.with_common(surrounding, event.attributes or {})
        current.append(
            convert(
                schema,
                clean_declared(schema, attributes),
                identity.noted_on(attributes, surrounding),
                origin,
                origin.uuid(span.dropped_events + position, event.name),
                event.timestamp,
                current.gate,
            )
        )
