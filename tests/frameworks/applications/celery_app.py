"""Celery over a folder instead of a broker."""

from __future__ import annotations

import os

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
