"""Keys and values written into a text: query strings, log lines, SQL, fragments of JSON."""

from __future__ import annotations

import re

from .context import SHAPES
from .keys import KeyProfile, profile
from .masks import is_masked

# The value is looked at but not consumed: it may itself begin with a key ("body: bvn: 22412345678").
_PAIR = re.compile(
    r"(?<![\w.-])([A-Za-z2][\w.\[\]-]{1,48})[\"'\])]{0,2}\s{0,2}(=>|[:=])\s{0,2}"
    r"(?=([\"'(\[{]{0,2})([^\s\"'&;,|(){}\[\]<>]{1,128}))"
)
_MOST_PAIRS = 512
_REACH = 64
_NOTHING = frozenset("none null nil true false undefined missing empty required invalid".split())


def _opaque_value(value: str, rule: str, *, assigned: bool) -> bool:
    """Whether `value` is more than a word of prose ("password: too short")."""
    if assigned:
        return value.lower() not in _NOTHING
    if rule in {"name", "address", "birth_date"}:
        return not value[0].islower() and value.lower().strip(".") not in _NOTHING
    return len(value) > 3 and not value.strip(".!?").isalpha()


def _judge(found: KeyProfile, text: str, match: re.Match[str]) -> str | None:
    value = match[4]
    rule = found.refused
    if rule is not None and found.opaque:
        assigned = match[2] != ":" or bool(match[3])
        return rule if _opaque_value(value, rule, assigned=assigned) and not is_masked(value) else None
    for candidate in (rule, *found.hints):
        shape = SHAPES.get("some_account" if candidate == "bank_account" else candidate or "")
        if shape is not None and (shaped := shape.search(text, match.start(4), match.start(4) + _REACH)):
            if shaped.start() - match.start(4) < 2:
                return "secret" if candidate == "grant" else candidate
    return None


def find_pair(text: str) -> str | None:
    """Returns the rule that refuses a value by the key written before it in folded `text`, or None."""
    if "=" not in text and ":" not in text:
        return None
    for count, match in enumerate(_PAIR.finditer(text)):
        if count >= _MOST_PAIRS:
            return "too_long"
        found = profile(match[1])
        if (found.refused or found.hints) and (rule := _judge(found, text, match)):
            return rule
    return None
