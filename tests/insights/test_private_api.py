"""The stand-in for PostHog's private API is as strict as PostHog is, and takes all that our check lets through."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple

import pytest
import requests
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.insights.project import KEY

from zentra_otel_posthog import _private_api
from zentra_otel_posthog.insights import (
    Alert,
    Cohort,
    Dashboard,
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
    check,
    payloads,
    plan,
    product,
)
from zentra_otel_posthog.insights.exports import as_json
from zentra_otel_posthog.inspector import PrivateApi, Receiver

ALERT = as_json(product())["alerts"]["payment-failure-rate: Payment failures spike"]
COHORT = as_json(product())["cohorts"]["active-payers"]
COMPLETE = {"type": "TrendsAlertConfig", "series_index": 0, "check_ongoing_interval": False}
LEAF = COHORT["filters"]["properties"]["values"][0]["values"][0]


def cohort(*leaves: dict[str, Any], **body: Any) -> dict[str, Any]:
    group = {"type": "AND", "values": list(leaves)}
    return {**COHORT, "filters": {"properties": {"type": "OR", "values": [group]}}, **body}


def alert(**body: Any) -> dict[str, Any]:
    return {**ALERT, "insight": 2, "subscribed_users": [1], **body}


def threshold(kind: str = "absolute", **bounds: float) -> dict[str, Any]:
    return {"configuration": {"type": kind, "bounds": bounds}}


class Mounted(NamedTuple):
    """The stand-in and where it answers."""

    api: PrivateApi
    url: str

    def ask(self, method: str, path: str, body: Any = None, key: str = KEY) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return requests.request(method, f"{self.url}/api/projects/{path}", json=body, headers=headers, timeout=5)


@pytest.fixture
def mounted() -> Iterator[Mounted]:
    """A project with a dashboard (1), a trend (2), a funnel (3) and a number (4)."""
    made = PrivateApi(personal_key=KEY, page=2)
    made.add("dashboards", {"name": "It"})
    insights = {insight.key: insight.query() for insight in product().insights}
    number = deepcopy(insights["daily-active-users"])
    number["source"]["trendsFilter"]["display"] = "BoldNumber"
    for query in (insights["payment-failure-rate"], insights["onboarding"], number):
        made.add("insights", {"name": "It", "query": query})
    with Receiver(private_api=made) as receiver:
        yield Mounted(made, receiver.url)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("cohorts/", cohort({**LEAF, "event": "it"}), "Extra inputs are not permitted"),
        ("cohorts/", cohort({**LEAF, "type": "event"}), "does not match any of the expected tags"),
        ("cohorts/", cohort({**LEAF, "negation": True}), "only have negations"),
        ("cohorts/", cohort({**LEAF, "operator_value": "3"}), "valid integer"),
        ("cohorts/", cohort({"type": "person", "value": ["it"]}), "Missing required keys"),
        ("cohorts/", {"name": "It"}, "must contain a 'properties' key"),
        ("cohorts/", cohort(LEAF, name=5), "Not a valid string"),
        ("insights/", {"name": "It", "dashboards": [9]}, 'Invalid pk "9"'),
        ("insights/", {"name": "x" * 401}, "no more than 400 characters"),
        ("insights/", {"name": "It", "tags": "mine"}, "Expected a list"),
        ("alerts/", alert(insight=9), 'Invalid pk "9"'),
        ("alerts/", alert(insight=3), "not supported for this insight"),
        ("alerts/", alert(subscribed_users=None), "This field is required"),
        ("alerts/", alert(subscribed_users=[9]), "same organization"),
        ("alerts/", alert(threshold=None), "This field is required"),
        ("alerts/", alert(threshold=threshold(), config=COMPLETE), "At least one threshold bound"),
        ("alerts/", alert(threshold=threshold(lower=1, upper=1)), "must be less than"),
        ("alerts/", alert(threshold=threshold("percentage", upper=1)), "require an absolute threshold"),
        ("alerts/", alert(threshold=threshold(lower=1)), "check_ongoing_interval is only supported"),
        ("alerts/", alert(config={"type": "TrendsAlertConfig", "series_index": 1}), "out of range"),
        ("alerts/", alert(config={"series_index": 0}), "invalid TrendsAlertConfig"),
        ("alerts/", alert(condition={"type": "spike"}), "invalid condition"),
        ("alerts/", alert(calculation_interval="yearly"), "not a valid choice"),
        ("alerts/", alert(insight=4, condition={"type": "relative_increase"}), "non time series"),
        ("alerts/", alert(detector_config={"type": "oracle"}), "Invalid detector"),
        ("alerts/", alert(detector_config={"type": "zscore", "threshold": 2}), "must be between"),
        ("alerts/", alert(detector_config={"type": "ensemble", "operator": "and", "detectors": []}), "at least 2"),
        ("alerts/", [], "JSON parse error"),
    ],
)
def test_what_it_refuses(mounted: Mounted, path: str, body: Any, said: str) -> None:
    """With 400 and PostHog's sentence, and makes nothing of it."""
    before = deepcopy(mounted.api.rows)
    answer = mounted.ask("POST", f"1/{path}", body)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]
    assert mounted.api.rows == before


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("GET", "1/insights/", "phx_another", 401),
        ("GET", "2/insights/", KEY, 404),
        ("GET", "1/surveys/", KEY, 404),
        ("GET", "1/insights/9/", KEY, 404),
        ("DELETE", "1/insights/2/", KEY, 405),
        ("PATCH", "1/insights/", KEY, 400),
    ],
)
def test_where_it_is_not_asked(mounted: Mounted, method: str, path: str, key: str, status: int) -> None:
    """The key, the project, the path and the method are looked at."""
    assert mounted.ask(method, path, key=key).status_code == status


def test_what_it_saves_unread(mounted: Mounted) -> None:
    """An insight's query may be anything; that is why it is checked before it is sent."""
    saved = mounted.ask("POST", "1/insights/", {"name": "It", "query": {"kind": "Nonsense"}})
    assert (saved.status_code, saved.json()["query"]) == (201, {"kind": "Nonsense"})


def test_it_pages(mounted: Mounted) -> None:
    """The newest first, so many at a time; deleted ones are not listed."""
    mounted.api.change("insights", 3, {"deleted": True})
    mounted.api.add("insights", {"name": "It"})
    first, second = (mounted.ask("GET", f"1/insights/?limit=2&offset={offset}").json() for offset in (0, 2))
    assert ([row["id"] for row in first["results"]], first["count"]) == ([5, 4], 3)
    assert first["next"].endswith("offset=2")
    assert ([row["id"] for row in second["results"]], second["next"]) == ([2], None)


def test_its_query_endpoint() -> None:
    """What answers queries is given to it."""
    with Receiver(private_api=PrivateApi(personal_key=KEY, query=lambda body: {"results": [[body["name"]]]})) as app:
        client = _private_api.PrivateApi(app.url, 1, KEY)
        assert client.request("POST", "query/", {"name": "it"}, repeatable=True) == {"results": [["it"]]}


EVENTS = st.sampled_from(["payment.pending", "payment.completed", "payment.failed", "transfer.completed", "$pageview"])
BREAKDOWNS = st.sampled_from([None, None, "method", "currency", "reason", "$browser"])
SERIES = st.builds(
    Series,
    event=st.none() | EVENTS,
    math=st.sampled_from(["total", "total", "dau", "sum", "avg"]),
    math_property=st.sampled_from([None, None, "amount_minor"]),
)
TRENDS = st.builds(
    Trend,
    key=st.just("trend"),
    name=st.just("A trend"),
    series=st.lists(SERIES, min_size=1, max_size=3).map(tuple),
    formulas=st.sampled_from([(), (), (Formula(formula="A / 100", name="Hundredths"),)]),
    breakdown=BREAKDOWNS,
    display=st.sampled_from(["ActionsLineGraph", "ActionsBar", "BoldNumber", "ActionsTable"]),
    percentage=st.booleans(),
    width=st.sampled_from([6, 12]),
)
FUNNELS = st.builds(
    Funnel,
    key=st.just("funnel"),
    name=st.just("A funnel"),
    steps=st.lists(EVENTS, min_size=2, max_size=4).map(tuple),
    breakdown=BREAKDOWNS,
    window=st.integers(1, 90),
)
RETENTIONS = st.builds(Retention, key=st.just("retention"), name=st.just("Who is back"), start=EVENTS, returning=EVENTS)
CRITERIA = st.builds(
    Performed, event=EVENTS, times=st.integers(1, 5), days=st.integers(1, 400), negation=st.booleans()
) | st.builds(PersonProperty, key=st.just("platform"), value=st.sampled_from([(), ("ios",)]), negation=st.booleans())
COHORTS = st.builds(
    Cohort, key=st.just("cohort"), name=st.just("A cohort"), criteria=st.lists(CRITERIA, min_size=1, max_size=3).map(tuple)
)  # fmt: skip
BOUNDS = st.none() | st.integers(-2, 2).map(float)
DETECTORS = st.sampled_from(
    [
        None,
        None,
        None,
        ZScore(),
        InterquartileRange(multiplier=3.0),
        Ensemble(operator="or", detectors=(ZScore(), ZScore())),
    ]
)
ALERTS = st.builds(
    Alert,
    insight=st.just("trend"),
    name=st.just("An alert"),
    condition=st.sampled_from(["absolute_value", "relative_increase", "relative_decrease"]),
    threshold_type=st.sampled_from(["absolute", "percentage"]),
    upper=BOUNDS,
    lower=BOUNDS,
    detector=DETECTORS,
    series_index=st.sampled_from([0, 0, 0, 1]),
    check_ongoing_interval=st.booleans(),
    subscribed_users=st.sampled_from([(), (1,), (2, 1)]),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)
@given(trend=TRENDS, funnel=FUNNELS, retention=RETENTIONS, cohort=COHORTS, alert=ALERTS)
def test_what_our_check_lets_through(
    trend: Trend, funnel: Funnel, retention: Retention, cohort: Cohort, alert: Alert
) -> None:
    """Whatever passes the check is taken, and is nothing to change when it comes back."""
    wanted = Dashboard(key="it", name="It")
    parts: list[dict[str, Any]] = [
        {"insights": [trend]},
        {"insights": [funnel]},
        {"insights": [retention]},
        {"cohorts": [cohort]},
        {"alerts": [alert]},
    ]
    for part in parts:
        with contextlib.suppress(InvalidDashboard):
            check(wanted.extended(**part))
            wanted = wanted.extended(**part)
    assume(wanted.alerts or wanted.cohorts)
    api = PrivateApi(personal_key=KEY)
    with Receiver(private_api=api) as receiver:
        client = _private_api.PrivateApi(receiver.url, 1, KEY)
        state = plan.State(client)
        for change in plan.changes(wanted, state):
            state.carry_out(change)
        found = plan.State(client)
        left = [change for change in plan.changes(wanted, found) if change.action != "unchanged"]
    assert left == []


LINE = Trend(key="trend", name="A line", series=(Series(event="payment.failed"),))
NUMBER = Trend(key="trend", name="One number", series=(Series(event="payment.failed"),), display="BoldNumber")


@settings(max_examples=500, deadline=None)
@given(trend=st.sampled_from([LINE, LINE, NUMBER]), alert=ALERTS)
def test_every_alert_that_our_check_lets_through(trend: Trend, alert: Alert) -> None:
    """Alerts have the most rules, and are made last: none is to be refused half-way."""
    try:
        check(Dashboard(key="it", name="It", insights=(trend,), alerts=(alert,)))
    except InvalidDashboard:
        return
    api = PrivateApi()
    insight = api.add("insights", {"name": trend.name, "query": trend.query()})
    api.add("alerts", payloads.of_alert(alert, insight["id"]))
