"""gevent: threads, locks and sockets of the standard library are greenlets'."""

from __future__ import annotations

import pytest

from harness import Deployment

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("when", ["first", "in-a-forked-child"])
def test_greenlets(deployment: Deployment, when: str) -> None:
    """Twenty greenlets capture and flush at once; none hangs, and the last event is delivered at the exit.

    Patching in a forked child, of what the parent has set up already, is how gunicorn treats a preloaded application.
    """
    program = deployment.start("-m", "greenlets", when)
    assert program.wait() == 0
    deployment.check(least=21, before_exit=True)
