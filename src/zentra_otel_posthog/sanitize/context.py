"""Values that only their surroundings give away: a number beside "BVN", a name after "payee"."""

from __future__ import annotations

import re

from .vocabulary import AMOUNTS

_FROM, _TO = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"


def _digits(least: int, most: int | None = None) -> str:
    """Pattern of so many digits, single separators between them allowed."""
    return rf"{_FROM}[0-9](?:[ ._-]?[0-9]){{{least - 1},{(most or least) - 1}}}{_TO}"


_DATE = (
    rf"{_FROM}(?:(?:19|20)[0-9]{{2}}[ ./-]?(?:0[1-9]|1[0-2])[ ./-]?(?:0[1-9]|[12][0-9]|3[01])"
    r"|[0-9]{1,2}[ ./-][0-9]{1,2}[ ./-](?:19|20)?[0-9]{2}"
    r"|[0-9]{1,2}(?:st|nd|rd|th)?[ -](?:of )?[A-Z][a-z]{2,8}\.?,?[ -](?:19|20)[0-9]{2}"
    rf"|[A-Z][a-z]{{2,8}}\.? [0-9]{{1,2}}(?:st|nd|rd|th)?,? (?:19|20)[0-9]{{2}}){_TO}"
)

# What a value of each kind looks like, where a key or a word beside it names the kind.
SHAPES: dict[str, re.Pattern[str]] = {
    rule: re.compile(pattern)
    for rule, pattern in {
        "pan": _digits(12, 19),
        "cvv": rf"{_FROM}[0-9]{{3,4}}{_TO}",
        "pin": rf"{_FROM}[0-9]{{4,6}}{_TO}",
        "otp": rf"{_FROM}(?:[0-9]{{4,8}}|[0-9]{{3}}[ -][0-9]{{3}}){_TO}",
        "track": _digits(12, 19),
        "bank_account": _digits(10),
        "some_account": _digits(8, 17),
        "sort_code": rf"{_FROM}[0-9]{{2}}[ -]?[0-9]{{2}}[ -]?[0-9]{{2}}{_TO}",
        "routing_number": _digits(9),
        "ssn": _digits(9),
        "itin": _digits(9),
        "ein": rf"{_FROM}[0-9]{{2}}-?[0-9]{{7}}{_TO}",
        "bvn": _digits(11),
        "nin": rf"{_digits(11)}|{_FROM}[A-Z]{{2}}[0-9]{{12}}[A-Z]{{2}}{_TO}",
        "vnin": rf"{_FROM}[A-Z]{{2}}[0-9]{{12}}[A-Z]{{2}}{_TO}",
        "tin": rf"{_FROM}(?:[0-9]{{8}}-?[0-9]{{4}}|[0-9]{{10}}|[0-9]{{13}}){_TO}",
        "passport": rf"{_FROM}(?:[A-Z]{{1,2}} ?[0-9]{{6,8}}|[0-9]{{9}}|[A-Z][0-9]{{2}}[A-Z]{{2}}[0-9]{{4}}){_TO}",
        "voter_card": rf"{_FROM}(?=[A-Z ]{{0,8}}[0-9])[0-9A-Z](?: ?[0-9A-Z]){{18}}{_TO}",
        "driving_licence": rf"{_FROM}(?=(?:[ -]?[A-Z]){{0,8}}(?:[0-9][A-Z -]{{0,3}}){{4}})[A-Z](?:[ -]?[A-Z0-9]){{6,17}}{_TO}",
        "national_id": rf"{_FROM}[A-Z]{{0,3}}-?[0-9]{{6,13}}(?:-?[0-9A-Z]){{0,3}}{_TO}",
        "birth_date": _DATE,
        "phone": r"(?<![0-9A-Za-z])\+?\(?[0-9](?:[ .()-]{0,2}[0-9]){9,13}(?![0-9A-Za-z])",
        "device_id": rf"{_digits(15, 16)}|{_FROM}[0-9a-fA-F]{{8}}-(?:[0-9a-fA-F]{{4}}-){{3}}[0-9a-fA-F]{{12}}{_TO}",
        "card_expiry": rf"{_FROM}(?:(?:0[1-9]|1[0-2])\s?[/.-]?\s?(?:20)?[2-4][0-9]|20[2-4][0-9][/-]?(?:0[1-9]|1[0-2])){_TO}",
        "coordinates": r"-?[0-9]{1,3}\.[0-9]{3,18}",
        "postcode": rf"{_FROM}(?:[0-9]{{5}}(?:-[0-9]{{4}})?|[0-9]{{6}}|[A-Z]{{1,2}}[0-9][0-9A-Z]? [0-9][A-Z]{{2}}){_TO}",
        # A blob without structure: no uuid, hexadecimal id, ULID or prefixed identifier.
        "session": r"\A(?:(?=.{0,200}[0-9])(?=.{0,200}[A-Z])(?=.{0,200}[a-z])[A-Za-z0-9+/]{28,200}={0,2}|[0-9a-f]{64,128})\Z",
        # The same for what OAuth hands out, which is also seen in query strings.
        "grant": r"(?=[^&#\s]{0,200}[0-9])(?=[^&#\s]{0,200}[A-Z])(?=[^&#\s]{0,200}[a-z])[\w+/.~-]{20,200}",
    }.items()
}

# Words beside a number, and the kind of number that they announce.
_ANNOUNCED = {
    word: rule
    for rule, words in {
        "bvn": "bvn verification",
        "nin": "nin nimc",
        "vnin": "vnin",
        "ssn": "ssn social",
        "itin": "itin",
        "ein": "ein fein",
        "tin": "tin tax taxpayer firs",
        "some_account": "account acct acc accountnumber accountno konto compte cuenta",
        "bank_account": "nuban bank gtb gtbank zenith uba wema kuda opay palmpay moniepoint sterling stanbic polaris fcmb "
        "ecobank keystone providus beneficiary",
        "routing_number": "routing aba rtn ach wire fedwire",
        "passport": "passport passeport",
        "voter_card": "voter voters pvc vin",
        "driving_licence": "licence license frsc driver drivers",
        "phone": "phone telephone tel mobile msisdn whatsapp call called calling callback sms dial gsm text texted cell",
        "birth_date": "dob birth born birthday birthdate",
        "device_id": "imei imsi",
        "card_expiry": "exp expiry expires expiring expiration",
        "coordinates": "lat latitude lon lng longitude",
        "postcode": "postcode zip zipcode postal",
        "pan": "card pan",
    }.items()
    for word in words.split()
}
# Kinds whose number may also stand before the word ("22412345678 (BVN)").
_ALSO_BEFORE = frozenset({"bvn", "nin", "vnin", "ssn", "itin", "tin", "bank_account", "passport", "routing_number"})
_WORD = re.compile(r"[a-z]+")
_ANY_NUMBER = re.compile(r"[0-9](?:[^0-9A-Za-z]{0,3}[0-9]){3}")
_REACH, _REACH_BEFORE, _LONGEST_SHAPE = 36, 24, 48
_MOST_WORDS = 4096
# A number that one of these introduces is a quantity or a reference, whatever the sentence is about.
_OTHER = AMOUNTS | frozenset(
    "ngn usd gbp eur kes ghs zar exceeds exceeded above below max min minimum maximum ref reference "
    "txn transaction trace rrn stan status error http line column version than".split()
)

_GAP = r"[^0-9A-Za-z]{0,4}(?:(?:is|was|code|no|number|value|of|entered|wrong|invalid|incorrect|for|to|your)[^0-9A-Za-z]{1,3}){0,3}"
_CODES = (
    ("cvv", re.compile(rf"{_FROM}(?:cvv2?|cvc2?|csc|cvn|cid|security code|card code){_GAP}[0-9]{{3,4}}{_TO}")),
    ("pin", re.compile(rf"{_FROM}m?pin{_GAP}[0-9]{{4,6}}{_TO}")),
    (
        "otp",
        re.compile(
            rf"{_FROM}(?:t?otp|one[ -]time (?:code|pin|password|passcode)|passcode|2fa|mfa|(?:verification|login|security|"
            rf"auth|authentication|confirmation|access|activation|sms) code){_GAP}[0-9]{{3}}[ -]?[0-9]{{1,5}}{_TO}"
            rf"|{_FROM}(?:use|enter|your|with|the) (?:code|token)[^0-9A-Za-z]{{0,3}}(?:is )?[0-9]{{3}}[ -]?[0-9]{{1,5}}{_TO}"
            rf"|{_FROM}code[^0-9A-Za-z]{{0,3}}[0-9]{{4,8}} to (?:log|sign|verify|confirm|continue|complete)"
            rf"|{_FROM}[0-9]{{3}}[ -]?[0-9]{{1,5}}[^0-9A-Za-z]{{1,4}}(?:is |as |was |= ?)(?:your |the |my )?(?:[a-z]+ ){{0,2}}"
            rf"(?:otp|code|passcode|pin|one-time){_TO}"
        ),
    ),
)
_CODE_WORDS = re.compile(r"cvv|cvc|csc|cvn|cid|code|pin|otp|2fa|mfa|token|one.time")

_TITLE = r"(?:Mr|Mrs|Ms|Miss|Dr|Prof|Chief|Alhaji|Alhaja|Engr|Barr|Pastor|Rev|Sir|Madam|Mallam|MR|MRS|MISS|DR|ALHAJI|ALHAJA)\.?"
_CAPITAL, _SMALL = r"[^\W\d_a-z]", r"[^\W\d_A-Z]"
_PART = rf"(?:(?:Mc|Mac|[A-Z]')?{_CAPITAL}(?:{_SMALL}{{1,24}}|[A-Z]{{1,24}})(?:['-]{_CAPITAL}[^\W\d_]{{1,24}}){{0,2}}|[A-Z]\.)"
_PERSON = re.compile(rf"(?:{_TITLE} {_PART}|{_PART})(?:,? {_PART}){{0,3}}")
_TWO_PARTS = re.compile(rf"{_PART},? {_PART}")
_CUE = (
    r"(?i:payee|payer|beneficiary|customer|client|recipient|sender|receiver|cardholder|names?|mismatch|guarantor|"
    r"signatory|director|ifo|fbo|b/o|trf|nip|ft|tnf|xfer"
    r"|(?:(?<!.)|(?<=\n)|(?:transfer(?:red)?|payment|paid|pay|sen[dt]|payout|trf|nip|ft|credit(?:ed)?|debit(?:ed)?|deposit|"
    r"received|inflow|money|cash|approved|signed|created|initiated|invited|referred|shared)\s)(?:to|from|frm|by))"
)
_CUED = re.compile(rf"(?<!\w)(?:{_CUE}[^\w\n]{{1,3}}){{1,3}}(?={_PART})({_PART},? {_PART})(?!\w)(?: ({_PART}))?")
_GREETED = re.compile(rf"(?<!\w)(?:(?i:dear|hello|hi|hey),? |{_TITLE} )({_PART})(?!\w)")
_DOING = re.compile(rf"\A({_PART},? {_PART}) (?:{_PART} )?(?:sent|paid|owes|wants|requested|transferred|withdrew)(?!\w)")
# Capitalised words that name companies, products and places rather than people.
_NO_PERSON = frozenset(
    "bank banks mfb ltd limited plc inc llc gmbh co company corp corporation group holdings ventures enterprise enterprises "
    "stores store shop supermarket mart restaurant hotel pharmacy hospital school university college church ministry "
    "republic foods services service solutions technologies technology tech systems digital global international nigeria "
    "nigerian africa african business pay payment payments wallet account accounts card cards plan basic premium gold silver "
    "platinum bronze tier savings current mode home screen page dark light error failed failure success invalid request "
    "response server timeout google apple microsoft amazon facebook transfer transaction limit balance insufficient funds "
    "north south east west new port united saint lagos abuja island state city street road airport station app web api "
    "access sterling union unity fidelity heritage first guaranty trust standard chartered zenith polaris keystone providus "
    "monday tuesday wednesday thursday friday saturday sunday january february march april june july august september "
    "october november december bvn nin otp pin cvv kyc pan iban ngn usd eur gbp the not no is was for and or of with level "
    "loan loans credit debit cash fees airtime data electricity bill bills merchant customer user system team support "
    "mobile internet money main virtual physical express chicken kitchen pizza coffee energy power water television cable "
    "network networks telecom insurance microfinance capital finance financial investments invest exchange market markets "
    "africa ghana kenya america kingdom states london york zentra api url http https json sql null none true false sir madam all valued there everyone team esteemed "
    "to from by in on at you your this that pending review reviewed declined approved required expired found blocked "
    "reversed successful completed processing cancelled rejected locked denied face touch id due diligence risk rating "
    "core banking engine gateway bureau queue worker job cron admin later play store internal external unknown other "
    "number code name date type status amount details information check checks process processor provider partner "
    "retry reason description address phone email password token session device login signup sign log read write".split()
)


_COMPANY_ENDINGS = frozenset("bank mfb ltd limited plc inc llc ventures enterprises stores foods hotel pharmacy church".split())


def _is_quantity(gap: str) -> bool:
    return not _OTHER.isdisjoint(_WORD.findall(gap))


def find_announced(text: str) -> str | None:
    """Returns the rule under which a word of folded `text` announces a number beside it, or None."""
    if not _ANY_NUMBER.search(text) and not SHAPES["cvv"].search(text):
        return None
    lower = text.lower()
    if _CODE_WORDS.search(lower):
        for rule, pattern in _CODES:
            if pattern.search(lower):
                return rule
    words = _WORD.finditer(lower.replace("a/c", "acc") if "a/c" in lower else lower)
    for count, match in enumerate(words):
        rule = _ANNOUNCED.get(match[0])
        if count > _MOST_WORDS:
            return "too_long"
        if rule is not None and _announces(rule, text, match.start(), match.end()):
            return "bank_account" if rule == "some_account" else rule
    return None


def _announces(rule: str, text: str, start: int, end: int) -> bool:
    shape = SHAPES[rule]
    after = shape.search(text, end, end + _REACH + _LONGEST_SHAPE)
    if after is not None and after.start() - end <= _REACH and not _is_quantity(text[end : after.start()].lower()):
        return True
    if rule not in _ALSO_BEFORE:
        return False
    first = max(0, start - _REACH_BEFORE - _LONGEST_SHAPE)
    for before in shape.finditer(text, first, start):
        introduced_by = text[max(0, before.start() - 12) : before.start()].lower()
        if start - before.end() <= _REACH_BEFORE and not _is_quantity(introduced_by):
            return True
    return False


def _has_business_word(text: str) -> bool:
    return not _NO_PERSON.isdisjoint(_WORD.findall(text.lower()))


def is_person(text: str) -> bool:
    """Whether the whole of folded `text` is written like a person's name: two to four capitalised words."""
    return (
        len(text) <= 80
        and _PERSON.fullmatch(text) is not None
        and (_TWO_PARTS.search(text) is not None or text.startswith(("Mr", "Dr", "Alhaj", "Chief")))
        and not _has_business_word(text)
    )


def names_person(text: str) -> bool:
    """Whether folded `text` names a person after a word that calls for a name ("payee Ada Obi")."""
    for match in _CUED.finditer(text):
        if not _has_business_word(match[1]) and (match[2] or "").lower() not in _COMPANY_ENDINGS:
            return True
    return any(
        not _has_business_word(match[1]) for pattern in (_GREETED, _DOING) for match in pattern.finditer(text)
    )
