"""A rule that cannot be right is an error at start-up, which names file, target and key, and the way out."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zentra_otel_posthog import Settings, configure, decorators, events
from zentra_otel_posthog._presets import Preset
from zentra_otel_posthog._rules import Rule
from zentra_otel_posthog.config import PRESETS, SettingsError, load

TARGET = "bank.payments:Payments.pay"
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "key": ({"distinctid": "customer.id"}, "has an unknown key 'distinctid'; did you mean 'distinct_id'?"),
    "family": ({"event": "payments"}, "has an unknown event 'payments'; did you mean 'payment'?"),
    "event": ({"event": "card.isued"}, "has an unknown event 'card.isued'; did you mean 'card.issued'?"),
    "far event": ({"event": "zzz"}, "has an unknown event 'zzz'; there are: payment, transfer, *"),
    "pending": ({"event": "payment.completed", "pending": "payment.pendin"}, "has an unknown pending 'payment.pendin'; did you mean 'payment.pending'?"),
    "failed": ({"event": "payment.completed", "failed": "payment"}, "has an unknown failed 'payment'; did you mean 'payment."),
    "a family's own": ({"failed": "payment.failed"}, "has failed = 'payment.failed', but 'payment' brings its own events: leave failed out"),
    "property": ({"properties": {"amount": "order.amount"}}, "has an unknown property 'amount'; did you mean 'amount_minor'?"),
    "path": ({"distinct_id": "order..id"}, "has distinct_id = 'order..id': a path is names joined by dots"),
    "property's path": ({"properties": {"method": "a b"}}, "has properties.method = 'a b': a path is names joined by dots"),
    "type": ({"tenant": 5}, "Expected `str | null`, got `int` - at `$.tenant`"),
    "type of properties": ({"properties": "amount"}, "Expected `object`, got `str` - at `$.properties`"),
}  # fmt: skip
WRONG_TARGETS = [None, 5, "", "bank.payments", "bank.payments.Payments.pay", ":pay", "bank:", "bank:pay()", "bank:f.<locals>.g", "../bank:pay", "bank:pay:more", "bank..x:pay"]  # fmt: skip


def toml(table: dict[str, Any]) -> str:
    return "[[instrument]]\n" + "".join(f"{key} = {value(item)}\n" for key, item in table.items())


def value(item: Any) -> str:
    if isinstance(item, dict):
        return f"{{ {', '.join(f'{key} = {value(one)}' for key, one in item.items())} }}"
    return f"'{item}'" if isinstance(item, str) else str(item)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule(name: str, tmp_path: Path) -> None:
    """The message begins with target and file, then names the key and the nearest right one."""
    options, message = WRONG[name]
    (tmp_path / "zentra-otel-posthog.toml").write_text(toml({"target": TARGET, "event": "payment", **options}))
    expected = f"[[instrument]] '{TARGET}' in zentra-otel-posthog.toml" + (": " if name.startswith("type") else " ")
    with pytest.raises(SettingsError, match=f"^{re.escape(expected + message)}".replace(r"\*", ".*")):
        configure()


@pytest.mark.parametrize("target", WRONG_TARGETS)
def test_a_wrong_target(target: object) -> None:
    """What names no function in a module is refused, with an example."""
    with pytest.raises(SettingsError, match=re.escape(f"has target {target!r}: name a function by its module")):
        load({"instrument": [{"target": target, "event": "payment"}]}, {})


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"event": "payment"}], "has target None"),
        ([{"target": TARGET}], f"'{TARGET}' in configure() has no event: name one of payment, transfer, card, "),
        (["bank:pay"], "is 'bank:pay': write a table with target and event"),
        ({"target": TARGET, "event": "payment"}, "write each rule as a table under [[instrument]]"),
        ([{"target": TARGET, "event": "payment"}] * 2, f"'{TARGET}' in configure() stands there twice: merge the two"),
    ],
)
def test_what_is_no_list_of_rules(rules: object, message: str) -> None:
    """A rule without target or event, a rule that is none, and one that is there twice."""
    with pytest.raises(SettingsError, match=re.escape(message)):
        load({"instrument": rules}, {})


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))  # fmt: skip


@given(st.dictionaries(st.sampled_from([*msgspec.structs.asdict(Settings()), *Rule.__dataclass_fields__]), JSON) | JSON)
def test_any_table(table: object) -> None:
    """Whatever stands in a rule gives a rule or a settings error."""
    declaration = {"target": TARGET, "event": "payment", **table} if isinstance(table, dict) else table
    with contextlib.suppress(SettingsError):
        assert all(isinstance(rule, Rule) for rule in load({"instrument": [declaration]}, {}).instrument)


@pytest.fixture
def basket() -> Iterator[str]:
    yield "basket.paid"
    events.forget("the settings")


def test_an_event_of_the_same_file(basket: str) -> None:
    """A rule may name what ``[[event]]`` declares beside it."""
    rule = {"target": TARGET, "event": basket, "properties": {"items": "order.items"}}
    configure(event=[{"name": basket, "properties": {"items": "count"}}], instrument=[rule])


def test_families_are_the_decorators() -> None:
    """A rule's family and the decorator of that name record the same events."""
    for name in events.FAMILIES:
        decorator, by_name = getattr(decorators, name), decorators.family(name)
        assert [one.name for one in decorator._schemas()] == [one.name for one in by_name._schemas()]


def test_every_preset_is_there() -> None:
    """What ``presets`` may name can be connected."""
    assert [Preset(name).state().state for name in PRESETS] == ["pending import"] * len(PRESETS)
