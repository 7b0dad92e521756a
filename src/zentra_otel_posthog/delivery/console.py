"""Captures on the terminal, for development."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, TextIO

import msgspec

from zentra_otel_posthog import telemetry
from zentra_otel_posthog.delivery.capture import Capture

# The same with every capture; who reads along wants what differs.
_LEFT_OUT: Final = frozenset(
    {"$lib", "$lib_version", "$geoip_disable", "$is_server", "$ignore_sent_at", "$process_person_profile", "$span_id"}
)
# How much of what was kept back stands on the terminal already. Not a sink's own: where no configure() was called, the
# first event makes the sink, when its values are judged already.
_told: Final[Counter[tuple[str, ...]]] = Counter()
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


class ConsoleSink:
    """Writes each capture as one line, and sends nothing.

    ::

        12:43:22.553 payment.completed usr_1 amount_minor=125000 method=card left out: currency (currency)

    The end says what the sanitizer kept back of the event, and by which rule; with several threads at once it may stand
    with another event of the same name.

    In colour on a terminal, unless ``NO_COLOR`` is set (https://no-color.org).

    Args:
        stream: Where to; None for what ``sys.stderr`` is at the time.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def append(self, capture: Capture) -> None:
        """Write a capture."""
        stream = sys.stderr if self._stream is None else self._stream
        bold, dim, plain = ("", "", "") if os.environ.get("NO_COLOR") or not stream.isatty() else (_BOLD, _DIM, _PLAIN)
        moment = capture.timestamp.strftime("%H:%M:%S.%f")[:-3]
        nobody = capture.properties.get("$process_person_profile") is False
        person = "nobody" if nobody else _shown(capture.distinct_id)
        pairs = (f"{dim}{name}={plain}{_shown(value)}" for name, value in _flat(capture.properties))
        left_out = ", ".join(f"{name} ({rule})" for name, rule in _kept_back(capture.event))
        ending = f" {dim}left out:{plain} {left_out}" if left_out else ""
        # In one piece, so that threads do not write into each other's lines.
        stream.write(f"{dim}{moment}{plain} {bold}{capture.event}{plain} {' '.join((person, *pairs))}{ending}\n")
        stream.flush()

    def flush(self, timeout: float) -> bool:  # noqa: ARG002  the sink's protocol
        """Return True: nothing waits."""
        return True

    def shutdown(self, timeout: float) -> bool:  # noqa: ARG002  the sink's protocol
        """Return True: nothing waits."""
        return True


def _kept_back(event: str) -> list[tuple[str, str]]:
    """Return what was kept back of an event since the last one of its name: properties and rules."""
    now = Counter(telemetry.totals(telemetry.REFUSED))
    since = [key for key in now - _told if key[0] == event]
    _told.update({key: now[key] - _told[key] for key in since})
    return [(name, rule) for _, name, rule in since]


def _flat(properties: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in properties.items():
        if name in _LEFT_OUT:
            continue
        if isinstance(value, Mapping) and name.startswith("$"):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, value


def _shown(value: object) -> str:
    """Return a value in one word: text as it is where nothing in it needs quotes, everything else as JSON."""
    if isinstance(value, str) and value.isprintable() and value and not {*value} & set(" \"'="):
        return value
    return msgspec.json.encode(value).decode()
