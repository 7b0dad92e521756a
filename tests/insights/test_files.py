"""A tenant's tables in TOML become the same models as the classes in Python."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from zentra_otel_posthog.insights import (
    Alert,
    Cohort,
    Ensemble,
    Formula,
    Funnel,
    InterquartileRange,
    InvalidDashboard,
    Performed,
    PersonProperty,
    Retention,
    Series,
    Trend,
    ZScore,
    product,
)
from zentra_otel_posthog.insights.files import extended, read

TABLES = """
[[insight]]
type = "funnel"
key = "transfer-funnel"
name = "Login to transfer"
steps = ["session.authenticated", "transfer.completed"]
window = 2
window_unit = "hour"

[[insight]]
type = "trend"
key = "average-transfer"
name = "Average transfer"
series = [{ event = "transfer.completed", math = "avg", math_property = "amount_minor" }]
formulas = [{ formula = "A / 100", name = "Major units" }]
interval = "week"

[[insight]]
type = "retention"
key = "weekly-retention"
name = "Monthly logins"
start = "user.signed_up"
returning = "session.authenticated"
period = "Month"

[[cohort]]
key = "gold-in-lagos"
name = "Gold, with cards"
criteria = [
  { type = "person", key = "user_tier", value = ["gold"] },
  { type = "behavioral", event = "card.issued", times = 2, days = 90 },
]

[[alert]]
insight = "average-transfer"
name = "Odd transfers"
subscribed_users = [7]
detector = { type = "ensemble", operator = "and", detectors = [{ type = "zscore" }, { type = "iqr", multiplier = 3.0 }] }
"""
IN_PYTHON = product().extended(
    insights=[
        Funnel(key="transfer-funnel", name="Login to transfer", steps=("session.authenticated", "transfer.completed"), window=2, window_unit="hour"),
        Trend(
            key="average-transfer",
            name="Average transfer",
            series=(Series(event="transfer.completed", math="avg", math_property="amount_minor"),),
            formulas=(Formula(formula="A / 100", name="Major units"),),
            interval="week",
        ),
        Retention(key="weekly-retention", name="Monthly logins", start="user.signed_up", returning="session.authenticated", period="Month"),
    ],
    cohorts=[
        Cohort(
            key="gold-in-lagos",
            name="Gold, with cards",
            criteria=(PersonProperty(key="user_tier", value=("gold",)), Performed(event="card.issued", times=2, days=90)),
        )
    ],
    alerts=[
        Alert(
            insight="average-transfer",
            name="Odd transfers",
            subscribed_users=(7,),
            detector=Ensemble(operator="and", detectors=(ZScore(), InterquartileRange(multiplier=3))),
        )
    ],
)  # fmt: skip


def test_the_same_as_in_python() -> None:
    """Tables give the very models that the classes do, and what has the key of the product's own takes its place."""
    in_toml = extended(product(), "it.toml", **tomllib.loads(TABLES))
    assert in_toml == IN_PYTHON
    assert [insight.key for insight in in_toml.insights].count("weekly-retention") == 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[[insight]]\nkey = 'it'", "[[insight]] 'it' in it.toml has type None; there are: funnel, retention, trend"),
        ("[[insight]]\nkey = 'it'\ntype = 'funel'", "has type 'funel'; did you mean 'funnel'?"),
        ("[[insight]]\nkey = 'it'\ntype = 'funnel'\nstep = []", "unknown key 'step'; did you mean 'steps'?"),
        ("[[insight]]\nkey = 'it'\ntype = 'funnel'\nname = 'It'\nsteps = ['a.b']", "length >= 2 - at `$.steps`"),
        ("[[insight]]\nkey = 'It!'\ntype = 'funnel'\nname = 'It'\nsteps = ['a.b', 'a.b']", "at `$.key`"),
        ("[[cohort]]\nkey = 'it'\nname = 'It'", "missing required field `criteria`"),
        ("[[cohort]]\nkey = 'it'\nname = 'It'\ncriteria = [{ type = 'event' }]", "Invalid value 'event'"),
        ("[[alert]]\nname = 'It'\ninsight = 'it'\nupper = 'high'", "[[alert]] 'It' in it.toml: Expected `float"),
        ("[[alert]]\nname = 'It'\ninsigt = 'it'", "unknown key 'insigt'; did you mean 'insight'?"),
    ],
)
def test_what_is_wrong(table: str, message: str) -> None:
    """A wrong table is one message with file, table, key and the nearest right one."""
    with pytest.raises(InvalidDashboard) as refused:
        extended(product(), "it.toml", **tomllib.loads(table))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory): name a TOML file"),
        ("[[insight]", "is not valid TOML"),
        ("[[insights]]\nkey = 'it'", "unknown table 'insights'; did you mean 'insight'?"),
        ("alert = 5", "write [[alert]]"),
    ],
)
def test_a_file_that_is_none(content: str | None, message: str) -> None:
    """A file that cannot be read says so."""
    path = Path("it.toml")
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidDashboard) as refused:
        read(path)
    assert message in str(refused.value)
