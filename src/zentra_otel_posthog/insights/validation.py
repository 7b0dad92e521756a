"""Checks a dashboard before anything is sent: PostHog saves a query that can never show anything without a word."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from zentra_otel_posthog import events
from zentra_otel_posthog.events import EventSchema, nearest
from zentra_otel_posthog.insights.models import Alert, Cohort, Dashboard, Funnel, Insight, Performed, Retention, Trend

_NUMBERS: Final = frozenset({"minor_units", "count"})
_COUNTED: Final = frozenset({"total", "dau"})
_FORMULA: Final = re.compile(r"[A-Z0-9+\-*/(). ]+", re.ASCII)


class InvalidDashboard(ValueError):
    """A declaration is wrong. The message names it, the value and the nearest right one."""


def check(dashboard: Dashboard) -> None:
    """Check a dashboard against PostHog's rules and the tracking plan.

    Events of PostHog's own (``$pageview``) and their properties are taken as they are.

    Raises:
        InvalidDashboard: The first thing that is wrong.
    """
    # A constructor checks no constraint; reading what it made does, the same way for Python and TOML.
    try:
        msgspec.convert(msgspec.to_builtins(dashboard), Dashboard)
    except msgspec.ValidationError as error:
        raise InvalidDashboard(f"dashboard {dashboard.key!r}: {error}") from None
    for kind, parts in (("insight", dashboard.insights), ("cohort", dashboard.cohorts), ("alert", dashboard.alerts)):
        _check_unique(kind, [part.key for part in parts])
    for insight in dashboard.insights:
        _check_insight(insight)
    for cohort in dashboard.cohorts:
        _check_cohort(cohort)
    trends = {insight.key: insight for insight in dashboard.insights}
    for alert in dashboard.alerts:
        _check_alert(alert, trends)


def _check_unique(kind: str, keys: list[str]) -> None:
    for key in keys:
        if keys.count(key) > 1:
            raise InvalidDashboard(f"{kind} {key!r} stands there twice: rename one of them")


def _check_insight(insight: Insight) -> None:
    label = f"insight {insight.key!r}"
    match insight:
        case Funnel():
            schemas = [_schema(label, step) for step in insight.steps]
            _check_breakdown(label, insight, schemas)
        case Retention():
            for name in (insight.start, insight.returning):
                _schema(label, name)
        case Trend():
            _check_trend(label, insight)


def _check_trend(label: str, trend: Trend) -> None:
    schemas = [None if one.event is None else _schema(label, one.event) for one in trend.series]
    for one, schema in zip(trend.series, schemas, strict=True):
        if one.math in _COUNTED:
            if one.math_property is not None:
                raise InvalidDashboard(f"{label}: math {one.math!r} takes no math_property: leave it out")
            continue
        if one.math_property is None or one.event is None:
            raise InvalidDashboard(f"{label}: math {one.math!r} needs an event and a math_property that is a number")
        if schema is not None:
            _check_number(label, schema, one.math_property)
    _check_breakdown(label, trend, schemas)
    letters = [chr(ord("A") + position) for position in range(len(trend.series))]
    for formula in trend.formulas:
        _check_formula(label, formula.formula, letters)


def _check_number(label: str, schema: EventSchema, name: str) -> None:
    numbers = [name for name, kind in schema.kinds.items() if kind.name in _NUMBERS]
    if name not in numbers:
        what = "is no number" if name in schema.kinds else "is none of its properties"
        raise InvalidDashboard(f"{label}: math_property {name!r} of {schema.name!r} {what}; {nearest(name, numbers)}")


def _check_formula(label: str, formula: str, letters: list[str]) -> None:
    if not _FORMULA.fullmatch(formula):
        raise InvalidDashboard(
            f"{label}: formula {formula!r} has other signs than letters of series, numbers, + - * / and parentheses"
        )
    used = re.findall(r"[A-Z]+", formula)
    for letter in used:
        if letter not in letters:
            raise InvalidDashboard(f"{label}: formula {formula!r} names {letter}; the series are {', '.join(letters)}")
    if not used:
        raise InvalidDashboard(f"{label}: formula {formula!r} names no series; they are {', '.join(letters)}")


def _check_breakdown(label: str, insight: Funnel | Trend, schemas: Iterable[EventSchema | None]) -> None:
    name = insight.breakdown
    if name is None or name.startswith("$"):
        return
    if insight.breakdown_type == "person":
        _check_person_property(label, name)
        return
    for schema in schemas:
        if schema is not None and name not in schema.kinds:
            raise InvalidDashboard(
                f"{label}: breakdown {name!r} is no property of {schema.name!r}; {nearest(name, schema.kinds)}"
            )


def _check_person_property(label: str, name: str) -> None:
    known = sorted({key for schema in events.schemas() for key in (*schema.person_set, *schema.person_set_once)})
    if name not in known and not name.startswith("$"):
        raise InvalidDashboard(f"{label}: no event sets a person property {name!r}; {nearest(name, known)}")


def _check_cohort(cohort: Cohort) -> None:
    label = f"cohort {cohort.key!r}"
    for criterion in cohort.criteria:
        if isinstance(criterion, Performed):
            _schema(label, criterion.event)
        else:
            _check_person_property(label, criterion.key)
    if all(criterion.negation for criterion in cohort.criteria):
        raise InvalidDashboard(f"{label} says only who is not in it, which PostHog refuses: add who is")


def _check_alert(alert: Alert, insights: dict[str, Insight]) -> None:
    label = f"alert {alert.name!r}"
    trends = [insight.key for insight in insights.values() if isinstance(insight, Trend)]
    trend = insights.get(alert.insight)
    if not isinstance(trend, Trend):
        what = "is no trend" if trend is not None else "is not on the dashboard"
        raise InvalidDashboard(f"{label}: insight {alert.insight!r} {what}; {nearest(alert.insight, trends)}")
    if alert.series_index >= trend.lines:
        raise InvalidDashboard(
            f"{label}: series_index {alert.series_index} of {trend.key!r}, which has {trend.lines}, counted from 0"
        )
    bounds = [bound for bound in (alert.lower, alert.upper) if bound is not None]
    if bool(bounds) == bool(alert.detector):
        raise InvalidDashboard(f"{label} needs either bounds (upper, lower) or a detector")
    if alert.lower is not None and alert.upper is not None and alert.lower >= alert.upper:
        raise InvalidDashboard(f"{label}: lower = {alert.lower:g} is not below upper = {alert.upper:g}")
    if alert.condition == "absolute_value" and alert.threshold_type != "absolute":
        raise InvalidDashboard(f"{label}: threshold_type 'percentage' needs a relative condition")
    if trend.display in {"BoldNumber", "ActionsTable"} and (alert.detector or alert.condition != "absolute_value"):
        raise InvalidDashboard(f"{label}: {trend.key!r} shows one number ({trend.display}), no line to compare along")
    if alert.check_ongoing_interval and alert.upper is None and alert.condition != "relative_decrease":
        raise InvalidDashboard(f"{label}: check_ongoing_interval needs an upper bound: an interval fills up")


def _schema(label: str, name: str) -> EventSchema | None:
    if name.startswith("$"):
        return None
    try:
        return events.require(name)
    except events.UnknownEvent as error:
        raise InvalidDashboard(f"{label}: {error}") from None
