"""Span processor: picks the events that the tracking plan designates, whoever recorded them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanContext

from zentra_otel_posthog import identity, telemetry
from zentra_otel_posthog.convert import Subject, capture_uuid, convert
from zentra_otel_posthog.events import schema_of
from zentra_otel_posthog.identity import NOBODY, Identity
from zentra_otel_posthog.sanitize.schema import clean_declared

CAPTURED: Final = "posthog.uuid"
"""Event attribute that ``capture`` leaves: its capture is already in the sink."""

_REMEMBERED: Final = 65_536  # spans at once whose identity is kept; beyond, the oldest were never ended
_CONVERTED: Final = "_zentra_posthog_converted"


class PostHogSpanProcessor(SpanProcessor):
    """Turns designated span events into captures.

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
            span_context = span.get_span_context()
            if span_context is None:
                return
            surrounding = self._identities.pop(span_context.span_id, NOBODY) if self._identities else NOBODY
            if events := span.events:
                _capture_events(span, span_context, events, surrounding)
        except Exception as error:
            telemetry.internal_error("span processor", error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what was captured, within so many milliseconds."""
        # runtime attaches processors, so it imports this module; the way back is looked up at the call.
        from zentra_otel_posthog import runtime  # noqa: PLC0415

        return runtime.flush(timeout_millis / 1000)


def _capture_events(
    span: ReadableSpan, span_context: SpanContext, events: Sequence[SpanEvent], surrounding: Identity
) -> None:
    from zentra_otel_posthog import runtime  # noqa: PLC0415  as in force_flush

    current = None
    for position, event in enumerate(events, start=span.dropped_events):
        schema = schema_of(event.name)
        attributes = event.attributes or {}
        if schema is None or CAPTURED in attributes:
            continue
        if current is None:
            # Every processor of a provider is handed the same object, so two of ours meet here.
            if getattr(span, _CONVERTED, False):
                return
            setattr(span, _CONVERTED, True)
            current = runtime.current()
        current.append(
            convert(
                schema,
                clean_declared(schema, _with_common(attributes, surrounding)),
                _subject(attributes, span.attributes or {}, surrounding),
                uuid=capture_uuid(span_context.trace_id, span_context.span_id, position, event.name),
                timestamp=event.timestamp,
                span_context=span_context,
                gate=current.gate,
            )
        )


def _with_common(attributes: Mapping[str, Any], surrounding: Identity) -> Mapping[str, Any]:
    if surrounding.platform is None and surrounding.user_tier is None:
        return attributes
    return {"platform": surrounding.platform, "user_tier": surrounding.user_tier, **attributes}


def _subject(event: Mapping[str, Any], span: Mapping[str, Any], surrounding: Identity) -> Subject:
    return Subject(
        distinct_id=_first(
            event.get(identity.DISTINCT_ID),
            span.get(identity.DISTINCT_ID),
            surrounding.distinct_id,
            identity.from_span(span) if span else None,
        ),
        session_id=_first(event.get(identity.SESSION_ID), span.get(identity.SESSION_ID), surrounding.session_id),
        tenant=_first(event.get(identity.TENANT), span.get(identity.TENANT), surrounding.tenant),
    )


def _first(*candidates: object) -> object:
    return next((candidate for candidate in candidates if candidate is not None), None)
