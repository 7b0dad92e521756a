"""What a dashboard is made of, as people declare it: in Python with these classes, in TOML with tables of like keys.

Each knows the PostHog shape that it becomes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from zentra_otel_posthog.insights import queries
from zentra_otel_posthog.insights.queries import Detector, EventsNode, encoded

Key = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Positive = Annotated[int, Meta(ge=1)]
Since = Annotated[str, Meta(pattern=r"^-[1-9][0-9]{0,3}[hdwmy]$")]

_GRID: Final = 12  # columns of a dashboard
_TILE_HEIGHT: Final = 5  # rows


class _Insight(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What all insights have.

    Args:
        key: Its name for good, in lower-case words joined by hyphens: under it ``apply`` finds it again.
        name: What people read.
        description: Likewise.
        width: Columns on the dashboard, of 12.
    """

    key: Key
    name: Text
    description: Annotated[str, Meta(max_length=400)] = ""
    width: Literal[6, 12] = 6


class Funnel(_Insight, frozen=True, kw_only=True, tag="funnel"):
    """How many come from step to step.

    Args:
        steps: Events, in order.
        breakdown: A property that each of them carries: a funnel for each value.
        window: How long a person may take from the first step to the last, in ``window_unit``.
        window_unit: Its unit.
        date_from: How far back, as in ``-30d``.
    """

    steps: Annotated[tuple[str, ...], Meta(min_length=2)]
    breakdown: str | None = None
    breakdown_type: Literal["event", "person"] = "event"
    window: Positive = 14
    window_unit: Literal["minute", "hour", "day", "week", "month"] = "day"
    date_from: Since = "-30d"

    def query(self) -> dict[str, Any]:
        """Return what PostHog saves."""
        source = queries.FunnelsQuery(
            series=tuple(EventsNode(event=step, name=step) for step in self.steps),
            funnels_filter=queries.FunnelsFilter(
                funnel_window_interval=self.window, funnel_window_interval_unit=self.window_unit
            ),
            date_range=queries.DateRange(self.date_from),
            breakdown_filter=_breakdown(self.breakdown, self.breakdown_type),
        )
        return encoded(queries.InsightVizNode(source=source))


class Retention(_Insight, frozen=True, kw_only=True, tag="retention"):
    """How many come back, period by period after the first time.

    Args:
        start: The event from whose first time on a person is followed.
        returning: The event that counts as coming back.
        period: What is counted by.
        intervals: How many periods are followed.
    """

    start: str
    returning: str
    period: Literal["Hour", "Day", "Week", "Month"] = "Week"
    intervals: Annotated[int, Meta(ge=2, le=52)] = 9

    def query(self) -> dict[str, Any]:
        """Return what PostHog saves."""
        source = queries.RetentionQuery(
            retention_filter=queries.RetentionFilter(
                target_entity=queries.RetentionEntity(id=self.start, name=self.start),
                returning_entity=queries.RetentionEntity(id=self.returning, name=self.returning),
                period=self.period,
                total_intervals=self.intervals,
            )
        )
        return encoded(queries.InsightVizNode(source=source))


class Series(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a trend.

    Args:
        event: The event; None for all of them.
        math: ``total`` counts events, ``dau`` persons, the others reckon with ``math_property``.
        math_property: A property of the event that is a number.
    """

    event: str | None = None
    math: Literal["total", "dau", "sum", "avg", "min", "max"] = "total"
    math_property: str | None = None


class Formula(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line made of others.

    Args:
        formula: Series by their letters, the first is A, as in ``A / (A + B)``.
        name: What people read.
    """

    formula: str
    name: Text


class Trend(_Insight, frozen=True, kw_only=True, tag="trend"):
    """Counts and sums over time.

    Args:
        series: At most 26.
        formulas: Lines in place of the series.
        breakdown: A property that the events of all series carry: a line for each value.
        breakdown_type: Whose property: the event's or the person's.
        interval: What is counted by.
        display: PostHog's name for the drawing.
        percentage: Values are fractions and read as per cent.
        date_from: How far back, as in ``-30d``.
    """

    series: Annotated[tuple[Series, ...], Meta(min_length=1, max_length=26)]
    formulas: tuple[Formula, ...] = ()
    breakdown: str | None = None
    breakdown_type: Literal["event", "person"] = "event"
    interval: Literal["hour", "day", "week", "month"] = "day"
    display: Literal["ActionsLineGraph", "ActionsBar", "ActionsAreaGraph", "ActionsTable", "BoldNumber"] = (
        "ActionsLineGraph"
    )
    percentage: bool = False
    date_from: Since = "-30d"

    def query(self) -> dict[str, Any]:
        """Return what PostHog saves."""
        source = queries.TrendsQuery(
            series=tuple(
                EventsNode(
                    event=one.event,
                    name=one.event or "All events",
                    math=one.math,
                    math_property=one.math_property or UNSET,
                )
                for one in self.series
            ),
            interval=self.interval,
            trends_filter=queries.TrendsFilter(
                display=self.display,
                formula_nodes=tuple(
                    queries.FormulaNode(formula=one.formula, custom_name=one.name) for one in self.formulas
                )
                or UNSET,
                aggregation_axis_format="percentage_scaled" if self.percentage else UNSET,
            ),
            date_range=queries.DateRange(self.date_from),
            breakdown_filter=_breakdown(self.breakdown, self.breakdown_type),
        )
        return encoded(queries.InsightVizNode(source=source))

    @property
    def lines(self) -> int:
        """How many lines it has, before any breakdown."""
        return len(self.formulas or self.series)


Insight = Funnel | Retention | Trend


class Performed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="behavioral"):
    """What persons of a cohort have done.

    Args:
        event: The event.
        times: At least so often.
        days: In so many days up to now.
        negation: True: they have not.
    """

    event: str
    times: Positive = 1
    days: Positive = 30
    negation: bool = False

    def filter(self) -> queries.BehavioralFilter:
        """Return PostHog's filter."""
        multiple = self.times > 1
        return queries.BehavioralFilter(
            key=self.event,
            value="performed_event_multiple" if multiple else "performed_event",
            operator="gte" if multiple else UNSET,
            operator_value=self.times if multiple else UNSET,
            time_value=self.days,
            negation=self.negation,
        )


class PersonProperty(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="person"):
    """What is known of persons of a cohort.

    Args:
        key: A person property that an event of the tracking plan sets.
        value: One of these; none: whatever it is, it is known.
        negation: True: everybody else.
    """

    key: str
    value: tuple[str, ...] = ()
    negation: bool = False

    def filter(self) -> queries.PersonFilter:
        """Return PostHog's filter."""
        return queries.PersonFilter(
            key=self.key,
            operator="exact" if self.value else "is_set",
            value=self.value or "is_set",
            negation=self.negation,
        )


class Cohort(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Persons that fulfil every criterion.

    Args:
        key: Its name for good, as an insight's.
        name: What people read.
        description: Likewise.
        criteria: What they have done and who they are; at least one without ``negation``.
    """

    key: Key
    name: Text
    criteria: Annotated[tuple[Performed | PersonProperty, ...], Meta(min_length=1)]
    description: Annotated[str, Meta(max_length=400)] = ""

    def filters(self) -> dict[str, Any]:
        """Return PostHog's filters."""
        everyone = queries.PropertyGroup(type="AND", values=tuple(one.filter() for one in self.criteria))
        return {"properties": encoded(queries.PropertyGroup(type="OR", values=(everyone,)))}


class Alert(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Watches a trend and tells people.

    Args:
        insight: The trend's key.
        name: What people read; with the trend the alert's name for good.
        condition: The value itself, or its change against the interval before.
        threshold_type: Bounds are values (``absolute``) or fractions (``percentage``: 0.3 is 30 per cent).
        upper: Fires above it. A decrease is a positive number: its bound is the upper one.
        lower: Fires below it.
        detector: Decides instead of bounds.
        series_index: Which line, from 0.
        check_ongoing_interval: Looks at the interval that is not over yet as well.
        calculation_interval: How often it looks.
        subscribed_users: Ids of the PostHog users that are told, beside those who subscribe themselves.
        enabled: False: it is kept and does not look.
    """

    insight: str
    name: Text
    condition: Literal["absolute_value", "relative_increase", "relative_decrease"] = "absolute_value"
    threshold_type: Literal["absolute", "percentage"] = "absolute"
    upper: float | None = None
    lower: float | None = None
    detector: Detector | None = None
    series_index: Annotated[int, Meta(ge=0)] = 0
    check_ongoing_interval: bool = False
    calculation_interval: Literal["hourly", "daily", "weekly", "monthly"] = "daily"
    subscribed_users: tuple[Positive, ...] = ()
    enabled: bool = True

    @property
    def key(self) -> str:
        """What tells it from other alerts."""
        return f"{self.insight}: {self.name}"

    def payload(self) -> dict[str, Any]:
        """Return what PostHog saves, but for the insight's id and whom it tells."""
        threshold = queries.ThresholdConfiguration(
            type=self.threshold_type, bounds=queries.Bounds(lower=_or_unset(self.lower), upper=_or_unset(self.upper))
        )
        config = queries.TrendsAlertConfig(
            series_index=self.series_index, check_ongoing_interval=self.check_ongoing_interval
        )
        return {
            "enabled": self.enabled,
            "condition": encoded(queries.AlertCondition(type=self.condition)),
            "threshold": encoded(queries.Threshold(configuration=threshold)),
            "config": encoded(config),
            "detector_config": None if self.detector is None else encoded(self.detector),
            "calculation_interval": self.calculation_interval,
        }


Part = TypeVar("Part", bound=Insight | Cohort | Alert)


class Dashboard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dashboard with all that belongs to it.

    Args:
        key: Its name for good, as an insight's.
        name: What people read.
        description: Likewise.
        insights: In reading order; the layout follows from it.
        cohorts: Made beside it.
        alerts: On its trends.
    """

    key: Key
    name: Text
    description: Annotated[str, Meta(max_length=400)] = ""
    insights: tuple[Insight, ...] = ()
    cohorts: tuple[Cohort, ...] = ()
    alerts: tuple[Alert, ...] = ()

    def extended(
        self, *, insights: Iterable[Insight] = (), cohorts: Iterable[Cohort] = (), alerts: Iterable[Alert] = ()
    ) -> Dashboard:
        """Return it with more; what has the key of something in it takes its place."""
        return msgspec.structs.replace(
            self,
            insights=_merged(self.insights, insights),
            cohorts=_merged(self.cohorts, cohorts),
            alerts=_merged(self.alerts, alerts),
        )

    def subscribed(self, users: Iterable[int]) -> Dashboard:
        """Return it with alerts that tell these PostHog users, by their ids, as well."""
        alerts = tuple(
            msgspec.structs.replace(alert, subscribed_users=tuple(dict.fromkeys((*alert.subscribed_users, *users))))
            for alert in self.alerts
        )
        return msgspec.structs.replace(self, alerts=alerts)

    def layouts(self) -> dict[str, dict[str, int]]:
        """Return where each insight stands, by its key: from left to right, from top to bottom."""
        found: dict[str, dict[str, int]] = {}
        x = y = 0
        for insight in self.insights:
            if x + insight.width > _GRID:
                x, y = 0, y + _TILE_HEIGHT
            found[insight.key] = {"x": x, "y": y, "w": insight.width, "h": _TILE_HEIGHT}
            x += insight.width
        return found


def _merged(own: tuple[Part, ...], others: Iterable[Part]) -> tuple[Part, ...]:
    return tuple({one.key: one for one in (*own, *others)}.values())


def _breakdown(name: str | None, whose: Literal["event", "person"]) -> queries.BreakdownFilter | UnsetType:
    return UNSET if name is None else queries.BreakdownFilter(breakdown=name, breakdown_type=whose)


def _or_unset(bound: float | None) -> float | UnsetType:
    return UNSET if bound is None else bound
