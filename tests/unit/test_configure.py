"""``configure`` happens once, by call or by itself, and a wrong setting never reaches a request."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from zentra_otel_posthog import capture, config, flush, runtime, shutdown
from zentra_otel_posthog.config import SettingsError


def test_once_a_process() -> None:
    """A second call is told so; after a shutdown it is the first again."""
    runtime.configure(disabled=True)
    with pytest.raises(RuntimeError, match=r"call it once at start-up, or shutdown\(\) first"):
        runtime.configure(disabled=True)
    shutdown()
    runtime.configure(disabled=True, flush_at=7)
    assert runtime.current().settings.flush_at == 7


def test_after_automatic_configuration(caplog: pytest.LogCaptureFixture) -> None:
    """An event before ``configure`` set things up by default; ``configure`` still decides."""
    assert capture("basket.paid") is not None
    assert "POSTHOG_API_KEY is not set" in caplog.text
    runtime.configure(disabled=True, flush_at=7)
    assert runtime.current().settings.flush_at == 7
    with pytest.raises(RuntimeError):
        runtime.configure()


def test_a_wrong_setting_changes_nothing() -> None:
    """A refused call may be corrected, and what worked before works on."""
    runtime.configure(disabled=True, flush_at=7)
    shutdown()
    with pytest.raises(SettingsError):
        runtime.configure(flush_at=0)
    assert runtime.current().settings.flush_at == 7
    runtime.configure(disabled=True)


@pytest.mark.parametrize(
    "text",
    [
        "flush_at = 0",
        "flush_at",
        "unknown = 1",
        '[[event]]\nname = "a"',
        '[[event]]\nname = "a.b"\nproperties = ["x"]',
        'spool_dir = "a\\u0000b"\napi_key = "phc_one"',
    ],
)
def test_a_wrong_setting_found_in_a_request(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Found by the first event, it is logged once and switches analytics off; the request goes on."""
    (tmp_path / config._FILE).write_text(text)
    for _ in range(3):
        assert capture("basket.paid") is not None
    (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert record.getMessage().startswith("analytics is off: ")
    assert runtime.current().settings.disabled
    assert flush()


def test_nothing_configured_is_nothing_to_deliver() -> None:
    """Before any event there is nothing to flush or to shut down."""
    assert flush()
    assert shutdown()
