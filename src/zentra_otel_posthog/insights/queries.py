"""PostHog's own shapes: the queries, filters and alert settings that this package sends, and no others.

Names are PostHog's. A server saves a query without looking into it, so these types are the first of two checks; the
second, against the tracking plan, is ``validation``. What is optional is either sent or UNSET, never null: what comes
back with a server's defaults filled in then compares equal.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType


class EventsNode(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """One series or step; ``event`` None stands for every event."""

    event: str | None
    name: str
    math: str | UnsetType = UNSET
    math_property: str | UnsetType = UNSET


class DateRange(Struct, frozen=True):
    """How far back, as in ``-30d``."""

    date_from: str


class BreakdownFilter(Struct, frozen=True, kw_only=True):
    """One line or bar for each value of a property."""

    breakdown: str
    breakdown_type: Literal["event", "person"]


class FunnelsFilter(Struct, frozen=True, kw_only=True, rename="camel"):
    """Steps in order, within a window."""

    funnel_window_interval: int
    funnel_window_interval_unit: str
    funnel_viz_type: Literal["steps"] = "steps"
    funnel_order_type: Literal["ordered"] = "ordered"


class FunnelsQuery(Struct, frozen=True, kw_only=True, tag_field="kind", tag="FunnelsQuery", rename="camel"):
    """How many come from step to step."""

    series: tuple[EventsNode, ...]
    funnels_filter: FunnelsFilter
    date_range: DateRange
    breakdown_filter: BreakdownFilter | UnsetType = UNSET


class RetentionEntity(Struct, frozen=True, kw_only=True):
    """The event that starts a cohort, or the one that counts as coming back."""

    id: str
    name: str
    type: Literal["events"] = "events"


class RetentionFilter(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who is followed, what counts, for how long."""

    target_entity: RetentionEntity
    returning_entity: RetentionEntity
    period: str
    total_intervals: int
    retention_type: Literal["retention_first_time"] = "retention_first_time"


class RetentionQuery(Struct, frozen=True, kw_only=True, tag_field="kind", tag="RetentionQuery", rename="camel"):
    """How many come back."""

    retention_filter: RetentionFilter


class FormulaNode(Struct, frozen=True, kw_only=True):
    """A line made of series, by their letters."""

    formula: str
    custom_name: str


class TrendsFilter(Struct, frozen=True, kw_only=True, rename="camel"):
    """How a trend is drawn."""

    display: str
    formula_nodes: tuple[FormulaNode, ...] | UnsetType = UNSET
    aggregation_axis_format: str | UnsetType = UNSET


class TrendsQuery(Struct, frozen=True, kw_only=True, tag_field="kind", tag="TrendsQuery", rename="camel"):
    """Counts and sums over time."""

    series: tuple[EventsNode, ...]
    interval: str
    trends_filter: TrendsFilter
    date_range: DateRange
    breakdown_filter: BreakdownFilter | UnsetType = UNSET


class InsightVizNode(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What an insight saves: a query and that it is drawn."""

    source: FunnelsQuery | RetentionQuery | TrendsQuery


class BehavioralFilter(Struct, frozen=True, kw_only=True, tag_field="type", tag="behavioral"):
    """What a person has done, or has not."""

    key: str
    value: Literal["performed_event", "performed_event_multiple"]
    time_value: int
    negation: bool
    event_type: Literal["events"] = "events"
    time_interval: Literal["day"] = "day"
    operator: str | UnsetType = UNSET
    operator_value: int | UnsetType = UNSET


class PersonFilter(Struct, frozen=True, kw_only=True, tag_field="type", tag="person"):
    """What is known of a person."""

    key: str
    operator: Literal["exact", "is_set"]
    value: tuple[str, ...] | str
    negation: bool


class PropertyGroup(Struct, frozen=True, kw_only=True):
    """Filters joined by AND, or groups joined by OR."""

    type: Literal["AND", "OR"]
    values: tuple[PropertyGroup | BehavioralFilter | PersonFilter, ...]


# The ranges are those of PostHog's alert API, which refuses what is outside them.
Sensitivity = Annotated[float, Meta(ge=0, le=1)]
Window = Annotated[int, Meta(ge=5, le=1000)]


class ZScore(Struct, frozen=True, kw_only=True, tag_field="type", tag="zscore", forbid_unknown_fields=True):
    """Anomalies by distance from the mean.

    Args:
        threshold: Probability above which a point is an anomaly, 0 to 1.
        window: Points that it is compared with.
    """

    threshold: Sensitivity = 0.9
    window: Window = 30


class InterquartileRange(Struct, frozen=True, kw_only=True, tag_field="type", tag="iqr", forbid_unknown_fields=True):
    """Anomalies by distance from the quartiles, which outliers move less.

    Args:
        multiplier: Of the range between the quartiles, 0.5 to 10.
        window: Points that it is compared with.
    """

    multiplier: Annotated[float, Meta(ge=0.5, le=10)] = 1.5
    window: Window = 30


class Ensemble(Struct, frozen=True, kw_only=True, tag_field="type", tag="ensemble", forbid_unknown_fields=True):
    """Several detectors at once.

    Args:
        operator: ``and``: all must agree; ``or``: one is enough.
        detectors: At least two.
    """

    operator: Literal["and", "or"]
    detectors: Annotated[tuple[ZScore | InterquartileRange, ...], Meta(min_length=2)]


Detector = ZScore | InterquartileRange | Ensemble


class AlertCondition(Struct, frozen=True, kw_only=True):
    """The value itself, or its change against the interval before."""

    type: Literal["absolute_value", "relative_increase", "relative_decrease"]


class Bounds(Struct, frozen=True, kw_only=True):
    """Where an alert fires; a decrease is a positive number, so its bound is the upper one."""

    lower: float | UnsetType = UNSET
    upper: float | UnsetType = UNSET


class ThresholdConfiguration(Struct, frozen=True, kw_only=True):
    """Bounds, and whether they are values or fractions."""

    type: Literal["absolute", "percentage"]
    bounds: Bounds


class Threshold(Struct, frozen=True, kw_only=True):
    """PostHog wants one with every alert, also with one that a detector decides."""

    configuration: ThresholdConfiguration


class TrendsAlertConfig(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Which line of a trend, and whether today counts before it is over."""

    series_index: int
    check_ongoing_interval: bool


def encoded(shape: Struct) -> dict[str, Any]:
    """Return a shape as the JSON object that is sent."""
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(shape))
    return decoded
