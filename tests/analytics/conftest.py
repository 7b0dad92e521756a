"""The bank's events of five weeks, made by its own services, and a query endpoint that holds them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from tests.analytics.played_bank import START, play

from zentra_otel_posthog.analytics import Analytics
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.testing import captured_events

_EXAMPLES = Path(__file__).parents[2] / "examples"
_ENDPOINT = Path(__file__).with_name("query_endpoint.py")


@pytest.fixture(scope="session")
def captures(tmp_path_factory: pytest.TempPathFactory) -> list[Capture]:
    """Play the bank for three tenants."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(_EXAMPLES))
    try:
        with captured_events() as events, time_machine.travel(START, tick=False) as clock:
            asyncio.run(play(clock, tmp_path_factory.mktemp("bank") / "bank.sqlite3"))
        return list(events)
    finally:
        patch.undo()


@pytest.fixture(scope="session")
def endpoint(captures: list[Capture]) -> Iterator[str]:
    """Run the query endpoint. Each third event lies there twice, as after an answer that was lost."""
    lines = [json.dumps(_row(capture)) for capture in (*captures, *captures[::3])]
    with subprocess.Popen(
        [sys.executable, str(_ENDPOINT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join([*lines, "end", ""]))
        process.stdin.flush()
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()  # a child that a test forked may hold its input open


def _row(capture: Capture) -> dict[str, Any]:
    return {
        "uuid": capture.uuid,
        "event": capture.event,
        "distinct_id": capture.distinct_id,
        "timestamp": capture.timestamp.isoformat(),
        "properties": json.dumps(capture.properties, ensure_ascii=False),
    }


@pytest.fixture
def analytics(endpoint: str) -> Analytics:
    return Analytics(personal_key="phx_test", project_id=1, host=endpoint)
