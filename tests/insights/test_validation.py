"""What PostHog would save without a word and never show, or refuse half-way, is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from zentra_otel_posthog.insights import (
    Alert,
    Cohort,
    Dashboard,
    Ensemble,
    Formula,
    Funnel,
    InvalidDashboard,
    Performed,
    PersonProperty,
    Retention,
    Series,
    Trend,
    ZScore,
    check,
)

PAID = Series(event="payment.completed")
RATE = Trend(
    key="rate",
    name="Rate",
    series=(Series(event="payment.failed"), PAID),
    formulas=(Formula(formula="A / (A + B)", name="Rate"),),
)
BIG = Trend(key="big", name="One number", series=(PAID,), display="BoldNumber")


def trend(**options: Any) -> Trend:
    return Trend(key="it", name="It", **{"series": (PAID,), **options})


def funnel(*steps: str, **options: Any) -> Funnel:
    return Funnel(key="it", name="It", steps=steps, **options)


def alert(**options: Any) -> Alert:
    return Alert(**{"insight": "rate", "name": "It", **options})


def cohort(*criteria: Performed | PersonProperty) -> Cohort:
    return Cohort(key="it", name="It", criteria=criteria)


RIGHT: list[Any] = [
    funnel("payment.pending", "payment.completed", breakdown="method", window=7),
    funnel("$pageview", "user.signed_up"),
    funnel("user.signed_up", "payment.completed", breakdown="kyc_tier", breakdown_type="person"),
    Retention(key="it", name="It", start="user.signed_up", returning="session.authenticated", period="Day"),
    trend(
        series=(Series(event="transfer.completed", math="sum", math_property="amount_minor"),), breakdown="destination"
    ),
    trend(series=(Series(math="dau"),), breakdown="$browser"),
    trend(series=(PAID, PAID), formulas=(Formula(formula="(A - B) * 100 / 1.5", name="It"),)),
    cohort(Performed(event="payment.completed", times=5), PersonProperty(key="signup_channel", negation=True)),
    alert(upper=0.1),
    alert(lower=0.1, upper=0.9, calculation_interval="weekly"),
    alert(condition="relative_decrease", threshold_type="percentage", upper=0.5, check_ongoing_interval=True),
    alert(detector=Ensemble(operator="and", detectors=(ZScore(), ZScore(window=60)))),
]
WRONG: list[tuple[Any, str]] = [
    (funnel("payment.pending", "payment.complete"), "'payment.complete' in the tracking plan; did you mean 'payment.completed'"),
    (funnel("payment.pending"), "length >= 2"),
    (funnel("payment.pending", "payment.completed", breakdown="metod"), "'metod' is no property of 'payment.pending'; did you mean 'method'"),
    (funnel("payment.pending", "payment.completed", window=0), ">= 1"),
    (funnel("payment.pending", "payment.completed", date_from="yesterday"), "regex"),
    (funnel("payment.pending", "payment.completed", breakdown="kyc_teir", breakdown_type="person"), "did you mean 'kyc_tier'"),
    (Retention(key="it", name="It", start="user.signedup", returning="card.issued"), "did you mean 'user.signed_up'"),
    (Retention(key="it", name="It", start="user.signed_up", returning="card.issued", intervals=1), ">= 2"),
    (Retention(key="Not A Key", name="It", start="user.signed_up", returning="card.issued"), "regex"),
    (trend(series=()), "length >= 1"),
    (trend(series=(Series(event="payment.completed", math="sum"),)), "needs an event and a math_property"),
    (trend(series=(Series(math="sum", math_property="amount_minor"),)), "needs an event and a math_property"),
    (trend(series=(Series(event="payment.completed", math="sum", math_property="method"),)), "'method' of 'payment.completed' is no number; "),
    (trend(series=(Series(event="payment.completed", math="sum", math_property="amount"),)), "is none of its properties; did you mean 'amount_minor'"),
    (trend(series=(Series(event="payment.completed", math_property="amount_minor"),)), "takes no math_property"),
    (trend(series=(Series(event="payment.failed"), PAID), breakdown="reason"), "'reason' is no property of 'payment.completed'"),
    (trend(formulas=(Formula(formula="A / B", name="It"),)), "names B; the series are A"),
    (trend(formulas=(Formula(formula="a / 2", name="It"),)), "has other signs"),
    (trend(formulas=(Formula(formula="1 + 1", name="It"),)), "names no series"),
    (trend(display="PieInTheSky"), "Invalid enum value"),
    (cohort(), "length >= 1"),
    (cohort(Performed(event="payment.completed", negation=True)), "says only who is not in it"),
    (cohort(Performed(event="payment.completed", days=0)), ">= 1"),
    (cohort(PersonProperty(key="email")), "no event sets a person property 'email'"),
    (alert(), "needs either bounds"),
    (alert(upper=1, detector=ZScore()), "needs either bounds"),
    (alert(lower=1, upper=1), "lower = 1 is not below upper = 1"),
    (alert(insight="rats", upper=1), "not on the dashboard; did you mean 'rate'"),
    (alert(insight="steps", upper=1), "is no trend"),
    (alert(series_index=1, upper=1), "'rate', which has 1"),
    (alert(threshold_type="percentage", upper=1), "needs a relative condition"),
    (alert(insight="big", detector=ZScore()), "shows one number"),
    (alert(insight="big", condition="relative_increase", upper=1), "shows one number"),
    (alert(lower=1, check_ongoing_interval=True), "needs an upper bound"),
    (alert(detector=ZScore(threshold=2)), "<= 1"),
    (alert(detector=Ensemble(operator="and", detectors=(ZScore(),))), "length >= 2"),
]  # fmt: skip


def dashboard(part: Any) -> Dashboard:
    own = Funnel(key="steps", name="Steps", steps=("payment.pending", "payment.completed"))
    insights = (RATE, BIG, own, *([part] if isinstance(part, (Funnel, Retention, Trend)) else ()))
    return Dashboard(
        key="it",
        name="It",
        insights=insights,
        cohorts=(part,) if isinstance(part, Cohort) else (),
        alerts=(part,) if isinstance(part, Alert) else (),
    )


@pytest.mark.parametrize("part", RIGHT, ids=repr)
def test_what_is_right(part: Any) -> None:
    """What PostHog can show passes."""
    check(dashboard(part))


@pytest.mark.parametrize(("part", "message"), WRONG)
def test_what_is_wrong(part: Any, message: str) -> None:
    """What it cannot show does not, with a message that names it and the nearest right one."""
    with pytest.raises(InvalidDashboard) as refused:
        check(dashboard(part))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("field", ["insights", "cohorts", "alerts"])
def test_a_key_stands_for_one(field: str) -> None:
    """Two parts of one key would be one object in PostHog."""
    parts = {
        "insights": (RATE, RATE),
        "cohorts": (cohort(Performed(event="card.issued")),) * 2,
        "alerts": (alert(upper=1),) * 2,
    }
    whole: dict[str, Any] = {"insights": (RATE,), field: parts[field]}
    with pytest.raises(InvalidDashboard, match="stands there twice"):
        check(Dashboard(key="it", name="It", **whole))
