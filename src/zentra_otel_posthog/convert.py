"""An event and its span to a capture. Pure: nothing here is sent or kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from opentelemetry.trace import SpanContext, format_span_id, format_trace_id

from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.delivery.capture import Capture
from zentra_otel_posthog.events import EventSchema
from zentra_otel_posthog.sanitize.identifiers import IdentifierGate

GROUP_TYPE: Final = "tenant"

_NAMESPACE: Final = UUID("6f1d4c1e-6d0e-5a0b-9b2e-0d3f3c1a7e55").bytes
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CONSTANT: Final[Mapping[str, Any]] = {
    "$lib": "zentra-otel-posthog",
    "$lib_version": __version__,
    # The address that PostHog sees is the server's own.
    "$geoip_disable": True,
    "$is_server": True,
    # PostHog corrects a timestamp by the sender's clock at the time of sending, which differs between attempts; a
    # server's clock is disciplined, and the timestamp has to stay the same for a retry to count once.
    "$ignore_sent_at": True,
}


def capture_uuid(trace_id: int, span_id: int, position: str | int, name: str) -> str:
    """Return the UUID of an event: version 5 (RFC 9562) of where it came from, so a repeated conversion counts once.

    Args:
        trace_id: The span's trace.
        span_id: The span.
        position: The event's place among the span's events.
        name: The event's name.
    """
    origin = f"{trace_id:032x}-{span_id:016x}-{position}-{name}"
    digest = hashlib.sha1(_NAMESPACE + origin.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who an event is about, raw, each part from the first place that names it.

    Args:
        distinct_id: The person.
        session_id: posthog-js's session.
        tenant: The tenant.
    """

    distinct_id: object = None
    session_id: object = None
    tenant: object = None


def convert(
    schema: EventSchema,
    properties: dict[str, Any],
    subject: Subject,
    *,
    uuid: str,
    timestamp: int,
    span_context: SpanContext,
    gate: IdentifierGate,
    person_set: Mapping[str, Any] | None = None,
    person_set_once: Mapping[str, Any] | None = None,
) -> Capture:
    """Make a capture of an event.

    Args:
        schema: The event's schema.
        properties: Its own properties, sanitized. The dictionary is taken over.
        subject: Who it is about; passes ``gate`` here.
        uuid: See ``capture_uuid``.
        timestamp: When it happened, nanoseconds since the epoch.
        span_context: The span that it was recorded on.
        gate: Decides on identifiers.
        person_set: Person properties beyond those of the schema, sanitized.
        person_set_once: Likewise, for ``$set_once``.

    Returns:
        A capture of which every part has passed the sanitizer.
    """
    name = schema.name
    derived = _person(schema, properties, person_set, person_set_once)
    properties.update(_CONSTANT)
    if span_context.is_valid:
        properties["$trace_id"] = format_trace_id(span_context.trace_id)
        properties["$span_id"] = format_span_id(span_context.span_id)
    if subject.session_id is not None and (session_id := gate.session_id(name, subject.session_id)) is not None:
        properties["$session_id"] = session_id
    if subject.tenant is not None and (tenant := gate.group_key(name, subject.tenant)) is not None:
        properties["$groups"] = {GROUP_TYPE: tenant}
    distinct_id = gate.distinct_id(name, subject.distinct_id) if subject.distinct_id is not None else None
    if distinct_id is None:
        # PostHog demands a distinct id. The trace's own is nobody's, and lets a funnel see that the pending and the
        # completed payment of one request belong together.
        distinct_id = capture_uuid(span_context.trace_id, 0, 0, "")
        properties["$process_person_profile"] = False
    else:
        properties.update(derived)
    return Capture(
        event=name,
        distinct_id=distinct_id,
        uuid=uuid,
        timestamp=_EPOCH + timedelta(microseconds=timestamp // 1000),
        properties=properties,
    )


def _person(
    schema: EventSchema,
    properties: Mapping[str, Any],
    person_set: Mapping[str, Any] | None,
    person_set_once: Mapping[str, Any] | None,
) -> dict[str, dict[str, Any]]:
    """Return ``$set`` and ``$set_once``: what the schema derives from the event, and what ``capture`` was given."""
    person: dict[str, dict[str, Any]] = {}
    for key, sources, given in (
        ("$set", schema.person_set, person_set),
        ("$set_once", schema.person_set_once, person_set_once),
    ):
        values = {name: properties[source] for name, source in sources.items() if source in properties}
        if given:
            values.update(given)
        if values:
            person[key] = values
    return person
