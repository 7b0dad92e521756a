"""The product's dashboard: what every tenant starts from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from zentra_otel_posthog.insights.models import (
    Alert,
    Cohort,
    Dashboard,
    Formula,
    Funnel,
    Insight,
    Performed,
    PersonProperty,
    Retention,
    Series,
    Trend,
)
from zentra_otel_posthog.insights.queries import ZScore

_TIERS: Final = ("tier_1", "tier_2", "tier_3")
_FAILED: Final = Series(event="payment.failed")
_COMPLETED: Final = Series(event="payment.completed")
_FAILURE_RATE: Final = Formula(formula="A / (A + B)", name="Failure rate")

_INSIGHTS: Final[tuple[Insight, ...]] = (
    Funnel(
        key="payment-conversion",
        name="Payment conversion by method",
        description="Of payments begun, how many complete within a day.",
        steps=("payment.pending", "payment.completed"),
        breakdown="method",
        window=1,
    ),
    Funnel(
        key="onboarding",
        name="Onboarding",
        description="From sign-up to the first payment.",
        steps=("user.signed_up", "kyc.verified", "card.issued", "payment.completed"),
        window=30,
    ),
    Trend(
        key="payment-failure-rate",
        name="Payment failure rate",
        description="Failed payments, of all that have an outcome.",
        series=(_FAILED, _COMPLETED),
        formulas=(_FAILURE_RATE,),
        percentage=True,
    ),
    Trend(
        key="payment-failure-rate-by-method",
        name="Payment failure rate by method",
        series=(_FAILED, _COMPLETED),
        formulas=(_FAILURE_RATE,),
        breakdown="method",
        percentage=True,
    ),
    # No rate: a completed payment has no reason to be divided by.
    Trend(
        key="payment-failures-by-reason",
        name="Failed payments by reason",
        series=(_FAILED,),
        breakdown="reason",
        display="ActionsBar",
    ),
    Trend(
        key="daily-active-users",
        name="Daily active users",
        description="Persons with any event.",
        series=(Series(math="dau"),),
    ),
    Trend(
        key="transaction-volume",
        name="Transaction volume by currency",
        description="Completed payments, in minor units of each currency.",
        series=(Series(event="payment.completed", math="sum", math_property="amount_minor"),),
        breakdown="currency",
        width=12,
    ),
    Retention(
        key="weekly-retention",
        name="Weekly retention",
        description="Of those who signed up, how many complete a payment in the weeks after.",
        start="user.signed_up",
        returning="payment.completed",
        width=12,
    ),
)

_ALERTS: Final = (
    Alert(
        insight="payment-failure-rate",
        name="Payment failures spike",
        upper=0.15,
        check_ongoing_interval=True,
        calculation_interval="hourly",
    ),
    Alert(
        insight="daily-active-users",
        name="Daily active users drop",
        condition="relative_decrease",
        threshold_type="percentage",
        upper=0.3,
    ),
    Alert(
        insight="transaction-volume",
        name="Unusual transaction volume",
        detector=ZScore(threshold=0.95, window=30),
    ),
)


def product(*, kyc_tiers: Iterable[str] = _TIERS, user_tiers: Iterable[str] = _TIERS) -> Dashboard:
    """Return the product's dashboard, for ``extended`` to build on.

    Args:
        kyc_tiers: The tiers of ``kyc.verified`` at the tenant: a cohort each, by the person property ``kyc_tier``.
        user_tiers: The customer tiers likewise, by ``user_tier``.
    """
    return Dashboard(
        key="product",
        name="Zentra: payments and customers",
        description="Conversion, failures, activity, volume and retention.",
        insights=_INSIGHTS,
        cohorts=tuple(_cohorts(kyc_tiers, user_tiers)),
        alerts=_ALERTS,
    )


def _cohorts(kyc_tiers: Iterable[str], user_tiers: Iterable[str]) -> Iterator[Cohort]:
    yield Cohort(
        key="active-payers",
        name="Active payers",
        description="Three or more completed payments in 30 days.",
        criteria=(Performed(event="payment.completed", times=3, days=30),),
    )
    yield Cohort(
        key="signed-up-never-paid",
        name="Signed up, never paid",
        description="Signed up within a year, and no payment completed in it.",
        criteria=(
            Performed(event="user.signed_up", days=365),
            Performed(event="payment.completed", days=365, negation=True),
        ),
    )
    yield Cohort(
        key="lapsed",
        name="Lapsed payers",
        description="A payment completed within 90 days, and none in the last 30.",
        criteria=(
            Performed(event="payment.completed", days=90),
            Performed(event="payment.completed", days=30, negation=True),
        ),
    )
    people = {"kyc_tier": ("KYC", kyc_tiers), "user_tier": ("User", user_tiers)}
    for name, (label, tiers) in people.items():
        for tier in tiers:
            yield _by_person(name, tier, f"{label} tier: {tier}")
    for platform, label in (("ios", "iOS"), ("android", "Android"), ("web", "Web")):
        yield _by_person("platform", platform, f"Platform: {label}")


def _by_person(name: str, value: str, label: str) -> Cohort:
    key = f"{name}-{value}".replace("_", "-").replace(".", "-")
    return Cohort(key=key, name=label, criteria=(PersonProperty(key=name, value=(value,)),))
