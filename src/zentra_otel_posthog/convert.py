"""An event and its span to a capture. Pure: nothing here is sent or kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span

from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.delivery.capture import Capture
from zentra_otel_posthog.events import EventSchema
from zentra_otel_posthog.identity import Identity
from zentra_otel_posthog.sanitize.identifiers import IdentifierGate

GROUP_TYPE: Final = "tenant"

_NAMESPACE: Final = UUID("6f1d4c1e-6d0e-5a0b-9b2e-0d3f3c1a7e55").bytes
_NOBODY: Final = UUID(bytes=_NAMESPACE)
_VARIANTS: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
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


class Origin(NamedTuple):
    """Where an event came from.

    Args:
        trace_id: In hexadecimal; a random one where there is no trace.
        span_id: In hexadecimal; likewise.
        traced: False where both are random.
    """

    trace_id: str
    span_id: str
    traced: bool

    @classmethod
    def of(cls, span: Span | ReadableSpan) -> Origin:
        """Return the origin of an event on a span."""
        span_context = span.get_span_context()
        if span_context is not None and span_context.is_valid:
            return cls(span_context.trace_id.to_bytes(16).hex(), span_context.span_id.to_bytes(8).hex(), True)  # noqa: FBT003  a record's field
        return cls(os.urandom(16).hex(), os.urandom(8).hex(), False)  # noqa: FBT003  likewise

    def uuid(self, position: object, name: str) -> str:
        """Return an event's UUID: version 5 (RFC 9562) of where it came from, so a repeated conversion counts once.

        Args:
            position: The event's place among those of its span.
            name: The event's name.
        """
        text = f"{self.trace_id}-{self.span_id}-{position}-{name}"
        digest = hashlib.sha1(_NAMESPACE + text.encode(), usedforsecurity=False).hexdigest()
        variant = _VARIANTS[digest[16]]
        return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"

    def nobody(self) -> str:
        """Return the distinct id of events about nobody.

        PostHog demands one. That of the trace is no person's, and lets a funnel see that the pending and the completed
        payment of one request belong together.
        """
        return uuid5(_NOBODY, self.trace_id).hex


def convert(
    schema: EventSchema,
    properties: Mapping[str, Any],
    subject: Identity,
    origin: Origin,
    uuid: str,
    timestamp: int,
    gate: IdentifierGate,
    *,
    person_set: Mapping[str, Any] | None = None,
    person_set_once: Mapping[str, Any] | None = None,
) -> Capture:
    """Make a capture of an event.

    Args:
        schema: The event's schema.
        properties: Its own properties, sanitized.
        subject: Who it is about, raw.
        origin: Where it came from.
        uuid: See ``Origin.uuid``.
        timestamp: When it happened, nanoseconds since the epoch.
        gate: Decides on identifiers.
        person_set: Person properties beyond those of the schema, sanitized.
        person_set_once: Likewise, for ``$set_once``.

    Returns:
        A capture of which every part has passed the sanitizer.
    """
    name = schema.name
    person = gate.distinct_id(name, subject.distinct_id) if subject.distinct_id is not None else None
    captured = {**properties, **_CONSTANT}
    if person is None:
        captured["$process_person_profile"] = False
    elif person_set or person_set_once or not schema.person_sources.isdisjoint(properties):
        captured.update(_person(schema, properties, person_set, person_set_once))
    if origin.traced:
        captured["$trace_id"] = origin.trace_id
        captured["$span_id"] = origin.span_id
    if subject.session_id is not None and (session := gate.session_id(name, subject.session_id)) is not None:
        captured["$session_id"] = session
    if subject.tenant is not None and (group := gate.group_key(name, subject.tenant)) is not None:
        captured["$groups"] = {GROUP_TYPE: group}
    return Capture(
        name,
        person or origin.nobody(),
        uuid,
        datetime.fromtimestamp(timestamp // 1000 / 1e6, UTC),  # a double holds microseconds until 2255
        captured,
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
        values = dict(given) if given else {}
        for name, source in sources.items():
            if source in properties:
                values.setdefault(name, properties[source])
        if values:
            person[key] = values
    return person
