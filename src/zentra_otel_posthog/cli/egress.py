"""What can leave, from the tracking plan and the policy, and what was kept back, from the account. Never a value."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from zentra_otel_posthog import telemetry
from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.delivery.account import Totals
from zentra_otel_posthog.events import EventSchema

_ALWAYS: Final = {
    "event": "the event's name",
    "uuid": "made of the ids of trace and span",
    "timestamp": "when it happened",
    "$trace_id": "the trace, as the tracing backend knows it",
    "$span_id": "the span likewise",
    "$lib": "this package",
    "$lib_version": "its version",
    "$geoip_disable": "true: PostHog looks up no address",
    "$is_server": "true",
    "$ignore_sent_at": "true: the timestamp is taken as it is",
    "$process_person_profile": "false, where the event is about nobody",
}
# As the counters call it: what PostHog gets.
_IDENTIFIERS: Final = {
    "distinct_id": "an opaque id; {personal}; about nobody, the trace's id",
    "tenant": "$groups.tenant: an opaque id; {personal}",
    "$session_id": "a UUIDv7, as posthog-js makes it",
    "$window_id": "likewise",
}
_UNDECLARED: Final = {
    "detect": "what `capture` is given besides, where no detector of personal data finds anything in name and value",
    "drop": "nothing",
}

Refusals = dict[str, int]
"""Rule to how many values it kept back or replaced."""


class Property(msgspec.Struct, frozen=True):
    """A property or identifier that can leave.

    Args:
        name: Its name.
        kind: The kind that the tracking plan gives it, None for an identifier.
        allows: What may leave under it, in words.
        person: The person properties that PostHog also makes of it.
        refused: What was kept back of it.
    """

    name: str
    kind: str | None
    allows: str
    person: list[str]
    refused: Refusals


class Undeclared(msgspec.Struct, frozen=True):
    """A property that the tracking plan does not name and code has captured all the same.

    Args:
        name: Its name; ``(unnameable)`` for what is no property name or is personal data itself.
        left: How many values left.
        refused: What was kept back of it.
    """

    name: str
    left: int
    refused: Refusals


class EventEgress(msgspec.Struct, frozen=True):
    """What can leave with one event.

    Args:
        name: The event's name.
        declared_by: Who declares it; None: code captures it undeclared.
        properties: Declared properties.
        undeclared: Undeclared ones that were seen.
    """

    name: str
    declared_by: str | None
    properties: list[Property]
    undeclared: list[Undeclared]


class Egress(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can leave.

    Args:
        version: Of this package.
        counted_since: When counting began; None: nothing was counted in the spool's folder.
        counted_until: When it was last written down.
        events: In the order of declaration, then the undeclared.
        identifiers: Who an event may be about.
        always: What goes with every event.
        undeclared: What else may leave.
        refused_keys: Names that the policy refuses.
        allowed_values: How many texts the policy lets out whatever a detector says.
        actions: What the policy has become of caught texts, by rule.
        exceptions_traced: The tracing backend gets exception messages and stacks.
    """

    version: str
    counted_since: datetime | None
    counted_until: datetime | None
    events: list[EventEgress]
    identifiers: list[Property]
    always: dict[str, str]
    undeclared: str
    refused_keys: list[str]
    allowed_values: int
    actions: dict[str, str]
    exceptions_traced: bool


def egress(schemas: Iterable[EventSchema], settings: Settings, totals: Totals | None) -> Egress:
    """Return what can leave.

    Args:
        schemas: The tracking plan.
        settings: The settings in force.
        totals: The account of the spool's folder, None where there is none.
    """
    refused: defaultdict[tuple[str, str], Refusals] = defaultdict(dict)
    left: Mapping[tuple[str, ...], int] = {}
    if totals is not None:
        left = totals.of(telemetry.UNDECLARED)
        for (event, name, rule), count in totals.of(telemetry.REFUSED).items():
            refused[event, name][rule] = count
    identifiers = {name: Counter[str]() for name in _IDENTIFIERS}
    for event, name in list(refused):
        if name in identifiers:
            identifiers[name].update(refused.pop((event, name)))
    events = [_declared(schema, refused, left) for schema in schemas]
    others = sorted({event for event, _ in (*refused, *left)} - {event.name for event in events})
    personal = "a personal one as a pseudonym" if settings.pseudonym_key else "a personal one not at all"
    policy = settings.sanitize
    return Egress(
        version=__version__,
        counted_since=None if totals is None else totals.since,
        counted_until=None if totals is None else totals.until,
        events=[*events, *(EventEgress(name, None, [], _undeclared(name, (), refused, left)) for name in others)],
        identifiers=[
            Property(name, None, allows.format(personal=personal), [], dict(identifiers[name]))
            for name, allows in _IDENTIFIERS.items()
        ],
        always=_ALWAYS,
        undeclared=_UNDECLARED[policy.undeclared],
        refused_keys=list(policy.refused_keys),
        allowed_values=len(policy.allowed_values),
        actions=dict(policy.actions),
        exceptions_traced=settings.record_exceptions,
    )


def _declared(
    schema: EventSchema, refused: Mapping[tuple[str, str], Refusals], left: Mapping[tuple[str, ...], int]
) -> EventEgress:
    properties = [
        Property(name, kind.name, kind.allows, _persons(schema, name), refused.get((schema.name, name), {}))
        for name, kind in schema.kinds.items()
    ]
    return EventEgress(schema.name, schema.origin, properties, _undeclared(schema.name, schema.kinds, refused, left))


def _persons(schema: EventSchema, name: str) -> list[str]:
    return [
        f"{key} {person}"
        for key, sources in (("$set", schema.person_set), ("$set_once", schema.person_set_once))
        for person, source in sources.items()
        if source == name
    ]


def _undeclared(
    event: str,
    declared: Iterable[str],
    refused: Mapping[tuple[str, str], Refusals],
    left: Mapping[tuple[str, ...], int],
) -> list[Undeclared]:
    names = {name for other, name in (*refused, *left) if other == event} - set(declared)
    return [Undeclared(name, left.get((event, name), 0), refused.get((event, name), {})) for name in sorted(names)]
