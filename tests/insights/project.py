"""A small dashboard, what it was before, and the command that brings them to a stand-in for PostHog."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zentra_otel_posthog.cli import main
from zentra_otel_posthog.inspector import PrivateApi, Receiver

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


class Project:
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


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Run the command and return what it prints for machines."""
    capsys.readouterr()
    assert main(["insights", *arguments, "--json"]) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    """Run the command, which fails with an exit code, and return its one sentence, which has no key in it."""
    capsys.readouterr()
    assert main(["insights", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert KEY not in captured.err + captured.out
    return captured.err


def board(which: str) -> tuple[str, str]:
    """Return the arguments that name one of the small dashboards."""
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
