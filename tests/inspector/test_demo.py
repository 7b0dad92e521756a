"""The demo shows itself in the inspector."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

PROGRAM = "import sys; from zentra_otel_posthog.cli import main; sys.exit(main())"


@pytest.mark.slow  # it plays five weeks
def test_the_demo_stays_to_be_looked_at() -> None:
    """Everything that its bank emitted is in the inspector, and what it kept back, until Ctrl-C."""
    command = [sys.executable, "-c", PROGRAM, "demo", "--inspect", "--customers", "40"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as demo:
        assert demo.stdout is not None
        printed = ""
        while "until Ctrl-C" not in printed:
            line = demo.stdout.readline()
            assert line, printed
            printed += line
        url = re.findall(r"http://127\.0\.0\.1:\d+", printed)[-1]
        emitted = re.search(r"^ all +([\d,]+) ", printed, re.MULTILINE)
        assert emitted is not None
        with urllib.request.urlopen(f"{url}/inspector/api/health") as answer:
            assert json.load(answer)["stored"] == int(emitted[1].replace(",", "")) > 0
        with urllib.request.urlopen(f"{url}/inspector/api/refused") as answer:
            assert {one["property"] for one in json.load(answer)["refused"]} == {"note"}
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=20) == 0
