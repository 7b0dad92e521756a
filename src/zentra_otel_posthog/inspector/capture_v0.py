"""What PostHog's capture V0 accepts and refuses, as functions without a server.

The rules are those of PostHog's capture service (rust/capture and rust/common/types in its repository). It
proves the shape of a key and never whether the key exists, so an unknown key is accepted here as it is there.
"""

from __future__ import annotations

import base64
import binascii
import uuid
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import msgspec

BODY_LIMIT = 20 * 1024 * 1024
"""Bytes of a request's body."""
DECOMPRESSED_LIMIT = 5 * BODY_LIMIT
"""Bytes of a body after decompression."""
EVENT_LIMIT = 1_000_000
"""Bytes of one event once its JSON has become a JSON string in turn, as PostHog's queue stores it."""
PATHS = frozenset({"/batch", "/i/v0/e", "/e", "/capture"})
"""Where capture V0 listens; each also with a slash at its end."""

_NAME_LIMIT = 200
_API_KEY_LIMIT = 64
_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_WINDOW = 31
_UUID_LENGTH = 36
_UUID_OCTETS = 16

Event: TypeAlias = dict[str, Any]
EventKey: TypeAlias = tuple[str, int, str, str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one request.

    Attributes:
        status: HTTP status to answer.
        reason: Why it was refused; empty where it was not.
        decoded: The parsed body, None where it could not be parsed.
        api_key: The project key, empty where the request was refused before it was known.
        events: The events that are in, as PostHog stores them. A refusal has none, but for an event too big:
            PostHog has taken in those before it when it finds out.
        answer: The body to answer with; None for what the status and the reason say.
    """

    status: int
    reason: str = ""
    decoded: Any = None
    api_key: str = ""
    events: list[Event] = field(default_factory=list)
    answer: bytes | None = None


class RefusalError(Exception):
    """Why a request is refused.

    Args:
        status: HTTP status to answer.
        reason: In words.
        accepted: How many of its events are in all the same.
    """

    def __init__(self, status: int, reason: str, accepted: int = 0) -> None:
        super().__init__(reason)
        self.status = status
        self.accepted = accepted


NOTHING_HERE = Verdict(404, "there is nothing here")
"""The verdict on every other path."""


def judge(body: bytes | None, *, content_type: str = "", content_encoding: str = "") -> Verdict:
    """Decide about one request as PostHog does.

    Args:
        body: The body as on the wire, None for one over `BODY_LIMIT` bytes.
        content_type: Value of that header, empty for none.
        content_encoding: Value of that header, empty for none. Gzip is also known by its first bytes.

    Returns:
        The verdict. Its events share their objects with `decoded` and are not to be changed.
    """
    if body is None:
        return Verdict(413, f"the body is over {BODY_LIMIT} bytes")
    decoded: Any = None
    api_key = ""
    events: list[Event] = []
    try:
        text = _plain(body, content_type, content_encoding)
        decoded = _parse(text)
        sent, api_key = _events_and_key(decoded)
        events = [_stored(event, position) for position, event in enumerate(sent, 1)]
        _check_sizes(events, len(text))
    except RefusalError as refusal:
        return Verdict(refusal.status, str(refusal), decoded, api_key, events[: refusal.accepted])
    return Verdict(200, "", decoded, api_key, events)


def decode(body: bytes | None, *, content_type: str = "", content_encoding: str = "") -> Any:
    """Return a body's JSON; its arguments are those of ``judge``.

    Raises:
        RefusalError: It is too big, or none.
    """
    if body is None:
        raise RefusalError(413, f"the body is over {BODY_LIMIT} bytes")
    return _parse(_plain(body, content_type, content_encoding))


def event_key(api_key: str, event: Event) -> EventKey:
    """What makes two events one to PostHog: project, UTC day, event, distinct id and uuid.

    A timestamp that is missing or says nothing is the time of arrival.
    """
    try:
        moment = datetime.fromisoformat(event["timestamp"])
        if moment.tzinfo not in (None, UTC):
            moment = moment.astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        moment = datetime.now(UTC)
    return api_key, moment.toordinal(), event["event"], event["distinct_id"], event["uuid"]


def _plain(body: bytes, content_type: str, content_encoding: str) -> bytes:
    if content_type.startswith("application/x-www-form-urlencoded"):
        body = _form_data(body)
    if content_encoding != "gzip" and not body.startswith(_GZIP_MAGIC):
        return body
    # One byte over the limit is enough to know, so a bomb never unfolds.
    decompressor = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        text = decompressor.decompress(body, DECOMPRESSED_LIMIT + 1)
    except zlib.error as error:
        raise RefusalError(400, f"the body is no gzip: {error}") from None
    if len(text) > DECOMPRESSED_LIMIT:
        raise RefusalError(413, f"the body is over {DECOMPRESSED_LIMIT} bytes when decompressed")
    if not decompressor.eof:
        raise RefusalError(400, "the gzip stream ends early")
    return text


def _form_data(body: bytes) -> bytes:
    values = parse_qs(body.decode("latin-1")).get("data")
    if not values:
        raise RefusalError(400, "a form needs the field data; JSON is sent as application/json")
    if values[0].startswith(("{", "[")):
        return values[0].encode()
    try:
        # A plus sign of base64 that was sent as it is means a blank in a form.
        return base64.b64decode(values[0].replace(" ", "+"), validate=True)
    except binascii.Error:
        raise RefusalError(400, "the form field data is neither JSON nor base64") from None


def _parse(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RefusalError(400, f"the body is no JSON: {error}") from None


def _events_and_key(decoded: Any) -> tuple[list[Any], str]:
    """The events of a batch, a list or a single event, and the project key they came with."""
    if isinstance(decoded, dict) and "batch" in decoded:
        events = decoded["batch"]
        bearers = [decoded]
    else:
        events = decoded if isinstance(decoded, list) else [decoded]
        bearers = [event for event in events if isinstance(event, dict)]
    if not isinstance(events, list) or not events:
        raise RefusalError(400, "the request holds no event")
    keys = [key for key in map(_key, bearers) if key is not None]
    if not keys:
        raise RefusalError(401, "there is no project key (api_key)")
    if any(key != keys[0] for key in keys):
        raise RefusalError(401, "the events bear different project keys")
    return events, valid_key(keys[0])


def _key(bearer: dict[str, Any]) -> Any:
    for name in ("api_key", "token", "$token"):
        if bearer.get(name) is not None:
            return bearer[name]
    properties = bearer.get("properties")
    return properties.get("token") if isinstance(properties, dict) else None


def valid_key(value: Any) -> str:
    """Return a project key, or refuse one of impossible shape."""
    key: str = value.strip() if isinstance(value, str) else ""
    if not key or len(key) > _API_KEY_LIMIT or not key.isascii() or "\0" in key:
        raise RefusalError(401, "the project key (api_key) has no possible shape")
    if key.startswith("phx_"):
        raise RefusalError(401, "this is a personal key (phx_), not a project key")
    return key


def _stored(event: Any, position: int) -> Event:
    """The event as PostHog stores it: the same object where nothing had to change."""
    if not isinstance(event, dict):
        raise RefusalError(400, f"event {position} is no object")
    name = event.get("event")
    if not isinstance(name, str) or not name:
        raise RefusalError(400, f"event {position} has no name")
    _check_types(event, position)
    distinct_id = _distinct_id(event)
    if not distinct_id:
        raise RefusalError(400, f"event {position} has no distinct_id")
    identifier = _uuid(event.get("uuid"))
    if identifier is None:
        raise RefusalError(400, f"event {position} has an invalid uuid")
    if len(name) > _NAME_LIMIT:
        name = name[:_NAME_LIMIT]
    if name == event["event"] and distinct_id == event.get("distinct_id") and identifier == event.get("uuid"):
        return event
    return {**event, "event": name, "distinct_id": distinct_id, "uuid": identifier}


def _check_types(event: Event, position: int) -> None:
    timestamp = event.get("timestamp")
    if timestamp is not None and not isinstance(timestamp, str):
        raise RefusalError(400, f"the timestamp of event {position} is no string")
    if not isinstance(event.get("properties", event), dict):
        raise RefusalError(400, f"the properties of event {position} are no object")
    for name in ("$set", "$set_once"):
        value = event.get(name)
        if value is not None and not isinstance(value, dict):
            raise RefusalError(400, f"the {name} of event {position} is no object")


def _distinct_id(event: Event) -> str:
    """The distinct id as a string of at most 200 characters, empty where there is none."""
    value = event.get("distinct_id")
    if value is None:
        value = event.get("$distinct_id")
    if value is None:
        value = event.get("properties", event).get("distinct_id")
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text[:_NAME_LIMIT] if text.strip() else ""


def _uuid(value: Any) -> str | None:
    """The uuid in its canonical form, a new one where the event has none, None for an invalid one."""
    if value is None or value == "":
        return str(uuid.uuid4())
    if not isinstance(value, str):
        return None
    text = value.removeprefix("urn:uuid:")
    if text[0:1] == "{" and text[-1] == "}":
        text = text[1:-1]
    hyphenated = len(text) == _UUID_LENGTH and text[8] == text[13] == text[18] == text[23] == "-"
    if not hyphenated and text != value:
        return None
    digits = text.replace("-", "") if hyphenated else text
    try:
        # fromhex skips blanks, so both lengths are part of the check.
        octets = bytes.fromhex(digits)
    except ValueError:
        return None
    if len(octets) != _UUID_OCTETS or len(digits) != 2 * _UUID_OCTETS:
        return None
    return text.lower() if hyphenated else str(uuid.UUID(bytes=octets))


def _check_sizes(events: list[Event], body_size: int) -> None:
    # Escaping at most doubles JSON that is already escaped once.
    if 2 * body_size <= EVENT_LIMIT:
        return
    for position, event in enumerate(events, 1):
        text = msgspec.json.encode(event)
        if len(text) + text.count(b'"') + text.count(b"\\") > EVENT_LIMIT:
            raise RefusalError(413, f"event {position} is over {EVENT_LIMIT} bytes", accepted=position - 1)
