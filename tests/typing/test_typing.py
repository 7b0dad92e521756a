"""The public API as type checkers see it: the files beside this one are checked and never executed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.mark.timeout(300)  # a first run has no cache of the libraries' types
@pytest.mark.parametrize("name", ["decorators", "events", "track_options"])
def test_the_public_api_is_typed(name: str) -> None:
    """Every ``assert_type`` holds, and every line marked as an error is one: an unused mark is an error, too."""
    file = HERE / f"{name}.py"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), str(file)]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr
