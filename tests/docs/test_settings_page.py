"""The table of settings has each of them, with its variable and its default."""

from __future__ import annotations

import re

from tests.docs.markdown_blocks import ROOT

from zentra_otel_posthog import config
from zentra_otel_posthog.config import Settings


def _rows() -> dict[str, tuple[str, str]]:
    """Return variable and default, as they stand there, by setting."""
    rows = {}
    for line in (ROOT / "docs/settings.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            names, variable, default = (cell.strip() for cell in line.split("|")[1:4])
            rows.update(dict.fromkeys(re.findall(r"`(\w+)`", names), (variable, default)))
    return rows


def test_each_setting_is_there_once() -> None:
    """None is missing, and none is there that is no more."""
    assert set(_rows()) == {*Settings.__struct_fields__, "config"}


def test_variables_and_defaults() -> None:
    """They are those of the code; one that is made at start-up is said in words."""
    variables = {name: variable for variable, name in config._variables().items()}
    defaults = Settings()
    for name, (variable, default) in _rows().items():
        if name == "config":
            continue
        assert variable == (f"`{variables[name]}`" if name in variables else ""), name
        value = getattr(defaults, name)
        if isinstance(value, bool):
            assert default == f"`{str(value).lower()}`", name
        elif isinstance(value, str):
            assert default == f"`{value}`", name
        elif isinstance(value, (int, float)):
            number, _, unit = default.partition(" ")
            assert float(number) * {"": 1, "GiB": 1 << 30}[unit] == value, name
