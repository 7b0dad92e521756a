"""The public API as type checkers see it: the files beside this one are checked and never executed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("test_"))


@pytest.mark.timeout(300)  # a first run has no cache of the libraries' types
@pytest.mark.parametrize("name", FILES)
def test_the_public_api_is_typed(name: str) -> None:
    """Every ``assert_type`` holds, and every line marked as an error is one: an unused mark is an error, too."""
    file = HERE / f"{name}.py"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), str(file)]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="pyright runs on node")
def test_the_public_api_is_typed_for_pyright_too(tmp_path: Path) -> None:
    """The same in pyright's strict mode: what mypy and Pylance show agrees."""
    for name in FILES:
        shutil.copy(HERE / f"{name}.py", tmp_path)
    configuration = {
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": "error",
        # A lambda's parameters are those of whatever function is decorated.
        "reportUnknownLambdaType": "none",
        "reportUnknownArgumentType": "none",
        "extraPaths": [str(ROOT / "src")],
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(configuration))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", str(tmp_path)]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 errors" in checked.stdout
