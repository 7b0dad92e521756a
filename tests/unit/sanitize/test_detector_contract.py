"""The contract of find, judge and clean_value: types, containers, bounds, failures."""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest

from zentra_otel_posthog.sanitize import containers, detectors, keys
from zentra_otel_posthog.sanitize.detectors import clean_value, find, judge

EMAIL = "ada@example.com"


class Tier(Enum):
    GOLD = "gold"
    LEAK = EMAIL


def test_a_clean_value_is_returned_itself() -> None:
    """Where nothing hits, the very object that was passed comes back."""
    for value in (
        "insufficient_funds",
        "Zahlung fehlgeschlagen: Größe 3",
        {"a": [1, "b"]},
        [1, 2],
        (1, "x"),
        {"x"},
        10**9,
    ):
        kept, rule = judge("label", value)
        assert kept is value
        assert rule is None


def test_rules_are_named_and_never_show_the_value() -> None:
    """The rule is one of the published names."""
    assert judge("label", EMAIL) == (None, "email")
    assert find("4111 1111 1111 1111") == "pan"
    assert {"email", "pan", "bvn", "too_long", "internal_error"} <= detectors.RULES
    assert all(rule.isascii() and rule.replace("_", "").isalpha() for rule in detectors.RULES)


def test_key_gives_context_to_find() -> None:
    """The same text is judged by its key: a number is an account only where the key says so."""
    assert find("3088255042") is None
    assert find("3088255042", "reference") is None
    assert find("3088255042", "account_number") == "bank_account"
    assert find("hunter", "password") == "password"


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -1, 1.5, float("nan"), float("inf"), Decimal("12.50"), Decimal("NaN"), Tier.GOLD, "", " ", b"ok",
        date(2026, 7, 14), datetime(2026, 7, 14, tzinfo=UTC), timedelta(seconds=3), UUID(int=7), {}, [], (), set(),
    ],
)  # fmt: skip
def test_harmless_types_stay(value: object) -> None:
    """None, booleans, numbers, dates, times, UUIDs, enumerations and empty containers are kept."""
    assert judge("label", value) == (value, None) or value != value  # noqa: PLR0124 - NaN is the one that differs


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("label", EMAIL.encode(), "email"),
        ("label", bytearray(EMAIL.encode()), "email"),
        ("label", Tier.LEAK, "email"),
        ("label", b"\xff\xfe\x00", "unsupported_type"),
        ("label", object(), "unsupported_type"),
        ("label", lambda: None, "unsupported_type"),
        ("label", Decimal(4111111111111111), "pan"),
        ("label", 4111111111111111.0, "pan"),
        ("label", -4111111111111111, "pan"),
        ("label", 2348035551234, "phone"),
        ("dob", date(1981, 4, 5), "birth_date"),
        ("device_id", UUID(int=7), "device_id"),
        ("pin", 8302, "pin"),
        ("latitude", 6.5244, "coordinates"),
        ("label", 10**400, "too_long"),
        ("label", Decimal("1e100000"), "too_long"),
    ],
)
def test_every_type_is_judged(key: str, value: object, rule: str) -> None:
    """Bytes, enumerations, numbers and dates are judged like text; of what is not understood nothing is kept."""
    assert judge(key, value) == (None, rule)


def test_numbers_of_things_that_are_named_by_words_stay() -> None:
    """A count under a plural key, or a small number under a sensitive one, is no personal datum."""
    for key, value in (("cards", 3), ("accounts", 12), ("emails", 2), ("phones", 1), ("nombre", 5), ("tokens", 1234)):
        assert clean_value("e", key, value) == value, key


def test_containers_lose_only_what_is_refused() -> None:
    """A dict loses the key, a list the item; what is left comes back in a container of the same kind."""
    assert clean_value("e", "metadata", {"step": 2, "customer_name": "Ada Obi", "n": [1, EMAIL, 2]}) == {
        "step": 2,
        "n": [1, 2],
    }
    assert clean_value("e", "metadata", ("vip", EMAIL)) == ("vip",)
    assert clean_value("e", "metadata", {"vip", EMAIL}) == {"vip"}
    assert clean_value("e", "metadata", frozenset({"vip", EMAIL})) == frozenset({"vip"})
    kept = clean_value("e", "metadata", OrderedDict(a=1, email=EMAIL))
    assert kept == {"a": 1}


def test_an_emptied_container_is_gone_and_an_empty_one_stays() -> None:
    """Nothing left means None, also inside; a container that was empty is not touched."""
    assert clean_value("e", "metadata", {"a": {"b": [EMAIL]}}) is None
    assert clean_value("e", "metadata", {"a": {"b": [EMAIL]}, "c": {}}) == {"c": {}}


def test_judge_tells_the_first_rule_of_a_container() -> None:
    """The rule is told though something is left."""
    assert judge("metadata", {"ok": 1, "email": EMAIL, "pin": "8302"}) == ({"ok": 1}, "email")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"customer": {"name": "Ada Obi", "tier": "gold"}}, {"customer": {"tier": "gold"}}),
        ({"account": {"number": "3088255042", "bank": "Kuda"}}, {"account": {"bank": "Kuda"}}),
        ({"bvn": {"value": "22450546173"}}, None),
        ({"name": {"first": "Ada", "last": "Obi"}}, None),
        ({"phones": ["8035551234"]}, None),
        ({"card": {"last4": "4242", "bin": "408408", "id": "card_8fk3J2xQ"}}, {"card": {"last4": "4242", "bin": "408408", "id": "card_8fk3J2xQ"}}),
        ({EMAIL: {"count": 2}, "x": 1}, {"x": 1}),
        ({2348035551234: 1, 7: 2}, {7: 2}),
        ({"bvn": {"22450546173": "ok", "retries": 2}}, {"bvn": {"retries": 2}}),
        ({"accounts": {"3088255042": {"tier": 2}}}, None),
        ({"fields": [{"name": "bvn", "value": "22450546173"}, {"name": "tier", "value": "gold"}]}, {"fields": [{"name": "bvn"}, {"name": "tier", "value": "gold"}]}),
        ({"type": "passport", "number": "A80762558"}, {"type": "passport"}),
        ({"key": "payment_id", "value": "pay_8fk3J2xQ"}, {"key": "payment_id", "value": "pay_8fk3J2xQ"}),
        ({"payments": {"2026-03-01": 2, "3088255042": 1}}, {"payments": {"2026-03-01": 2, "3088255042": 1}}),
        ({("a",): 1, "b": 2}, {"b": 2}),
    ],
)  # fmt: skip
def test_keys_inside_are_judged_with_their_parents(value: object, kept: object) -> None:
    """A nested key is read with the one above it, a list's items with the list's, and keys are data themselves."""
    assert clean_value("e", "metadata", value) == kept


def test_the_input_is_never_changed() -> None:
    """What is dropped is dropped from a copy."""
    value = {"a": [{"email": EMAIL}, 1], "b": {"c": {EMAIL}}}
    before = copy.deepcopy(value)
    assert clean_value("e", "metadata", value) == {"a": [1]}
    assert value == before


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"body": json.dumps({"ssn": "484-89-1392"})}),
        json.dumps([[{"contact": EMAIL}]]),
        json.dumps({"customer": {"name": "Ada Obi"}}),
        ' {"password": "x"}',
        '{"a": "ada@example.com", "a": "b"}',
        '{"password": "Zx9!", "cut": ',
        "{'bvn': '22450546173'}",
    ],
)
def test_json_in_a_string_is_read(text: str) -> None:
    """Keys and values of JSON in a string count, at any depth, with repeated keys, cut off or written as Python."""
    assert clean_value("e", "payload", text) is None


def test_clean_json_in_a_string_survives_byte_for_byte() -> None:
    """A typed number in JSON is no card number, and the string is the same object."""
    text = '{"ts":1736405963055,  "amount_minor": 4579721356649, "ref":"trf_2251"}'
    assert clean_value("e", "payload", text) is text


def test_depth_is_bounded() -> None:
    """Below the bound everything is seen, beyond it the rest is dropped, cycles included."""
    deep: object = EMAIL
    for _ in range(containers.MOST_DEPTH - 1):
        deep = {"n": [deep]} if isinstance(deep, str) else {"n": deep}
    assert judge("metadata", {"ok": 1, "deep": deep})[0] == {"ok": 1}
    beyond: object = 1
    for _ in range(containers.MOST_DEPTH + 1):
        beyond = [beyond]
    assert judge("metadata", [beyond, 2]) == ([2], "too_deep")
    cycle: dict[str, object] = {"ok": 1}
    cycle["self"] = cycle
    assert judge("metadata", cycle)[1] == "too_deep"
    assert judge("metadata", "[" * 8000)[1] == "too_deep"


def test_size_is_bounded() -> None:
    """Too many nodes or characters: the container is dropped as a whole."""
    assert judge("items", list(range(containers.MOST_NODES))) == (None, "too_large")
    assert judge("items", ["a" * 8000] * 9) == (None, "too_large")
    rows = [{"id": number, "ok": True} for number in range(2000)]
    assert clean_value("e", "rows", rows) is rows


def test_length_is_bounded() -> None:
    """A string is read up to its bound and refused beyond it, a key too."""
    longest = "insufficient funds, retry! " * 400
    assert find(longest[: detectors.LONGEST_TEXT]) is None
    assert find(longest[: detectors.LONGEST_TEXT + 1]) == "too_long"
    assert judge("k" * (keys.LONGEST_KEY + 1), 1) == (None, "too_long")
    assert find("ﷺ" * 2000) == "too_long"  # folds into eighteen characters each
    assert find("aa=b " * 1600) == "too_long"  # more pairs than are looked at


def test_personal_data_at_either_end_of_a_long_text_is_found() -> None:
    """There is no blind spot within the bound."""
    filler = "retry! " * 1000
    for secret in (EMAIL, "4111 1111 1111 1111", "08035551234", "BVN 22450546173", "password=Zx9"):
        assert find(f"{secret} {filler}") is not None, secret
        assert find(f"{filler} {secret}") is not None, secret
        assert find(f"{'1 ' * 200} {filler} {secret}") is not None, secret


class Hostile(str):
    __slots__ = ()

    def __len__(self) -> int:
        raise RuntimeError


def test_an_error_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks in here, or in a value's own methods, nothing is raised and nothing is kept."""
    assert judge("label", Hostile("x")) == (None, "internal_error")
    assert find(Hostile("x")) == "internal_error"

    def broken(_: str) -> str | None:
        raise RuntimeError

    monkeypatch.setattr(detectors, "find_pattern", broken)
    assert find("Some Text") == "internal_error"
    assert judge("label", "Some Text") == (None, "internal_error")
    assert judge("label", {"a": "Some Text", "b": 1}) == (None, "internal_error")


def test_no_key_is_a_neutral_key() -> None:
    """Without a key only the content counts."""
    assert judge(None, "ok") == ("ok", None)
    assert judge(None, EMAIL) == (None, "email")
    assert judge("", EMAIL) == (None, "email")


def test_a_property_key_is_data_too() -> None:
    """A key that is itself an address or a number takes its value with it."""
    assert judge(EMAIL, 1) == (None, "email")
    assert judge("bvn_22450546173", 1) == (None, "bvn")
    assert judge("08035551234", True)[0] is None
