"""``capture``: an event that no decorator records."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span

from zentra_otel_posthog import _provider, events, identity, runtime, telemetry
from zentra_otel_posthog.convert import Subject, capture_uuid, convert
from zentra_otel_posthog.events import Event, EventSchema
from zentra_otel_posthog.identity import NOBODY
from zentra_otel_posthog.processors import CAPTURED
from zentra_otel_posthog.sanitize.schema import clean_declared, clean_undeclared


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

    It is in the spool when this returns. The current span, where one is recording, also gets it as a span event;
    otherwise a short span of its own does.

    Args:
        event: An event's name (``noun.verb``), or an instance of an ``Event`` class.
        distinct_id: The person; None for whom ``identify`` or the span names.
        properties: Declared ones are normalised by their kind; others pass every detector or are left out.
        timestamp: When it happened, now if None. One without a time zone is UTC.
        tenant: The tenant; None for that of ``identify`` or the span.
        set: Person properties of which the latest value wins.
        set_once: Person properties of which the first value wins.

    Returns:
        The capture's uuid, or None where the event's name is no name. Nothing is raised.
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
    current = runtime.current()
    schema, values = _read(event, properties or {})
    if schema is None:
        telemetry.lost("event_name")
        return None
    name = schema.name
    span = trace.get_current_span()
    subject, values = _surrounding(span, distinct_id, tenant, values)
    clean: dict[str, Any] = dict(clean_declared(schema, values))
    if undeclared := {key: value for key, value in values.items() if key not in schema.kinds}:
        clean.update(clean_undeclared(name, undeclared))
    nanoseconds = time.time_ns() if timestamp is None else _nanoseconds(timestamp)

    own = None if span.is_recording() else _short_span(name)
    span = own or span
    span_context = span.get_span_context()
    # The span may already hold events of this name, and may be shared by threads and forks: so the place is random.
    uuid = capture_uuid(span_context.trace_id, span_context.span_id, os.urandom(8).hex(), name)
    attributes = {**clean, CAPTURED: uuid}
    current.append(
        convert(
            schema,
            clean,
            subject,
            uuid=uuid,
            timestamp=nanoseconds,
            span_context=span_context,
            gate=current.gate,
            person_set=clean_undeclared(name, person_set) if person_set else None,
            person_set_once=clean_undeclared(name, person_set_once) if person_set_once else None,
        )
    )
    span.add_event(name, attributes, nanoseconds)
    if own is not None:
        own.end()
    return uuid


def _read(event: object, properties: Mapping[str, Any]) -> tuple[EventSchema | None, dict[str, Any]]:
    if isinstance(event, Event):
        own = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}  # type: ignore[arg-type]  # Event.__init_subclass__ makes dataclasses
        return event.event_schema, {**own, **properties}
    try:
        name = events.check_name(event)
    except ValueError:
        return None, {}
    return events.schema_of(name) or events.undeclared(name), dict(properties)


def _surrounding(
    span: Span, distinct_id: object, tenant: object, values: dict[str, Any]
) -> tuple[Subject, dict[str, Any]]:
    """Complete what the call names by what the span and ``identify`` name."""
    noted: Mapping[str, Any] = getattr(span, "attributes", None) or {}
    around = identity.from_context() or NOBODY
    if distinct_id is None:
        distinct_id = noted.get(identity.DISTINCT_ID)
    if distinct_id is None:
        distinct_id = around.distinct_id
    if distinct_id is None and noted:
        distinct_id = identity.from_span(noted)
    if tenant is None:
        tenant = noted.get(identity.TENANT, around.tenant)
    session_id = noted.get(identity.SESSION_ID, around.session_id)
    for key, value in (("platform", around.platform), ("user_tier", around.user_tier)):
        if value is not None and values.get(key) is None:
            values[key] = value
    return Subject(distinct_id, session_id, tenant), values


def _short_span(name: str) -> Span:
    tracer, _ = _provider.tracer()
    span = tracer.start_span(name)
    if span.is_recording():
        return span
    tracer, _ = _provider.private_tracer()
    return tracer.start_span(name)


def _nanoseconds(timestamp: datetime) -> int:
    if timestamp.tzinfo is None:
        timestamp = timestamp.replace(tzinfo=UTC)
    since = timestamp - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
