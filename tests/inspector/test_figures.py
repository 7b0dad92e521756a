"""Funnel, retention, trends and cohorts agree with a count made in Python, on a played bank and on random histories."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.analytics.conftest import captures  # noqa: F401  the bank, played for three tenants

from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.delivery.capture import encode_line
from zentra_otel_posthog.insights import Cohort, Performed, PersonProperty, product
from zentra_otel_posthog.inspector import figures
from zentra_otel_posthog.inspector.arrivals import arrival, project_name
from zentra_otel_posthog.inspector.cohorts import cohorts
from zentra_otel_posthog.inspector.store import Store
from zentra_otel_posthog.inspector.views import Scope

START = datetime(2026, 9, 7, tzinfo=UTC)
Event = dict[str, Any]


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store for many histories, each in a project of its own."""
    with closing(Store(None)) as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr("zentra_otel_posthog.inspector.store._COMMIT_INTERVAL", 0.0)
        yield made


def filled(store: Store, events: Sequence[Event]) -> Scope:
    """Store a history, and return its scope."""
    api_key, now = f"phc_{uuid4().hex}", datetime(2026, 11, 25, tzinfo=UTC)
    store.add([(arrival(event, api_key, now, None), event) for event in events]).result(timeout=20)
    return Scope(project_name(api_key))


def time_of(event: Event) -> datetime:
    return datetime.fromisoformat(event["timestamp"])


def by_person(events: Sequence[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        found[event["distinct_id"]].append(event)
    return found


def counted_funnel(
    events: Sequence[Event], steps: Sequence[str], breakdown: str | None, window: timedelta
) -> dict[str | None, tuple[list[int], list[float]]]:
    """Try every chain of events of every person."""
    rows: dict[str | None, tuple[list[int], list[float]]] = {None: ([0] * len(steps), [])}
    for own in by_person(events).values():
        own.sort(key=lambda event: (time_of(event), steps.index(event["event"]) if event["event"] in steps else 0))
        reached, seconds = 0, None
        for length in range(1, len(steps) + 1):
            chains = [
                chain
                for chain in itertools.combinations(range(len(own)), length)
                if [own[place]["event"] for place in chain] == list(steps[:length])
                and time_of(own[chain[-1]]) - time_of(own[chain[0]]) <= window
            ]
            if not chains:
                break
            reached = length
            if length == len(steps):
                first = min(chain[-1] for chain in chains)
                latest = max(chain[0] for chain in chains if chain[-1] == first)
                seconds = (time_of(own[first]) - time_of(own[latest])).total_seconds()
        if not reached:
            continue
        touches = (event["properties"].get(breakdown) for event in own if event["event"] == steps[0])
        value = next((touch for touch in touches if touch is not None), "(none)")
        for key in {None} if breakdown is None else {None, value}:
            counts, took = rows.setdefault(key, ([0] * len(steps), []))
            for step in range(reached):
                counts[step] += 1
            if seconds is not None:
                took.append(seconds)
    return rows


def check_funnel(
    store: Store, events: Sequence[Event], steps: Sequence[str], breakdown: str | None, window: timedelta
) -> None:
    answer = figures.funnel(store, filled(store, events), steps, breakdown, window)
    assert answer["steps"] == list(steps)
    assert answer["rows"][0]["breakdown"] is None
    found = {row["breakdown"]: (row["counts"], row["conversion"], row["median_seconds"]) for row in answer["rows"]}
    assert found == {
        value: (counts, counts[-1] / counts[0] if counts[0] else None, statistics.median(took) if took else None)
        for value, (counts, took) in counted_funnel(events, steps, breakdown, window).items()
    }


def counted_retention(events: Sequence[Event], first: str, returning: str) -> dict[datetime, tuple[int, list[int]]]:
    def week(event: Event) -> datetime:
        day = time_of(event).replace(hour=0, minute=0, second=0, microsecond=0)
        return day - timedelta(days=day.weekday())

    last = max(map(week, events))
    sizes: Counter[datetime] = Counter()
    returned: Counter[tuple[datetime, datetime]] = Counter()
    for own in by_person(events).values():
        if starts := [week(event) for event in own if event["event"] == first]:
            sizes[min(starts)] += 1
            returned.update(
                (min(starts), back) for back in {week(event) for event in own if event["event"] == returning}
            )
    weeks = (
        [min(sizes) + timedelta(weeks=number) for number in range((last - min(sizes)).days // 7 + 1)] if sizes else []
    )
    return {start: (sizes[start], [returned[start, back] for back in weeks if back >= start]) for start in weeks}


def check_retention(store: Store, events: Sequence[Event], first: str, returning: str) -> None:
    rows = figures.retention(store, filled(store, events), first, returning, "week", 52)["rows"]
    assert {row["start"]: (row["size"], row["returned"]) for row in rows} == counted_retention(events, first, returning)


names = st.sampled_from("abc")
histories = st.lists(
    st.builds(
        lambda person, name, minute, method: {
            "event": name,
            "distinct_id": f"usr_{person}",
            "uuid": str(uuid4()),
            "timestamp": (START + timedelta(minutes=minute)).isoformat(),
            "properties": {} if method is None else {"method": method},
        },
        st.integers(0, 1), names, st.integers(0, 6), st.sampled_from([None, "card", "bank"]),
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


@pytest.mark.slow  # ten seconds
@settings(max_examples=300, deadline=None)
@given(histories, st.lists(names, min_size=2, max_size=3), st.sampled_from([None, "method"]), st.integers(1, 6))
def test_any_funnel(store: Store, events: list[Event], steps: list[str], breakdown: str | None, window: int) -> None:
    """Steps that repeat, events of one moment, windows of minutes: persons, times and values are as counted."""
    check_funnel(store, events, steps, breakdown, timedelta(minutes=window))


@settings(max_examples=40, deadline=None)
@given(histories, names, names, st.integers(1, 6000))
def test_any_retention(store: Store, events: list[Event], first: str, returning: str, stretch: int) -> None:
    """Spread over weeks, each person is counted once a week, from the week of the first time on."""
    for event in events:
        event["timestamp"] = (START + (time_of(event) - START) * stretch).isoformat()
    check_retention(store, events, first, returning)


@pytest.fixture(scope="module")
def bank(captures: list[Capture]) -> list[Event]:  # noqa: F811  the fixture's name
    return [msgspec.json.decode(encode_line(capture)) for capture in captures]


@pytest.mark.parametrize("breakdown", [None, "method", "currency"])
def test_the_banks_funnel(store: Store, bank: list[Event], breakdown: str | None) -> None:
    """By method as on the page, and by another property."""
    check_funnel(store, bank, ["payment.pending", "payment.completed"], breakdown, timedelta(days=14))
    check_funnel(store, bank, ["user.signed_up", "payment.pending", "payment.failed"], breakdown, timedelta(days=3))


def test_the_banks_retention(store: Store, bank: list[Event]) -> None:
    """Sign-up to payment, by the week."""
    check_retention(store, bank, "user.signed_up", "payment.completed")


def test_the_banks_trends(store: Store, bank: list[Event]) -> None:
    """Every bucket, rate, reason and volume."""
    trends = figures.trends(store, filled(store, bank), "day")
    days = [time_of(event).replace(hour=0, minute=0, second=0, microsecond=0) for event in bank]
    buckets = [min(days) + timedelta(days=number) for number in range((max(days) - min(days)).days + 1)]
    assert trends["buckets"] == buckets
    dated = list(zip(days, bank, strict=True))
    counts = Counter((day, event["event"]) for day, event in dated)
    for name in ("payment.pending", "payment.completed", "payment.failed"):
        assert trends["series"][name] == [counts[day, name] for day in buckets]
    active = {
        day: {event["distinct_id"] for at, event in dated if at == day and event["event"][0] != "$"} for day in buckets
    }
    assert trends["series"]["active_users"] == [len(active[day]) for day in buckets]
    ended = [(counts[day, "payment.completed"], counts[day, "payment.failed"]) for day in buckets]
    assert trends["failure_rate"] == [failed / (done + failed) if done + failed else None for done, failed in ended]
    methods = Counter(
        (event["properties"]["method"], event["event"])
        for event in bank
        if event["event"] in ("payment.completed", "payment.failed")
    )
    assert trends["failure_rate_by_method"] == {
        method: methods[method, "payment.failed"]
        / (methods[method, "payment.failed"] + methods[method, "payment.completed"])
        for method, _ in methods
    }
    reasons = Counter(event["properties"]["reason"] for event in bank if event["event"] == "payment.failed")
    assert {row["reason"]: row["count"] for row in trends["reasons"]} == reasons
    volume = Counter[tuple[str, datetime]]()
    for day, event in dated:
        if event["event"] == "payment.completed":
            volume[event["properties"]["currency"], day] += event["properties"]["amount_minor"]
    assert trends["volume"] == {
        currency: [volume[currency, day] for day in buckets]
        for currency in sorted({currency for currency, _ in volume})
    }


def test_the_banks_cohorts(store: Store, bank: list[Event]) -> None:
    """The product's, and ones with each sort of criterion, by what persons did up to a day."""
    until = START + timedelta(weeks=5)
    own = (
        Cohort(key="web", name="Web", criteria=(PersonProperty(key="platform", value=("web", "ios")),)),
        Cohort(
            key="known",
            name="Known",
            criteria=(PersonProperty(key="platform"), Performed(event="payment.failed", days=9)),
        ),
        Cohort(key="others", name="Others", criteria=(PersonProperty(key="platform", value=("web",), negation=True),)),
    )
    defined = (*product().cohorts, *own)
    found = cohorts(store, Scope(filled(store, bank).project, until=until), defined)["cohorts"]
    persons: dict[str, dict[str, Any]] = defaultdict(dict)
    for event in bank:
        if event["properties"].get("$process_person_profile") is not False:
            persons[event["distinct_id"]] |= event["properties"].get("$set", {})

    def holds(person: str, criterion: Performed | PersonProperty) -> bool:
        if isinstance(criterion, Performed):
            since = until - timedelta(days=criterion.days)
            done = sum(
                event["distinct_id"] == person and event["event"] == criterion.event and since <= time_of(event) < until
                for event in bank
            )
            return (done >= criterion.times) is not criterion.negation
        known = persons[person].get(criterion.key)
        return (known in criterion.value if criterion.value else known is not None) is not criterion.negation

    for cohort, row in zip(defined, found, strict=True):
        members = sorted(one for one in persons if all(holds(one, criterion) for criterion in cohort.criteria))
        assert (row["name"], row["size"], row["persons"]) == (cohort.name, len(members), members[:20])
    assert {row["name"]: row["size"] for row in found}["Web"] > 0


def test_a_scope(store: Store, bank: list[Event]) -> None:
    """A project and a stretch of time bound every figure."""
    since, until = START + timedelta(days=8), START + timedelta(days=20)
    within = [event for event in bank if since <= time_of(event) < until]
    scope = Scope(filled(store, bank).project, since, until)
    steps, window = ["payment.pending", "payment.completed"], timedelta(days=14)
    (row,) = figures.funnel(store, scope, steps, None, window)["rows"]
    assert row["counts"] == counted_funnel(within, steps, None, window)[None][0]
    trends = figures.trends(store, scope, "hour")
    assert sum(trends["series"]["payment.pending"]) == sum(event["event"] == "payment.pending" for event in within)
    assert (trends["buckets"][0], trends["buckets"][-1]) == (since, until - timedelta(hours=1))
    elsewhere = Scope(project_name("phc_other"))
    assert figures.funnel(store, elsewhere, steps, None, window)["rows"][0]["counts"] == [0, 0]
    assert figures.retention(store, elsewhere, "user.signed_up", "payment.completed", "week", 8) == {"rows": []}
    assert figures.trends(store, elsewhere, "day")["buckets"] == []
    assert {cohort["size"] for cohort in cohorts(store, elsewhere, product().cohorts)["cohorts"]} == {0}
