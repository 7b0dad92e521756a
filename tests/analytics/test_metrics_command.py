"""``zentra-otel-posthog metrics`` against the query endpoint that holds the bank's events."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest
from tests.analytics.played_bank import END, START

from zentra_otel_posthog.analytics import Analytics
from zentra_otel_posthog.cli import main

METRICS = (
    "payment-success-rate",
    "payment-funnel",
    "payment-volume",
    "active-users",
    "retention",
    "failure-reasons",
)
RANGE = ("--since", f"{START:%Y-%m-%d}", "--until", f"{END:%Y-%m-%dT%H:%M}")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", "phx_0123456789secret")
    monkeypatch.setenv("POSTHOG_PROJECT_ID", "1")
    monkeypatch.setenv("POSTHOG_HOST", endpoint)
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("whose", [("--tenant", "acme"), ("--all-tenants",)])
def test_json_and_csv_hold_the_rows_of_the_library(
    metric: str, whose: tuple[str, ...], analytics: Analytics, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same rows, whichever way they are asked for."""
    ask = getattr(analytics, metric.replace("-", "_"))
    tenant = "acme" if whose[0] == "--tenant" else None
    rows = msgspec.to_builtins(ask(tenant=tenant, since=START, until=END, all_tenants=tenant is None))

    assert main(["metrics", metric, *whose, *RANGE, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows
    assert main(["metrics", metric, *whose, *RANGE, "--format", "csv"]) == 0
    assert list(csv.DictReader(io.StringIO(capsys.readouterr().out))) == [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in rows
    ]


@pytest.mark.parametrize("metric", METRICS)
def test_table_chart_and_picture_are_made(metric: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has a line or a bar for each row; the picture is a PNG."""
    common = ("metrics", metric, "--tenant", "acme", *RANGE)
    assert main([*common, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)

    assert main(list(common)) == 0
    table = capsys.readouterr().out
    assert len(table.splitlines()) == len(rows) + 4
    assert all(name in table for name in rows[0])
    assert main([*common, "--format", "chart"]) == 0
    assert "█" * 29 in capsys.readouterr().out
    assert main([*common, "--format", "png", "--output", str(tmp_path / "chart.png")]) == 0
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == ""


def test_no_events_are_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A tenant without events has an empty table, no header and no error."""
    assert main(["metrics", "active-users", "--tenant", "nobody"]) == 0
    assert capsys.readouterr().out == "No events in that time.\n"
    assert main(["metrics", "active-users", "--tenant", "nobody", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("retention", "--tenant", "acme", "--interval", "day"), "retention has no --interval"),
        (("retention", "--tenant", "acme", "--format", "png"), "--output"),
        (("retention", "--tenant", "ada@example.com"), "tenant is no key"),
        (("retention", "--tenant", "acme", "--since", "2026-11-02", "--until", "2026-11-01"), "is not before"),
    ],
)
def test_wrong_usage_is_one_line(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, with exit code 2."""
    assert main(["metrics", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("missing", ["POSTHOG_PERSONAL_API_KEY", "POSTHOG_PROJECT_ID"])
def test_what_the_environment_lacks_is_named(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The variable that is not set."""
    monkeypatch.delenv(missing)
    assert main(["metrics", "retention", "--tenant", "acme"]) == 2
    assert capsys.readouterr().err.startswith(f"{missing} is not set")


def test_neither_a_tenant_nor_all_of_them_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """There is no default that would show one tenant another's figures."""
    with pytest.raises(SystemExit, match="2"):
        main(["metrics", "retention"])
    assert "--all-tenants" in capsys.readouterr().err
