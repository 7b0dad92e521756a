"""What somebody sees who has mistyped a command, an option or a value."""

from __future__ import annotations

import pytest

from zentra_otel_posthog.cli import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["doctr"], "did you mean 'doctor'?"),
        (["doctor", "--sned"], "did you mean '--send'?"),
        (["doctor", "--config", "missing.toml"], "missing.toml"),
        (["doctor", "--timeout", "soon"], "'soon' is no number of seconds"),
        (["doctor", "now"], "there is no argument 'now'"),
        (["spool", "stauts"], "did you mean 'status'?"),
        (["spool", "replay", "--daed"], "did you mean '--dead'?"),
        (["spool", "purge", "--older-than", "soon"], "'soon' is no age"),
        (["inspect", "--prot", "80"], "did you mean '--port'?"),
        (["inspect", "--port", "80x"], "'80x' is no port"),
        (["inspect", "--config", "missing.toml"], "--config missing.toml: there is no such file"),
        (["inspect", "--memory", "--data", "here"], "not allowed with argument --memory"),
        (["events", "--format", "tabel"], "did you mean 'table'?"),
    ],
)
def test_wrong_usage_is_one_sentence(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    """A wrong command, option or file ends with code 2 and one line that names the nearest right one."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    assert ended.value.code == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
