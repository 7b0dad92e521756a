"""Children of multiprocessing and concurrent.futures, which skip the interpreter's exit handlers."""

from __future__ import annotations

from typing import Final

import pytest

from harness import Deployment

pytestmark = pytest.mark.slow

_CHILDREN: Final = 4
_APPLICATION: Final = ("-m", "processes")


@pytest.mark.parametrize(
    ("method", "configured"),
    [("fork", False), ("fork", True), ("spawn", False), ("spawn", True)],
    ids=["fork", "fork-configured", "spawn", "spawn-configured"],
)
@pytest.mark.parametrize("scenario", ["process", "pool-close", "executor"])
def test_children_deliver_before_they_end(deployment: Deployment, scenario: str, method: str, configured: bool) -> None:
    """Each child delivers what it captured, whether or not the parent is set up; the parent does not at its end."""
    environment = {"CONFIGURE": "1"} if configured else {}
    program = deployment.start(*_APPLICATION, scenario, method, str(_CHILDREN), "os._exit", **environment)
    assert program.wait() == 0
    deployment.check(least=_CHILDREN, before_exit=True)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("scenario", ["os._exit", "pool-terminate"])
def test_the_parent_delivers_what_children_leave(deployment: Deployment, scenario: str, method: str) -> None:
    """Of children that end by ``os._exit`` or are terminated, a parent that is set up delivers the rest."""
    program = deployment.start(*_APPLICATION, scenario, method, str(_CHILDREN), "return", CONFIGURE="1")
    assert program.wait() == 0
    deployment.check(least=_CHILDREN, before_exit=True)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_next_process_delivers_what_all_leave(deployment: Deployment, method: str) -> None:
    """Where nobody could deliver, all of it is in the spool."""
    program = deployment.start(*_APPLICATION, "os._exit", method, str(_CHILDREN), "os._exit")
    assert program.wait() == 0
    deployment.check(least=_CHILDREN, before_exit=False)


def test_fork_while_delivering(deployment: Deployment) -> None:
    """Grandchildren that are forked while senders are at work hang nowhere and lose nothing."""
    arguments = (*_APPLICATION, "fork-while-delivering", "fork", "4", "return")
    program = deployment.start(*arguments, deliveries="all the time", CONFIGURE="1", CAPTURE_AT_IMPORT="1")
    assert program.wait() == 0
    deployment.check(least=80, before_exit=True)
