"""What a tenant's policy changes, and what none may: refused keys, allowed values, actions by rule, kinds that act."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zentra_otel_posthog import Event, capture, telemetry
from zentra_otel_posthog.config import SettingsError, load
from zentra_otel_posthog.kinds import KINDS, Identifier, LastFour, Pseudonym, Refused, Text
from zentra_otel_posthog.sanitize import actions, detectors
from zentra_otel_posthog.sanitize.policy import Policy
from zentra_otel_posthog.testing import captured_events

KEY = "an invented key of thirty-two bytes or more"
PSEUDONYM = re.compile(r"psn1_[0-9a-f]{40}")
EMAIL, PHONE, PAN = "ada.obi@example.com", "+234 803 123 4567", "4111 1111 1111 1111"


class RefundRequested(Event, name="refund.requested"):
    note: Text | None = None
    order: Identifier | None = None
    payer: Pseudonym | None = None
    account: LastFour | None = None


@pytest.fixture
def refused() -> Iterator[Counter[tuple[str, ...]]]:
    """What the test has refused so far."""
    before = Counter(telemetry.totals(telemetry.REFUSED))
    yield (since := Counter[tuple[str, ...]]())
    since.update(Counter(telemetry.totals(telemetry.REFUSED)) - before)


def leaves(properties: dict[str, Any], policy: Policy | None = None, key: str | None = None) -> dict[str, Any]:
    """Capture an undeclared event and return which of its properties leave."""
    with captured_events(sanitize=policy or Policy(), pseudonym_key=key) as events:
        capture("basket.paid", properties=properties)
    return {name: value for name, value in events[0].properties.items() if name in properties}


class TestUndeclared:
    @pytest.mark.parametrize("name", ["staff_no", "staffNo", "manager-staff-no", "STAFF_NO_COUNT"])
    def test_a_refused_key_in_any_spelling(self, name: str) -> None:
        """A refused key keeps any value back, at the top and inside, whatever its type."""
        policy = Policy(refused_keys=("staff_no",))
        assert leaves({name: "x"}) == {name: "x"}
        for value in ("x", 7, True, {"a": "b"}, ["c"]):
            assert leaves({name: value, "kept": 1}, policy) == {"kept": 1}
            assert leaves({"deep": {name: value, "kept": 1}}, policy) == {"deep": {"kept": 1}}

    def test_a_refused_key_is_whole_words(self) -> None:
        """No part of a word is meant: ``staff`` does not refuse ``staffing``."""
        assert leaves({"staffing": "x", "non": 1}, Policy(refused_keys=("staff", "no"))) == {"staffing": "x", "non": 1}

    def test_an_allowed_value_leaves_as_it_is(self) -> None:
        """What the policy allows leaves under any key, alone or inside; a text that merely contains it does not."""
        policy = Policy(allowed_values=(EMAIL,))
        assert leaves({"contact": EMAIL, "email": EMAIL, "deep": [EMAIL]}) == {}
        assert leaves({"contact": EMAIL, "email": EMAIL, "deep": [EMAIL]}, policy) == {
            "contact": EMAIL,
            "email": EMAIL,
            "deep": [EMAIL],
        }
        assert leaves({"contact": f"write to {EMAIL}"}, policy) == {}

    def test_a_policy_ends_with_its_settings(self) -> None:
        """What one configuration allowed or refused, the next does not."""
        leaves({"contact": EMAIL}, Policy(allowed_values=(EMAIL,), refused_keys=("basket_size",)))
        assert leaves({"contact": EMAIL, "basket_size": 3}) == {"basket_size": 3}

    def test_a_pseudonym_instead(self) -> None:
        """A rule whose action is ``pseudonym`` replaces the whole text by what only the key can make; others drop."""
        policy = Policy(actions={"email": "pseudonym"})
        left = leaves({"contact": EMAIL, "call": PHONE}, policy, KEY)
        assert left.keys() == {"contact"}
        assert PSEUDONYM.fullmatch(left["contact"])
        assert leaves({"contact": EMAIL.upper()}, policy, KEY) == left
        assert leaves({"other": EMAIL}, policy, KEY)["other"] != left["contact"]
        assert leaves({"contact": EMAIL}, policy, KEY[::-1]) != left

    def test_no_digit_of_an_undeclared_property_is_shown(self) -> None:
        """``mask`` is for what somebody has declared."""
        assert leaves({"call": PHONE}, Policy(actions={"phone": "mask"})) == {}

    def test_nothing_undeclared_at_all(self, refused: Counter[tuple[str, ...]]) -> None:
        """``undeclared = "drop"`` leaves the declared properties alone to leave, and counts the others by name."""
        assert leaves({"plan": "gold", "user_tier": "gold"}, Policy(undeclared="drop")) == {"user_tier": "gold"}
        assert Counter(telemetry.totals(telemetry.REFUSED))["basket.paid", "plan", "undeclared"] >= 1

    def test_a_replaced_value_is_counted(self) -> None:
        """A pseudonym in place of a value shows in the counts like a refusal."""
        before = telemetry.totals(telemetry.REFUSED).get(("basket.paid", "contact", "email"), 0)
        leaves({"contact": EMAIL}, Policy(actions={"email": "pseudonym"}), KEY)
        assert telemetry.totals(telemetry.REFUSED)["basket.paid", "contact", "email"] == before + 1


class TestDeclared:
    @staticmethod
    def sent(policy: Policy | None = None, key: str | None = None, **values: Any) -> dict[str, Any]:
        with captured_events(sanitize=policy or Policy(), pseudonym_key=key) as events:
            capture(RefundRequested(**values))
        return {name: value for name, value in events[0].properties.items() if name in values}

    @pytest.mark.parametrize(
        ("value", "left"),
        [("arrived broken", "arrived broken"), (f"call {PHONE}", None), (EMAIL, None), ("x" * 201, None)],
    )
    def test_text(self, value: str, left: str | None) -> None:
        """A text leaves whole or not at all."""
        assert self.sent(note=value).get("note") == left

    def test_text_under_an_action(self) -> None:
        """The policy's action decides what becomes of a declared text that a rule has caught."""
        policy = Policy(actions={"phone": "mask", "email": "pseudonym"})
        assert self.sent(policy, KEY, note=PHONE) == {"note": "****4567"}
        assert PSEUDONYM.fullmatch(self.sent(policy, KEY, note=EMAIL)["note"])
        assert self.sent(policy, KEY, note=PAN) == {}

    def test_identifier(self) -> None:
        """An opaque id leaves; a personal one is a pseudonym with a key and nothing without."""
        assert self.sent(order="ord_81") == {"order": "ord_81"}
        assert self.sent(order=EMAIL) == {}
        assert PSEUDONYM.fullmatch(self.sent(key=KEY, order=EMAIL)["order"])

    def test_pseudonym(self) -> None:
        """Whatever it is, what leaves is its pseudonym; a secret's does not, nor anything without a key."""
        made = self.sent(key=KEY, payer="usr_1")["payer"]
        assert PSEUDONYM.fullmatch(made)
        assert self.sent(key=KEY, payer=made) == {"payer": made}
        assert self.sent(payer="usr_1") == {}
        assert self.sent(key=KEY, payer=PAN) == {}

    @pytest.mark.parametrize(
        ("value", "left"),
        [
            (PAN, "****1111"),
            ("GB82 WEST 1234 5698 7654 32", "****5432"),
            (22412345678, "****5678"),
            ("4242", "****4242"),
            ("****4242", "****4242"),
            ("12345", None),
            ("ada", None),
            (EMAIL, None),
        ],
    )
    def test_last_four(self, value: object, left: str | None) -> None:
        """A number is known by its last four; what is too short to hide the rest, or no number, is refused."""
        assert self.sent(account=value).get("account") == left

    @pytest.mark.parametrize("name", ["pin", "card_pin", "cvv", "login_otp", "api_secret"])
    def test_the_last_four_of_a_pin_are_the_pin(self, name: str) -> None:
        """A property that is called after a secret shows none of it."""
        with pytest.raises(Refused):
            KINDS["last_four"].of(name).normalise("4242")

    def test_toml_names_the_same_kinds(self, tmp_path: Path) -> None:
        """A kind that acts on the property's name does so from a file too."""
        assert KINDS["pseudonym"].of("payer") is KINDS["pseudonym"].of("payer") is not KINDS["pseudonym"]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"refused_keys": ["1"]}, "refused_keys has '1'"),
        ({"refuse_keys": ["a"]}, "unknown key 'refuse_keys'; did you mean 'refused_keys'"),
        ({"actions": {"emial": "drop"}}, "unknown rule 'emial'; there are: .*email"),
        ({"actions": {"email": "hash"}}, "email = 'hash': choose one of drop, mask, pseudonym"),
        ({"actions": {"email": "mask"}}, "email = 'mask': only .*phone"),
        ({"actions": {"pan": "mask"}}, "pan = 'mask': it is always dropped"),
        ({"actions": {"email": "pseudonym"}}, "ZENTRA_POSTHOG_PSEUDONYM_KEY"),
        ({"allowed_values": [PAN]}, "place 1 is caught as pan"),
        ({"undeclared": "keep"}, "undeclared"),
        (5, "sanitize"),
    ],
)
def test_what_no_policy_may_say(policy: object, message: str) -> None:
    """A policy that would let a secret out, or says nothing, is an error at start-up that names the place, not the value."""
    with pytest.raises(SettingsError, match=message) as caught:
        load({"sanitize": policy}, {})
    assert "sanitize" in str(caught.value)
    assert PAN not in str(caught.value)


def test_every_rule_is_decided() -> None:
    """The rules that a policy decides on and those that it cannot are rules of the detectors."""
    assert detectors.RULES >= actions.ALWAYS_DROPPED
    assert detectors.RULES >= actions.MASKABLE
    assert not actions.ALWAYS_DROPPED & actions.MASKABLE


@given(name=st.sampled_from(["account", "phone", "card_number"]), text=st.text(max_size=60))
def test_a_mask_shows_four_at_most(name: str, text: str) -> None:
    """Whatever the text, a mask is ``****`` and four characters of its own, and masking twice is masking once."""
    masked = actions.last_four(name, text)
    if masked is not None:
        assert re.fullmatch(r"\*{4}[0-9A-Z]{4}", masked)
        assert actions.last_four(name, masked) == masked
