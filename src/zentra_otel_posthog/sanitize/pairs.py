"""Keys and values written into a text: query strings, log lines, SQL, XML, tables, fragments of JSON."""

from __future__ import annotations

import re
from itertools import chain
from typing import Final

from zentra_otel_posthog.sanitize.keys import KeyProfile, profile
from zentra_otel_posthog.sanitize.masks import is_masked
from zentra_otel_posthog.sanitize.persons import is_person
from zentra_otel_posthog.sanitize.shapes import SAID, SHAPES
from zentra_otel_posthog.sanitize.vocabulary import words

# The value is looked at but not consumed: it may itself begin with a key ("body: bvn: 22412345678").
_PAIR: Final = re.compile(
    r"(?<![\w.-])(?P<key>[A-Za-z2][\w.\[\]-]{1,48})[\"'\])]{0,2}\s{0,2}"
    r"(?P<sign>=>|[:=|]|>(?=[^<>]{1,128}</)|[,;]?\s{0,2}[\"']?value[\"']?\s?[:=])\s{0,2}"
    r"(?=(?P<quote>[\"'(\[{]{0,2})(?P<value>[^\s\"'&;,|(){}\[\]<>]{1,128}))"
)
# Pydantic names the field on the line before the one with the value.
_FIELD: Final = re.compile(
    r"^(?P<key>[A-Za-z][\w.]{1,64})\n\s{1,8}[^\n]{0,512}?(?P<sign>input_value=)"
    r"(?=(?P<quote>['\"]?)(?P<value>[^\s'\",\]]{1,128}))",
    re.MULTILINE,
)
_UNTIL: Final = re.compile(r"[^&;,|\"'\n(){}\[\]<>]{1,80}")
_LOOSE: Final = frozenset(":|")
_MOST_PAIRS: Final = 512
_REACH: Final = 64
_LONGEST_FLAG: Final = 3
_NOTHING: Final = words("none null nil true false undefined missing empty required invalid")


def _is_opaque(match: re.Match[str], rule: str) -> bool:
    """Whether the value is more than a word of prose ("password: too short")."""
    value = match["value"]
    if _is_assigned(match):
        return value.lower() not in _NOTHING
    if rule in {"name", "address"}:
        return not value[0].islower() and value.lower().strip(".") not in _NOTHING
    return len(value) > _LONGEST_FLAG and not value.strip(".!?").isalpha()


def _is_assigned(match: re.Match[str]) -> bool:
    return match["sign"] not in _LOOSE or bool(match["quote"])


def _names_person(text: str, match: re.Match[str]) -> bool:
    value = _UNTIL.match(text, match.start("value"))
    return value is not None and _is_assigned(match) and is_person(value[0].replace("+", " ").strip())


def _judge(found: KeyProfile, text: str, match: re.Match[str]) -> str | None:
    rule = found.refused
    if rule is not None and (found.opaque or rule == "password"):
        return rule if _is_opaque(match, rule) and not is_masked(match["value"]) else None
    start = match.start("value")
    for candidate in (rule, *found.hints) if rule else found.hints:
        if candidate == "person" and _names_person(text, match):
            return "name"
        shape = SHAPES.get(SAID.get(candidate, candidate))
        number = shape.search(text, start, start + _REACH) if shape else None
        if number is not None and number.start() <= start + 1:
            return "secret" if candidate == "grant" else candidate
    return None


def find_pair(text: str) -> str | None:
    """Return the rule that refuses a value by the key written before it in folded `text`, or None."""
    if "=" not in text and ":" not in text and "|" not in text and "</" not in text:
        return None
    fields = _FIELD.finditer(text) if "input_value=" in text else ()
    for count, match in enumerate(chain(_PAIR.finditer(text), fields)):
        if count >= _MOST_PAIRS:
            return "too_long"
        found = profile(match["key"])
        if (found.refused or found.hints) and (rule := _judge(found, text, match)):
            return rule
    return None
