"""Contact points and places that show by their own form: e-mail, network, coordinates, wallets, streets."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from zentra_otel_posthog.sanitize.checksums import base58check
from zentra_otel_posthog.sanitize.deferred import deferred
from zentra_otel_posthog.sanitize.vocabulary import words

_URL_CREDENTIALS: Final = deferred(r"://[^\s/?#:@]{0,64}:[^\s/?#@]{1,128}@")
_DOMAIN: Final = (
    r"(?:\[?[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?![0-9]{1,2}x\.)[^\W_][\w-]{0,62}(?:\.[\w-]{1,63}){0,8}"
    r"\.((?:xn--[\w-]{2,59})|[^\W\d_]{2,24})(?![\w-]))"
)
_EMAIL: Final = deferred(r"(?:(?<=[\w%+.'\"!#$&^~-])@\s?|(?<=\w)\s@)" + _DOMAIN)
# What follows a dot in "hero@3x.webp", "page@v2.html" is a file's type and no top-level domain.
_FILE_TYPES: Final = words(
    "png jpg jpeg webp gif svg avif ico css js mjs json html htm xml yml yaml toml pdf csv txt whl tgz"
)
_REPOSITORY: Final = deferred(r"(?<!\w)git\Z")  # git@host
_OPEN, _CLOSE = r"[\[({<]\s?", r"\s?[\])}>]"
_DOT: Final = rf"\s{{0,2}}(?:{_OPEN}(?:dot|\.){_CLOSE}|\sdot\s)\s{{0,2}}"
_SPELLED_EMAIL: Final = deferred(
    rf"(?<=\w)\s{{0,2}}{_OPEN}(?:at|@|arroba){_CLOSE}\s{{0,2}}[\w-]{{1,63}}(?:{_DOT}|\.)"
    rf"|(?<=\w)@[\w-]{{1,63}}(?:{_DOT}|,)[a-z]{{2,24}}(?!\w)"
    r"|(?<=\w) (?:at|@) [\w-]{1,63} (?:dot|\.) [a-z]{2,24}(?!\w)"
    r"|(?<=[^\W_])[_-]at[_-][a-z0-9-]{1,63}?[_-]dot[_-][a-z]{2,24}(?![^\W_])",
    re.IGNORECASE,
)

_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4: Final = deferred(rf"(?<![\w.]){_OCTET}(?:\.{_OCTET}){{3}}(?![\w]|\.[0-9])")
_VERSION_BEFORE: Final = deferred(
    r"(?<![A-Za-z])(?:version|release|build|firmware|ver|rv|v)[^\w]{0,3}\Z|[A-Za-z]/\Z", re.IGNORECASE
)
_NOBODY: Final = deferred(r"0\.|127\.|255\.255\.255\.255")
_IPV6: Final = deferred(
    r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7}|::[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6})(?![0-9A-Za-z:])"
)
_MAC: Final = deferred(
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}(?![0-9A-Za-z])(?!\1[0-9A-Fa-f]{2})"
)
_MAC_DOTTED: Final = deferred(
    r"(?<![0-9A-Za-z.])(?=[0-9.]{0,14}[A-Fa-f])[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?!\.?[0-9A-Za-z])"
)
_GROUP_BEFORE: Final = deferred(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{2}[:-]\Z")

_DOTS_OF_IPV4: Final = 3
_COLONS_OF_IPV6: Final = 7
_SHORTEST_MAC: Final = 14
_SIGNS_OF_MAC: Final = 5
_SHORTEST_WALLET: Final = 26
_COARSE_DECIMALS: Final = 3  # a hundred metres; both have at least so many
_HIGHEST_LATITUDE: Final = 90
_HIGHEST_LONGITUDE: Final = 180
_DEGREES: Final = deferred(r"(?<![\w.])(-?[0-9]{1,2}\.[0-9]{3,18})\s?[,;|]\s{0,2}(-?[0-9]{1,3}\.[0-9]{3,18})(?![\w.])")
_DEGREES_SIGN: Final = deferred(r"[0-9]{1,3}(?:\.[0-9]{3,18})?\s?°\s?(?:[0-9]{1,2}|[NSEW]\b)")
_POINT: Final = deferred(r"POINT\s?Z?\s?\(\s?-?[0-9]{1,3}\.[0-9]{3}", re.IGNORECASE)

_WALLET: Final = deferred(
    r"(?<![0-9A-Za-z])(?:0x[0-9a-fA-F]{40}(?![0-9a-zA-Z])"
    r"|(?:bc|tb|ltc)1[02-9ac-hj-np-z]{25,87}(?![0-9a-zA-Z])|addr1[02-9ac-hj-np-z]{50,110})",
    re.IGNORECASE,
)
_BASE58: Final = deferred(r"(?<![0-9A-Za-z])[13LMDT2mn][1-9A-HJ-NP-Za-km-z]{25,34}(?![0-9A-Za-z])")

_STREET: Final = deferred(
    r"(?<![\w.])[0-9]{1,5}[A-Za-z]?,?\s(?:[A-Z][\w'.-]{1,24}\s){1,4}"
    r"(?:Street|St|Road|Rd|Avenue|Ave|Close|Crescent|Cres|Lane|Ln|Drive|Dr|Way|Boulevard|Blvd|Court|Ct|Place|Pl|"
    r"Terrace|Square|Estate|Layout|Expressway|Highway|Parade|Gardens|Grove|Mews|Quay)(?![\w])"
    r"|(?<!\w)P\.?\s?O\.?\s?Box\s[0-9]|(?<!\w)(?:Plot|House|Flat|Block|Suite|Apt)\.?\s(?:No\.?\s?)?[0-9]{1,5}[A-Za-z]?,\s[A-Z][a-z]"
)


def _has_url_credentials(text: str) -> bool:
    return "@" in text and "://" in text and _URL_CREDENTIALS.search(text) is not None


def _has_email(text: str) -> bool:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            is_file = (match[1] or "").lower() in _FILE_TYPES
            if not is_file and not _REPOSITORY.search(text, max(0, match.start() - 4), match.start()):
                return True
    return ("at" in text or "AT" in text or "@" in text) and _SPELLED_EMAIL.search(text) is not None


def _has_ipv4(text: str) -> bool:
    if text.count(".") < _DOTS_OF_IPV4:
        return False
    for match in _IPV4.finditer(text):
        before = _VERSION_BEFORE.search(text, max(0, match.start() - 16), match.start())
        is_version = before is not None and (not before[0].endswith("/") or match[0].endswith(".0.0"))
        if not is_version and not _NOBODY.match(match[0]):
            return True
    return False


def _is_ipv6(candidate: str) -> bool:
    if candidate.endswith(":") and not candidate.endswith("::"):
        candidate = candidate[:-1]  # "2001:db8::1: unreachable"
    if "::" not in candidate and candidate.count(":") != _COLONS_OF_IPV6:
        return False
    try:
        address = IPv6Address(candidate)
    except AddressValueError:
        return False
    # Without a digit it is more likely a name in code ("Face::Add").
    return not (address.is_loopback or address.is_unspecified) and any(map(str.isdigit, candidate))


def _has_ip(text: str) -> bool:
    return _has_ipv4(text) or (text.count(":") > 1 and any(_is_ipv6(match[0]) for match in _IPV6.finditer(text)))


def _has_mac(text: str) -> bool:
    if len(text) < _SHORTEST_MAC:
        return False
    is_grouped = text.count(":") >= _SIGNS_OF_MAC or text.count("-") >= _SIGNS_OF_MAC
    for match in _MAC.finditer(text) if is_grouped else ():
        is_part = _GROUP_BEFORE.search(text, max(0, match.start() - 4), match.start())
        if not is_part and (match[1] == ":" or not match[0].replace("-", "").isdigit()):
            return True
    return "." in text and _MAC_DOTTED.search(text) is not None


def _is_precise(latitude: str, longitude: str) -> bool:
    decimals = max(len(degrees.partition(".")[2]) for degrees in (latitude, longitude))
    return (
        decimals > _COARSE_DECIMALS
        and abs(float(latitude)) <= _HIGHEST_LATITUDE
        and abs(float(longitude)) <= _HIGHEST_LONGITUDE
    )


def _has_coordinates(text: str) -> bool:
    if "°" in text and _DEGREES_SIGN.search(text):
        return True
    return "." in text and (
        any(_is_precise(*match.groups()) for match in _DEGREES.finditer(text)) or _POINT.search(text) is not None
    )


def _has_wallet(text: str) -> bool:
    return len(text) >= _SHORTEST_WALLET and (
        _WALLET.search(text) is not None or any(base58check(match[0]) for match in _BASE58.finditer(text))
    )


def _has_street(text: str) -> bool:
    return " " in text and _STREET.search(text) is not None


_CHECKS: Final[tuple[tuple[str, Callable[[str], bool]], ...]] = (
    ("credential", _has_url_credentials),
    ("email", _has_email),
    ("ip", _has_ip),
    ("mac", _has_mac),
    ("coordinates", _has_coordinates),
    ("crypto_address", _has_wallet),
    ("address", _has_street),
)


def find_pattern(text: str) -> str | None:
    """Return the rule under which folded `text` holds a contact point, a place or a wallet, or None."""
    for rule, is_in in _CHECKS:
        if is_in(text):
            return rule
    return None
