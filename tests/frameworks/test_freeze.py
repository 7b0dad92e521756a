"""Serverless functions, whose process is frozen as soon as the handler has returned."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from harness import Deployment, Process, wait_until
from zentra_otel_posthog.inspector import Answer

pytestmark = pytest.mark.slow


def freeze(function: Process) -> None:
    os.kill(function.pid, signal.SIGSTOP)
    status = Path(f"/proc/{function.pid}/stat")
    wait_until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T", "the process has stopped")


def invoke(function: Process, identifier: str) -> None:
    function.write_line(identifier)
    assert function.read_line() == identifier


def test_flush_before_returning(deployment: Deployment) -> None:
    """With flush() in the handler everything is delivered when the process is frozen, and when it is never thawed."""
    function = deployment.start("-m", "function", FLUSH="1")
    for identifier in deployment.identifiers(3):
        invoke(function, identifier)
        freeze(function)
        assert deployment.missing() == set()
        os.kill(function.pid, signal.SIGCONT)
    freeze(function)
    function.kill()
    deployment.check(least=3, before_exit=True)


def test_frozen_in_the_middle_of_a_delivery(deployment: Deployment) -> None:
    """A delivery that the freeze cuts off is made again after the thaw, and PostHog counts its events once."""
    deployment.receiver.answer(Answer(200, accept=True, connection="hang"))
    function = deployment.start("-m", "function", deliveries="all the time")
    invoke(function, *deployment.identifiers(1))
    assert deployment.receiver.wait_for_requests(1, timeout=30)
    freeze(function)
    deployment.receiver.stop()  # no server keeps a connection for as long as a freeze may last
    deployment.receiver.start()
    os.kill(function.pid, signal.SIGCONT)

    assert deployment.receiver.wait_for(3, timeout=30)
    invoke(function, *deployment.identifiers(1))
    assert deployment.receiver.wait_for(6, timeout=30)
    assert function.wait() == 0
    assert deployment.check(least=2, before_exit=True).resent > 0
