"""What users' own tests take from the package: ``captured_events`` and the fixtures of the pytest plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zentra_otel_posthog import capture, payment, runtime
from zentra_otel_posthog.config import SettingsError
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.testing import captured_events

pytestmark = pytest.mark.usefixtures("declarations")

FILE = """
disabled = false

[[event]]
name = "basket.closed"
properties = { items = "count" }

[sanitize]
refused_keys = ["note"]
"""


@payment
def charge(customer_id: object, amount_minor: int) -> None: ...


def test_blocks_do_not_see_each_other() -> None:
    """An inner block collects what happens in it, an outer one the rest, and afterwards all is as before."""
    before = runtime.configured()
    with captured_events() as outer:
        charge("usr_1", 5)
        with captured_events() as inner:
            charge("usr_2", 6)
        charge("usr_3", 7)

    assert [event.distinct_id for event in outer] == ["usr_1", "usr_1", "usr_3", "usr_3"]
    assert [event.distinct_id for event in inner] == ["usr_2", "usr_2"]
    assert runtime.configured() is before


def test_an_internal_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be kept from the application fails its test."""
    monkeypatch.setattr("zentra_otel_posthog.emit.convert", lambda *_args, **_options: 1 / 0)
    with captured_events(), pytest.raises(ZeroDivisionError):
        capture("basket.opened")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"flush_att": 3}, "did you mean 'flush_at'"),
        ({"pseudonym_key": "short"}, "at least 32 bytes"),
        ({"config": "missing.toml"}, "missing.toml"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], said: str) -> None:
    """It is said as ``configure`` says it, and nothing has changed."""
    before = runtime.configured()
    with pytest.raises(SettingsError, match=said), captured_events(**settings):
        pass

    assert runtime.configured() is before


def test_neither_environment_nor_folder_has_a_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A developer's own settings do not change what a test sees."""
    monkeypatch.setenv("ZENTRA_POSTHOG_DISABLED", "true")
    monkeypatch.setenv("ZENTRA_POSTHOG_FLUSH_AT", "none")
    (tmp_path / "zentra-otel-posthog.toml").write_text(FILE)
    with captured_events() as captures:
        capture("basket.closed", properties={"items": "many", "note": "by appointment"})

    assert captures[0].properties["note"] == "by appointment"


def test_a_named_file_applies(tmp_path: Path) -> None:
    """Its events are declared, and its policy is in force."""
    (tmp_path / "bank.toml").write_text(FILE)
    with captured_events(config="bank.toml") as captures:
        capture("basket.closed", properties={"items": "3", "note": "by appointment"})

    assert captures[0].properties["items"] == 3
    assert "note" not in captures[0].properties


class TestFixture:
    """A test suite that defines ``posthog_settings``."""

    @pytest.fixture
    def posthog_settings(self) -> dict[str, Any]:
        return {"pseudonym_key": "0123456789abcdef" * 4}

    def test_its_settings_are_the_suite_s(self, posthog_events: list[Capture]) -> None:
        """The fixture collects under them: a personal id is a pseudonym."""
        charge("ada@example.com", 5)

        assert [event.event for event in posthog_events] == ["payment.pending", "payment.completed"]
        assert posthog_events[0].distinct_id.startswith("psn1_")
