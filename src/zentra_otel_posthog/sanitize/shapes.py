"""What a value of each kind looks like, where a key or a word beside it names the kind."""

from __future__ import annotations

from typing import Final

from zentra_otel_posthog.sanitize.deferred import deferred

FROM: Final = r"(?<![0-9A-Za-z])"
TO: Final = r"(?![0-9A-Za-z])"


def _digits(least: int, most: int | None = None) -> str:
    """Pattern of so many digits, single separators between them allowed."""
    return rf"[0-9](?:[ ._-]?[0-9]){{{least - 1},{(most or least) - 1}}}"


def _phone(least: int) -> str:
    """Pattern of a telephone number of at least so many digits."""
    return rf"(?:\+|00)?\(?[0-9](?:[ .()-]{{0,2}}[0-9]){{{least - 1},13}}"


_UUID: Final = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_VIRTUAL_NIN: Final = r"[A-Z]{2}[0-9]{12}[A-Z]{2}"
_TIN: Final = r"[0-9]{8}-?[0-9]{4}|[0-9]{2}-[0-9]{7}|[0-9]{10}|[0-9]{13}"
_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_DATE: Final = (
    rf"(?:19|20)[0-9]{{2}}[ ./-]?{_MONTH}[ ./-]?(?:0[1-9]|[12][0-9]|3[01])"
    r"|[0-9]{1,2}[ ./-][0-9]{1,2}[ ./-](?:19|20)?[0-9]{2}"
    r"|[0-9]{1,2}(?:st|nd|rd|th)?[ -](?:of )?[A-Z][a-z]{2,8}\.?,?[ -](?:19|20)[0-9]{2}"
    r"|[A-Z][a-z]{2,8}\.? [0-9]{1,2}(?:st|nd|rd|th)?,? (?:19|20)[0-9]{2}"
)
_BETWEEN_BOUNDARIES: Final = {
    "pan": _digits(12, 19),
    "cvv": r"[0-9]{3,4}",
    "pin": r"[0-9]{4,6}",
    "otp": r"[0-9]{4,8}|[0-9]{3}[ -][0-9]{3}",
    "track": _digits(12, 19),
    "card_expiry": rf"(?:{_MONTH}\s?[/.-]?|[1-9]/)\s?(?:20)?[2-4][0-9]|20[2-4][0-9][/-]?{_MONTH}",
    "bank_account": _digits(10),  # NUBAN
    "some_account": _digits(8, 17),  # a British or American one, where "account" itself is said
    "sort_code": r"[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}",
    "routing_number": _digits(9),
    "ssn": _digits(9),
    "itin": _digits(9),
    "ein": r"[0-9]{2}-?[0-9]{7}",
    "bvn": _digits(11),
    "nin": rf"{_digits(11)}|{_VIRTUAL_NIN}",
    "vnin": _VIRTUAL_NIN,
    "tin": _TIN,
    "some_tin": rf"{_TIN}|[0-9]{{9}}",
    "passport": r"[A-Z]{1,2} ?[0-9]{6,8}|[0-9]{9}|[A-Z][0-9]{2}[A-Z]{2}[0-9]{4}",
    "voter_card": r"(?=[A-Z ]{0,8}[0-9])[0-9A-Z](?: ?[0-9A-Z]){18}",
    "driving_licence": r"(?=(?:[ -]?[A-Z]){0,8}(?:[0-9][A-Z -]{0,3}){4})[A-Z](?:[ -]?[A-Z0-9]){6,17}",
    "national_id": r"(?=(?:[ .-]?[A-Z]){0,4}(?:[ .-]?[0-9]){6})[0-9A-Z](?:[ .-]?[0-9A-Z]){6,19}",
    "birth_date": _DATE,
    "phone": _phone(10),
    "some_phone": _phone(9),  # a Spanish or Portuguese one, where "phone" itself is said
    "device_id": rf"{_digits(15, 16)}|{_UUID}|(?=[a-f]{{0,15}}[0-9])(?:[0-9a-f]{{16}}|[0-9a-f]{{40}})",
    "postcode": r"[0-9]{5}(?:-[0-9]{4})?|[0-9]{6}|[A-Z]{1,2}[0-9][0-9A-Z]? [0-9][A-Z]{2}",
    # Wherever a wallet is said; by form alone one shows through its checksum only.
    "crypto_address": r"0x[0-9a-fA-F]{40}|[13LMDTXr2mn][1-9A-HJ-NP-Za-km-z]{24,34}|[a-z]{2,4}1[02-9ac-hj-np-z]{25,87}",
    "coordinates": r"-?[0-9]{1,3}\.[0-9]{3,18}",
}
_MIXED: Final = r"(?=[^&#\s]{0,200}[0-9])(?=[^&#\s]{0,200}[A-Z])(?=[^&#\s]{0,200}[a-z])"

SAID: Final = {"bank_account": "some_account", "phone": "some_phone", "tin": "some_tin"}
"""Rules with another, wider shape for where their very name is said."""

SHAPES: Final = {
    **{rule: deferred(f"{FROM}(?:{pattern}){TO}") for rule, pattern in _BETWEEN_BOUNDARIES.items()},
    # A blob without structure: no UUID, hexadecimal id, ULID or prefixed identifier.
    "session": deferred(rf"\A(?:{_MIXED}[A-Za-z0-9+/]{{28,200}}={{0,2}}|[0-9a-f]{{64,128}})\Z"),
    # What OAuth hands out, in a query string as well.
    "grant": deferred(_MIXED + r"[\w+/.~-]{20,200}"),
}
