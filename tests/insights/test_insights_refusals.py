"""What ``insights`` says where PostHog refuses, is slow, or is not there: one sentence, an exit code, never the key."""

from __future__ import annotations

import json
import socket

import pytest
from tests.insights.project import KEY, KINDS, Project, board, refused, run

from zentra_otel_posthog.insights import product
from zentra_otel_posthog.inspector import Answer, PrivateApi


@pytest.mark.parametrize(
    ("name", "value", "code", "message"),
    [
        ("POSTHOG_PERSONAL_API_KEY", "", 2, "POSTHOG_PERSONAL_API_KEY is not set"),
        ("POSTHOG_PERSONAL_API_KEY", "phc_inventedProjectKey", 2, "is a project key (phc_…)"),
        ("POSTHOG_PERSONAL_API_KEY", "phx_somebody\telses", 2, "is no key"),
        ("POSTHOG_PERSONAL_API_KEY", "phx_somebodyElses", 1, "does not know the personal key: make one"),
        ("POSTHOG_PROJECT_ID", "", 2, "POSTHOG_PROJECT_ID is not set"),
        ("POSTHOG_PROJECT_ID", "acme", 2, "(POSTHOG_PROJECT_ID) = 'acme' is no number"),
        ("POSTHOG_PROJECT_ID", "2", 1, "has no project 2 for this key: check the project's number"),
        ("POSTHOG_HOST", "nowhere", 2, "nowhere"),
    ],
)
def test_settings_that_lead_nowhere(
    project: PrivateApi,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    code: int,
    message: str,
) -> None:
    """A wrong key, project or host is one sentence with the setting to put right."""
    monkeypatch.setenv(name, value)
    told = refused(capsys, "plan", code=code)
    assert message in told
    assert "somebody" not in told


def test_a_host_that_does_not_answer(
    credentials: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    """A host where nothing listens is told at once, without another attempt."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setenv("POSTHOG_HOST", address)
    told = refused(capsys, "apply")
    assert f"{address} did not answer (ConnectionError after" in told
    assert "check the host" in told
    assert pauses == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("right", "command"), [("read", "plan"), ("write", "apply")])
def test_a_scope_is_missing(
    credentials: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    right: str,
    command: str,
) -> None:
    """The scope that the key lacks is named; a plan needs only to read."""
    lacking = f"{kind.removesuffix('s')}:{right}"
    scopes = {f"{one.removesuffix('s')}:{another}" for one in KINDS for another in ("read", "write")} - {lacking}
    with Project(PrivateApi(personal_key=KEY, scopes=scopes), monkeypatch) as api:
        told = refused(capsys, command)
        assert f"missing required scope '{lacking}'" in told
        assert f"it takes the scope {lacking} on this project" in told
        assert command == "apply" or api.writes() == []


def test_reading_is_enough_for_a_plan(
    credentials: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that may only read can plan, as a pull request's check would."""
    scopes = [f"{kind.removesuffix('s')}:read" for kind in KINDS]
    with Project(PrivateApi(personal_key=KEY, scopes=scopes), monkeypatch):
        assert run(capsys, "plan")["counts"]["create"]


def test_the_plan_allows_no_more_alerts(
    credentials: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of the plan is told in PostHog's words; all else is there by then."""
    with Project(PrivateApi(personal_key=KEY, alert_limit=1), monkeypatch) as api:
        told = refused(capsys, "apply")
        assert told.startswith("alert 'daily-active-users: Daily active users drop': PostHog's plan")
        assert "plan does not allow POST alerts/ (alert: Your plan is limited to 1 alerts): upgrade it" in told
        assert len(api.living("insights")) == len(product().insights)
        assert len(api.living("cohorts")) == len(product().cohorts)
        assert len(api.living("alerts")) == 1


def test_a_project_that_keeps_no_tags(
    credentials: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be found again, and would be made anew by every apply, is removed at once."""
    with Project(PrivateApi(personal_key=KEY, tagging=False), monkeypatch) as api:
        assert "PostHog has kept no tags" in refused(capsys, "apply")
        assert [request.method for request in api.writes()] == ["POST", "PATCH"]
        assert [api.living(kind) for kind in KINDS] == [[], [], [], []]


@pytest.mark.parametrize(
    ("status", "detail", "message"),
    [
        (402, "Upgrade to have cohorts.", "plan does not allow GET cohorts/ (Upgrade to have cohorts): upgrade it"),
        (403, "You have reached the limit.", "forbids GET cohorts/ (You have reached the limit): it takes the scope"),
        (400, f"The key {KEY}\nis asleep.", "with 400 (The key … is asleep)"),
        (418, None, "with 418 (I'm a Teapot)"),
        (500, None, "fails with 500 at GET cohorts/: try again later"),
    ],
)
def test_other_refusals(
    project: PrivateApi, capsys: pytest.CaptureFixture[str], status: int, detail: str | None, message: str
) -> None:
    """PostHog's own sentence is shown, on one line and without the key."""
    body = json.dumps({"detail": detail, "attr": None}).encode() if detail else None
    project.fail(Answer(status, body=body), after=2)
    assert message in refused(capsys, "plan")


def test_what_is_tried_again(
    project: PrivateApi, capsys: pytest.CaptureFixture[str], small: None, pauses: list[float]
) -> None:
    """A rate limit is waited out as PostHog asks, and what may be done twice is done again after a failure."""
    project.fail(Answer(429, {"Retry-After": "7"}), after=0)
    project.fail(Answer(503), after=2)
    project.fail(Answer(connection="close"), after=4)
    project.fail(Answer(429, {"Retry-After": "0"}), after=7)
    run(capsys, "apply", *board("NOW"))
    requests = [(request.method, request.status) for request in project.requests]
    assert requests[:9] == [
        ("GET", 429),
        ("GET", 200),
        ("GET", 503),
        ("GET", 200),
        ("GET", None),
        ("GET", 200),
        ("GET", 200),
        ("POST", 429),  # one that was not done
        ("POST", 201),
    ]
    assert pauses == [7.0, 0.5, 0.5, 0.0]


@pytest.mark.parametrize("answer", [Answer(503), Answer(connection="close")], ids=["503", "connection cut"])
def test_what_is_not_tried_again(
    project: PrivateApi, capsys: pytest.CaptureFixture[str], small: None, answer: Answer
) -> None:
    """What is made might be made twice, so a failure ends the run and says so."""
    project.fail(answer, after=4, times=9)
    told = refused(capsys, "apply", *board("NOW"))
    assert [request.method for request in project.requests] == ["GET"] * 4 + ["POST"]
    assert "may have done it all the same" in told


def test_patience_ends(project: PrivateApi, capsys: pytest.CaptureFixture[str], pauses: list[float]) -> None:
    """Four attempts, and no pause that goes past three minutes."""
    project.fail(Answer(429, {"Retry-After": "1"}), times=20)
    assert "limits the rate of requests" in refused(capsys, "plan")
    assert pauses == [1.0] * 3
    project.recover()
    project.fail(Answer(429, {"Retry-After": "200"}), times=20)
    assert "limits the rate of requests" in refused(capsys, "plan")
    assert pauses == [1.0] * 3


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"{}", b"[]"])
def test_a_host_that_is_no_posthog(project: PrivateApi, capsys: pytest.CaptureFixture[str], body: bytes) -> None:
    """A page in place of a list says to look at the host."""
    project.fail(Answer(200, body=body))
    assert "is it PostHog's app host?" in refused(capsys, "plan")


def test_a_dashboard_that_is_none(project: PrivateApi, capsys: pytest.CaptureFixture[str], small: None) -> None:
    """--dashboard names what is wrong with it; nothing is asked of PostHog."""
    assert "write MODULE:NAME" in refused(capsys, "plan", "--dashboard", "boards_of_ours", code=2)
    assert "is no Dashboard" in refused(capsys, "plan", "--dashboard", "boards_of_ours:PAID", code=2)
    assert "--dashboard no_such_boards" in refused(capsys, "plan", "--dashboard", "no_such_boards:IT", code=2)
    assert project.requests == []
