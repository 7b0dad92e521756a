"""What holds for every input."""

from __future__ import annotations

import base64
import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zentra_otel_posthog.sanitize import detectors
from zentra_otel_posthog.sanitize.detectors import clean_value, find, judge
from zentra_otel_posthog.sanitize.keys import profile

FRAGMENTS = (
    "ada@example.com", "4111111111111111", "08035551234", "22450546173", "BVN ", "password=", "Zx9!", " ", "-", "{", '"', ":",
    "%40", "eyJ", "=", "Ada Obi", "to ", "*737*", "#", "2026-01-02", "102.89.3.36", "\u200b", "٤", "é", "a", "0", "\\u0040",
)  # fmt: skip
KEYS = st.one_of(
    st.sampled_from(
        ("label", "bvn", "password", "amount_minor", "name", "card_status", "account_id", "created_at", "pin")
    ),
    st.text(max_size=20),
)
TEXTS = st.one_of(st.text(max_size=80), st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=20), st.decimals(allow_nan=False), st.dates(),
    st.datetimes(), st.uuids(), st.complex_numbers(), st.sampled_from((4111111111111111, 2348035551234, object)),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(KEYS, st.integers(), st.none()), inner, max_size=4),
        st.frozensets(TEXTS, max_size=3),
    ),
    max_leaves=12,
)
ANY_TIME = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


def same(one: object, other: object) -> bool:
    """Equality that holds for NaN, and tells 1 from True."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return one == other or repr(one) == repr(other)


def leaves(key: str, value: object, parent: str | None = None) -> Iterator[tuple[str, object]]:
    """All that is no container, with the key under which it is judged; names in dicts too, under no key."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield "", str(name)
            yield from leaves(f"{parent or key}.{name}", item, str(name))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from leaves(key, item, parent)
    else:
        yield key, value


SECRETS = (
    "ada@example.com",
    "4111 1111 1111 1111",
    "+2348035551234",
    "BVN 22450546173",
    "password=Zx9!kd82",
    "GB29NWBK60161331926819",
)
Wrapping = Callable[[str], str]
DISGUISES: tuple[Wrapping, ...] = (
    str,
    lambda text: text[:3] + "\u200b" + text[3:],
    lambda text: "".join(chr(0xFF10 + int(sign)) if sign in "0123456789" else sign for sign in text),
    lambda text: text.replace("@", "\uff20"),
)
WRAPPINGS: tuple[Wrapping, ...] = (
    lambda text: f"could not read {text} today",
    lambda text: json.dumps({"k": text, "n": 1}),
    lambda text: json.dumps([[text]]),
    lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    lambda text: "q=" + base64.b64encode(text.encode()).decode(),
    lambda text: text.encode().hex(),
)
CONTAINED: tuple[Callable[[Any], Any], ...] = (
    lambda value: value,
    lambda value: [1, value],
    lambda value: (value, None),
    lambda value: {"a": value, "b": 2},
    lambda value: {"list": [{"deep": value}, "ok"]},
    lambda value: {value: 1} if isinstance(value, str) else {"d": value},
    lambda value: {value} if isinstance(value, (str, bytes)) else [value],
    lambda value: value.encode() if isinstance(value, str) else value,
)


@ANY_TIME
@given(key=KEYS, value=VALUES)
def test_nothing_raises_and_every_refusal_has_a_rule(key: str, value: object) -> None:
    """Whatever comes in, an answer comes out: kept without a rule, or a published rule."""
    kept, rule = judge(key, value)
    assert rule is None or rule in detectors.RULES
    assert rule is not None or kept is value


@ANY_TIME
@given(key=KEYS, value=VALUES)
def test_twice_equals_once(key: str, value: object) -> None:
    """What was let through is let through again, as it is."""
    once = clean_value("e", key, value)
    assert same(clean_value("e", key, once), once)


@ANY_TIME
@given(key=KEYS, value=VALUES)
def test_the_input_is_not_changed(key: str, value: Any) -> None:
    """The value that was passed is the same afterwards."""
    before = copy.deepcopy(value)
    clean_value("e", key, value)
    assert same(value, before)


@ANY_TIME
@given(key=KEYS, value=VALUES)
def test_no_output_holds_what_a_detector_finds(key: str, value: object) -> None:
    """All that is left passes the detectors under its own key, and text under none too; names in dicts as well.

    Under none, unless its key promises a form that it has: twelve digits as an amount are no card.
    """
    for name, leaf in leaves(key, clean_value("e", key, value)):
        if isinstance(leaf, str):
            assert find(leaf) is None or profile(name).formats
            assert find(leaf, name) is None


@ANY_TIME
@given(
    secret=st.sampled_from(SECRETS),
    disguise=st.sampled_from(DISGUISES),
    wrappings=st.lists(st.sampled_from(WRAPPINGS), max_size=3),
    contained=st.lists(st.sampled_from(CONTAINED), max_size=4),
    noise=VALUES,
)
def test_a_secret_survives_nowhere(
    secret: str,
    disguise: Wrapping,
    wrappings: list[Wrapping],
    contained: list[Callable[[Any], Any]],
    noise: object,
) -> None:
    """Disguised, wrapped three times, put anywhere into a container: it goes, and what is harmless beside it stays."""
    text = disguise(secret)
    for wrap in wrappings:
        text = wrap(text)
    planted: Any = text
    for contain in contained:
        planted = contain(planted)
    kept = clean_value("e", "label", {"noise": noise, "planted": planted, "tier": "tier_2"})
    assert isinstance(kept, dict)
    assert kept["tier"] == "tier_2"
    left = [leaf.decode() if isinstance(leaf, bytes) else leaf for _, leaf in leaves("", kept.get("planted"))]
    assert text not in left


@ANY_TIME
@given(text=TEXTS, secret=st.sampled_from(("ada@example.com", "4111 1111 1111 1111", "+2348035551234")))
def test_surroundings_cannot_hide_a_secret(text: str, secret: str) -> None:
    """A space on both sides is enough, whatever else stands there, unless it is JSON or a longer number."""
    if any(sign.isdigit() for sign in text):
        return
    assert find(f"x {text} | {secret} | {text}") is not None


@ANY_TIME
@given(text=st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=30))
def test_slugs_stay(text: str) -> None:
    """A lower-case slug holds nothing personal under a neutral key."""
    assert find(text) is None
