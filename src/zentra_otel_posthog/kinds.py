"""Property kinds: what a value of the tracking plan may look like.

A kind normalises a value or refuses it. Annotate an event's properties with the aliases below (``MinorUnits``,
``Currency``, ...): a type checker sees the plain type, the package sees the kind.
"""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from enum import Enum
from functools import lru_cache, partial, wraps
from typing import Annotated, Final, TypeVar
from uuid import UUID

import msgspec

from zentra_otel_posthog import _codes
from zentra_otel_posthog.sanitize import actions, detectors, identifiers
from zentra_otel_posthog.sanitize.normalize import fold
from zentra_otel_posthog.sanitize.numbers import find_number
from zentra_otel_posthog.sanitize.persons import is_person
from zentra_otel_posthog.sanitize.pseudonyms import PSEUDONYM

Normalised = str | int | bool | list[str]
Result = TypeVar("Result", bound=Normalised)

_INT64_MAX: Final = 2**63 - 1
_USUAL_AMOUNT: Final = 10**14  # a trillion of most currencies; card numbers begin there
_EXACT_FLOAT_MAX: Final = 2**53  # past it neighbouring integers share one float
_COUNT_MAX: Final = 999_999  # six digits: no account, phone or identity number fits in a count
_CURRENCY_CODES: Final = _codes.CURRENCIES | _codes.WITHDRAWN_CURRENCIES
_SLUG_LENGTH: Final = 64
_SLUG_SOURCE_LENGTH: Final = 256
_SLUG_LIST_LENGTH: Final = 32
_TEXT_LENGTH: Final = 200
_LONG_NUMBER: Final = re.compile(r"\d(?:[\W_]{0,3}\d){6}")
_NOT_SLUG: Final = re.compile(r"[^a-z0-9.\-]+")


class Refused(ValueError):
    """A value that its kind does not admit.

    Args:
        rule: The name of the rule that refused it, for counters; never the value.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class Kind(msgspec.Struct, frozen=True):
    """A named rule for one property.

    Args:
        name: The kind's name in TOML and in counters.
        normalise: Takes a value (never None), returns it normalised, raises ``Refused``.
        allows: What may leave, in words, for those who review it.
        by_property: Where the property's name matters, takes it before the value; ``normalise`` then knows of none.
    """

    name: str
    normalise: Callable[[object], Normalised]
    allows: str
    by_property: Callable[[str, object], Normalised] | None = None

    def of(self, property_name: str) -> Kind:
        """Return the kind as it is for one property."""
        return self if self.by_property is None else _of_property(self, property_name)


@lru_cache(maxsize=4096)  # events that share a property share its kind, so that one value serves both
def _of_property(kind: Kind, property_name: str) -> Kind:
    assert kind.by_property is not None
    normalise = _refusing(kind.name)(partial(kind.by_property, property_name))
    return msgspec.structs.replace(kind, normalise=normalise, by_property=None)


def _refusing(rule: str) -> Callable[[Callable[[object], Result]], Callable[[object], Result]]:
    """Refuse what raises: a value whose own methods fail is not understood."""

    def decorate(normalise: Callable[[object], Result]) -> Callable[[object], Result]:
        @wraps(normalise)
        def refuse(value: object) -> Result:
            try:
                return normalise(value)
            except Refused:
                raise
            except Exception:
                raise Refused(rule) from None

        return refuse

    return decorate


def _minor_units(value: object) -> int:
    # The usual case, and what an event holds once it is normalised.
    if type(value) is int and 0 <= value <= _USUAL_AMOUNT:
        return value
    return _minor_units_of(value)


@_refusing("minor_units")
def _minor_units_of(value: object) -> int:
    if isinstance(value, bool):
        raise Refused("minor_units")
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > _EXACT_FLOAT_MAX:
            raise Refused("minor_units")
        number = int(value)
    elif isinstance(value, Decimal):
        if not value.is_finite() or value.adjusted() > len(str(_INT64_MAX)) or value != value.to_integral_value():
            raise Refused("minor_units")
        number = int(value)
    elif isinstance(value, str):
        digits = value.strip()
        # int() would also take underscores, signs and other scripts' digits.
        if not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(_INT64_MAX))):
            raise Refused("minor_units")
        number = int(digits)
    else:
        number = operator.index(value)  # type: ignore[arg-type]  # a TypeError is a refusal
    if not 0 <= number <= _INT64_MAX:
        raise Refused("minor_units")
    if number > _USUAL_AMOUNT and find_number(str(number)) == "pan":
        raise Refused("pan")
    return number


def _count(value: object) -> int:
    try:
        number = _minor_units(value)
    except Refused:
        raise Refused("count") from None
    if number > _COUNT_MAX:
        raise Refused("count")
    return number


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def _code(value: object, codes: frozenset[str], rule: str) -> str:
    if type(value) is str and value in codes:
        return value
    value = _plain(value)
    if isinstance(value, str):
        code = value.strip().upper()
        if code in codes:
            return code
    raise Refused(rule)


@_refusing("currency")
def _currency(value: object) -> str:
    return _code(value, _CURRENCY_CODES, "currency")


@_refusing("country")
def _country(value: object) -> str:
    return _code(value, _codes.COUNTRIES, "country")


@_refusing("platform")
def _platform(value: object) -> str:
    value = _plain(value)
    if isinstance(value, str) and (platform := value.strip().lower()) in {"ios", "android", "web"}:
        return platform
    raise Refused("platform")


@_refusing("flag")
def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        match value.strip().lower():
            case "true":
                return True
            case "false":
                return False
    elif isinstance(value, int) and value in {0, 1}:
        return bool(value)
    raise Refused("flag")


def _slug(value: object) -> str:
    if type(value) is str:
        return _slug_of_text(value)
    return _slug_of(value)


@_refusing("slug")
def _slug_of(value: object) -> str:
    value = _plain(value)
    if isinstance(value, str):
        return _slug_of_text(value)
    # A tier or a decline code is often a small number.
    if isinstance(value, (bool, float)):
        raise Refused("slug")
    return str(_count(value))


@lru_cache(maxsize=4096)
def _slug_of_text(text: str) -> str:
    # The cache makes a known code cost a look-up; codes are few by nature. What is refused is never kept in it.
    if len(text) > _SLUG_SOURCE_LENGTH:
        raise Refused("slug")
    letters = unicodedata.normalize("NFKD", text).lower()
    letters = "".join(character for character in letters if not unicodedata.combining(character))
    if "@" in letters:
        raise Refused("email")
    slug = _NOT_SLUG.sub("_", letters).strip("_.-")
    if _LONG_NUMBER.search(letters) or _LONG_NUMBER.search(slug):
        raise Refused("long_number")
    # Both: folding may take apart what was found, and join what was not.
    if (rule := detectors.find(text) or detectors.find(slug)) is not None:
        raise Refused(rule)
    if not 0 < len(slug) <= _SLUG_LENGTH:
        raise Refused("slug")
    return slug


@_refusing("partner")
def _partner(value: object) -> str:
    slug = _slug(value)
    if isinstance(value := _plain(value), str) and is_person(fold(value.strip())):
        raise Refused("name")
    return slug


@_refusing("slug_list")
def _slug_list(value: object) -> list[str]:
    value = _plain(value)
    if isinstance(value, str):
        return [_slug_of_text(value)]
    # A collection can be read twice; an iterator is the function's to consume.
    if isinstance(value, (Mapping, bytes, bytearray, memoryview)) or not isinstance(value, Collection):
        raise Refused("slug_list")
    slugs: list[str] = []
    for position, item in enumerate(value):
        if position >= _SLUG_LIST_LENGTH:
            raise Refused("slug_list")
        slugs.append(_slug(item))
    return slugs


def slug_of_class_name(name: str) -> str:
    """Turn a class name into a slug: ``InsufficientFunds`` to ``insufficient_funds``.

    Args:
        name: The name of a class.

    Raises:
        Refused: The name is no slug.
    """
    return _slug_of_text(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name))


def _text(value: object, rule: str) -> str:
    value = _plain(value)
    if isinstance(value, (int, UUID)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not (text := value.strip()) or len(text) > _TEXT_LENGTH:
        raise Refused(rule)
    text.encode()  # half a character is text in Python, and none in UTF-8
    return text


def _clean_text(name: str, value: object) -> str:
    text = _text(value, "text")
    if PSEUDONYM.fullmatch(text):
        return text
    if (rule := detectors.find(text, name)) is None:
        return text
    if (replaced := actions.act(rule, name, text, declared=True)) is None:
        raise Refused(rule)
    return replaced


def _identifier(name: str, value: object) -> str:
    text = _text(value, "identifier")
    if PSEUDONYM.fullmatch(text) or (rule := identifiers.personal_id(text)) is None:
        return text
    if (replaced := actions.pseudonym(name, text)) is None:
        raise Refused(rule)
    return replaced


def _pseudonym(name: str, value: object) -> str:
    text = _text(value, "pseudonym")
    if PSEUDONYM.fullmatch(text):
        return text
    if detectors.find(text, name) in actions.ALWAYS_DROPPED or (replaced := actions.pseudonym(name, text)) is None:
        raise Refused("pseudonym")
    return replaced


def _last_four(name: str, value: object) -> str:
    if (masked := actions.last_four(name, _text(value, "last_four"))) is None:
        raise Refused("last_four")
    return masked


_MINOR_UNITS = Kind("minor_units", _minor_units, "a whole number from 0 to 2**63 - 1")
_CURRENCY = Kind("currency", _currency, "an ISO 4217 code")
_COUNTRY = Kind("country", _country, "an ISO 3166-1 alpha-2 code")
_COUNT = Kind("count", _count, "a whole number from 0 to 999,999")
_FLAG = Kind("flag", _flag, "true or false")
_SLUG = Kind("slug", _slug, "a lower-case code, at most 64 characters, no long number")
_PARTNER = Kind("partner", _partner, "a slug that is not written like a person's name")
_SLUG_LIST = Kind("slug_list", _slug_list, "at most 32 slugs")
_PLATFORM = Kind("platform", _platform, "ios, android or web")


def _by_property(name: str, normalise: Callable[[str, object], str], allows: str) -> Kind:
    return Kind(name, _refusing(name)(partial(normalise, "")), allows, normalise)


_TEXT = _by_property("text", _clean_text, "a text of at most 200 characters that passes every detector")
_IDENTIFIER = _by_property("identifier", _identifier, "an opaque id; a personal one as a pseudonym or not at all")
_PSEUDONYM = _by_property("pseudonym", _pseudonym, "a pseudonym (HMAC-SHA256 under the tenant's key)")
_LAST_FOUR = _by_property("last_four", _last_four, "**** and the last four characters of a number")

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        _MINOR_UNITS, _CURRENCY, _COUNTRY, _COUNT, _FLAG, _SLUG, _PARTNER, _SLUG_LIST, _PLATFORM,
        _TEXT, _IDENTIFIER, _PSEUDONYM, _LAST_FOUR,
    )
}  # fmt: skip
"""The kinds by the name that a TOML ``[[event]]`` gives them."""

MinorUnits = Annotated[int, _MINOR_UNITS]
"""An amount in the currency's minor unit (kobo, cents): a whole number from 0 to 2**63 - 1."""

Currency = Annotated[str, _CURRENCY]
"""An ISO 4217 alphabetic code, in any case."""

Country = Annotated[str, _COUNTRY]
"""An ISO 3166-1 alpha-2 code, in any case."""

Count = Annotated[int, _COUNT]
"""A whole number from 0 to 999,999."""

Flag = Annotated[bool, _FLAG]
"""True or false."""

Slug = Annotated[str, _SLUG]
"""A code of at most 64 characters, lower case; free text is folded to one, personal data is refused."""

Partner = Annotated[str, _PARTNER]
"""A slug for whoever stands at the other end: a bank, a merchant, a referral programme. What is written like a person's
name (``Ada Obi``) is refused; so is a title of two capitalised words that nobody knows, for which a code is safer."""

SlugList = Annotated[list[str], _SLUG_LIST]
"""At most 32 slugs. One refused item refuses the list."""

Platform = Annotated[str, _PLATFORM]
"""``ios``, ``android`` or ``web``."""

Text = Annotated[str, _TEXT]
"""At most 200 characters in which no detector finds anything. What one finds refuses all of it, unless the policy's
``actions`` has it masked or replaced by a pseudonym. A code (``Slug``) is safer: names in free text are beyond
detectors."""

Identifier = Annotated[str, _IDENTIFIER]
"""An opaque id of at most 200 characters. A personal one becomes a pseudonym; without a key it is refused."""

Pseudonym = Annotated[str, _PSEUDONYM]
"""The pseudonym of whatever is given, for joins on what must not leave. Refused without ``pseudonym_key``, and for
secrets and card data, which a pseudonym would still tell apart."""

LastFour = Annotated[str, _LAST_FOUR]
"""``****`` and the last four characters of an account, card or telephone number."""
