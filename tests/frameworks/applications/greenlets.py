"""Greenlets instead of threads: ``greenlets.py WHEN``, which says when gevent patches the standard library."""

from __future__ import annotations

import os
import sys

import gevent
from gevent import monkey

when = sys.argv[1]
if when == "first":
    monkey.patch_all()

from work import work  # noqa: E402  the order is the point
from zentra_otel_posthog import configure, flush  # noqa: E402


def work_and_flush(number: int) -> None:
    work(f"usr_{number}")
    assert flush(10)


if when == "in-a-forked-child":
    configure()
    if pid := os.fork():
        _, status = os.waitpid(pid, 0)
        os._exit(os.waitstatus_to_exitcode(status))
    monkey.patch_all()

with gevent.Timeout(30):
    gevent.joinall([gevent.spawn(work_and_flush, number) for number in range(20)], raise_error=True)
work("usr_last")
