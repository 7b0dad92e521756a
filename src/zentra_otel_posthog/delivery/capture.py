"""What PostHog is sent for one event."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

GROUP_TYPE: Final = "tenant"
"""PostHog's group type of tenants: a capture's is ``properties["$groups"]["tenant"]``."""


class Capture(msgspec.Struct, frozen=True):
    """One event as PostHog's ``/batch/`` takes it (capture V0).

    PostHog counts it once, however often it is sent, because ``uuid``, ``event``, ``distinct_id`` and ``timestamp``
    never change between attempts.

    Args:
        event: The event's name.
        distinct_id: The person, already sanitized; the capture's own uuid where there is nobody.
        uuid: A function of where the event came from.
        timestamp: When it happened, UTC, to the microsecond.
        properties: Sanitized properties.
    """

    event: str
    distinct_id: str
    uuid: str
    timestamp: datetime
    properties: dict[str, Any]


class ClaimedTenantCapture(Capture, frozen=True):
    """A capture whose tenant only a request's headers or baggage name. On the wire it is as any other."""


class ClaimedTenant(str):
    """A tenant that a request's headers or baggage name. Whom the backend names is any other object."""

    __slots__ = ()


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Capture)


def encode_line(capture: Capture) -> bytes:
    """Encode a capture as one line of JSON, the form in which it is spooled and posted."""
    return _encoder.encode(capture) + b"\n"


def is_capture(line: bytes) -> bool:
    """Return whether a spooled line is one capture. A disk that fails, or somebody else, may have left anything."""
    try:
        _decoder.decode(line)
    except (ValueError, RecursionError):  # msgspec.DecodeError is a ValueError
        return False
    return True
