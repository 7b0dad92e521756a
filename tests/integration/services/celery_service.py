"""Celery tasks over a folder as the broker; run as a program it publishes them as a web service would."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from opentelemetry import context, propagate
from shop import pay

from zentra_otel_posthog import identify

BROWSER = {"x-posthog-distinct-id": "browser_1", "x-posthog-session-id": "0192f0c1-2d3e-7abc-8def-0123456789ab"}
FOLDER = os.environ["BROKER_FOLDER"]

app = Celery("celery_service", broker="filesystem://")  # as the worker names the module, so that tasks have one name
app.conf.update(
    broker_transport_options={f"{part}_folder": f"{FOLDER}/{part}" for part in ("data_in", "processed", "control")}
    | {"data_folder_out": f"{FOLDER}/data_in", "data_folder_in": f"{FOLDER}/data_in", "store_processed": False},
    task_ignore_result=True,
)


@app.task
def pay_basket(number: int) -> None:
    pay(number, "celery")


@app.task
def pay_later(number: int) -> None:
    pay_basket.delay(number)


@app.task(bind=True, default_retry_delay=0)
def pay_at_the_second_attempt(self: Any, number: int) -> None:
    if self.request.retries == 0:
        raise self.retry()
    pay(number, "celery")


if __name__ == "__main__":
    with identify("usr_1", tenant="acme"):
        pay_basket.delay(1)
        pay_later.delay(2)
        pay_at_the_second_attempt.delay(3)
    pay_basket.delay(4)
    token = context.attach(propagate.extract(BROWSER))
    pay_basket.delay(5)
    with identify("usr_2"):
        pay_basket.apply_async((6,), countdown=0.1)
    context.detach(token)
