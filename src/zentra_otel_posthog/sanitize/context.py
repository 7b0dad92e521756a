"""Numbers that only a word beside them gives away: eleven digits after "BVN", six before "is your code"."""

from __future__ import annotations

import re
from typing import Final

from zentra_otel_posthog.sanitize.deferred import deferred
from zentra_otel_posthog.sanitize.normalize import without_accents
from zentra_otel_posthog.sanitize.shapes import FROM, SAID, SHAPES, TO
from zentra_otel_posthog.sanitize.vocabulary import AMOUNTS, words

# Words beside a number, and the kind of number that they announce.
_ANNOUNCED: Final = {
    word: rule
    for rule, announcing in {
        "bvn": "bvn verification",
        "nin": "nin nimc national",
        "vnin": "vnin",
        "ssn": "ssn social",
        "itin": "itin",
        "ein": "ein fein employer",
        "tin": "tin tax taxpayer firs fiscal steuernummer",
        "national_id": "dni nif cpf cnpj nino ninumber insuranceno insurancenumber sociale aadhaar curp pesel",
        "some_account": "account acct acc ac accountnumber accountno konto kontonummer compte cuenta conta",
        "bank_account": (
            "nuban bank beneficiary swift bic gtb gtbank zenith uba wema kuda opay palmpay moniepoint sterling "
            "stanbic polaris fcmb ecobank keystone providus"
        ),
        "routing_number": "routing aba rtn ach wire fedwire",
        "sort_code": "sortcode",
        "passport": "passport passeport pasaporte passaporte reisepass",
        "voter_card": "voter voters pvc vin",
        "driving_licence": "licence license frsc driver drivers",
        "phone": "call called calling callback sms dial text texted",
        "some_phone": (
            "phone telephone tel mobile msisdn whatsapp gsm cell "
            "telefono telefone telefon telefonnummer handy handynummer rufnummer celular movil portable"
        ),
        "birth_date": (
            "dob birth born birthday birthdate geboren geburtsdatum naissance nele neele nacimiento nacido nacida "
            "nascimento nascido nascida"
        ),
        "device_id": "imei imsi idfa idfv gaid aaid udid advertising android",
        "crypto_address": "wallet crypto btc bitcoin eth ethereum usdt usdc tron trx",
        "card_expiry": "exp expiry expires expiring expiration validthru caducidad validade",
        "coordinates": "lat latitude lon lng longitude latitud longitud",
        "postcode": "postcode zip zipcode postal",
        "pan": "card pan karte carte tarjeta cartao",
    }.items()
    for word in announcing.split()
}
# Kinds whose number may also stand before the word ("22412345678 is not a valid BVN").
_ALSO_BEFORE: Final = words("bvn nin vnin ssn itin tin national_id bank_account passport sort_code routing_number")
# A number that one of these introduces is a quantity or a reference, whatever the sentence is about.
_OTHER: Final = AMOUNTS | words(
    "ngn usd gbp eur kes ghs zar exceeds exceeded above below max min minimum maximum ref reference txn transaction "
    "trace rrn stan file files status error http line column version than"
)
_RULES: Final = {shape: rule for rule, shape in SAID.items()}
_WORD: Final = deferred(r"[a-z]+")
# A word, or signs and spaces that belong to one: "B.V.N.", "a/c", "sort code", "née le".
_CUE: Final = deferred(
    r"(?<![a-z])(?:[a-z](?:\.[a-z]){2}|a/c|sort[ -]code|(?:ni|insurance) n(?:o|umber)|valid thru|nee? le)(?![a-z])"
    r"|[a-z]+"
)
_BETWEEN: Final = str.maketrans("", "", " ./-")
_SOME_DIGITS: Final = deferred(r"[0-9](?:[^0-9A-Za-z]{0,3}[0-9]){2}|[0-9A-Za-z]{19}")
# Characters between word and number, after and before, and the length of the longest number.
_REACH_AFTER: Final = 36
_REACH_BEFORE: Final = 24
_LONGEST: Final = 48
_INTRODUCTION: Final = 12

# Short codes are announced more narrowly, or every amount would be one.
_GAP: Final = (
    r"[^0-9A-Za-z]{0,4}"
    r"(?:(?:is|was|code|no|number|value|of|entered|wrong|invalid|incorrect|for|to|your|es|est|ist|lautet|e)"
    r"[^0-9A-Za-z]{1,3}){0,3}"
)
_PURPOSES: Final = "verification|login|security|auth|authentication|confirmation|access|activation|sms"
_ONE_TIME: Final = (
    rf"t?otp|one[ -]time (?:code|pin|password|passcode)|passcode|2fa|mfa|(?:{_PURPOSES}) code"
    r"|codigo de (?:verifica|confirma)[a-z]{1,6}|code de (?:verification|confirmation)"
    r"|bestatigungscode|verifizierungscode"
)
_CARD_CODE: Final = (
    r"cvv2?|cvc2?|csc|cvn|cid|security code|card code|card verification (?:value|code|number)|cryptogramme"
    r"|codigo de segur(?:idad|anca)|code de securite|sicherheitscode|prufziffer"
)
_SIX: Final = r"[0-9]{3}[ -]?[0-9]{1,5}"
_NO_REASON: Final = r"(?<!error )(?<!status )(?<!response )(?<!reason )(?<!sort )(?<!promo )(?<!dialling )(?<!dialing )"
_CODES: Final = (
    ("cvv", deferred(rf"{FROM}(?:{_CARD_CODE}){_GAP}[0-9]{{3,4}}{TO}")),
    ("pin", deferred(rf"{FROM}m?pin{_GAP}[0-9]{{4,6}}{TO}")),
    (
        "otp",
        deferred(
            rf"{FROM}(?:(?:{_ONE_TIME}){_GAP}{_SIX}{TO}"
            rf"|(?:use|enter|your|with|the) (?:code|token)[^0-9A-Za-z]{{0,3}}(?:is )?{_SIX}{TO}"
            rf"|(?:use|enter) {_SIX} to "
            rf"|your (?:[a-z]{{1,20}} ){{1,2}}code[^0-9A-Za-z]{{0,3}}(?:is )?{_SIX}{TO}"
            rf"|{_NO_REASON}code[^0-9A-Za-z]{{0,3}}(?:is )?[0-9]{{3}}[ -][0-9]{{3}}{TO}"
            rf"|code[^0-9A-Za-z]{{0,3}}[0-9]{{4,8}} to (?:log|sign|verify|confirm|continue|complete)"
            rf"|{_SIX}[^0-9A-Za-z]{{1,4}}(?:is |as |was |= ?)(?:your |the |my )?(?:[a-z]{{1,20}} ){{0,2}}"
            rf"(?:otp|code|passcode|pin|one-time){TO})"
            rf"|(?:\A|[.;,!>] ?)code[ :=]{{1,3}}[0-9]{{6}}{TO}"
        ),
    ),
)
_CODE_WORDS: Final = deferred(
    r"cvv|cvc|csc|cvn|cid|code|codigo|pin|otp|2fa|mfa|token|one.time|use |enter |cryptog|pruf|verification"
)


def _find_code(lower: str) -> str | None:
    if not _CODE_WORDS.search(lower):
        return None
    return next((rule for rule, pattern in _CODES if pattern.search(lower)), None)


def _is_quantity(introduction: str) -> bool:
    return not _OTHER.isdisjoint(_WORD.findall(introduction))


def _stands_after(shape: re.Pattern[str], text: str, lower: str, end: int) -> bool:
    number = shape.search(text, end, end + _REACH_AFTER + _LONGEST)
    return number is not None and number.start() <= end + _REACH_AFTER and not _is_quantity(lower[end : number.start()])


def _stands_before(shape: re.Pattern[str], text: str, lower: str, start: int) -> bool:
    return any(
        start - number.end() <= _REACH_BEFORE
        and not _is_quantity(lower[max(0, number.start() - _INTRODUCTION) : number.start()])
        for number in shape.finditer(text, max(0, start - _REACH_BEFORE - _LONGEST), start)
    )


def find_announced(text: str) -> str | None:
    """Return the rule under which a word of folded `text` announces a number beside it, or None."""
    if not _SOME_DIGITS.search(text):
        return None
    lower = without_accents(text.lower())
    if len(lower) != len(text):  # positions must agree; a few letters are longer in lower case
        text = lower
    if rule := _find_code(lower):
        return rule
    for match in _CUE.finditer(lower):
        rule = _ANNOUNCED.get(match[0].translate(_BETWEEN))
        if rule is None:
            continue
        shape = SHAPES[rule]
        if _stands_after(shape, text, lower, match.end()) or (
            rule in _ALSO_BEFORE and _stands_before(shape, text, lower, match.start())
        ):
            return _RULES.get(rule, rule)
    return None
