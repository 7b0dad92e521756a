"""Names of people in a text, as far as form and neighbours give them away.

A name in free text is beyond patterns; what is caught here is the way in which banks' narrations and error
messages introduce one. A `reason` belongs in a code, never in a sentence.
"""

from __future__ import annotations

from typing import Final

from zentra_otel_posthog.sanitize.deferred import deferred
from zentra_otel_posthog.sanitize.vocabulary import words

_LONGEST_NAME: Final = 80
_WORD: Final = deferred(r"[a-z]+")
_TITLE: Final = (
    r"(?:Mr|Mrs|Ms|Miss|Dr|Prof|Chief|Alhaji|Alhaja|Engr|Barr|Pastor|Rev|Sir|Madam|Mallam|"
    r"MR|MRS|MISS|DR|CHIEF|ALHAJI|ALHAJA|ENGR)\.?"
)
_CAPITAL: Final = r"[^\W\d_a-z]"
_SMALL: Final = r"[^\W\d_A-Z]"
# Ada, OBI, O'Neil, McDonald, Williams-Ade, J.
_PART: Final = (
    rf"(?:(?:Mc|Mac|[A-Z]')?{_CAPITAL}(?:{_SMALL}{{1,24}}|[A-Z]{{1,24}})(?:['-]{_CAPITAL}[^\W\d_]{{1,24}}){{0,2}}"
    r"|[A-Z]\.)"
)
_PERSON: Final = deferred(rf"(?:{_TITLE} )?{_PART}(?:,? {_PART}){{0,3}}")
_TITLED: Final = deferred(rf"{_TITLE} ")
_TWO_PARTS: Final = deferred(rf"{_PART},? {_PART}")

# A name follows: at once, or after what is done with money and a preposition.
_ROLES: Final = (
    "payee|payer|beneficiary|customer|client|recipient|sender|receiver|cardholder|names?|mismatch|guarantor|signatory|"
    "director|ifo|fbo|b/o|trf|nip|ft|tnf|xfer"
)
_DEEDS: Final = (
    "transfer(?:red)?|payment|paid|pay|sen[dt]|payout|trf|nip|ft|credit(?:ed)?|debit(?:ed)?|deposit|received|inflow|"
    "money|cash|approved|signed|created|initiated|invited|referred|shared"
)
_CUE: Final = rf"(?i:{_ROLES}|(?:(?<!.)|(?<=\n)|(?:{_DEEDS})\s)(?:to|from|frm|by))"
_CUED: Final = deferred(
    rf"(?<!\w)(?:{_CUE}[^\w\n]{{1,3}}){{1,3}}(?!(?i:to|from|frm|by)\W)(?={_PART})"
    rf"(?P<name>{_PART},? {_PART})(?!\w)(?: (?P<next>{_PART}))?"
)
_GREETED: Final = deferred(rf"(?<!\w)(?:(?i:dear|hello|hi|hey),? |{_TITLE} )(?P<name>{_PART})(?!\w)")
_DOING: Final = deferred(
    rf"\A(?P<name>{_PART},? {_PART}) (?:{_PART} )?(?:sent|paid|owes|wants|requested|transferred|withdrew)(?!\w)"
)

_COMPANY_ENDINGS: Final = words(
    "bank mfb ltd limited plc inc llc ventures enterprises stores foods hotel pharmacy church"
)
# Words that are capitalised in the names of companies, products and places, and in headings.
_NO_PERSON: Final = words(
    "bank banks mfb ltd limited plc inc llc gmbh co company corp corporation group holdings ventures "
    "enterprise enterprises stores store shop supermarket mart restaurant hotel pharmacy hospital school "
    "university college church ministry republic foods services service solutions technologies technology tech "
    "systems digital global international nigeria nigerian africa african business pay payment payments wallet "
    "account accounts card cards plan basic premium gold silver platinum bronze tier savings current mode home "
    "screen page dark light error failed failure success invalid request response server timeout google apple "
    "microsoft amazon facebook transfer transaction limit balance insufficient funds north south east west new "
    "port united saint lagos abuja island state city street road airport station app web api access sterling "
    "union unity fidelity heritage first guaranty trust standard chartered zenith polaris keystone providus "
    "monday tuesday wednesday thursday friday saturday sunday january february march april june july august "
    "september october november december bvn nin otp pin cvv kyc pan iban ngn usd eur gbp the not no is was "
    "for and or of with level loan loans credit debit cash fees airtime data electricity bill bills merchant "
    "customer user system team support mobile internet money main virtual physical express chicken kitchen "
    "pizza coffee energy power water television cable network networks telecom insurance microfinance capital "
    "finance financial investments invest exchange market markets ghana kenya america kingdom states london "
    "york zentra url http https json sql null none true false sir madam all valued there everyone esteemed to "
    "from by in on at you your this that pending review reviewed declined approved required expired found "
    "blocked reversed successful completed processing cancelled rejected locked denied face touch id due "
    "diligence risk rating core banking engine gateway bureau queue worker job cron admin later play internal "
    "external unknown other number code name date type status amount details information check checks process "
    "processor provider partner retry reason description address phone email password token session device "
    "login signup sign log read write "
    # words of decline reasons, channels, documents, methods and plans, as people title them
    "buy sell order standing direct fraud fraudulent suspected suspicious velocity exceeded issuer acquirer issued "
    "unavailable security violation time cut hold sanctions hit regulatory block compliance legal policy "
    "wrong incorrect missing duplicate format malfunction closed frozen dormant restricted lost stolen damaged "
    "cancelled canceled abandoned aborted reversal refund refunded chargeback dispute partial full amount currency "
    "rate quota cap daily weekly monthly yearly annual one two three four five factor strong weak link magic key pass "
    "passkey code scan qr ussd wire domestic instant faster sepa swift ach same other own joint shared personal "
    "private public retail corporate student youth junior senior family children super power early late adopter "
    "saver savers starter plus pro max lite ultra elite select prime free trial paid metal black white blue green red "
    "search organic social email campaign referral friend friends affiliate influencer ad ads advert radio "
    "billboard street word mouth event promo promotion summer winter spring autumn holiday sale season "
    "birth marriage death certificate residence permit licence license drivers driver national voters voter proof "
    "statement utility tax clearance selfie video photo document match liveness desktop tablet laptop phone smart "
    "tv watch pc browser client terminal pos kiosk branch agent teller call center centre whatsapp chat telegram "
    "twitter instagram linkedin tiktok youtube android ios windows linux mac chrome safari firefox edge samsung "
    "huawei wise wells fargo chase monzo revolut santander barclays kuda opay palmpay moniepoint "
    "deutsche commerce central reserve treasury gift voucher coupon points reward rewards loyalty cashback bonus "
    "salary payroll rent school fee bills top up withdrawal deposit inter intra cross border local foreign remote "
    "manual automatic auto recurring subscription invoice checkout cart basket merchant supplier vendor "
    "europe asia uk usa eu canada india brazil mexico france germany spain italy portugal"
)


def _is_somebody(name: str) -> bool:
    return _NO_PERSON.isdisjoint(_WORD.findall(name.lower()))


def is_person(text: str) -> bool:
    """Whether the whole of folded `text` is written like a person's name: a title, or two to four capitalised words."""
    return (
        len(text) <= _LONGEST_NAME
        and _PERSON.fullmatch(text) is not None
        and (_TWO_PARTS.search(text) is not None or _TITLED.match(text) is not None)
        and _is_somebody(text)
    )


def names_person(text: str) -> bool:
    """Whether folded `text` names a person after a word that calls for a name ("payee Ada Obi")."""
    if " " not in text or text.islower():
        return False
    for match in _CUED.finditer(text):
        if _is_somebody(match["name"]) and (match["next"] or "").lower() not in _COMPANY_ENDINGS:
            return True
    return any(_is_somebody(match["name"]) for pattern in (_GREETED, _DOING) for match in pattern.finditer(text))
