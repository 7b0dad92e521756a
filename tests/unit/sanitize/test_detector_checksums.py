"""Check digits against python-stdnum, which shares no code with ours."""

from __future__ import annotations

import random
import string

import pytest
from stdnum import iban as iban_oracle
from stdnum import luhn as luhn_oracle

from zentra_otel_posthog.sanitize import checksums

DIGITS = string.digits


def test_luhn_agrees_with_the_oracle() -> None:
    """Luhn: ours and python-stdnum's verdicts are the same for random numbers of every length."""
    source = random.Random(1)
    for length in range(2, 25):
        for _ in range(100):
            number = "".join(source.choices(DIGITS, k=length))
            assert checksums.luhn(number) == luhn_oracle.is_valid(number), number


@pytest.mark.parametrize(
    "registered",
    [
        "GB29 NWBK 6016 1331 9268 19",
        "DE89 3704 0044 0532 0130 00",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NL91 ABNA 0417 1643 00",
        "NO93 8601 1117 947",
        "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
        "MU17 BOMM 0101 1010 3030 0200 000M UR",
        "SC18 SSCB 1101 0000 0000 0000 1497 USD",
        "BR18 0036 0305 0000 1000 9795 493C 1",
        "AE07 0331 2345 6789 0123 456",
    ],
)
def test_iban_agrees_with_the_oracle(registered: str) -> None:
    """The registry's examples are valid; with any one character changed neither we nor the oracle accept them."""
    compact = registered.replace(" ", "")
    assert checksums.iban(compact)
    for position, character in enumerate(compact[4:], start=4):
        other = "7" if character != "7" else "8"
        changed = compact[:position] + other + compact[position + 1 :]
        assert checksums.iban(changed) == iban_oracle.is_valid(changed, check_country=False)
        assert not checksums.iban(changed)


@pytest.mark.parametrize("compact", ["", "GB", "GB29", "ZZ89370400440532013000", "DE8937040044053201300"])
def test_iban_refuses_what_is_none(compact: str) -> None:
    """Neither an unknown country nor a text that is too short is an IBAN."""
    assert not checksums.iban(compact)


def test_iban_ignores_what_follows_it() -> None:
    """A sentence may go on behind the country's length."""
    assert checksums.iban("GB29NWBK60161331926819AMOUNTEUR20")


@pytest.mark.parametrize(
    ("address", "valid"),
    [
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", True),  # the first block's
        ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", True),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", False),
        ("1srOrx2ZWZBpBUvZwXKQmoEYga2", False),  # a KSUID
        ("0OIl", False),
        ("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", False),
    ],
)
def test_base58check(address: str, valid: bool) -> None:
    """A wallet's address carries four bytes of checksum, which an identifier of the same alphabet lacks."""
    assert checksums.base58check(address) is valid
