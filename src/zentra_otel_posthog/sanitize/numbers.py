"""Numbers that identify someone wherever they stand: cards, telephones, social security numbers, IBANs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Final

from zentra_otel_posthog.sanitize.checksums import iban, luhn
from zentra_otel_posthog.sanitize.deferred import deferred

_UUID: Final = deferred(r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![0-9A-Za-z])")
_CLUSTER: Final = deferred(r"[0-9](?:[^0-9A-Za-z]{0,4}[0-9]){8,62}")
_NO_DIGITS: Final = deferred(r"[^0-9]+")
_IBAN: Final = deferred(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ .-]?[A-Za-z0-9]){11,40}")
_SEPARATORS: Final = deferred(r"[ .-]")

# Runs of digits with what people put between groups.
_RUN: Final = deferred(r"(?<![0-9A-Za-z])[0-9](?:[\s._/,|*-]{0,3}[0-9]){11,8192}(?![0-9A-Za-z])")
_LETTERED: Final = deferred(
    r"(?<![0-9A-Za-z])(?=[A-Za-z]|[0-9]{13,19}[A-Za-z])[A-Za-z]{0,8}([0-9]{13,19})[A-Za-z]{0,8}(?![0-9A-Za-z])"
)
_GROUP: Final = deferred(r"[0-9]+")
_TRACK: Final = deferred(r"(?<![0-9])([0-9]{13,19})(?:[=D][0-9]{4}|\^[^^\n]{2,40}\^[0-9]{4})")

_CARD_LENGTHS: Final = range(13, 20)
_CARD_GROUP: Final = 4
_CARD_GROUPS: Final = range(4, 8)
# Issuer identification numbers (ISO/IEC 7812) with the lengths that their schemes issue.
_SCHEMES: Final = deferred(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    r"|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-59]|[689][0-9])(?:[0-9]{11}|[0-9]{13}|[0-9]{16})"  # Diners Club
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12,15}"  # JCB
    r"|(?:6[0-9]|5[06-9])[0-9]{11,17}"  # Discover, UnionPay, Verve, RuPay, Maestro
    r"|220[0-4][0-9]{12,15}|9792[0-9]{12}|8[12][0-9]{14,17}"  # Mir, Troy, UnionPay and RuPay
)

_S: Final = r"[ ._()/-]{0,3}"
_NIGERIAN: Final = deferred(
    rf"(?<![0-9])(?<![0-9]{{4}}-)(?:(?:\+|00)?{_S}2{_S}3{_S}4{_S}(?:0{_S})?|0[ ()-]{{0,2}})"
    rf"(?:[789]{_S}0|[89]{_S}1)(?:{_S}[0-9]){{8}}(?![0-9])"
)
_INTERNATIONAL: Final = deferred(
    r"(?<![0-9A-Za-z+])(?:\+|00(?=44|1[2-9]|2[0-9]{2}))\s?\(?([1-9](?:[ .()/-]{0,3}[0-9]){7,15})(?![0-9])"
)
_AMERICAN: Final = deferred(
    r"(?<![0-9A-Za-z.+-])(?:\+?1[ .-]{1,2})?"
    r"(?:\([2-9][0-9]{2}\)[ .-]{0,2}[2-9][0-9]{2}[ .-]?[0-9]{4}|[2-9][0-9]{2}([.-])[2-9][0-9]{2}\1[0-9]{4}"
    r"|(?<=[1][ .-])[2-9][0-9]{2}[ .-][2-9][0-9]{2}[ .-][0-9]{4})(?![0-9A-Za-z]|[.-][0-9])"
)
_BRITISH: Final = deferred(
    r"(?<![0-9A-Za-z.-])(?:07[1-57-9][0-9]{8}"
    r"|\(?07[0-9]{3}\)?[ -][0-9]{3}[ -]?[0-9]{3}|\(?02[0-9]\)?[ -][0-9]{4}[ -]?[0-9]{4}"
    r"|\(?01[0-9]{2,3}\)?[ -][0-9]{3}[ -]?[0-9]{3,4})(?![0-9A-Za-z]|-[0-9])"
)
_SOCIAL_SECURITY: Final = deferred(
    r"(?<![0-9A-Za-z-])(?!000|666)([0-9]{3})-(?!00)([0-9]{2})-(?!0000)[0-9]{4}(?![0-9A-Za-z-])"
)
# A tokenised NIN (NIMC): no other number in use has this form.
_VIRTUAL_NIN: Final = deferred(r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{12}[A-Z]{2}(?![0-9A-Za-z])")
_BRITISH_ACCOUNT: Final = deferred(r"(?<![0-9-])[0-9]{2}-[0-9]{2}-[0-9]{2}[ ,/:|]{1,3}[0-9]{8}(?![0-9A-Za-z])")
_ITIN_GROUPS: Final = frozenset(range(50, 100)) - {66, 67, 68, 69, 89, 93}
_AMERICAN_DIGITS: Final = 11
_NIGERIAN_DIGITS: Final = range(10, 15)
_E164_DIGITS: Final = range(9, 17)
_USSD: Final = deferred(r"\*[0-9]{1,4}(?:\*[0-9]{1,20}){1,8}#")
_LONG_GROUP: Final = deferred(r"\*[0-9]{10,20}(?=[*#])")


def is_card(digits: str) -> bool:
    """Whether ASCII `digits` are a card number: a scheme's prefix and length, and the Luhn check."""
    return _SCHEMES.fullmatch(digits) is not None and luhn(digits)


def _looks_grouped(sizes: list[int]) -> bool:
    """Whether groups of these sizes are how someone writes a card: 4-4-4-4, 4-6-5, 6-13, one by one."""
    first, *middle, _ = sizes
    return (
        not middle
        or len({first, *middle}) == 1
        or (first == _CARD_GROUP and all(size in _CARD_GROUPS for size in middle))
    )


def _grouped_cards(groups: list[str]) -> bool:
    """Whether neighbouring `groups` of digits make a card number."""
    digits = "".join(groups)
    ends = list(accumulate(map(len, groups)))
    for first, start in enumerate((0, *ends[:-1])):
        for last in range(first, len(ends)):
            length = ends[last] - start
            if length > _CARD_LENGTHS[-1]:
                break
            if length in _CARD_LENGTHS and is_card(digits[start : ends[last]]):
                sizes = [len(group) for group in groups[first : last + 1]]
                if len(sizes) == 1 or _looks_grouped(sizes):
                    return True
    return False


def _has_card(text: str) -> bool:
    return any(_grouped_cards(_GROUP.findall(run[0])) for run in _RUN.finditer(text)) or any(
        is_card(match[1]) for match in _LETTERED.finditer(text)
    )


def _has_track(text: str) -> bool:
    return any(is_card(match[1]) for match in _TRACK.finditer(text))


def _has_iban(text: str) -> bool:
    return any(iban(_SEPARATORS.sub("", match[0]).upper()) for match in _IBAN.finditer(text))


def _has_ssn(text: str) -> bool:
    return "-" in text and any(not match[1].startswith("9") for match in _SOCIAL_SECURITY.finditer(text))


def _has_itin(text: str) -> bool:
    return "-" in text and any(
        match[1].startswith("9") and int(match[2]) in _ITIN_GROUPS for match in _SOCIAL_SECURITY.finditer(text)
    )


def _has_virtual_nin(text: str) -> bool:
    return _VIRTUAL_NIN.search(text) is not None


def _has_british_account(text: str) -> bool:
    return "-" in text and _BRITISH_ACCOUNT.search(text) is not None


def _has_account_in_ussd(text: str) -> bool:
    return "*" in text and any(_LONG_GROUP.search(match[0]) for match in _USSD.finditer(text))


def _is_international(digits: str) -> bool:
    """Whether `digits` after a plus can be a number (E.164): exact lengths where the plan is known."""
    if digits.startswith("1"):
        return len(digits) == _AMERICAN_DIGITS and digits[1] not in "01" and digits[4] not in "01"
    return len(digits) in (_NIGERIAN_DIGITS if digits.startswith("234") else _E164_DIGITS)


def _has_phone(text: str) -> bool:
    return (
        _NIGERIAN.search(text) is not None
        or any(_is_international("".join(_GROUP.findall(match[1]))) for match in _INTERNATIONAL.finditer(text))
        or _AMERICAN.search(text) is not None
        or _BRITISH.search(text) is not None
    )


_Check = tuple[str, int, Callable[[str], bool]]
# Rule, digits that must stand together, question; IBANs have letters between theirs.
_CHECKS: Final[tuple[_Check, ...]] = (
    ("pan", 13, _has_card),
    ("track", 13, _has_track),
    ("iban", 0, _has_iban),
    ("ssn", 9, _has_ssn),
    ("itin", 9, _has_itin),
    ("vnin", 12, _has_virtual_nin),
    ("bank_account", 14, _has_british_account),
    ("bank_account", 11, _has_account_in_ussd),
    ("phone", 9, _has_phone),
)


def find_number(text: str) -> str | None:
    """Return the rule under which folded `text` holds an identifying number, or None."""
    clusters = _CLUSTER.findall(text)
    if clusters and "-" in text:
        clusters = _CLUSTER.findall(text := _UUID.sub("", text))
    together = max([len(_NO_DIGITS.sub("", cluster)) for cluster in clusters]) if clusters else 0
    for rule, least, is_in in _CHECKS:
        if together >= least and is_in(text):
            return rule
    return None
