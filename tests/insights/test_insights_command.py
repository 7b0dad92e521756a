"""``zentra-otel-posthog insights`` against a stand-in for the private API, over real sockets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.insights.project import KINDS, board, refused, run, shape

from zentra_otel_posthog.cli import main
from zentra_otel_posthog.insights import product
from zentra_otel_posthog.insights.exports import as_json
from zentra_otel_posthog.inspector import PrivateApi


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
    assert [{**one, "id": None} for one in applied["changes"]] == planned["changes"]
    assert {kind: len(project.living(kind)) for kind in KINDS} == {
        "dashboards": 1,
        "insights": len(made.insights),
        "cohorts": len(made.cohorts),
        "alerts": len(made.alerts),
    }
    (dashboard,) = project.living("dashboards")
    tiles = {tile["insight"]["tags"][1].partition(":")[2]: tile["layouts"]["sm"] for tile in dashboard["tiles"]}
    assert tiles == made.layouts()
    assert (planned["dashboard"], applied["dashboard"]) == (None, f"{os.environ['POSTHOG_HOST']}/project/1/dashboard/1")
    count = len(project.writes())
    again = run(capsys, "apply")
    assert len(project.writes()) == count
    assert {one["action"] for one in again["changes"]} == {"unchanged"}
    numbers = {row["id"] for kind in KINDS for row in project.living(kind)}
    assert {one["id"] for one in again["changes"]} == {one["id"] for one in applied["changes"]} == numbers


def test_what_is_sent(project: PrivateApi, capsys: pytest.CaptureFixture[str]) -> None:
    """Every request's body is that of the export, which the snapshot holds, with numbers in place of keys."""
    run(capsys, "apply")
    exported = as_json(product())
    numbers = {row["tags"][1].partition(":")[2]: row["id"] for row in project.living("insights")}
    layouts = exported["dashboard"].pop("layouts")
    (dashboard,) = project.living("dashboards")
    tiles = {tile["insight"]["id"]: tile["id"] for tile in dashboard["tiles"]}
    assert [request.body for request in project.writes()] == [
        exported["dashboard"],
        *({**body, "dashboards": [dashboard["id"]]} for body in exported["insights"].values()),
        {"tiles": [{"id": tiles[numbers[key]], "layouts": {"sm": layout}} for key, layout in layouts.items()]},
        *exported["cohorts"].values(),
        *({**body, "insight": numbers[body["insight"]]} for body in exported["alerts"].values()),
    ]


def test_what_is_on_later_pages(project: PrivateApi, capsys: pytest.CaptureFixture[str], small: None) -> None:
    """Ours are found behind newer ones of other people on every list."""
    run(capsys, "apply", *board("NOW"))
    alert = {**product().alerts[0].payload(), "insight": project.living("insights")[0]["id"], "subscribed_users": [2]}
    for number in range(7):
        theirs = {"name": f"Theirs {number}", "tags": ["zentra-otel-posthog"]}
        project.add("dashboards", theirs)
        project.add("insights", {**theirs, "query": {}, "dashboards": []})
        project.add("cohorts", {"name": f"Theirs {number}", "filters": product().cohorts[0].filters()})
        project.add("alerts", {**alert, "name": f"Theirs {number}"})
    count, start = len(project.writes()), len(project.requests)
    run(capsys, "apply", *board("NOW"))
    assert len(project.writes()) == count
    pages = [request.path for request in project.requests[start:]]
    for kind in KINDS:
        assert len([path for path in pages if path.startswith(f"/api/projects/1/{kind}/?")]) == 3


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


def test_an_alert_that_is_left_over(project: PrivateApi, capsys: pytest.CaptureFixture[str], small: None) -> None:
    """Whoever deletes our insight by hand leaves its alerts: they are made anew, and the old ones named."""
    run(capsys, "apply", *board("NOW"))
    watched = next(row for row in project.living("insights") if row["name"] == "Paid")
    project.change("insights", watched["id"], {"deleted": True})
    shown = run(capsys, "apply", *board("NOW"))
    assert shown["counts"]["create"] == 1 + 2  # the insight, its alerts
    left = [note for note in shown["notes"] if "watches no insight of ours" in note]
    assert len(left) == 2
    assert len(project.living("alerts")) == 4


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
        ("layout", "change"),
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
    message = refused(capsys, "plan", "--file", "missing.toml", code=2)
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
    assert "\n2 to create, 5 to change, 3 to remove, 0 unchanged\nhttp://127.0.0.1:" in shown
    assert main(["insights", "plan", *board("BEFORE")]) == 0
    assert "insight" not in capsys.readouterr().out  # what stays as it is is counted


def test_destroy_asks(
    project: PrivateApi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    """Nothing is removed before somebody says yes; where nobody can answer, --yes has to."""
    run(capsys, "apply", *board("NOW"))
    count = len(project.writes())
    assert "--yes" in refused(capsys, "destroy", code=2)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert main(["insights", "destroy"]) == 1
    assert len(project.writes()) == count
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert main(["insights", "destroy"]) == 0
    assert [project.living(kind) for kind in KINDS] == [[], [], [], []]
    assert run(capsys, "destroy", "--yes")["changes"] == []
