"""PostHog's capture V1: ``POST /i/v1/analytics/events``, which answers for each capture."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec

from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.delivery.wire import Answer, Batch, Result, Wire, retry_after

if TYPE_CHECKING:
    from zentra_otel_posthog.delivery._http import Reply

_BOOLEANS: Final = (b"true", b"false")
# What V0 has among the properties and V1 elsewhere, as posthog.capture_v1 moves it. A value of another type is left
# out, as there: V1 refuses a whole batch for it.
_OPTIONS: Final = {
    "$cookieless_mode": "cookieless_mode",
    "$ignore_sent_at": "disable_skew_correction",
    "$process_person_profile": "process_person_profile",
}
_TEXT_OPTIONS: Final = {"$product_tour_id": "product_tour_id"}
_FIELDS: Final = {"$session_id": "session_id", "$window_id": "window_id"}
_OF_THE_HEADER: Final = ("$lib", "$lib_version")  # the server takes them from PostHog-Sdk-Info


class _Line(msgspec.Struct):
    """A spooled capture whose values are not looked at."""

    event: msgspec.Raw
    distinct_id: msgspec.Raw
    uuid: str
    timestamp: msgspec.Raw
    properties: dict[str, msgspec.Raw]


class _Event(msgspec.Struct, omit_defaults=True):
    event: msgspec.Raw
    uuid: str
    distinct_id: msgspec.Raw
    timestamp: msgspec.Raw
    options: dict[str, msgspec.Raw]
    properties: dict[str, msgspec.Raw]
    session_id: msgspec.Raw | None = None
    window_id: msgspec.Raw | None = None


class _Result(msgspec.Struct):
    result: str
    details: Any = None


class _Results(msgspec.Struct):
    results: dict[str, _Result]


class _Uuid(msgspec.Struct):
    uuid: str


_lines: Final = msgspec.json.Decoder(_Line)
_uuids: Final = msgspec.json.Decoder(_Uuid)
_results: Final = msgspec.json.Decoder(_Results)
_encoder: Final = msgspec.json.Encoder()


class WireV1(Wire):
    """Posts captures in the form of V1, made of the spooled lines, which are V0's: the wire may change in between.

    Args:
        api_key: The project key.
        host: The ingest host.
        compression: ``none``, ``gzip``, ``deflate`` or ``zstd``.
    """

    def __init__(self, api_key: str, host: str, compression: str) -> None:
        super().__init__(f"{host}/i/v1/analytics/events", api_key, compression)

    def _headers(self, batch: Batch) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._api_key}",
            "PostHog-Sdk-Info": f"zentra-otel-posthog/{__version__}",
            "PostHog-Attempt": str(batch.attempt),
            "PostHog-Request-Id": str(batch.request_id),
            "PostHog-Request-Timestamp": datetime.now(UTC).isoformat(),
        }

    def _body(self, batch: Batch) -> bytes:
        events = b",".join(_encoder.encode(_event(_lines.decode(line))) for line in batch.lines)
        return b'{"created_at":"%b","batch":[%b]}' % (batch.created_at.isoformat().encode(), events)

    def _answer(self, reply: Reply, batch: Batch) -> Answer:
        pause, text = retry_after(reply.retry_after), self._text(reply)
        if not HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            return Answer(reply.status, pause, text)
        try:
            found = _results.decode(reply.body).results
        except (ValueError, RecursionError):
            return Answer(reply.status, pause, text, readable=False)
        return Answer(reply.status, pause, text, self._by_position(found, batch))

    def _by_position(self, found: Mapping[str, _Result], batch: Batch) -> dict[int, Result]:
        by_uuid = {uuid.lower(): result for uuid, result in found.items()}
        results = {}
        for position, line in enumerate(batch.lines):
            if (result := by_uuid.get(_uuids.decode(line).uuid.lower())) is not None:
                results[position] = Result(result.result, self._shown(str(result.details or "")))
        return results


def _event(line: _Line) -> _Event:
    properties = line.properties
    for name in _OF_THE_HEADER:
        properties.pop(name, None)
    options = {}
    for name, option in _OPTIONS.items():
        if (value := properties.pop(name, None)) is not None and bytes(value) in _BOOLEANS:
            options[option] = value
    for name, option in _TEXT_OPTIONS.items():
        if (value := properties.pop(name, None)) is not None and _is_text(value):
            options[option] = value
    event = _Event(line.event, line.uuid, line.distinct_id, line.timestamp, options, properties)
    for name, field in _FIELDS.items():
        if (value := properties.pop(name, None)) is not None and _is_text(value):
            setattr(event, field, value)
    return event


def _is_text(value: msgspec.Raw) -> bool:
    return bytes(value).startswith(b'"')
