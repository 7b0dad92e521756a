"""How a single process ends: by itself, by a signal, with threads at work and with exit handlers that capture."""

from __future__ import annotations

import signal

import pytest

from harness import Deployment
from zentra_otel_posthog.inspector import Answer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("scenario", "status", "least", "before_exit"),
    [
        ("handlers", 0, 3, True),
        ("threads", 0, 61, True),
        ("daemon_threads", 0, 1, None),  # what they capture behind the last delivery is for the next process
        ("first_event_at_exit", 0, 1, False),  # no thread is started then
        ("explicit_shutdown", 0, 1, True),
        ("exception", 1, 1, True),
        ("sigterm", -signal.SIGTERM, 1, False),
        ("sigterm_handled", 0, 1, True),
    ],
)
def test_exit(deployment: Deployment, scenario: str, status: int, least: int, before_exit: bool | None) -> None:
    """Everything is delivered at the end, or by the next process where that came too late."""
    program = deployment.start("-m", "exits", scenario)
    assert program.wait() == status
    deployment.check(least=least, before_exit=before_exit)


def test_nothing_runs_on_after_shutdown(deployment: Deployment) -> None:
    """After shutdown no thread of the package's is left."""
    program = deployment.start("-m", "exits", "explicit_shutdown")
    assert program.read_line() == "[]"
    assert program.wait() == 0


def test_exit_while_the_server_hangs(deployment: Deployment) -> None:
    """A PostHog that takes requests in and answers none holds no process up; the next one delivers again."""
    deployment.receiver.answer(Answer(200, accept=True, connection="hang"))
    program = deployment.start("-m", "exits", "handlers")
    assert program.wait() == 0
    deployment.receiver.stop()
    deployment.receiver.start()
    deployment.check(least=3)
