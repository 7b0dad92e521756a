"""Recording an event: a span event or a log record for tracing, a capture for PostHog."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from opentelemetry import trace
from opentelemetry.context import get_current
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span, set_span_in_context

from zentra_otel_posthog import _provider, events, identity, runtime, telemetry
from zentra_otel_posthog.convert import Origin, convert, random_position
from zentra_otel_posthog.events import Event, EventSchema
from zentra_otel_posthog.identity import Identity
from zentra_otel_posthog.processors import RecordedName
from zentra_otel_posthog.sanitize import detectors
from zentra_otel_posthog.sanitize.schema import clean_properties

_recorded_name = lru_cache(maxsize=1024)(RecordedName)


def record(
    span: Span,
    schema: EventSchema,
    properties: dict[str, Any],
    subject: Identity,
    origin: Origin,
    position: int,
    *,
    timestamp: int | None = None,
    person_set: Mapping[str, Any] | None = None,
    person_set_once: Mapping[str, Any] | None = None,
) -> str:
    """Hand an event's capture to the sink and let tracing see the event, on the span or as a log record.

    The capture does not wait for the span's end: it survives a crash from here on, and depends neither on the span
    being sampled nor on the provider that made it.

    Args:
        span: Where tracing sees it, if it is recording; a log record is correlated with it either way.
        schema: The event's schema.
        properties: Its properties, sanitized.
        subject: Who it is about, raw.
        origin: The span's ids.
        position: Its place among the span's events.
        timestamp: When it happened, nanoseconds since the epoch; None for now.
        person_set: Person properties beyond those of the schema, sanitized.
        person_set_once: Likewise, for ``$set_once``.

    Returns:
        The capture's uuid.
    """
    if timestamp is None:
        timestamp = time.time_ns()
    uuid = origin.uuid(position, schema.name)
    current = runtime.current()
    try:
        captured = convert(
            schema,
            properties,
            subject,
            origin,
            uuid,
            timestamp,
            current.gate,
            person_set=person_set,
            person_set_once=person_set_once,
        )
    except Exception:
        telemetry.lost("conversion")
        raise
    current.append(captured)
    try:
        if current.settings.events == "log":
            _provider.logger().emit(
                timestamp=timestamp,
                # Without a span of ours that of the caller, if any, stays.
                context=set_span_in_context(span) if origin.traced else None,
                attributes=properties,
                event_name=_recorded_name(schema.name),
            )
        elif span.is_recording():
            # Datadog's spans take microseconds here (4.16) and turn nanoseconds into the year 1970.
            moment = timestamp if isinstance(span, ReadableSpan) else None
            span.add_event(_recorded_name(schema.name), properties, moment)
    except Exception as error:  # log record processors may raise; the capture is made
        telemetry.internal_error("recording an event", error)
    return uuid


def capture(
    event: str | Event,
    *,
    distinct_id: object = None,
    properties: Mapping[str, Any] | None = None,
    timestamp: datetime | None = None,
    tenant: object = None,
    set: Mapping[str, Any] | None = None,  # noqa: A002  PostHog's name for it
    set_once: Mapping[str, Any] | None = None,
) -> str | None:
    """Capture one event now.

    It is in the spool when this returns. Tracing sees it on the current span; where none is recording, on a short span
    of its own.

    Args:
        event: An event's name (``noun.verb``), or an instance of an ``Event`` class.
        distinct_id: The person; None for whom ``identify`` or the span names.
        properties: Declared ones are normalised by their kind; others pass every detector or are left out.
        timestamp: When it happened, now if None. One without a time zone is UTC.
        tenant: The tenant; None for that of ``identify`` or the span.
        set: Person properties of which the latest value wins.
        set_once: Person properties of which the first value wins.

    Returns:
        The capture's uuid, or None where the event's name is none or tells of a customer. Nothing is raised.
    """
    try:
        return _capture(event, distinct_id, properties, timestamp, tenant, set, set_once)
    except Exception as error:
        telemetry.internal_error("capture", error)
        return None


def _capture(
    event: str | Event,
    distinct_id: object,
    properties: Mapping[str, Any] | None,
    timestamp: datetime | None,
    tenant: object,
    person_set: Mapping[str, Any] | None,
    person_set_once: Mapping[str, Any] | None,
) -> str | None:
    schema, values = _read(event, properties or {})
    if schema is None:
        telemetry.lost("event_name")
        return None
    context = get_current()
    span = trace.get_current_span(context)
    subject = identity.about(Identity(distinct_id, tenant=tenant), identity.current(context, span))
    completed = identity.with_common(subject, values)
    clean = clean_properties(schema, completed)
    own = None if span.is_recording() else _provider.start_span(schema.name, context)
    span = own or span
    try:
        origin = Origin.of(span)
        return record(
            span,
            schema,
            clean,
            subject,
            origin,
            # The span may hold events of this name already, and threads and forks may share it.
            random_position() if origin.traced else 0,
            timestamp=None if timestamp is None else _nanoseconds(timestamp),
            person_set=clean_properties(schema, person_set) if person_set else None,
            person_set_once=clean_properties(schema, person_set_once) if person_set_once else None,
        )
    finally:
        if own is not None:
            _provider.end(own)


def _read(event: object, properties: Mapping[str, Any]) -> tuple[EventSchema | None, dict[str, Any]]:
    if isinstance(event, Event):
        own = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
        return event.event_schema, {**own, **properties}
    if not isinstance(event, str):
        return None, {}
    return events.schema_of(event) or _undeclared(event), dict(properties)


@lru_cache(maxsize=1024)
def _undeclared(name: str) -> EventSchema | None:
    """Return the schema of an event that nothing declares, or None where its name is none, or tells of a customer."""
    try:
        checked = events.check_name(name)
    except ValueError:
        return None
    return None if detectors.find(checked) is not None else events.undeclared(checked)


def _nanoseconds(timestamp: datetime) -> int:
    if timestamp.utcoffset() is None:
        timestamp = timestamp.replace(tzinfo=UTC)
    since = timestamp - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
