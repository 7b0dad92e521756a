"""Celery's prefork worker, whose children end by ``os._exit``."""

from __future__ import annotations

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

    def work_through(self, count: int, task: str = "pay") -> None:
        """Enqueue so many tasks and wait until all have returned."""
        identifiers = set(self._deployment.identifiers(count))
        for identifier in identifiers:
            self._queue.send_task(task, [identifier])
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
    """Children are killed at their work, then the whole worker; the next start delivers what they left.

    At their work, and not while they wait for some: then they may hold the queue's lock, and Celery's other children
    wait for it for ever.
    """
    service = worker.start(deliveries="all the time")
    worker.work_through(10)
    worker.work_through(3, "pay_and_die")
    worker.work_through(20)
    service.kill()

    service = worker.start(deliveries="all the time")
    worker.work_through(10)
    assert service.stop() == 0
    deployment.check(least=43, before_exit=True)
