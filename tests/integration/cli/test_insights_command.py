"""``zentra-otel-posthog insights`` against a stand-in for the private API, over real sockets.

The stand-in gives three rows a page, so every list has several.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zentra_otel_posthog import _private_api
from zentra_otel_posthog._private_api import PrivateApi as Client
from zentra_otel_posthog.cli import main
from zentra_otel_posthog.insights import product
from zentra_otel_posthog.inspector import Answer, PrivateApi, Receiver

KEY = "phx_inventedPersonalKey0123456789"
KINDS = ("dashboards", "insights", "cohorts", "alerts")
SMALL = """
from zentra_otel_posthog.insights import Alert, Cohort, Dashboard, Funnel, Performed, Series, Trend

PAID = Series(event="payment.completed")
NOW = Dashboard(
    key="it",
    name="It",
    insights=(
        Trend(key="paid", name="Paid", series=(PAID,), breakdown="method"),
        Funnel(key="steps", name="Steps", steps=("payment.pending", "payment.completed"), width=12),
    ),
    cohorts=(Cohort(key="payers", name="Payers", criteria=(Performed(event="payment.completed"),)),),
    alerts=(Alert(insight="paid", name="Few", lower=10), Alert(insight="paid", name="Many", upper=99)),
)
BEFORE = Dashboard(
    key="it",
    name="It was",
    insights=(
        Trend(key="old", name="Old", series=(PAID,)),
        Trend(key="paid", name="Paid", series=(PAID,), width=12),
    ),
    cohorts=(
        Cohort(key="payers", name="Payers", criteria=(Performed(event="payment.failed"),)),
        Cohort(key="old", name="Old", criteria=(Performed(event="card.issued"),)),
    ),
    alerts=(Alert(insight="old", name="Few", lower=10), Alert(insight="paid", name="Few", lower=5)),
)
"""


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateApi]:
    """A PostHog project, and an environment that leads to it."""
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", KEY)
    monkeypatch.setenv("POSTHOG_PROJECT_ID", "1")
    with mounted(PrivateApi(personal_key=KEY, page=3), monkeypatch) as api:
        yield api


class mounted:  # noqa: N801  it reads as a function
    """The stand-in as what POSTHOG_HOST names."""

    def __init__(self, api: PrivateApi, monkeypatch: pytest.MonkeyPatch) -> None:
        self._api = api
        self._receiver = Receiver(private_api=api)
        self._monkeypatch = monkeypatch

    def __enter__(self) -> PrivateApi:
        self._receiver.start()
        self._monkeypatch.setenv("POSTHOG_HOST", self._receiver.url)
        return self._api

    def __exit__(self, *_: object) -> None:
        self._receiver.stop()


@pytest.fixture
def small(tmp_path: Path) -> None:
    """A module with a small dashboard, and what it was before."""
    (tmp_path / "boards_of_ours.py").write_text(SMALL, encoding="utf-8")


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run the command and return what it prints for machines."""
    capsys.readouterr()
    assert main(["insights", *arguments, "--json"]) == code
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command, which fails, and return its sentence."""
    capsys.readouterr()
    assert main(["insights", *arguments]) in {1, 2}
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert KEY not in captured.err + captured.out
    return captured.err


def board(which: str) -> tuple[str, str]:
    return "--dashboard", f"boards_of_ours:{which}"


def shape(project: PrivateApi) -> str:
    """Return everything that a project has, with names in place of numbers, in an order of its own."""
    rows = {kind: project.living(kind) for kind in KINDS}
    names = {row["id"]: row["name"] for kind in ("dashboards", "insights") for row in rows[kind]}
    for row in rows["insights"]:
        row["dashboards"] = [names[number] for number in row["dashboards"]]
    for row in rows["alerts"]:
        row["insight"], row["threshold"] = row["insight"]["name"], row["threshold"]["configuration"]
    for row in rows["dashboards"]:
        row["tiles"] = sorted([tile["insight"]["name"], tile["layouts"]] for tile in row["tiles"])
    for row in (row for kind in KINDS for row in rows[kind]):
        del row["id"]
        row.pop("short_id", None)
    return json.dumps({kind: sorted(rows[kind], key=lambda row: row["name"]) for kind in KINDS}, indent=1)


def test_apply_twice(project: PrivateApi, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan writes nothing; the first apply makes everything that the plan told; the second writes nothing."""
    planned = run(capsys, "plan")
    assert project.writes() == []
    applied = run(capsys, "apply")
    made = product()
    assert planned["counts"] == {
        "create": 2 + len(made.insights) + len(made.cohorts) + len(made.alerts),  # the dashboard and its layout
        "change": 0,
        "remove": 0,
        "unchanged": 0,
    }
    assert {(one["kind"], one["key"]) for one in applied["changes"]} == {
        (one["kind"], one["key"]) for one in planned["changes"]
    }
    assert {kind: len(project.living(kind)) for kind in KINDS} == {
        "dashboards": 1,
        "insights": len(made.insights),
        "cohorts": len(made.cohorts),
        "alerts": len(made.alerts),
    }
    (dashboard,) = project.living("dashboards")
    tiles = {tile["insight"]["tags"][1].partition(":")[2]: tile["layouts"]["sm"] for tile in dashboard["tiles"]}
    assert tiles == made.layouts()
    count = len(project.writes())
    again = run(capsys, "apply")
    assert len(project.writes()) == count
    assert {one["action"] for one in again["changes"]} == {"unchanged"}


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done and not told"])
@pytest.mark.parametrize("before", [False, True], ids=["empty", "as it was"])
def test_an_interruption_at_every_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, small: None, *, before: bool, done: bool
) -> None:
    """Whichever request is the last that comes through, the next run ends where an uninterrupted one does."""
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", KEY)
    monkeypatch.setenv("POSTHOG_PROJECT_ID", "1")
    api = PrivateApi(personal_key=KEY, page=3)
    with mounted(api, monkeypatch):
        if before:
            run(capsys, "apply", *board("BEFORE"))
        start = len(api.requests)
        run(capsys, "apply", *board("NOW"))
        expected, requests = shape(api), len(api.requests) - start
    assert requests > 10
    for position in range(requests):
        api = PrivateApi(personal_key=KEY, page=3)
        with mounted(api, monkeypatch):
            if before:
                run(capsys, "apply", *board("BEFORE"))
            # A status that nothing is tried again after.
            api.fail(Answer(418, accept=done), after=position)
            refused(capsys, "apply", *board("NOW"))
            run(capsys, "apply", *board("NOW"))
            assert shape(api) == expected, f"interrupted at request {position}"
            count = len(api.writes())
            run(capsys, "apply", *board("NOW"))
            assert len(api.writes()) == count


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True], ids=["not done", "done and not told"])
def test_the_product_interrupted_at_every_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, done: bool
) -> None:
    """The same for the product's dashboard, on one project that is interrupted again and again."""
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", KEY)
    monkeypatch.setenv("POSTHOG_PROJECT_ID", "1")
    with mounted(PrivateApi(personal_key=KEY), monkeypatch) as api:
        run(capsys, "apply")
        expected, requests = shape(api), len(api.requests)
    for position in range(requests):
        with mounted(PrivateApi(personal_key=KEY), monkeypatch) as api:
            api.fail(Answer(418, accept=done), after=position)
            refused(capsys, "apply")
            run(capsys, "apply")
            assert shape(api) == expected


def test_what_is_not_ours(project: PrivateApi, capsys: pytest.CaptureFixture[str], small: None) -> None:
    """Whatever else the project has stays byte for byte: applied, changed, destroyed."""
    query = product().insights[2].query()
    insight = project.add("insights", {"name": "Payment failure rate", "saved": True, "query": query, "dashboards": []})
    by_hand = {
        "insights": [insight],
        "dashboards": [project.add("dashboards", {"name": "Zentra: payments and customers", "tags": ["zentra"]})],
        "cohorts": [project.add("cohorts", {"name": "Lapsed payers", "description": "By hand.", "filters": product().cohorts[0].filters()})],
        "alerts": [],
    }  # fmt: skip
    foreign = json.dumps(by_hand)
    # Alerts of the same name as ours, on their insight and on ours.
    alert = {**product().alerts[0].payload(), "name": "Payment failures spike", "subscribed_users": [2]}
    theirs = project.add("alerts", {**alert, "insight": insight["id"]})
    run(capsys, "apply")
    (ours,) = (row for row in project.living("insights") if row["name"] == insight["name"] and row["tags"])
    on_ours = project.add("alerts", {**alert, "insight": ours["id"]})

    def untouched() -> bool:
        found = {
            kind: [next(row for row in project.living(kind) if row["id"] == one["id"]) for one in by_hand[kind]]
            for kind in by_hand
        }
        alerts = {row["id"]: row for row in project.living("alerts")}
        return json.dumps(found) == foreign and alerts[theirs["id"]] == theirs and alerts[on_ours["id"]] == on_ours

    assert untouched()
    notes = run(capsys, "apply", *board("NOW"))["notes"]
    assert "somebody else's" in " ".join(notes)
    run(capsys, "apply")
    assert untouched()
    run(capsys, "destroy", "--yes")
    assert untouched()
    assert {kind: len(project.living(kind)) for kind in KINDS} == {
        "dashboards": 1,
        "insights": 1,
        "cohorts": 1,
        "alerts": 2,
    }


def test_a_copy_of_ours(project: PrivateApi, capsys: pytest.CaptureFixture[str], small: None) -> None:
    """An insight that somebody has duplicated bears our tags and is theirs all the same: it is named and left alone."""
    run(capsys, "apply", *board("NOW"))
    original = project.living("insights")[0]
    copy = project.add("insights", {name: original[name] for name in ("name", "tags", "query", "dashboards")})
    before = json.dumps(copy)
    shown = run(capsys, "apply", *board("NOW"))
    assert shown["counts"]["unchanged"] == len(shown["changes"])
    assert [note for note in shown["notes"] if f"insight {copy['id']} " in note]
    run(capsys, "destroy", "--yes")
    (left,) = project.living("insights")
    assert {**left, "dashboards": copy["dashboards"]} == json.loads(before)


def test_what_somebody_has_changed(project: PrivateApi, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan tells what was changed by hand, field by field; apply puts it back, and keeps what people have added."""
    run(capsys, "apply")
    clean = shape(project)
    insight = project.living("insights")[-1]
    other = project.add("dashboards", {"name": "Theirs"})
    query = json.loads(json.dumps(insight["query"]))
    query["source"]["retentionFilter"]["period"] = "Day"
    added = {"tags": [*insight["tags"], "reviewed"], "dashboards": [*insight["dashboards"], other["id"]]}
    project.change("insights", insight["id"], {"name": "Renamed", "query": query, **added})
    alert = project.living("alerts")[0]
    project.change("alerts", alert["id"], {"enabled": False, "subscribed_users": [2]})
    gone = project.living("cohorts")[0]
    project.change("cohorts", gone["id"], {"deleted": True})
    (dashboard,) = (row for row in project.living("dashboards") if row["tiles"] and row["name"] != "Theirs")
    tile = dashboard["tiles"][0]
    moved = {**tile["layouts"], "sm": {**tile["layouts"]["sm"], "w": 3}}
    project.change("dashboards", dashboard["id"], {"tiles": [{"id": tile["id"], "layouts": moved}]})
    planned = run(capsys, "plan")
    fields = {(one["kind"], field["field"]) for one in planned["changes"] for field in one["fields"]}
    assert fields == {
        ("insight", "name"),
        ("insight", "query.source.retentionFilter.period"),
        ("alert", "enabled"),
        ("layout", "payment-conversion"),
    }
    assert planned["counts"]["create"] == 1
    count = len(project.writes())
    run(capsys, "apply")
    bodies = [request.body for request in project.writes()[count:]]
    assert len(bodies) == 4
    assert {"name": "Weekly retention", "query": product().insights[-1].query()} in bodies
    kept = next(row for row in project.living("insights") if row["id"] == insight["id"])
    assert "reviewed" in kept["tags"]
    assert other["id"] in kept["dashboards"]
    assert [user["id"] for user in project.living("alerts")[0]["subscribed_users"]] == [2]
    project.change("dashboards", other["id"], {"deleted": True})
    project.change("insights", insight["id"], {"tags": insight["tags"], "dashboards": insight["dashboards"]})
    project.change("alerts", alert["id"], {"subscribed_users": []})
    assert shape(project) == clean


def test_a_tile_that_was_taken_off(project: PrivateApi, capsys: pytest.CaptureFixture[str], small: None) -> None:
    """An insight that somebody has taken off the dashboard comes back to its place."""
    run(capsys, "apply", *board("NOW"))
    clean = shape(project)
    project.change("insights", project.living("insights")[0]["id"], {"dashboards": []})
    planned = run(capsys, "plan", *board("NOW"))
    assert [(one["kind"], one["action"]) for one in planned["changes"] if one["action"] != "unchanged"] == [
        ("insight", "change"),
        ("layout", "create"),
    ]
    run(capsys, "apply", *board("NOW"))
    assert shape(project) == clean


def test_subscribers(project: PrivateApi, capsys: pytest.CaptureFixture[str]) -> None:
    """--subscribe tells a user of every alert; without, the plan says that nobody is told."""
    assert "subscribe in PostHog" in " ".join(run(capsys, "plan")["notes"])
    assert run(capsys, "apply", "--subscribe", "2")["notes"] == []
    assert {user["id"] for row in project.living("alerts") for user in row["subscribed_users"]} == {2}


def test_tables_in_the_settings_and_in_a_file(project: PrivateApi, capsys: pytest.CaptureFixture[str]) -> None:
    """A tenant's own events, insights and alerts come from the settings' file and from --file."""
    Path("zentra-otel-posthog.toml").write_text(
        """
[[event]]
name = "checkout.completed"
properties = { amount_minor = "minor_units", items = "count" }

[[insight]]
type = "trend"
key = "items-sold"
name = "Items sold"
series = [{ event = "checkout.completed", math = "sum", math_property = "items" }]
""",
        encoding="utf-8",
    )
    Path("alerts.toml").write_text(
        '[[alert]]\ninsight = "items-sold"\nname = "Nothing sold"\nlower = 1\n', encoding="utf-8"
    )
    run(capsys, "apply", "--file", "alerts.toml")
    (alert,) = (row for row in project.living("alerts") if row["name"].startswith("Nothing sold"))
    assert alert["insight"]["name"] == "Items sold"
    message = refused(capsys, "plan", "--file", "missing.toml")
    assert "missing.toml" in message


def test_people_read_it(project: PrivateApi, capsys: pytest.CaptureFixture[str], small: None) -> None:
    """The plan for people: a sign for each object, its changes below, a line of counts."""
    run(capsys, "apply", *board("BEFORE"))
    capsys.readouterr()
    assert main(["insights", "plan", *board("NOW")]) == 0
    shown = capsys.readouterr().out
    assert '~ dashboard it\n    name: "It was" -> "It"\n' in shown
    assert "+ insight steps\n" in shown
    assert "- cohort old\n" in shown
    assert "    query.source.breakdownFilter: nothing -> {" in shown
    assert "\n2 to create, 5 to change, 3 to remove, 0 unchanged\n" in shown


def test_destroy_asks(
    project: PrivateApi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    """Nothing is removed before somebody says yes; where nobody can answer, --yes has to."""
    run(capsys, "apply", *board("NOW"))
    count = len(project.writes())
    assert "--yes" in refused(capsys, "destroy")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert main(["insights", "destroy"]) == 1
    assert len(project.writes()) == count
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert main(["insights", "destroy"]) == 0
    assert [project.living(kind) for kind in KINDS] == [[], [], [], []]
    assert run(capsys, "destroy", "--yes")["changes"] == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("POSTHOG_PERSONAL_API_KEY", "", "POSTHOG_PERSONAL_API_KEY is not set"),
        ("POSTHOG_PERSONAL_API_KEY", "phc_inventedProjectKey", "this is the project key"),
        ("POSTHOG_PERSONAL_API_KEY", "phx_somebodyElses", "does not know the personal key"),
        ("POSTHOG_PROJECT_ID", "", "POSTHOG_PROJECT_ID is not set"),
        ("POSTHOG_PROJECT_ID", "acme", "POSTHOG_PROJECT_ID='acme'"),
        ("POSTHOG_PROJECT_ID", "2", "has no project 2 for this key"),
        ("POSTHOG_HOST", "nowhere", "nowhere"),
    ],
)
def test_settings_that_lead_nowhere(
    project: PrivateApi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:  # fmt: skip
    """A wrong key, project or host is one sentence with the setting to put right."""
    monkeypatch.setenv(name, value)
    told = refused(capsys, "plan")
    assert message in told
    assert "phx_somebodyElses" not in told


def test_a_scope_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, project: PrivateApi) -> None:  # fmt: skip
    """The scope that the key lacks is named."""
    scopes = [f"{kind}:read" for kind in ("dashboard", "insight", "cohort", "alert")]
    with mounted(PrivateApi(personal_key=KEY, scopes=scopes), monkeypatch):
        run(capsys, "plan")
        assert "missing required scope 'dashboard:write'): add the scope" in refused(capsys, "apply")


def test_the_plan_allows_no_more_alerts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, project: PrivateApi) -> None:  # fmt: skip
    """A limit of the plan is told in PostHog's words; all else is there by then."""
    with mounted(PrivateApi(personal_key=KEY, alert_limit=1), monkeypatch) as api:
        told = refused(capsys, "apply")
        assert "plan does not allow POST alerts/ (Your plan is limited to 1 alerts)" in told
        assert len(api.living("insights")) == len(product().insights)
        assert len(api.living("cohorts")) == len(product().cohorts)
        assert len(api.living("alerts")) == 1


def test_what_is_tried_again(project: PrivateApi, capsys: pytest.CaptureFixture[str], small: None) -> None:
    """A rate limit is waited for, and a failure of what may be done twice; making something is not tried again."""
    project.fail(Answer(429, {"Retry-After": "0"}), after=0)
    project.fail(Answer(503, {"Retry-After": "0"}), after=2)
    project.fail(Answer(429, {"Retry-After": "0"}), after=6)  # a POST, which was not done
    run(capsys, "apply", *board("NOW"))
    statuses = [request.status for request in project.requests]
    assert statuses.count(429) == 2
    assert statuses.count(503) == 1
    run(capsys, "destroy", "--yes")
    start = len(project.requests)
    project.fail(Answer(500), after=5)
    told = refused(capsys, "apply", *board("NOW"))
    assert project.requests[-1].method == "POST"
    assert len(project.requests) - start == 6
    assert "may have done it all the same; run the command again" in told


def test_patience_ends(project: PrivateApi) -> None:
    """However long PostHog asks to wait, a client waits three minutes in all, and five attempts."""
    waited: list[float] = []
    client = Client(os.environ["POSTHOG_HOST"], "1", KEY, pause=waited.append)
    for position in range(20):
        project.fail(Answer(429, {"Retry-After": "100"}), after=position)
    with pytest.raises(_private_api.PrivateApiError, match="still limits the rate"):
        list(client.rows("cohorts"))
    assert waited == [100.0]
    waited.clear()
    impatient = Client(os.environ["POSTHOG_HOST"], "1", KEY, pause=waited.append)
    with pytest.raises(_private_api.PrivateApiError, match="still limits the rate"):
        list(impatient.rows("cohorts"))
    assert sum(waited) <= 180


def test_an_answer_that_quotes_the_key(project: PrivateApi, capsys: pytest.CaptureFixture[str]) -> None:
    """A server's sentence with the key in it is shown without."""
    body = json.dumps({"detail": f"The key {KEY} is asleep.", "attr": None}).encode()
    project.fail(Answer(400, body=body))
    assert "The key … is asleep" in refused(capsys, "plan")


def test_a_host_that_is_no_posthog(project: PrivateApi, capsys: pytest.CaptureFixture[str]) -> None:
    """A page in place of JSON says to look at the host."""
    project.fail(Answer(200, body=b"<html>Welcome</html>"))
    assert "is POSTHOG_HOST a PostHog?" in refused(capsys, "plan")
    project.fail(Answer(200, body=b"{}"))
    assert "is POSTHOG_HOST a PostHog?" in refused(capsys, "plan")


def test_a_dashboard_that_is_none(project: PrivateApi, capsys: pytest.CaptureFixture[str], small: None) -> None:
    """--dashboard names what is wrong with it; nothing is asked of PostHog."""
    assert "write MODULE:NAME" in refused(capsys, "plan", "--dashboard", "boards_of_ours")
    assert "is no Dashboard" in refused(capsys, "plan", "--dashboard", "boards_of_ours:PAID")
    assert "--dashboard no_such_boards" in refused(capsys, "plan", "--dashboard", "no_such_boards:IT")
    assert project.requests == []
