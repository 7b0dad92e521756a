"""Personal data in disguise, and what only looks like it."""
# ruff: noqa: RUF001 - characters that look alike are what is tested here

from __future__ import annotations

import base64
import sys

import pytest

from zentra_otel_posthog.sanitize import layers, masks
from zentra_otel_posthog.sanitize.detectors import find
from zentra_otel_posthog.sanitize.normalize import fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("plain ASCII-1", "plain ASCII-1"),
        ("２２７٤७②⑤𝟗", "22747259"),
        ("4\u200b1\u00ad1\ufeff1", "4111"),
        ("4351–6290—72‑87−4293", "4351-6290-72-87-4293"),
        ("a\u00a0b\u2009c", "a b c"),
        ("ada﹫x．com", "ada@x.com"),
        ("аdа@ехаmрlе.com", "ada@example.com"),
        ("1️⃣2️⃣", "12"),
        ("12\x0034\x7f", "1234"),
        ("a\tb\nc", "a\tb\nc"),
        ("\ud8001", "1"),
    ],
)  # fmt: skip
def test_fold(text: str, folded: str) -> None:
    """One spelling for digits of all scripts, dashes, spaces, look-alike letters; nothing invisible is left."""
    assert fold(text) == folded


def test_fold_is_idempotent_and_bounded_for_every_character() -> None:
    """Folding twice is folding once, and no character grows beyond eighteen."""
    for code in range(0, sys.maxunicode + 1, 7):
        once = fold(chr(code))
        assert fold(once) == once
        assert len(once) <= 18


@pytest.mark.parametrize(
    "text",
    [
        "ada%40example.com", "ada%2540example.com", "q=%2B2348035551234", "ada&#64;example.com", "ada&commat;example.com",
        "ada\\u0040example.com", 'said {\\\\\\"k\\\\\\": \\\\\\"ada\\\\\\\\u0040example.com', "ada\\x40example.com", "c=eyJlbWFpbCI6ImFkYUBleGFtcGxlLmNvbSJ9",
        base64.b64encode(b"account_number=3029913225").decode(), base64.b64encode(b"ada@example.com").decode().rstrip("="),
        base64.b64encode(base64.b64encode(b"call 08035551234")).decode(), b"card=5078653300194700001".hex(),
        base64.urlsafe_b64encode("Ünal çelik ünal@example.com".encode()).decode(), "0x" + b"ada@example.com".hex(),
    ],
)  # fmt: skip
def test_encodings_are_undone(text: str) -> None:
    """Percent signs, entities, escapes, base64 and hexadecimal hide nothing, nested neither."""
    assert find(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "ada [at] example [dot] com", "ada(at)example.com", "ada at example dot com", "ada_at_example_dot_com",
        "ada@example[.]com", "ada@example dot com", "ada@ example.com", "ada @example.com", "ada @ example . com",
        "ada{at}example{dot}com", "mail ADA AT EXAMPLE DOT COM",
    ],
)  # fmt: skip
def test_addresses_spelled_out_are_addresses(text: str) -> None:
    """Words, brackets and spaces for the signs of an address do not hide it."""
    assert find(text) == "email"


@pytest.mark.parametrize(
    "text",
    [
        "pay at jumia.com",
        "look_at_me",
        "format_date_dot_net",
        "dot",
        "at",
        "@channel please",
    ],
)
def test_words_that_only_sound_like_an_address_stay(text: str) -> None:
    """Both "at" and "dot" are words as well."""
    assert find(text) is None


def test_encodings_beyond_the_bound_are_refused() -> None:
    """What is wrapped more often than anyone would wrap it honestly is not unwrapped, and not sent."""
    text = "ok"
    for _ in range(9):
        text = base64.b64encode(f"still wrapped: {text}".encode()).decode()
    assert find(text) == "too_deep"


@pytest.mark.parametrize("text", ["", "no layer", "abc%", "%zz", "AAAA", "a&b", "\\", "eyJvIjo=", "6161616161616161 "])
def test_inner_texts_yields_only_what_differs(text: str) -> None:
    """A text without a layer, or with a broken one, has no inner text that equals it."""
    assert all(inner != text for inner in layers.inner_texts(text))


@pytest.mark.parametrize(
    "text", ["***", "[REDACTED]", "<masked>", "[EMAIL]", "{{name}}", "", "N/A", "none", "redacted", "xxxx-xxxx", "****"]
)
def test_markers_are_masked(text: str) -> None:
    """A marker has nothing left to read."""
    assert masks.is_masked(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("**** **** **** 4242", True), ("411111******1111", True), ("a***@gmail.com", True), ("0803***4567", True),
        ("XXXX4242", True), ("4111111111111111", False), ("4111111111111111**", False), ("ada@example.com", False),
        ("**22450546173", False), ("**hunter2secret", False), ("1*2", False), ("*" * 200, False),
    ],
)  # fmt: skip
def test_partly_masked(text: str, masked: bool) -> None:
    """First six and last four may remain, a whole number beside asterisks may not."""
    assert masks.is_partly_masked(text) is masked


@pytest.mark.parametrize(
    "text",
    [
        "hero@3x.webp", "page@v2.html", "icon@dark.svg", "request 08031234-567a-4f2b-8c11-0123456789ab failed",
        "account limit 50000000 exceeded", "passport fee 123456789", "payments@v2", "react@18.2.0", "git@github.com:zentra/api.git", "TLSv1.3", "10:20:30:40:50:60:70",
        "123-00-4567", "666-12-3456", "#4111ff", "GB20LAUNCHWEEK2026", "NG12TRANSFERLIMIT26", "std::string", "Face::Add",
        "0.0.0.0", "127.0.0.1", "::1", "localhost:8080", "Chrome/120.0.0.0 Safari/537.36", "version 3.29.24.39", "1.2.3.4.5",
        "*894*4#", "2026-08-01 12:34:56", "20260801123456", "0.8012345678", "1.234,56", "6.52,3.37", "4111111111111112",
        "000013240101807632753328477115", "f1e2d3c4b5a697887766554433221100ffeeddccbbaa99887766554433221100", "W-8BEN",
        "1srOrx2ZWZBpBUvZwXKQmoEYga2", "pacs.008.001.08", "3/4 complete", "a & b; c", "x^2+y^2", "+5000000", "#ord-08", "error code: 402340", "password sha256 mismatch", "name: Unknown Value",
    ],
)  # fmt: skip
def test_look_alikes_stay(text: str) -> None:
    """File names, versions, times, codes, hashes and impossible numbers are no personal data."""
    assert find(text) is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("MT103 to GTBINGLAXXX acct 6164609674", "bank_account"),
        ("credit 8186290900/Sterling Bank/NGN 5000", "bank_account"),
        ("INSERT INTO cards (pan, cvv) VALUES ('5517238807317889', '448')", "pan"),
        ("Key (email)=(jennifer@example.com) already exists.", "email"),
        ("User(id=8172, name='Ada Obi', tier='gold')", "name"),
        ("2348116740928@s.whatsapp.net", "email"),
        ("Grace Obi <grace@proton.me>", "email"),
        ("[2001:db8::dfe8]:443", "ip"),
        ("2001:db8::dfe8: unreachable", "ip"),
        ("login from server 102.89.3.36", "ip"),
        ("driver 102.89.3.36", "ip"),
        ("fe80::f32f:b49a%eth0", "ip"),
        ("6°31'28\"N 3°22'45\"E", "coordinates"),
        ("1111 4111 1111 1111 1111 12/28 123", "pan"),
        ("$2b$12$KIXQ4S1qYpPpL1t1Vb1uCeKQ0bqk1z8oJ0GZQx5Zl7g7Z8l6a9b1e", "password"),
        ("curl -H 'Authorization: Basic YWRhOlNlY3JldDE='", "credential"),
        ("Dear Linda, your account is blocked", "name"),
        ("40-59-30 54280231 mismatch", "bank_account"),
        ("D.O.B 12/03/1980", "birth_date"),
        ("my password is Hunter2! ok", "password"),
        ("pass: Hunter2!", "password"),
        ("bad login, password 'hunter038'", "password"),
        ("404784 is an unknown sort code", "sort_code"),
        ("failed: tax_id=984956017", "tin"),
        ("Enter 402340 to confirm", "otp"),
        ("code: 402340", "otp"),
        ("https://x.example/find?name=Ada+Obi&page=2", "name"),
        ("https://hooks.slack.com/services/T0001/B0001/aB3xYz0123456789", "api_key"),
    ],
)
def test_rules_in_context(text: str, rule: str) -> None:
    """Messages as databases, banks, shells and people write them."""
    assert find(text) == rule
