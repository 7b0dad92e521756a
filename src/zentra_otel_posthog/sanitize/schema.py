"""The schema's gate: declared properties within their kind, undeclared ones through every detector."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

import msgspec

from zentra_otel_posthog import telemetry
from zentra_otel_posthog.events import EventSchema
from zentra_otel_posthog.kinds import Normalised, Refused
from zentra_otel_posthog.sanitize import actions, detectors, policy

_PROPERTY_NAME: Final = re.compile(r"[A-Za-z_][\w.\-]{0,99}", re.ASCII)
# PostHog reads meaning into "$" properties; only those that a caller may set are let through.
_RESERVED_ALLOWED: Final = re.compile(r"\$feature/[\w.\-]{1,100}|\$active_feature_flags", re.ASCII)
_PLAIN: Final = frozenset({bool, int, float})
_UNNAMEABLE: Final = "(unnameable)"


def clean_declared(schema: EventSchema, values: Mapping[str, Any]) -> dict[str, Normalised]:
    """Return the declared properties of an event, each normalised by its kind.

    Args:
        schema: The event's schema.
        values: Raw values; what the schema does not name is not looked at.

    Returns:
        A new dictionary. A value that its kind refuses is left out and counted.
    """
    clean: dict[str, Normalised] = {}
    for name, kind in schema.kinds.items():
        value = values.get(name)
        if value is None:
            continue
        try:
            clean[name] = kind.normalise(value)
        except Refused as refusal:
            telemetry.refused(schema.name, name, refusal.rule)
        except Exception:
            # A value whose own methods raise is not understood, so it stays here.
            telemetry.refused(schema.name, name, "error")
    return clean


def clean_properties(schema: EventSchema, values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return declared properties within their kind and undeclared ones in which no detector finds anything."""
    return {**_clean_undeclared(schema, values), **clean_declared(schema, values)}


def _clean_undeclared(schema: EventSchema, values: Mapping[Any, Any]) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    event = schema.name
    for name, value in values.items():
        if value is None or name in schema.kinds:
            continue
        if not isinstance(name, str) or not (_PROPERTY_NAME.fullmatch(name) or _RESERVED_ALLOWED.fullmatch(name)):
            reserved = isinstance(name, str) and name.startswith("$")
            telemetry.refused(event, _UNNAMEABLE, "reserved_name" if reserved else "property_name")
            continue
        if detectors.find(name) is not None:
            telemetry.refused(event, _UNNAMEABLE, "property_name")
            continue
        kept, rule = _judge(name, value) if policy.takes_undeclared() else (None, "undeclared")
        if rule is not None:
            telemetry.refused(event, name, rule)
        if kept is not None:
            clean[name] = kept
            telemetry.add(telemetry.UNDECLARED, event, name)
    return clean


def _judge(name: str, value: object) -> tuple[Any, str | None]:
    """Return what of a value may leave, in plain JSON types, and the rule that refused it or a part of it."""
    try:
        value = _spelt(value)
        kept, rule = detectors.judge(name, value)
        if kept is None and isinstance(value, str) and rule is not None:
            return actions.act(rule, name, value, declared=False), rule
        if kept is None or type(kept) in _PLAIN:
            return kept, rule
        # Bounded by now. What leaves is judged again where it is not what came: a type of its own may spell itself so.
        plain = json.loads(json.dumps(kept, default=_json_value))
        plain, again = detectors.judge(name, plain)
        msgspec.json.encode(plain)  # half a character is text in Python, and none in UTF-8
    except Exception:
        return None, "unsupported_type"
    return plain, rule or again


def _json_value(value: object) -> object:
    return list(value) if isinstance(value, (set, frozenset)) else _spelt(value)


def _spelt(value: object) -> object:
    """Give the common types that JSON lacks their usual spelling; the detectors refuse what is left."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return value
