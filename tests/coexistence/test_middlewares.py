"""Behind PostHog's own middlewares: whom they name is whom our events are about, and nothing is doubled."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from peers import SESSION
from zentra_otel_posthog.inspector import Receiver

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PROGRAM = Path(__file__).with_name("middleware_process.py")
CAPTURED = ["payment.pending", "payment.completed", "card.issued"]


@pytest.mark.parametrize("framework", ["fastapi", "flask", "django"])
def test_whom_the_middleware_names(tmp_path: Path, framework: str) -> None:
    """The browser's person and session, the person whom the backend knows before it, and nobody after the request."""
    with Receiver() as receiver:
        environment = {
            **os.environ,
            "POSTHOG_API_KEY": "phc_invented",
            "POSTHOG_HOST": receiver.url,
            "ZENTRA_POSTHOG_SPOOL_DIR": str(tmp_path / "spool"),
        }
        program = subprocess.run(
            [sys.executable, str(PROGRAM), framework, receiver.url],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert program.returncode == 0, program.stderr
        assert receiver.received == len(receiver.events)
        ours = [event for event in receiver.events if event["event"] != "statement.viewed"]
        theirs = [event for event in receiver.events if event["event"] == "statement.viewed"]
    found = Counter(
        (
            event["event"],
            event["distinct_id"] if event["properties"].get("$process_person_profile", True) else None,
            event["properties"].get("$session_id"),
        )
        for event in ours
    )
    assert found == Counter([
        *((event, "usr_browser", SESSION) for event in CAPTURED),
        *((event, "usr_known", SESSION) for event in CAPTURED[:2]),
        (CAPTURED[2], "usr_browser", SESSION),  # outside of the ``identify`` block
        *((event, None, None) for event in CAPTURED),
    ])  # fmt: skip
    assert [event["distinct_id"] for event in theirs][:2] == ["usr_browser"] * 2
    assert len(theirs) == 3
