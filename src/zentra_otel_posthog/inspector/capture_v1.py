"""What PostHog's capture V1 accepts and refuses, as functions without a server.

The rules are those of PostHog's capture service (rust/capture/src/v1 in its repository): a request is refused as a
whole for its headers, its key, its encoding and wrong JSON types; everything else is told event by event.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from zentra_otel_posthog.inspector import capture_v0
from zentra_otel_posthog.inspector.capture_v0 import Event, RefusalError, Verdict

BODY_LIMIT: Final = 10 * 1024 * 1024
"""Bytes of a request's body."""
DECOMPRESSED_LIMIT: Final = 5 * BODY_LIMIT
"""Bytes of a body after decompression."""
PATH: Final = "/i/v1/analytics/events"

_REQUIRED: Final = (
    "PostHog-Sdk-Info",
    "PostHog-Attempt",
    "PostHog-Request-Id",
    "PostHog-Request-Timestamp",
    "User-Agent",
    "Content-Type",
)
_WINDOWS: Final = {"gzip": 31, "deflate": 15}
# Back to where V0 has them, which is how PostHog stores them.
_OPTIONS: Final = {
    "process_person_profile": "$process_person_profile",
    "disable_skew_correction": "$ignore_sent_at",
    "cookieless_mode": "$cookieless_mode",
    "product_tour_id": "$product_tour_id",
}
_NAME_LIMIT: Final = 200


class _Options(msgspec.Struct):
    process_person_profile: bool | None = None
    disable_skew_correction: bool | None = None
    cookieless_mode: bool | None = None
    product_tour_id: str | None = None


class _Event(msgspec.Struct):
    event: str
    uuid: str
    distinct_id: str
    timestamp: str
    options: _Options
    properties: dict[str, Any]
    session_id: str | None = None
    window_id: str | None = None


class _Batch(msgspec.Struct):
    created_at: str
    batch: list[_Event]
    historical_migration: bool = False


def judge(body: bytes | None, headers: Mapping[str, str], told: Mapping[str, str]) -> Verdict:
    """Decide about one request as PostHog does.

    Args:
        body: The body as on the wire, None for one over the server's limit.
        headers: Looked up in lower case.
        told: Results to give events by uuid instead of the normal ones: ``retry``, ``limited``, ``drop``, ``warning``.

    Returns:
        The verdict; its events are those that are in, as PostHog stores them.
    """
    decoded: Any = None
    try:
        api_key = _key(headers)
        _check_headers(headers)
        text = _plain(body, headers.get("content-encoding", "identity"))
        decoded = msgspec.json.decode(text)
        batch = msgspec.convert(decoded, _Batch)
        _check_time(batch.created_at)
    except RefusalError as refusal:
        return Verdict(refusal.status, str(refusal), decoded)
    except (ValueError, RecursionError) as error:
        return Verdict(400, f"the body is not what capture V1 takes: {error}", decoded)
    if not batch.batch:
        return Verdict(400, "the request holds no event", decoded)
    results = {event.uuid: _result(event, told) for event in batch.batch}
    accepted = [
        _stored(event, headers["posthog-sdk-info"])
        for event in batch.batch
        if results[event.uuid]["result"] in {"ok", "warning"}
    ]
    return Verdict(200, "", decoded, api_key, accepted, msgspec.json.encode({"results": results}))


def _key(headers: Mapping[str, str]) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        raise RefusalError(401, "there is no project key (Authorization: Bearer)")
    return capture_v0.valid_key(key)


def _check_headers(headers: Mapping[str, str]) -> None:
    for name in _REQUIRED:
        if not headers.get(name.lower()):
            raise RefusalError(400, f"the header {name} is missing")
    if headers["content-type"].partition(";")[0] != "application/json":
        raise RefusalError(415, "the body is to be application/json")
    name, _, version = headers["posthog-sdk-info"].partition("/")
    if not name or not version:
        raise RefusalError(400, "PostHog-Sdk-Info is not <name>/<version>")
    if not headers["posthog-attempt"].isdecimal() or int(headers["posthog-attempt"]) < 1:
        raise RefusalError(400, "PostHog-Attempt is no number from 1")
    try:
        uuid.UUID(headers["posthog-request-id"])
        _check_time(headers["posthog-request-timestamp"])
    except ValueError as error:
        raise RefusalError(400, f"a header is malformed: {error}") from None


def _check_time(text: str) -> None:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")


def _plain(body: bytes | None, encoding: str) -> bytes:
    if body is None or len(body) > BODY_LIMIT:
        raise RefusalError(413, f"the body is over {BODY_LIMIT} bytes")
    if encoding == "identity":
        text = body
    elif encoding == "zstd":
        try:
            import zstandard  # noqa: PLC0415  an extra
        except ImportError:
            raise RefusalError(415, "zstd needs a package here: pip install 'zentra-otel-posthog[zstd]'") from None
        try:
            text = zstandard.ZstdDecompressor().stream_reader(body).read(DECOMPRESSED_LIMIT + 1)
        except zstandard.ZstdError as error:
            raise RefusalError(400, f"the body is no zstd: {error}") from None
    elif encoding in _WINDOWS:
        # One byte over the limit is enough to know, so a bomb never unfolds.
        try:
            text = zlib.decompressobj(wbits=_WINDOWS[encoding]).decompress(body, DECOMPRESSED_LIMIT + 1)
        except zlib.error as error:
            raise RefusalError(400, f"the body is no {encoding}: {error}") from None
    else:
        raise RefusalError(415, f"the encoding {encoding} is not known")
    if len(text) > DECOMPRESSED_LIMIT:
        raise RefusalError(413, f"the body is over {DECOMPRESSED_LIMIT} bytes when decompressed")
    return text


def _result(event: _Event, told: Mapping[str, str]) -> dict[str, str]:
    if (result := told.get(event.uuid)) is not None:
        return {"result": result, "details": "as told"}
    try:
        _check_time(event.timestamp)
        uuid.UUID(event.uuid)
    except ValueError as error:
        return {"result": "drop", "details": str(error)}
    if not 0 < len(event.event) <= _NAME_LIMIT:
        return {"result": "drop", "details": "the event has no name, or one over 200 characters"}
    if not 0 < len(event.distinct_id.strip()) <= _NAME_LIMIT:
        return {"result": "drop", "details": "the event has no distinct_id, or one over 200 characters"}
    return {"result": "ok"}


def _stored(event: _Event, sdk_info: str) -> Event:
    library, _, version = sdk_info.partition("/")
    properties = {**event.properties, "$lib": library, "$lib_version": version}
    moved = {name: getattr(event.options, option) for option, name in _OPTIONS.items()}
    moved |= {"$session_id": event.session_id, "$window_id": event.window_id}
    properties |= {name: value for name, value in moved.items() if value is not None}
    return {
        "event": event.event,
        "uuid": event.uuid.lower(),
        "distinct_id": event.distinct_id,
        "timestamp": event.timestamp,
        "properties": properties,
    }
