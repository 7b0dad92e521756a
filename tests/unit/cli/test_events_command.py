"""``zentra-otel-posthog events``: the tracking plan and the egress page, as a table, Markdown and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zentra_otel_posthog import capture, events, payment
from zentra_otel_posthog.cli import main
from zentra_otel_posthog.config import load
from zentra_otel_posthog.delivery import project_folders
from zentra_otel_posthog.delivery.account import Account
from zentra_otel_posthog.testing import captured_events

ENVIRONMENT = {"POSTHOG_API_KEY": "phc_invented", "ZENTRA_POSTHOG_SPOOL_DIR": "spool"}
FILE = """
[[event]]
name = "basket.paid"
properties = { amount_minor = "minor_units", note = "text" }
set = { last_note = "note" }
[sanitize]
refused_keys = ["staff_no"]
allowed_values = ["support@zentra.example"]
"""
VALUES = ("ada.obi@example.com", "+2348031234567", "support@zentra.example", "quick-silver-fox")


@pytest.fixture
def counted(declarations: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An application whose events were partly refused, as the account of its spool tells."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    Path("zentra-otel-posthog.toml").write_text(FILE, encoding="utf-8")

    @payment
    def charge(user_id: str, amount_minor: int, currency: str, method: str) -> None: ...

    with captured_events():
        charge("ada.obi@example.com", 5, "NGN", "+2348031234567")
        capture("basket.seen", properties={"colour": "quick-silver-fox", "contact": "ada.obi@example.com"})
    (folder,) = project_folders(load())
    folder.mkdir(parents=True)
    Account(folder).save()


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["events", *arguments]) == 0
    return capsys.readouterr().out


@pytest.fixture
def page(capsys: pytest.CaptureFixture[str], counted: None) -> dict[str, Any]:
    """The egress page as JSON."""
    found: dict[str, Any] = json.loads(shown(capsys, "--egress", "--format", "json"))
    return found


def of(page: dict[str, Any], event: str, name: str, part: str = "properties") -> dict[str, Any]:
    (found,) = (one for one in page["events"] if one["name"] == event)
    (row,) = (one for one in found[part] if one["name"] == name)
    return dict(row)


def test_every_declared_property_and_no_other(page: dict[str, Any]) -> None:
    """The page lists exactly the tracking plan: built in, from the file, with kinds and person properties."""
    declared = {event["name"]: event["properties"] for event in page["events"] if event["declared_by"]}
    assert declared.keys() == {schema.name for schema in events.schemas()} >= {"basket.paid", "payment.failed"}
    for schema in events.schemas():
        assert {one["name"]: one["kind"] for one in declared[schema.name]} == {
            name: kind.name for name, kind in schema.kinds.items()
        }
    assert of(page, "basket.paid", "note")["person"] == ["$set last_note"]


def test_what_was_kept_back_and_why(page: dict[str, Any]) -> None:
    """Refusals stand beside their property, those of identifiers beside these, undeclared properties below."""
    assert of(page, "payment.completed", "method")["refused"].keys() >= {"long_number"}
    assert of(page, "basket.seen", "colour", "undeclared")["left"] >= 1
    assert of(page, "basket.seen", "contact", "undeclared")["refused"]["email"] >= 1
    (person,) = (one for one in page["identifiers"] if one["name"] == "distinct_id")
    assert person["refused"]["email"] >= 1
    assert page["counted_since"] <= page["counted_until"]


def test_the_policy_is_told(page: dict[str, Any]) -> None:
    """A review sees what the tenant has decided; an allowed text is a number, not a text."""
    assert page["refused_keys"] == ["staff_no"]
    assert page["allowed_values"] == 1


@pytest.mark.parametrize("form", ["table", "markdown", "json"])
def test_never_a_value(counted: None, capsys: pytest.CaptureFixture[str], form: str) -> None:
    """No form of the page shows what was refused or what left."""
    page = shown(capsys, "--egress", "--format", form)
    assert "basket.paid" in page
    assert "long_number" in page
    assert not [value for value in VALUES if value in page]


def test_the_plan_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``--egress`` the command lists events, properties and kinds."""
    plan = json.loads(shown(capsys, "--format", "json"))
    assert plan["kyc.verified"]["tier"] == {"kind": "slug", "person": ["$set kyc_tier"]}
    assert "user.signed_up" in shown(capsys)
    assert "| channel | slug |" in shown(capsys, "--format", "markdown")


def test_events_of_a_module(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """``--import`` makes known what an application's own classes declare."""
    source = "from zentra_otel_posthog import Event\nclass Opened(Event, name='vault.opened'): ...\n"
    (tmp_path / "vaults_of_ours.py").write_text(source, encoding="utf-8")
    assert "vault.opened" in shown(capsys, "--import", "vaults_of_ours")


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        (["--import", "no.such.module"], "", "--import no.such.module: "),
        (["--config", "missing.toml"], "", "missing.toml"),
        ([], "[[event]]\nname = 'Wrong'", "noun.verb"),
    ],
)
def test_wrong_input_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], content: str, message: str
) -> None:
    """A wrong argument or file ends with code 2 and one line that names it."""
    Path("zentra-otel-posthog.toml").write_text(content, encoding="utf-8")
    assert main(["events", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
