"""Celery's prefork worker, whose children end by ``os._exit``."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Final

import pytest
from celery import Celery

from harness import Deployment, Process, wait_until

pytestmark = pytest.mark.slow

_QUIET: Final = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR")


class Worker:
    """A Celery worker of two processes, and a queue of tasks for it."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self._deployment = deployment
        self._folder = folder
        self._queue = Celery(broker="filesystem://")
        self._queue.conf.broker_transport_options = {
            "data_folder_in": str(folder),
            "data_folder_out": str(folder),
            "control_folder": str(folder),
        }

    def start(self, *options: str, deliveries: str = "at exit", **environment: str) -> Process:
        return self._deployment.start(
            *("-m", "celery", "-A", "celery_app", "worker", "--concurrency", "2", *_QUIET, *options),
            deliveries=deliveries,
            BROKER_FOLDER=str(self._folder),
            **environment,
        )

    def enqueue(self, count: int) -> list[str]:
        identifiers = self._deployment.identifiers(count)
        for identifier in identifiers:
            self._queue.send_task("pay", [identifier])
        return identifiers

    def work_through(self, count: int) -> None:
        """Enqueue so many tasks and wait until all have returned."""
        identifiers = set(self.enqueue(count))
        wait_until(lambda: identifiers <= set(self._deployment.logged()), "all tasks have returned")

    def close(self) -> None:
        self._queue.close()


@pytest.fixture
def worker(deployment: Deployment, tmp_path: Path) -> Worker:
    folder = tmp_path / "broker"
    folder.mkdir()
    return Worker(deployment, folder)


@pytest.mark.parametrize(
    ("pool", "configured_in_parent"),
    [("prefork", False), ("prefork", True), ("threads", False)],
    ids=["prefork", "prefork-configured-in-parent", "threads"],
)
def test_celery(deployment: Deployment, worker: Worker, pool: str, configured_in_parent: bool) -> None:
    """A worker that is stopped delivers before it goes, whichever pool its tasks run in."""
    service = worker.start("--pool", pool, **({"CONFIGURE": "1"} if configured_in_parent else {}))
    worker.work_through(30)
    assert service.stop() == 0
    deployment.check(least=30, before_exit=True)


@pytest.mark.parametrize("configured_in_parent", [False, True], ids=["", "configured-in-parent"])
def test_a_process_for_each_task(deployment: Deployment, worker: Worker, configured_in_parent: bool) -> None:
    """Each child ends after one task and delivers it first."""
    environment = {"CONFIGURE": "1"} if configured_in_parent else {}
    service = worker.start("--max-tasks-per-child", "1", **environment)
    worker.work_through(8)
    assert service.stop() == 0
    deployment.check(least=8, before_exit=True)


def test_killed(deployment: Deployment, worker: Worker) -> None:
    """A child is killed at its work, then the whole worker; the next start delivers what they left."""
    service = worker.start(deliveries="all the time")
    worker.work_through(10)
    worker.enqueue(40)
    os.kill(service.children()[0], signal.SIGKILL)
    # Celery gives up the tasks that the child had; those are not owed to PostHog, for they never returned.
    wait_until(lambda: len(deployment.logged()) >= 30, "the other child and a new one have gone on")
    service.kill()

    service = worker.start(deliveries="all the time")
    worker.work_through(10)
    assert service.stop() == 0
    deployment.check(least=40, before_exit=True)
