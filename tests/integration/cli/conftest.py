"""What tests of the command line share: settings in the environment, a service in a process of its own."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zentra_otel_posthog.cli import main
from zentra_otel_posthog.config import load
from zentra_otel_posthog.delivery import project_folders
from zentra_otel_posthog.inspector import Receiver

API_KEY = "phc_inventedProjectKey0123456789"

Command = Callable[..., tuple[int, Any]]

# It captures, says so, and holds its segment until it is killed: nothing is sent before a minute has passed.
SERVICE = """
import sys, threading
from zentra_otel_posthog import capture, configure
configure(flush_interval=60, flush_at=1000)
for number in range(int(sys.argv[1])):
    capture("basket.closed", distinct_id="usr_1", properties={"items": number})
print("captured", flush=True)
threading.Event().wait(50)
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    """Settings as a service has them."""
    monkeypatch.setenv("POSTHOG_API_KEY", API_KEY)
    monkeypatch.setenv("POSTHOG_HOST", receiver.url)
    monkeypatch.setenv("ZENTRA_POSTHOG_SPOOL_DIR", "spool")


@pytest.fixture(autouse=True)
def _declared(declarations: None) -> None: ...


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what runs a command in this process and returns its exit code and what it printed as JSON."""

    def run(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = main([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Return what starts a service that has captured so many events and goes on running."""
    running: list[subprocess.Popen[str]] = []

    def start(count: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVICE, str(count)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "captured\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The segment of a service that has captured three events and was killed, made once."""
    spool_dir = tmp_path_factory.mktemp("killed")
    settings = {
        "POSTHOG_API_KEY": API_KEY,
        "POSTHOG_HOST": "http://127.0.0.1:9",
        "ZENTRA_POSTHOG_SPOOL_DIR": str(spool_dir),
    }
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, "3"], stdout=subprocess.PIPE, text=True, env={**os.environ, **settings}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "captured\n"
        process.send_signal(signal.SIGKILL)
    (segment,) = spool_dir.glob("*/*.v0.jsonl")
    return segment


@pytest.fixture
def killed(left_behind: Path) -> Callable[[], None]:
    """Return what puts three captures of a killed service into the folder of the settings' project."""
    numbers = itertools.count()

    def leave() -> None:
        (folder,) = project_folders(load())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The last part of a segment's name is random.
        shutil.copy(left_behind, folder / re.sub(r"[0-9a-f]{8}(?=\.v0)", f"{next(numbers):08x}", left_behind.name))

    return leave
