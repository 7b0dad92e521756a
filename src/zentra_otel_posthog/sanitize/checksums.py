"""Check digits that tell a card, an IBAN or a wallet address from any other run of characters."""

from __future__ import annotations

import hashlib
from typing import Final

_DOUBLED: Final = str.maketrans("0123456789", "0246813579")

# Length of an IBAN by country: the SWIFT IBAN registry, and below it the countries that use the format
# without being registered (most of francophone West Africa).
_IBAN_COUNTRIES: Final = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
    "YE30 "
    "AO25 BF28 BJ28 CF27 CG27 CI28 CM27 CV25 DZ26 GA27 GQ27 GW25 IR26 KM27 MA28 MG27 ML28 MZ25 NE28 SN28 TD27 TG28"
)
_IBAN_LENGTHS: Final = {entry[:2]: int(entry[2:]) for entry in _IBAN_COUNTRIES.split()}

_BASE58: Final = {
    character: value for value, character in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
}
_ADDRESS_BYTES: Final = 25


def luhn(digits: str) -> bool:
    """Whether ASCII `digits` carry a valid Luhn check digit (ISO/IEC 7812-1, annex B)."""
    return (sum(map(int, digits[::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))) % 10 == 0


def iban(compact: str) -> bool:
    """Whether `compact` begins with a valid IBAN (ISO 13616): a country's length, and 1 modulo 97.

    Args:
        compact: ASCII letters and digits in upper case, without separators. What follows the length that
            the country prescribes is not looked at.
    """
    length = _IBAN_LENGTHS.get(compact[:2])
    if length is None or len(compact) < length:
        return False
    rotated = compact[4:length] + compact[:4]
    return int("".join([str(int(character, 36)) for character in rotated])) % 97 == 1


def base58check(address: str) -> bool:
    """Whether `address` is 25 bytes in Base58Check, as Bitcoin, Litecoin, Dogecoin and Tron write theirs."""
    number = 0
    for character in address:
        value = _BASE58.get(character)
        if value is None:
            return False
        number = number * 58 + value
    if number.bit_length() > 8 * _ADDRESS_BYTES:
        return False
    raw = number.to_bytes(_ADDRESS_BYTES, "big")
    return hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]
