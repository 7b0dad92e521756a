"""Judges one undeclared value by its key and its content.

Three questions, cheapest first: what does the key promise, does the value show by its own form what it
is, and do the words beside a number say so. Text is looked at in one spelling (`normalize`) and through
its encodings (`layers`). Whatever cannot be looked at completely is refused: too long, too deep, of a
type of which nothing is known, or an error in here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Final
from uuid import UUID

from zentra_otel_posthog.sanitize.containers import CONTAINERS, LEAST_DIGITS_OF_AN_ID, TooLargeError, Walk
from zentra_otel_posthog.sanitize.context import find_announced
from zentra_otel_posthog.sanitize.credentials import find_credential
from zentra_otel_posthog.sanitize.keys import LONGEST_KEY, NEUTRAL, KeyProfile, is_refused, profile
from zentra_otel_posthog.sanitize.layers import inner_texts
from zentra_otel_posthog.sanitize.masks import is_masked, is_partly_masked
from zentra_otel_posthog.sanitize.normalize import fold
from zentra_otel_posthog.sanitize.numbers import find_number
from zentra_otel_posthog.sanitize.pairs import find_pair
from zentra_otel_posthog.sanitize.patterns import find_pattern
from zentra_otel_posthog.sanitize.persons import is_person, names_person
from zentra_otel_posthog.sanitize.shapes import SHAPES
from zentra_otel_posthog.sanitize.vocabulary import words

LONGEST_TEXT: Final = 8192
"""Characters up to which a string is looked at; a longer one is refused."""

RULES: Final = words(
    "address api_key bank_account birth_date bvn card_expiry coordinates credential crypto_address cvv device_id "
    "driving_licence ein email iban ip itin jwt mac name national_id nin otp pan passport password phone pin "
    "postcode private_key routing_number secret session sort_code ssn tin track vnin voter_card "
    "policy too_long too_deep too_large unsupported_type internal_error"
)
"""Names of all rules: kinds of personal data and secrets, then what a policy refuses, the bounds and failures."""

_PLAIN_TYPES: Final = (date, time, timedelta, UUID)
_MOST_LAYERS: Final = 5
_MOST_BITS: Final = 512
# Words without a digit, a capital or a sign hold nothing that a pattern could find.
_PLAIN: Final = re.compile(r"[a-z]{1,40}(?:[ _-][a-z]{1,40}){0,12}")
# A UUID, or a time in ISO 8601.
_INNOCENT: Final = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
    r"|[12][0-9]{3}-[01][0-9]-[0-3][0-9]"
    r"(?:[T ][0-2][0-9]:[0-5][0-9](?::[0-6][0-9](?:\.[0-9]{1,9})?)?(?:Z|[+-][01][0-9]:?[0-5][0-9])?)?"
)
_WORDS: Final = re.compile(r"[A-Za-z]{1,16}(?:[ _-][a-z]{1,16}){0,6}|[A-Z]{1,16}(?:[ _-][A-Z]{1,16}){0,6}")
_IDENTIFIER: Final = re.compile(
    r"[a-z]{2,10}_[0-9A-Za-z]{4,40}|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9]{1,6}"
)
# Digits below which a value is not what its key is about: numbers of people, cards and accounts by default.
_LEAST_DIGITS: Final = {
    "cvv": 2,
    "pin": 2,
    "otp": 3,
    "card_expiry": 1,
    "coordinates": 1,
    "postcode": 2,
    "birth_date": 2,
    "driving_licence": 3,
    "voter_card": 1,
}
_NOT_BY_DIGITS: Final = frozenset({"email", "ip", "mac", "crypto_address", "device_id", "password"})
_MOST_DIGITS_OF_A_QUANTITY: Final = 10
_LONGEST_FOLDED: Final = 2 * LONGEST_TEXT  # a few characters fold into several
_REPLACEMENT: Final = "\ufffd"
_JSON_STARTS: Final = frozenset('{["')


_allowed: frozenset[str] = frozenset()


def allow(values: Iterable[str]) -> None:
    """Take over the texts that a policy lets out, in place of those before."""
    global _allowed  # noqa: PLW0603  one policy a process
    _allowed = frozenset(values)
    _judge_key.cache_clear()


def find(text: str, key: str | None = None) -> str | None:
    """Return the name of the rule under which `text` is personal data or a secret, or None.

    Args:
        text: What to judge; past `LONGEST_TEXT` characters it is refused unread.
        key: The property key, as context.
    """
    try:
        return _find(text, NEUTRAL if key is None else profile(key[:LONGEST_KEY]), 0)
    except Exception:
        return "internal_error"


def judge(key: str | None, value: object) -> tuple[object | None, str | None]:
    """Return what may be sent of `value` and the name of the first rule that refused something.

    The value itself where nothing is refused; of a container a copy without the entries that are; None
    where nothing is left. Never raises, and an internal error is a refusal.

    Args:
        key: The property key, None where there is none.
        value: Any value; it is not changed. Of other types than JSON's, dates, times, UUIDs, decimals,
            enumerations and UTF-8 bytes are understood.
    """
    try:
        name = key or ""
        rule = _judge_key(name)
        if rule is not None:
            return None, rule
        if isinstance(value, CONTAINERS):
            walk = Walk(_judge_key, _judge_leaf)
            return walk.clean(name, value), walk.rule
        rule = _judge_leaf(name, value)
    except TooLargeError:
        rule = "too_large"
    except Exception:
        rule = "internal_error"
    return (value, None) if rule is None else (None, rule)


def clean_value(event: str, key: str, value: object) -> object | None:  # noqa: ARG001 - the sanitizer's contract
    """Return `value` if it may be sent, a copy of a container without what may not, or None.

    Args:
        event: Name of the event; the detectors judge by key and value alone.
        key: The undeclared property's key.
        value: Its value.
    """
    return judge(key, value)[0]


@lru_cache(maxsize=4096)
def _judge_key(key: str) -> str | None:
    """The rule under which a key is refused by its own text, as personal data or by the policy."""
    if is_refused(key):
        return "policy"
    return "too_long" if len(key) > LONGEST_KEY else _find(key, NEUTRAL, 0)


def _judge_leaf(key: str, value: object) -> str | None:
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool):
        return None
    found = profile(key)
    if isinstance(value, (bytes, bytearray)):
        value = value.decode("utf-8", errors="replace")
        if _REPLACEMENT in value:
            return "unsupported_type"
    if isinstance(value, str):
        return _find(value, found, 0)
    if isinstance(value, (int, float, Decimal)):
        return _find_in_number(value, found)
    return found.refused if isinstance(value, _PLAIN_TYPES) else "unsupported_type"


def _find_in_number(value: float | Decimal, found: KeyProfile) -> str | None:
    if _is_huge(value):
        return "too_long"
    if found.refused is not None and _is_refused_number(str(value), found):
        return found.refused
    if found.hints and (rule := _hinted(str(value), found.hints)):
        return rule
    if found.refused is not None or found.formats:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        value = int(value)
    text = str(value)
    is_long = isinstance(value, int) and len(text) > _MOST_DIGITS_OF_A_QUANTITY
    return (find_number(text.removeprefix("-")) if is_long else None) or _hinted(text, found.echoes)


def _is_huge(value: float | Decimal) -> bool:
    """Whether writing `value` out would take noticeable time."""
    if isinstance(value, Decimal):
        return value.is_finite() and value.adjusted() > _MOST_BITS
    return isinstance(value, int) and value.bit_length() > _MOST_BITS


def _is_refused_number(text: str, found: KeyProfile) -> bool:
    if found.refused == "name":
        return False
    if found.reference and _IDENTIFIER.fullmatch(text):
        return False
    return found.opaque or _has_digits(text, found.refused or "")


def _has_digits(text: str, rule: str) -> bool:
    return sum(map(str.isdecimal, text)) >= _LEAST_DIGITS.get(rule, LEAST_DIGITS_OF_AN_ID)


def _is_refused(text: str, found: KeyProfile) -> bool:
    """Whether the key alone refuses `text`."""
    if is_masked(text) or (found.reference and _IDENTIFIER.fullmatch(text)):
        return False
    if found.opaque:
        if found.refused == "address" and _PLAIN.fullmatch(text):
            return False  # "utility_bill": addresses have a number or a capital
        return found.refused in {"password", "secret"} or not is_partly_masked(text)
    if is_partly_masked(text):
        return False
    return (
        not _WORDS.fullmatch(text) if found.refused in _NOT_BY_DIGITS else _has_digits(fold(text), found.refused or "")
    )


def _hinted(text: str, rules: tuple[str, ...]) -> str | None:
    for rule in rules:
        if rule == "person":
            if is_person(text):
                return "name"
        elif (shape := SHAPES.get(rule)) is not None and shape.search(text):
            return "secret" if rule == "grant" else rule
    return None


def _find(text: str, found: KeyProfile, layer: int) -> str | None:
    if len(text) > LONGEST_TEXT:
        return "too_long"
    allowed = text in _allowed
    if found.refused is not None and not allowed and _is_refused(text, found):
        return found.refused
    if allowed or (_PLAIN.fullmatch(text) and "dot" not in text):
        return None
    folded = fold(text)
    if found.hints and (rule := _hinted(folded, found.hints)):
        return rule
    if _INNOCENT.fullmatch(folded) or any(spelling.fullmatch(folded) for spelling in found.formats):
        return None
    return _find_in_content(folded, found, layer)


def _find_in_content(text: str, found: KeyProfile, layer: int) -> str | None:
    if len(text) > _LONGEST_FOLDED:
        return "too_long"
    if text.lstrip()[:1] in _JSON_STARTS:
        try:
            content = json.loads(text, object_pairs_hook=_object)
        except RecursionError:
            return "too_deep"
        except ValueError:
            pass  # text like any other
        else:
            return _find_in_json(content, found, layer)
    return _find_in_text(text, found, layer)


def _find_in_text(text: str, found: KeyProfile, layer: int) -> str | None:
    rule = (
        find_credential(text)
        or find_pattern(text)
        or find_number(text)
        or find_announced(text)
        or find_pair(text)
        or (_hinted(text, found.echoes) if found.echoes else None)
        or ("name" if names_person(text) else None)
    )
    if rule is not None:
        return rule
    for inner in inner_texts(text):
        if layer >= _MOST_LAYERS:
            return "too_deep"
        if rule := _find(inner, found, layer + 1):
            return rule
    return None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """One JSON object; a repeated key would hide a value from us that another reader may see."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("repeated key")
    return content


def _find_in_json(content: object, found: KeyProfile, layer: int) -> str | None:
    if layer >= _MOST_LAYERS:
        return "too_deep"
    if isinstance(content, str):
        return _find(content, found, layer + 1)
    walk = Walk(_judge_key, _judge_leaf)
    walk.clean("", content)
    return walk.rule
