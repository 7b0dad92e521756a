"""The metrics' queries, run on the bank's events by ClickHouse's engine and compared with counts made in Python."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analytics.played_bank import END, START, TENANTS

from zentra_otel_posthog.analytics import Analytics, AnalyticsError, queries
from zentra_otel_posthog.analytics.metrics import Interval
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.sanitize.identifiers import IdentifierGate

METRICS = (
    Analytics.payment_success_rate,
    Analytics.payment_funnel,
    Analytics.payment_volume,
    Analytics.active_users,
    Analytics.retention,
    Analytics.failure_reasons,
)


def of(tenant: str | None, captures: Iterable[Capture], *names: str) -> list[Capture]:
    return [
        capture
        for capture in captures
        if START <= capture.timestamp < END
        and (tenant is None or capture.properties["$groups"]["tenant"] == tenant)
        and (not names or capture.event in names)
    ]


def begin(moment: datetime, interval: Interval) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "hour": moment.replace(minute=0, second=0, microsecond=0),
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
    }[interval]


@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("tenant", [*TENANTS, None])
def test_the_success_rate_is_that_of_the_payments_that_ended(
    analytics: Analytics, captures: list[Capture], tenant: str | None, interval: Interval
) -> None:
    """By period, a resent event counted once, for each tenant alone and for all together."""
    counts: dict[datetime, Counter[str]] = defaultdict(Counter)
    for capture in of(tenant, captures, "payment.completed", "payment.failed"):
        counts[begin(capture.timestamp, interval)][capture.event] += 1

    rows = analytics.payment_success_rate(
        tenant=tenant, since=START, until=END, interval=interval, all_tenants=tenant is None
    )

    assert len(rows) > 1
    assert {row.period: (row.completed, row.failed) for row in rows} == {
        period: (count["payment.completed"], count["payment.failed"]) for period, count in counts.items()
    }
    assert [row.period for row in rows] == sorted(counts)
    assert all(row.rate == row.completed / (row.completed + row.failed) for row in rows)


@pytest.mark.parametrize("tenant", TENANTS)
def test_the_funnel_counts_payments_and_people_by_method(
    analytics: Analytics, captures: list[Capture], tenant: str
) -> None:
    """People convert where a completed payment follows an initiated one within 14 days."""
    counts: Counter[tuple[str, str]] = Counter()
    times: dict[tuple[str, str], dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    for capture in of(tenant, captures, "payment.pending", "payment.completed", "payment.failed"):
        method = capture.properties["method"]
        counts[method, capture.event] += 1
        times[method, capture.distinct_id][capture.event].append(capture.timestamp)

    rows = analytics.payment_funnel(tenant=tenant, since=START, until=END)

    assert [row.method for row in rows] == ["bank", "card", "wallet"]
    for row in rows:
        assert row.method is not None
        pending, done, failed = (counts[row.method, f"payment.{end}"] for end in ("pending", "completed", "failed"))
        assert (row.pending, row.completed, row.failed) == (pending, done, failed)
        assert row.conversion == done / pending
        people = [found for (method, _), found in times.items() if method == row.method and found["payment.pending"]]
        converted = [
            found
            for found in people
            if any(
                timedelta(0) <= done - pending <= timedelta(days=14)
                for pending in found["payment.pending"]
                for done in found["payment.completed"]
            )
        ]
        assert (row.people, row.people_converted) == (len(people), len(converted))
    assert any(row.people_converted < row.people for row in rows)


@pytest.mark.parametrize("tenant", [*TENANTS, None])
def test_the_volume_is_the_sum_of_completed_payments_by_currency(
    analytics: Analytics, captures: list[Capture], tenant: str | None
) -> None:
    """Whole minor units, one sum for each currency and period."""
    sums: Counter[tuple[datetime, str]] = Counter()
    payments: Counter[tuple[datetime, str]] = Counter()
    for capture in of(tenant, captures, "payment.completed"):
        key = begin(capture.timestamp, "week"), capture.properties["currency"]
        sums[key] += capture.properties["amount_minor"]
        payments[key] += 1

    rows = analytics.payment_volume(tenant=tenant, since=START, until=END, interval="week", all_tenants=tenant is None)

    assert {(row.period, row.currency): (row.payments, row.volume_minor) for row in rows} == {
        key: (payments[key], sums[key]) for key in sums
    }
    assert {row.currency for row in rows} == {"NGN", "USD"}


@pytest.mark.parametrize("tenant", [*TENANTS, None])
def test_active_users_are_counted_once_a_period(
    analytics: Analytics, captures: list[Capture], tenant: str | None
) -> None:
    """A person with many events in a week is one."""
    people: dict[datetime, set[str]] = defaultdict(set)
    for capture in of(tenant, captures):
        people[begin(capture.timestamp, "week")].add(capture.distinct_id)

    rows = analytics.active_users(tenant=tenant, since=START, until=END, interval="week", all_tenants=tenant is None)

    assert {row.period: row.users for row in rows} == {week: len(found) for week, found in people.items()}


@pytest.mark.parametrize("tenant", TENANTS)
def test_retention_follows_those_who_signed_up_in_a_week(
    analytics: Analytics, captures: list[Capture], tenant: str
) -> None:
    """Each cohort has a row for its own week and every one since, also where nobody came."""
    cohorts: dict[date, set[str]] = defaultdict(set)
    paid: dict[date, set[str]] = defaultdict(set)
    for capture in of(tenant, captures, "user.signed_up", "payment.completed"):
        week = begin(capture.timestamp, "week").date()
        (cohorts if capture.event == "user.signed_up" else paid)[week].add(capture.distinct_id)
    last = begin(END - timedelta(seconds=1), "week").date()

    rows = analytics.retention(tenant=tenant, since=START, until=END)

    assert [(row.cohort, row.week, row.size, row.retained) for row in rows] == [
        (cohort, number, len(people), len(people & paid[cohort + timedelta(weeks=number)]))
        for cohort, people in sorted(cohorts.items())
        for number in range((last - cohort).days // 7 + 1)
    ]
    assert sum(row.retained for row in rows) > 0


@pytest.mark.parametrize("tenant", [*TENANTS, None])
def test_failure_reasons_come_with_the_most_frequent_first(
    analytics: Analytics, captures: list[Capture], tenant: str | None
) -> None:
    """Each reason with its share of all failed payments."""
    reasons = Counter(capture.properties["reason"] for capture in of(tenant, captures, "payment.failed"))

    rows = analytics.failure_reasons(tenant=tenant, since=START, until=END, all_tenants=tenant is None)

    assert {row.reason: row.payments for row in rows} == reasons
    assert [row.payments for row in rows] == sorted(reasons.values(), reverse=True)
    assert sum(row.share for row in rows) == pytest.approx(1)


def test_since_is_included_and_until_is_not(analytics: Analytics, captures: list[Capture]) -> None:
    """A time range cut at an event's own second takes it in at its beginning and not at its end."""
    signed_up = of("acme", captures, "user.signed_up")[0].timestamp.replace(microsecond=0)
    second = timedelta(seconds=1)

    after = analytics.active_users(tenant="acme", since=signed_up, until=signed_up + second, interval="hour")
    before = analytics.active_users(tenant="acme", since=signed_up - second, until=signed_up, interval="hour")

    assert [row.users for row in after] == [1]
    assert before == []


@pytest.mark.parametrize("metric", METRICS)
def test_a_tenant_or_all_of_them_has_to_be_named(analytics: Analytics, metric: Callable[..., list[Any]]) -> None:
    """No tenant, a tenant and all, an empty tenant, and a personal one without a key are errors, not questions."""
    for tenant, everybody in ((None, False), ("acme", True), ("", False), ("ada@example.com", False)):
        with pytest.raises(AnalyticsError, match="tenant"):
            metric(analytics, tenant=tenant, since=START, until=END, all_tenants=everybody)
    with pytest.raises(TypeError, match="tenant"):
        metric(analytics, since=START, until=END)


HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(
            ("'", '"', "\\", "`", "--", "/*", "*/", ";", "{tenant}", "{since}", "SCOPE", "true", " or ", "1=1", "acme",
             "'acme'", ") or (true", "%", "\x00", "\n", "${x}", "%(tenant)s", ":tenant", "union select")
        ),
        st.text(max_size=8),
    ),
    min_size=1,
    max_size=6,
).map("".join)  # fmt: skip


def admitted(tenant: str) -> bool:
    return IdentifierGate().group_key("test", tenant) is not None


@given(tenant=HOSTILE, number=st.integers(0, len(METRICS) - 1))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_hostile_tenant_sees_nothing_of_others(analytics: Analytics, tenant: str, number: int) -> None:
    """Quotes, braces, comments and SQL in a tenant's name are a name that nobody bears."""
    if tenant.strip() in TENANTS:
        return
    with contextlib.nullcontext() if admitted(tenant) else pytest.raises(AnalyticsError, match="tenant is no key"):
        assert METRICS[number](analytics, tenant=tenant, since=START, until=END) == []


def test_no_value_is_ever_in_a_query() -> None:
    """The texts are constants: with the tenant's condition in each, or, where all are asked for, in none."""
    every = [query for query in vars(queries).values() if isinstance(query, queries.Query)]
    assert len(every) == len(METRICS)
    for query in every:
        one, everybody = query.text(all_tenants=False), query.text(all_tenants=True)
        assert one.count("properties.$groups.tenant = {tenant}") == 1
        assert "tenant" not in everybody
        assert "SCOPE" not in one + everybody
        assert one.rstrip().endswith(f"limit {queries.ROWS}")
