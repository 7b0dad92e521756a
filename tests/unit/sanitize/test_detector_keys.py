"""What keys say: whole words, escapes, hints, types."""

from __future__ import annotations

import itertools

import pytest

from zentra_otel_posthog.sanitize import detectors, vocabulary
from zentra_otel_posthog.sanitize.keys import profile, words_of

SECRET = "Zx9!kd82Lq39"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("accountNumber", ["account", "number"]),
        ("account_number", ["account", "number"]),
        ("kyc.BVN", ["kyc", "bvn"]),
        ("BVNNumber", ["bvn", "number"]),
        ("X-Forwarded-For", ["x", "forwarded", "for"]),
        ("2fa_code", ["2fa", "code"]),
        ("sha256", ["sha", "256"]),
        ("directorbvn", ["director", "bvn"]),
        ("contraseña", ["contrasena"]),
        ("\uff50assword", ["password"]),
        ("", []),
        ("...", []),
    ],
)
def test_words(key: str, expected: list[str]) -> None:
    """Keys fall into words at case, signs and digits, accents and look-alikes folded, glued words apart."""
    assert words_of(key) == expected


@pytest.mark.parametrize(
    "key",
    [
        "span_id", "opening_balance", "auth_method", "company", "panel", "shipping_method", "pinned", "opinion_score",
        "ping_ms", "tiny", "adobe_campaign", "hostname", "filename", "spinner", "mackerel", "martin", "discard_count",
        "tokenized", "passenger_count", "cartel", "hotel", "keyboard", "compass", "bypass_used", "classname", "macro",
    ],
)  # fmt: skip
def test_a_word_within_a_word_says_nothing(key: str) -> None:
    """Substrings of keys are no reason: "span" holds "pan", "opening" holds "pin"."""
    assert profile(key).refused is None
    assert detectors.find("some-Value 7", key) is None


@pytest.mark.parametrize(
    ("phrase", "value", "rule"),
    [
        ("card number", "4111111111111112", "pan"),
        ("cvv", "123", "cvv"),
        ("pin", "8302", "pin"),
        ("otp", "402340", "otp"),
        ("account number", "3088255042", "bank_account"),
        ("sort code", "40-47-84", "sort_code"),
        ("routing number", "021000021", "routing_number"),
        ("bvn", "22450546173", "bvn"),
        ("nin", "64941069167", "nin"),
        ("tax id", "1893696985", "tin"),
        ("passport number", "A80762558", "passport"),
        ("voter id", "90F5F25F9AADC7E637C", "voter_card"),
        ("drivers license", "ISU33334NS83", "driving_licence"),
        ("phone number", "8035551234", "phone"),
        ("date of birth", "1981-04-05", "birth_date"),
        ("home address", "74 Elm Street", "address"),
        ("first name", "Ada", "name"),
        ("device id", "cffb45b2-ea35-4d8b-973c-8d06c4ab154a", "device_id"),
        ("postal code", "100001", "postcode"),
        ("access token", SECRET, "secret"),
        ("user password", SECRET, "password"),
        ("api key", SECRET, "secret"),
        ("client secret", SECRET, "secret"),
    ],
)
def test_every_spelling_of_a_key(phrase: str, value: str, rule: str) -> None:
    """Snake, camel, Pascal, kebab, dotted, upper, glued, prefixed and plural keys mean the same."""
    parts = phrase.split()
    camel = parts[0] + "".join(part.title() for part in parts[1:])
    spellings = [
        "_".join(parts),
        camel,
        camel[0].upper() + camel[1:],
        "-".join(parts),
        ".".join(parts),
        "_".join(parts).upper(),
        "".join(parts),
        "customer." + "_".join(parts),
        "new_" + "_".join(parts),
        "_".join(parts) + "s",
        "_".join(parts) + "_value",
    ]
    for key in spellings:
        assert detectors.find(value, key) == rule, key


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("debit_card_pin", "8302", "pin"), ("debit_card_pin", 8302, "pin"), ("debit_card_pin", "4111111111111112", "pan"),
        ("phone_or_bvn", "22450546173", "phone"), ("expirationDateOfCard", "05/31", "card_expiry"), ("email_opt_in", "tier_2", None),
        ("scroll_position", 0.4567, None), ("position", 6.4567, "coordinates"),
    ],
)  # fmt: skip
def test_a_key_of_two_things(key: str, value: object, rule: str | None) -> None:
    """A key that names two kinds of personal data refuses what looks like either."""
    assert detectors.judge(key, value)[1] == rule


def test_escapes_let_values_about_the_thing_through() -> None:
    """A key that ends in "_status", "_type", "_count" and the like is about the thing: harmless values stay."""
    things = ["bvn", "pin", "password", "phone_number", "card_number", "token", "email", "first_name", "otp", "cvv"]
    abouts = ["verified", "status", "type", "count", "length", "attempts", "provider", "channel", "changed_at", "match"]
    for thing, about in itertools.product(things, abouts):
        for value in ("failed", "sms", "tier_2", True, 3, 0.98, "2026-01-02T10:00:00Z"):
            assert detectors.clean_value("e", f"{thing}_{about}", value) == value, (thing, about, value)


def test_an_escape_does_not_hide_the_thing_itself() -> None:
    """The value is still looked at: eleven digits under "bvn_status", an address under "email_type"."""
    assert detectors.find("22450546173", "bvn_status") == "bvn"
    assert detectors.find("ada@example.com", "email_type") == "email"
    assert detectors.find("4111111111111111", "card_status") == "pan"


def test_an_escape_before_the_thing_is_none() -> None:
    """A key "verified_bvn" is a BVN, "bvn_verified" is not."""
    assert detectors.find("22450546173", "verified_bvn") == "bvn"
    assert detectors.find("Ada", "status_first_name") == "name"


@pytest.mark.parametrize(
    ("key", "personal"),
    [
        ("beneficiary_name", True), ("account_holder_name", True), ("next_of_kin_name", True), ("cardholder_name", True),
        ("mothers_maiden_name", True), ("user.full_name", True), ("contactName", True), ("vorname", True),
        ("merchant_name", False), ("bank_name", False), ("beneficiary_bank_name", False), ("app_name", False),
        ("k8s.pod.name", False), ("service.name", False), ("query_name", False),
        ("file_name", False), ("event_name", False), ("company_name", False), ("host.name", False), ("agent_name", True), ("secret_name", False),
    ],
)  # fmt: skip
def test_whose_name_it_is(key: str, personal: bool) -> None:
    """The word before "name" tells a person's name from a bank's, a merchant's, a pod's."""
    assert (detectors.find("Ada Obi", key) == "name") is personal


@pytest.mark.parametrize(
    ("value", "personal"),
    [
        ("Ada Obi", True), ("OKAFOR CHIAMAKA", True), ("Musa, Aliyu", True), ("Mrs Bello", True), ("John A. Smith", True),
        ("Shade O'Neil", True), ("Ifeoma Williams-Ade", True),
        ("Ada", False), ("usr_1", False), ("new", False), ("Zentra Business", False), ("Access Bank", False),
        ("Gold Plan", False), ("Lagos", False),
    ],
)  # fmt: skip
def test_a_bare_role_is_judged_by_its_value(value: str, personal: bool) -> None:
    """Keys like "beneficiary" and "name" may hold a person or a thing: what is written like a name decides."""
    for key in ("beneficiary", "name", "recipient", "customer", "approved_by"):
        assert (detectors.find(value, key) == "name") is personal, key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("amount_minor", 4579721356649), ("balance_after_minor", 22384604452), ("limit_minor", 2347034401554),
        ("amount_major", "₦184,145.50"), ("amount", "257485502"), ("amount", -755140228), ("fee", "1,234.50 NGN"),
        ("created_at", 1739731542), ("start_us", 1825110707359944), ("time_unix_nano", 1741148157566616272),
        ("nonce_ts", "1677928976306"), ("settled_at", "2025-04-18T06:53:23+00:00"), ("latency_ms", 519),
        ("span_id", "4776214434665056"), ("trace_id", "81582143431711815496368449510205"), ("thread.id", 144507212486779),
        ("snowflake_id", 1904574548061137406), ("app_version", "0.0.0.1"), ("firmware_version", "3.29.24.39"),
        ("rrn", "356241350019"), ("stan", "475995"), ("ach_trace_number", "031100833740232"), ("sku", "4006381333931"),
        ("nip_session_id", "000013240101807632753328477115"), ("imad", "20251116MMQFMP2K566922"), ("mcc", "6012"),
        ("card_last4", "1295"), ("card_bin", "408408"), ("bvn_hash", "h1_2d68dd35f75d3107525d83e30263f4dd"),
        ("commit", "8d2dff41e4e8"), ("bank_bic", "BARCGB22"), ("email_domain", "gmail.com"), ("ratio", "12/27"),
        ("document_expiry", "20250913"), ("session_expiry", "1230"), ("token_ttl_s", 900), ("max_tokens", 4096),
        ("next_page_token", "uOKOf3zJgUTu82+0RfYfPJ11"), ("idempotency_key", "f1e2d3c4b5a69788"), ("license", "MIT"),
        ("server.address", "api.internal"), ("ip_country", "KE"), ("phone_country_code", "+234"), ("zip_compressed", True),
        ("session.id", "edede392-9f92-4430-988d-4d0bf2b97199"), ("token_id", "tok_8fk3J2"), ("public_key_id", "pk_1"),
        ("address_proof", "utility_bill"), ("token_symbol", "USDT"), ("secret_store", "vault"), ("dob_band", "1980s"),
        ("ip_asn", 13335), ("jwt_kid", "key-2026-01"), ("passwordless", True), ("cell", "B12"), ("sender_id", "ZENTRA"),
        ("oid", "1.3.6.1"), ("pan_sequence_number", 1), ("routing_key", "payments.eu"), ("auth_code_length", 6),
    ],
)  # fmt: skip
def test_type_outranks_checksum(key: str, value: object) -> None:
    """A key that names an innocent type keeps a value of its format, whatever the digits would pass for."""
    assert detectors.judge(key, value) == (value, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("amount", "4111111111111111"), ("created_at", "ada@example.com"), ("version", "22450546173 BVN"),
        ("commit", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"), ("trace_id", "ada@example.com"), ("sku", "+2348035551234"),
    ],
)  # fmt: skip
def test_a_type_counts_only_where_the_format_fits(key: str, value: str) -> None:
    """A typed key is no hole: a value that is not written like the type is looked at."""
    assert detectors.judge(key, value)[0] is None


def test_vocabulary_holds_no_phrase_that_cannot_be_found() -> None:
    """Each phrase of the vocabulary, written as a key, is found under its own rule."""
    for table, strength in ((vocabulary.OPAQUE, "opaque"), (vocabulary.NAMED, "named")):
        for rule, phrases in table.items():
            for phrase in phrases.split(","):
                found = profile("_".join(phrase.split()))
                assert found.refused is not None, phrase
                assert found.opaque is (strength == "opaque") or found.refused != rule, phrase
