"""What the events add up to: funnel, retention and trends, by PostHog's rules.

What a caller says is a parameter of a query, never part of its text. Only how often a part is repeated depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, get_args

from zentra_otel_posthog.inspector.store import Store
from zentra_otel_posthog.inspector.views import Scope, pointer, where

Interval = Literal["minute", "hour", "day"]
Period = Literal["day", "week", "month"]
INTERVALS: Final[tuple[Interval, ...]] = get_args(Interval)
PERIODS: Final[tuple[Period, ...]] = get_args(Period)
STEPS_MAX: Final = 10

_BREAKDOWN_VALUES: Final = 50
_NO_VALUE: Final = "(none)"
_SPANS: Final = {"minute": timedelta(hours=3), "hour": timedelta(days=7), "day": timedelta(days=90)}
_BUCKETS_MAX: Final = 1_500
_LENGTHS: Final = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_OUTCOMES: Final = ("payment.pending", "payment.completed", "payment.failed")
_OUTCOME_COUNTS: Final = ", ".join(f"count(*) filter (event = '{event}') as \"{event}\"" for event in _OUTCOMES)


def funnel(
    store: Store, scope: Scope, steps: Sequence[str], breakdown: str | None, window: timedelta
) -> dict[str, Any]:
    """Return how many persons come from step to step.

    As in PostHog's ordered funnel, a person has come to a step when its event follows those of the steps before, all
    within the window from the first of them on; other events may lie between. The value that a person counts under is
    that of its first event of the first step that has one.

    Args:
        store: Where.
        scope: Which events.
        steps: Events, in order; one may be there twice.
        breakdown: A property; None for all together alone.
        window: From the first step to the last.
    """
    rows = store.read(
        _funnel_query(
            len(steps), "own" if not (breakdown or "").startswith("$") else "properties", where(scope.parameters())
        ),
        {
            **scope.parameters(),
            **{f"step_{number}": step for number, step in enumerate(steps, 1)},
            "steps": list(steps),
            "pointer": None if breakdown is None else pointer(breakdown),
            "window": window // timedelta(microseconds=1),
            "none": _NO_VALUE,
        },
    )
    shown = [
        {
            "breakdown": None if row["everybody"] else row["value"],
            "counts": counts,
            "conversion": counts[-1] / counts[0] if counts[0] else None,
            "median_seconds": row["median_seconds"],
        }
        for row in rows
        for counts in [[row[f"count_{number}"] for number in range(1, len(steps) + 1)]]
        if row["everybody"] or breakdown is not None
    ]
    return {"steps": list(steps), "rows": shown[: _BREAKDOWN_VALUES + 1]}


def _funnel_query(steps: int, column: str, condition: str) -> str:
    """Return the query for so many steps.

    ``start_k`` of an event of step k is the latest start of all chains that end with it: the latest leaves the most of
    the window. Events of one moment count in the order of the steps, as PostHog tries them in every order.
    """
    numbers = range(1, steps + 1)
    chains = "\n".join(
        f""", chain_{number} as (
            select *, case when event = $step_{number} then max(start_{number - 1}) over earlier end as start_{number}
            from chain_{number - 1}
            window earlier as (partition by project, person order by moment, place, seq
                               rows between unbounded preceding and 1 preceding)
        )"""  # noqa: S608  numbers and conditions of ours
        for number in numbers[1:]
    )
    reached = ", ".join(f"bool_or(moment - start_{number} <= $window) as reached_{number}" for number in numbers)
    counts = ", ".join(f"count(*) filter (reached_{number}) as count_{number}" for number in numbers)
    return f"""
        with chain_1 as (
            select project, person, seq, event, epoch_us("timestamp") as moment, list_position($steps, event) as place,
                   case when event = $step_1 then moment end as start_1,
                   case when event = $step_1 then json_extract_string({column}, $pointer) end as touch
            from facts where list_contains($steps, event) and {condition}
        ){chains}, people as (
            select project, person, {reached}, coalesce(arg_min(touch, (moment, seq)), $none) as value,
                   arg_min(moment - start_{steps}, (moment, seq))
                       filter (moment - start_{steps} <= $window) / 1e6 as seconds
            from chain_{steps} group by project, person
        )
        select grouping(value) = 1 as everybody, value, {counts}, median(seconds) as median_seconds
        from people where reached_1 group by grouping sets ((), (value)) order by everybody desc, count_1 desc, value
    """  # noqa: S608  likewise


def retention(store: Store, scope: Scope, first: str, returning: str, period: Period, periods: int) -> dict[str, Any]:
    """Return how many come back, period by period after their first time.

    As in PostHog's first-time retention a person belongs to the period of its first event ever, and counts once in each
    period with a returning event, that one included. Weeks begin on Monday. Periods that have not begun by the newest
    event (or the end of the scope) are left out.

    Args:
        store: Where.
        scope: Which rows; a first time before it is one all the same.
        first: The event that begins it.
        returning: The event that counts as coming back.
        period: ``day``, ``week`` or ``month``.
        periods: How many rows and columns at most.
    """
    asked: dict[str, Any] = {**Scope(scope.project, None, scope.until).parameters()}
    condition = where(asked)
    asked |= {"first": first, "returning": returning, "period": period}
    rows = store.read(
        f"""
        with known as (
            -- Before DuckDB 2 the truncated time is a date.
            select project, person, event, date_trunc($period, "timestamp")::timestamp as start
            from facts where event in ($first, $returning) and {condition}
        ), cohorts as (
            select project, person, min(start) as start from known where event = $first group by project, person
        )
        select cohorts.start as cohort, known.start as back, count(distinct (project, person)) as persons
        from cohorts join known using (project, person)
        where known.event = $returning and known.start >= cohorts.start group by all
        union all
        select start, null, count(*) from cohorts group by start
        """,  # noqa: S608  conditions of ours
        asked,
    )
    sizes = {row["cohort"]: row["persons"] for row in rows if row["back"] is None}
    returned = {(row["cohort"], row["back"]): row["persons"] for row in rows if row["back"] is not None}
    if not sizes:
        return {"rows": []}
    last = _newest(store, scope)
    starts = [_truncated(last, period)]
    while len(starts) < periods and starts[0] > min(sizes):
        starts.insert(0, _truncated(starts[0] - timedelta(days=1), period))
    if scope.since is not None:
        starts = [start for start in starts if start >= _truncated(scope.since, period)]
    return {
        "rows": [
            {
                "start": start,
                "size": sizes.get(start, 0),
                "returned": [returned.get((start, back), 0) for back in starts[number:]],
            }
            for number, start in enumerate(starts)
        ]
    }


def trends(store: Store, scope: Scope, interval: Interval) -> dict[str, Any]:
    """Return payments, active persons, failures and volume over time.

    Active are persons with any event that is not PostHog's own. Without a scope it is the last three hours by the
    minute, seven days by the hour or 90 days by the day, up to the newest event; longer ones are cut at the beginning.

    Args:
        store: Where.
        scope: Which events.
        interval: ``minute``, ``hour`` or ``day``.
    """
    length = _LENGTHS[interval]
    last = _newest(store, scope)
    since = max(scope.since or last - _SPANS[interval], last - _BUCKETS_MAX * length)
    bounded = Scope(scope.project, since, scope.until)
    asked = bounded.parameters()
    condition = where(asked)
    rows = store.read(
        f"""
        select date_trunc($interval, "timestamp")::timestamp as bucket, {_OUTCOME_COUNTS},
               count(distinct (project, person)) filter (not starts_with(event, '$')) as active_users
        from facts where {condition} group by bucket
        """,  # noqa: S608  names and conditions of ours
        asked | {"interval": interval},
    )
    by_bucket = {row["bucket"]: row for row in rows}
    # Nothing is shown before the first event, unless it was asked for.
    first = _floor(since, length) if scope.since is not None else min(by_bucket, default=_floor(last, length) + length)
    buckets = [first + number * length for number in range((_floor(last, length) - first) // length + 1)]
    series = {
        name: [by_bucket[bucket][name] if bucket in by_bucket else 0 for bucket in buckets]
        for name in (*_OUTCOMES, "active_users")
    }
    outcomes = store.read(
        f"""
        select date_trunc($interval, "timestamp")::timestamp as bucket, event, found[1] as method, found[2] as reason,
               found[3] as currency, count(*) as count, coalesce(sum(try_cast(found[4] as bigint)), 0) as minor
        from (select "timestamp", event,
                     json_extract_string(own, ['$.method', '$.reason', '$.currency', '$.amount_minor']) as found
              from events where event in ('payment.completed', 'payment.failed') and {condition})
        group by all
        """,  # noqa: S608  likewise
        asked | {"interval": interval},
    )
    completed, failed = series["payment.completed"], series["payment.failed"]
    return {
        "buckets": buckets,
        "series": series,
        "failure_rate": [_share(lost, won + lost) for won, lost in zip(completed, failed, strict=True)],
        "failure_rate_by_method": _failure_rates(outcomes),
        "reasons": _reasons(outcomes),
        "volume": _volume(outcomes, buckets),
    }


def _failure_rates(outcomes: list[dict[str, Any]]) -> dict[str, float]:
    ended: dict[str, int] = {}
    failed: dict[str, int] = {}
    for row in outcomes:
        method = row["method"] or _NO_VALUE
        ended[method] = ended.get(method, 0) + row["count"]
        failed[method] = failed.get(method, 0) + (row["count"] if row["event"] == "payment.failed" else 0)
    return {method: failed[method] / ended[method] for method in sorted(ended)}


def _reasons(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    counts: dict[str, int] = {}
    for row in outcomes:
        if row["event"] == "payment.failed":
            reason = row["reason"] or _NO_VALUE
            counts[reason] = counts.get(reason, 0) + row["count"]
    return [
        {"reason": reason, "count": count}
        for reason, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ]


def _volume(outcomes: list[dict[str, Any]], buckets: list[datetime]) -> dict[str, list[int]]:
    place = {bucket: number for number, bucket in enumerate(buckets)}
    volume: dict[str, list[int]] = {}
    for row in outcomes:
        if row["event"] == "payment.completed":
            line = volume.setdefault(row["currency"] or _NO_VALUE, [0] * len(buckets))
            line[place[row["bucket"]]] += row["minor"]
    return dict(sorted(volume.items()))


def _newest(store: Store, scope: Scope) -> datetime:
    """Return the last moment of a scope, else that of the newest event."""
    if scope.until is not None:
        return scope.until - timedelta(microseconds=1)
    asked = Scope(scope.project).parameters()
    query = f'select max("timestamp") as newest from events where {where(asked)}'  # noqa: S608  conditions of ours
    return store.read(query, asked)[0]["newest"] or datetime.now(UTC)


def _floor(moment: datetime, length: timedelta) -> datetime:
    return moment - (moment - datetime(1970, 1, 1, tzinfo=UTC)) % length


def _truncated(moment: datetime, period: Period) -> datetime:
    """Return the beginning of a moment's period, as DuckDB's ``date_trunc`` has it."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if period == "week" else day


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
