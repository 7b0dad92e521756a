"""Dashboards, cohorts and alerts as code: declared here, checked against the tracking plan, brought to PostHog.

Example:
    >>> from zentra_otel_posthog.insights import Alert, Series, Trend, product
    >>> DASHBOARD = product().extended(
    ...     insights=[Trend(key="cards-issued", name="Cards issued", series=(Series(event="card.issued"),))],
    ...     alerts=[Alert(insight="cards-issued", name="No cards", lower=1)],
    ... )

``zentra-otel-posthog insights apply --dashboard bank.dashboards:DASHBOARD`` brings it to PostHog.
"""

from zentra_otel_posthog.insights.models import (
    Alert,
    Cohort,
    Dashboard,
    Formula,
    Funnel,
    Performed,
    PersonProperty,
    Retention,
    Series,
    Trend,
)
from zentra_otel_posthog.insights.product import product
from zentra_otel_posthog.insights.queries import Ensemble, InterquartileRange, ZScore
from zentra_otel_posthog.insights.validation import InvalidDashboard, check

__all__ = [
    "Alert",
    "Cohort",
    "Dashboard",
    "Ensemble",
    "Formula",
    "Funnel",
    "InterquartileRange",
    "InvalidDashboard",
    "Performed",
    "PersonProperty",
    "Retention",
    "Series",
    "Trend",
    "ZScore",
    "check",
    "product",
]
