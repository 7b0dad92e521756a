"""Celery over a folder instead of a broker."""

from __future__ import annotations

import os
import signal

from celery import Celery

from work import work

_folder = os.environ["BROKER_FOLDER"]

app = Celery("celery_app", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": _folder,
        "data_folder_out": _folder,
        "control_folder": _folder,
        "polling_interval": 0.05,
    },
    worker_prefetch_multiplier=1,
    task_acks_late=True,
    task_ignore_result=True,
)

pay = app.task(name="pay")(work)


@app.task(name="pay_and_die")  # type: ignore[untyped-decorator]  # Celery carries no types
def pay_and_die(identifier: str) -> None:
    """Do the work, and be killed before Celery hears of it."""
    work(identifier)
    os.kill(os.getpid(), signal.SIGKILL)
