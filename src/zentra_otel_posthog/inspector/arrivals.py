"""What the store keeps of an event: PostHog's reading of its time, and what the page filters by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from zentra_otel_posthog._projects import masked
from zentra_otel_posthog.inspector.capture_v0 import Event

_FUTURE: Final = timedelta(hours=23)  # PostHog takes what is later for now
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
"""The first moment that PostHog's database can hold; what is earlier is taken for now."""
_DIGEST: Final = 8  # hexadecimal digits that tell one masked key from another


class Arrival(msgspec.Struct):
    """A row of the store's table.

    Args:
        key: What PostHog takes two events for one by: project key, UTC day, event, distinct id and uuid, digested.
        project: The project key, masked.
        uuid: The event's.
        event: Its name.
        distinct_id: Whose it is.
        timestamp: When it happened, in UTC without an offset.
        received_at: When it came, likewise.
        lib: The library that sent it.
        session_id: PostHog's session.
        trace_id: The trace, as the tracing backend knows it.
        span_id: The span likewise.
        properties: JSON, as it came.
        own: Those of them that are the event's and not PostHog's (``$...``), again: views look into these, which are a
            sixth of the text.
        set: Person properties to set, JSON.
        set_once: Person properties to set where there are none, JSON.
        groups: Group keys by type, JSON.
        resent: How many more times it came in the same request.
        seq: In order of arrival; the store counts.
    """

    key: str
    project: str
    uuid: str
    event: str
    distinct_id: str
    timestamp: datetime
    received_at: datetime
    lib: str | None
    session_id: str | None
    trace_id: str | None
    span_id: str | None
    properties: str
    own: str
    set: str | None
    set_once: str | None
    groups: str | None
    resent: int = 0
    seq: int = 0


def project_name(api_key: str) -> str:
    """Return a project key as the page shows it: masked, and told from other masked keys by a digest."""
    return f"{masked(api_key)}{hashlib.sha256(api_key.encode()).hexdigest()[:_DIGEST]}"


def arrival(event: Event, api_key: str, received_at: datetime, sent_at: datetime | None) -> Arrival:
    """Return an accepted event's row.

    Args:
        event: As a verdict has it.
        api_key: The project key it came with.
        received_at: Now.
        sent_at: When the client says that it sent it, None where it does not say.
    """
    properties = event.get("properties") or {}
    timestamp = moment(event, received_at, sent_at)
    name = event["event"].replace("\0", "\N{REPLACEMENT CHARACTER}")
    identity = "\0".join((api_key, str(timestamp.toordinal()), name, event["distinct_id"], event["uuid"]))
    return Arrival(
        key=hashlib.blake2b(identity.encode(), digest_size=16).hexdigest(),
        project=project_name(api_key),
        uuid=event["uuid"],
        event=name,
        distinct_id=event["distinct_id"],
        timestamp=timestamp.replace(tzinfo=None),
        received_at=received_at.replace(tzinfo=None),
        lib=_text(properties.get("$lib")),
        session_id=_text(properties.get("$session_id")),
        trace_id=_text(properties.get("$trace_id")),
        span_id=_text(properties.get("$span_id")),
        properties=msgspec.json.encode(properties).decode(),
        own=msgspec.json.encode({name: value for name, value in properties.items() if name[:1] != "$"}).decode(),
        set=_json(person_properties(event, "$set") or None),
        set_once=_json(person_properties(event, "$set_once") or None),
        groups=_json(_object(properties.get("$groups")) or None),
    )


def person_properties(event: Event, name: str) -> dict[str, Any]:
    """Return what an event has under ``$set`` or ``$set_once``, beside its properties or among them."""
    return _object((event.get("properties") or {}).get(name)) | _object(event.get(name))


def moment(event: Event, received_at: datetime, sent_at: datetime | None) -> datetime:
    """Return when an event happened, as PostHog reads it.

    A client's clock may be wrong: the time between happening and sending is taken from it, and no more, unless
    ``$ignore_sent_at`` says otherwise. posthog-js sends that time itself, as ``offset``, in place of a timestamp.
    """
    happened = parsed(event.get("timestamp"))
    offset = event.get("offset")
    try:
        if happened is None:
            before = offset if isinstance(offset, int | float) and offset >= 0 else 0
            happened = received_at - timedelta(milliseconds=before)
        elif sent_at is not None and not (event.get("properties") or {}).get("$ignore_sent_at"):
            happened = received_at - (sent_at - happened)
    except OverflowError:
        return received_at
    return happened if EARLIEST <= happened <= received_at + _FUTURE else received_at


def parsed(text: object) -> datetime | None:
    """Return the moment that a text names, in UTC where it says nothing else; None where it names none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def sending_time(decoded: object, query: Mapping[str, str]) -> datetime | None:
    """Return when a capture V0 request was sent: its ``sent_at``, or the milliseconds that browsers put into ``_``."""
    if isinstance(decoded, dict) and (found := parsed(decoded.get("sent_at"))) is not None:
        return found
    try:
        return datetime.fromtimestamp(int(query["_"]) / 1000, UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return None


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) and value else None
