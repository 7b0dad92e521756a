"""An event and its span to a capture. Pure: nothing here is sent or kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span

from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.delivery.capture import GROUP_TYPE, Capture, ClaimedTenant, ClaimedTenantCapture
from zentra_otel_posthog.events import EventSchema
from zentra_otel_posthog.identity import Identity
from zentra_otel_posthog.sanitize.identifiers import IdentifierGate

ANSWER: Final = "$feature/"
"""Begins the property that says what a flag answered; PostHog's experiments read it."""

_VERSION_AND_VARIANT: Final = 8 << 76 | 0b10 << 62
_NOT_VERSION_AND_VARIANT: Final = (1 << 128) - 1 ^ (0xF << 76 | 0b11 << 62)
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


class Origin(msgspec.Struct, frozen=True):
    """Where an event came from.

    Args:
        trace_id: A random one where there is no trace.
        span_id: Likewise.
        traced: False where both are random.
    """

    trace_id: int
    span_id: int
    traced: bool

    @classmethod
    def of(cls, span: Span | ReadableSpan) -> Origin:
        """Return the origin of an event on a span."""
        span_context = span.get_span_context()
        if span_context is not None and span_context.is_valid:
            return cls(span_context.trace_id, span_context.span_id, True)  # noqa: FBT003  a record's field
        return cls._untraced()

    @classmethod
    def of_ids(cls, trace_id: int | None, span_id: int | None) -> Origin:
        """Return the origin of an event that tells these ids; where there was no span they are zero or None."""
        if trace_id and span_id:
            return cls(trace_id, span_id, True)  # noqa: FBT003  a record's field
        return cls._untraced()

    @classmethod
    def _untraced(cls) -> Origin:
        random = os.urandom(24)  # at once: each call into the kernel takes 0.4 µs
        return cls(int.from_bytes(random[:16]), int.from_bytes(random[16:]), False)  # noqa: FBT003  a record's field

    def uuid(self, position: int, name: str) -> str:
        """Return an event's UUID, a function of where it came from, so that a repeated conversion counts once.

        Version 8 (RFC 9562, custom): the trace id, with the span id in its upper half, a digest of the name over all of
        it and the position in its lower half, joined by exclusive or. Trace and span ids are random already, so a hash
        would only cost more.

        Args:
            position: The event's place among those of its span; at most 62 bits. Random where nobody counts them, as
                for a log record.
            name: The event's name.
        """
        number = self.trace_id ^ self.span_id << 64 ^ _digest(name) ^ position
        text = (number & _NOT_VERSION_AND_VARIANT | _VERSION_AND_VARIANT).to_bytes(16).hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def nobody(self) -> str:
        """Return the distinct id of events about nobody.

        PostHog demands one. The trace's is no person's, and lets a funnel see that the pending and the completed
        payment of one request belong together.
        """
        return self.trace_id.to_bytes(16).hex()


def random_position() -> int:
    """Return a position for an event on a span whose events nobody counts."""
    return int.from_bytes(os.urandom(8)) >> 2


@lru_cache(maxsize=1024)
def _digest(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:16])


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
    named = subject.claimed_id if subject.distinct_id is None else subject.distinct_id
    person = gate.distinct_id(name, named) if named is not None else None
    captured = {**properties, **_CONSTANT}
    if subject.answers and person is not None and (answers := subject.answers.get(person)):
        captured = {**_answered(answers), **captured}
    if person is None:
        captured["$process_person_profile"] = False
    elif person_set or person_set_once or not schema.person_sources.isdisjoint(properties):
        captured.update(_person(schema, properties, person_set, person_set_once))
    if origin.traced:
        captured["$trace_id"] = origin.trace_id.to_bytes(16).hex()
        captured["$span_id"] = origin.span_id.to_bytes(8).hex()
    if subject.session_id is not None and (session := gate.session_id(name, subject.session_id)) is not None:
        captured["$session_id"] = session
        if subject.window_id is not None and (window := gate.window_id(name, subject.window_id)) is not None:
            captured["$window_id"] = window
    capture = Capture
    if subject.tenant is not None and (group := gate.group_key(name, subject.tenant)) is not None:
        captured["$groups"] = {GROUP_TYPE: group}
        if type(subject.tenant) is ClaimedTenant:
            capture = ClaimedTenantCapture
    return capture(
        name,
        person or origin.nobody(),
        uuid,
        datetime.fromtimestamp(timestamp // 1000 / 1e6, UTC),  # a double holds microseconds until 2242
        captured,
    )


def _answered(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of what flags answered, with ``$active_feature_flags`` as PostHog's clients list them."""
    properties = dict(answers)  # another thread may be adding to them
    active = [name.removeprefix(ANSWER) for name, answer in properties.items() if answer is not False]
    return {**properties, "$active_feature_flags": active}


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
