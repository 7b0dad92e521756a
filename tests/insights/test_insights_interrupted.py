"""Whatever interrupts ``insights apply`` and wherever, the next run ends where an uninterrupted one does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from tests.insights.project import KEY, Project, board, refused, run, shape

from zentra_otel_posthog.delivery._http import Client, Reply
from zentra_otel_posthog.inspector import Answer, PrivateApi

FAULTS = {
    "500": Answer(500),
    "500, though it was done": Answer(500, accept=True),
    "connection cut": Answer(connection="close"),
    "connection cut, though it was done": Answer(connection="close", accept=True),
}
APPLY = "import sys; from zentra_otel_posthog.cli import main; sys.exit(main(['insights', 'apply', *sys.argv[1:]]))"


@pytest.fixture(autouse=True)
def _environment(credentials: None, small: None, pauses: list[float]) -> None: ...


def uninterrupted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *wanted: str, before: bool
) -> tuple[str, int]:
    """Return where an apply ends, and in how many requests."""
    with Project(PrivateApi(personal_key=KEY, page=3), monkeypatch) as api:
        if before:
            run(capsys, "apply", *board("BEFORE"))
        start = len(api.requests)
        run(capsys, "apply", *wanted)
        return shape(api), len(api.requests) - start


def converges(api: PrivateApi, capsys: pytest.CaptureFixture[str], expected: str, *wanted: str) -> None:
    """Apply again, to the same end; then there is nothing to do."""
    run(capsys, "apply", *wanted)
    assert shape(api) == expected
    count = len(api.writes())
    run(capsys, "apply", *wanted)
    assert len(api.writes()) == count


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "before", [pytest.param(False, marks=pytest.mark.slow), True], ids=["an empty project", "one as it was"]
)
def test_a_failure_at_every_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: str, *, before: bool
) -> None:
    """PostHog goes away at one request after the other, before it has done it or after."""
    expected, requests = uninterrupted(capsys, monkeypatch, *board("NOW"), before=before)
    assert requests > 10
    with Project(PrivateApi(personal_key=KEY, page=3), monkeypatch) as api:
        for position in range(requests):
            for kind in ("insights", "dashboards", "cohorts", "alerts"):
                api.rows[kind].clear()
            if before:
                run(capsys, "apply", *board("BEFORE"))
            api.fail(FAULTS[fault], after=position, times=20)
            refused(capsys, "apply", *board("NOW"))
            api.recover()
            converges(api, capsys, expected, *board("NOW"))


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_the_product_at_every_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The same for the product's dashboard."""
    expected, requests = uninterrupted(capsys, monkeypatch, before=False)
    for position in range(requests):
        with Project(PrivateApi(personal_key=KEY, page=3), monkeypatch) as api:
            api.fail(FAULTS[fault], after=position, times=20)
            refused(capsys, "apply")
            api.recover()
            converges(api, capsys, expected)


def test_an_interruption_by_hand(project: PrivateApi, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C tells what is done, and that nothing is lost by it."""
    with pytest.MonkeyPatch.context() as patch:
        write = Client.exchange

        def interrupted(client: Client, method: str, url: str, *arguments: Any) -> Reply:
            if url.endswith("/cohorts/"):
                raise KeyboardInterrupt
            return write(client, method, url, *arguments)

        patch.setattr(Client, "exchange", interrupted)
        assert "run it again" in refused(capsys, "apply", *board("NOW"))
    assert run(capsys, "apply", *board("NOW"))["counts"]["create"] == 1 + 2  # the cohort and the alerts


class Killer(PrivateApi):
    """Kills the process that makes a request, before it is done or after.

    Args:
        position: The request.
        done: After.
    """

    def __init__(self, position: int, *, done: bool) -> None:
        super().__init__(personal_key=KEY, page=3)
        self.known = threading.Event()
        self.pid = 0
        self._position = position
        self._done = done

    def respond(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer | None:
        if not self.pid or len(self.requests) < self._position:
            return super().respond(method, path, headers, body)
        if self._done:
            super().respond(method, path, headers, body)
        assert self.known.wait(10)
        os.kill(self.pid, signal.SIGKILL)
        self.pid = 0
        return None


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("done", [False, True], ids=["before it is done", "after it was done"])
def test_a_kill_at_every_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, done: bool
) -> None:
    """The process that applies is killed with SIGKILL at one request after the other."""
    expected, requests = uninterrupted(capsys, monkeypatch, *board("NOW"), before=True)
    for position in range(requests):
        api = Killer(0, done=done)
        with Project(api, monkeypatch):
            run(capsys, "apply", *board("BEFORE"))
            api._position = len(api.requests) + position
            api.pid = -1
            with subprocess.Popen([sys.executable, "-c", APPLY, *board("NOW")]) as process:
                api.pid = process.pid
                api.known.set()
            assert process.returncode == -signal.SIGKILL
            converges(api, capsys, expected, *board("NOW"))
