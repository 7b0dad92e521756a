"""Web frameworks under their servers: whatever a request captured arrives, however its worker ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

import pytest

from harness import Deployment, Process, wait_until

pytestmark = pytest.mark.slow

Server = Callable[..., Process]

_REQUESTS: Final = 40
_UVICORN_WORKER: Final = "uvicorn_worker.UvicornWorker"
# A gevent worker that is told to end just after a request may wait for ever until the master kills it: of sixteen with
# an application of four lines and without this package, thirteen did (gunicorn 27.0, gevent 26.9).
_GEVENT_HANGS: Final = ("--graceful-timeout", "2")
# The whole application is loaded, configured and has captured before the workers are forked.
_PRELOADED: Final = {"CONFIGURE": "1", "CAPTURE_AT_IMPORT": "1"}


def gunicorn(deployment: Deployment, application: str, *options: str, **environment: str) -> Process:
    bind = ("--bind", f"unix:{deployment.address}", "--workers", "2", "--no-control-socket", "--log-level", "warning")
    return deployment.start("-m", "gunicorn", *bind, *options, application, **environment)


def uvicorn(deployment: Deployment, application: str, *options: str, **environment: str) -> Process:
    bind = ("--uds", str(deployment.address), "--workers", "2", "--log-level", "warning")
    return deployment.start("-m", "uvicorn", *bind, *options, application, **environment)


@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
@pytest.mark.parametrize(
    ("application", "worker"),
    [
        ("flask_app:app", "sync"),
        ("flask_app:app", "gthread"),
        ("flask_app:app", "gevent"),
        ("django_app:wsgi", "sync"),
        ("django_app:wsgi", "gthread"),
    ],
)
def test_gunicorn(deployment: Deployment, application: str, worker: str, preload: bool) -> None:
    """Workers that are stopped deliver before they go; those of a preloading master are forked with its runtime."""
    options = ["--worker-class", worker, "--threads", "2" if worker == "gthread" else "1"]
    if worker == "gevent":
        options += _GEVENT_HANGS
    if preload:
        service = gunicorn(deployment, application, *options, "--preload", **_PRELOADED)
    else:
        service = gunicorn(deployment, application, *options)
    service.drive(deployment.identifiers(_REQUESTS))
    assert service.stop() == 0
    # The master of a preloaded application delivers what a killed worker leaves.
    deployment.check(least=_REQUESTS, before_exit=None if worker == "gevent" and not preload else True)


@pytest.mark.parametrize(
    ("application", "shutdown_in_lifespan", "preload", "before_exit"),
    [
        ("fastapi_app:app", True, False, True),
        ("fastapi_app:app", False, False, False),
        ("fastapi_app:app", False, True, True),
        ("django_app:asgi", False, False, False),
        ("django_app:asgi", False, True, True),
    ],
    ids=["fastapi-lifespan", "fastapi", "fastapi-preload", "django", "django-preload"],
)
def test_gunicorn_with_uvicorn_workers(
    deployment: Deployment, application: str, shutdown_in_lifespan: bool, preload: bool, before_exit: bool
) -> None:
    """Uvicorn's workers end by a signal, without exit handlers: the lifespan delivers, or the master, or the next."""
    environment = {"SHUTDOWN_IN_LIFESPAN": "1"} if shutdown_in_lifespan else {}
    options = ["--worker-class", _UVICORN_WORKER]
    if preload:
        options, environment = [*options, "--preload"], {**environment, **_PRELOADED}
    service = gunicorn(deployment, application, *options, **environment)
    service.drive(deployment.identifiers(_REQUESTS))
    assert service.stop() == 0
    deployment.check(least=_REQUESTS, before_exit=before_exit)


@pytest.mark.parametrize("shutdown_in_lifespan", [True, False], ids=["lifespan", ""])
def test_uvicorn(deployment: Deployment, shutdown_in_lifespan: bool) -> None:
    """Several workers that end by a signal: with shutdown() in the lifespan all is delivered, else by the next."""
    environment = {"SHUTDOWN_IN_LIFESPAN": "1"} if shutdown_in_lifespan else {}
    service = uvicorn(deployment, "fastapi_app:app", **environment)
    service.drive(deployment.identifiers(_REQUESTS))
    assert service.stop() == 0
    deployment.check(least=_REQUESTS, before_exit=shutdown_in_lifespan)


def test_flasks_own_server(deployment: Deployment) -> None:
    """A threaded server that SIGTERM ends at once: what it leaves, the next process delivers."""
    service = deployment.start("-m", "flask", "--app", "flask_app", "run", "--host", f"unix://{deployment.address}")
    service.drive(deployment.identifiers(_REQUESTS))
    assert service.stop() == -signal.SIGTERM
    deployment.check(least=_REQUESTS, before_exit=False)


def gunicorn_sync(deployment: Deployment, *options: str, **environment: str) -> Process:
    return gunicorn(deployment, "flask_app:app", *options, **environment)


def gunicorn_preload(deployment: Deployment, *options: str, **environment: str) -> Process:
    return gunicorn(deployment, "django_app:wsgi", *options, "--preload", **_PRELOADED, **environment)


def gunicorn_gevent(deployment: Deployment, *options: str, **environment: str) -> Process:
    options = ("--worker-class", "gevent", *_GEVENT_HANGS, "--preload", *options)
    return gunicorn(deployment, "flask_app:app", *options, **_PRELOADED, **environment)


def gunicorn_uvicorn(deployment: Deployment, *options: str, **environment: str) -> Process:
    return gunicorn(deployment, "fastapi_app:app", *options, "--worker-class", _UVICORN_WORKER, **environment)


def uvicorn_workers(deployment: Deployment, *options: str, **environment: str) -> Process:
    return uvicorn(deployment, "fastapi_app:app", *options, **environment)


@pytest.mark.parametrize(
    ("serve", "option"),
    [
        (gunicorn_sync, "--max-requests"),
        (gunicorn_preload, "--max-requests"),
        (gunicorn_gevent, "--max-requests"),
        (gunicorn_uvicorn, "--max-requests"),
        (uvicorn_workers, "--limit-max-requests"),
    ],
)
def test_workers_are_recycled(deployment: Deployment, serve: Server, option: str) -> None:
    """Workers that end after a few requests each, with deliveries under way, while others are forked."""
    service = serve(deployment, option, "10", deliveries="all the time", SHUTDOWN_IN_LIFESPAN="1")
    workers: set[int] = set()

    def recycled() -> bool:
        workers.update(service.drive(deployment.identifiers(10)))
        return len(workers) >= 4

    wait_until(recycled, "four workers have served")
    assert service.stop() == 0
    # A request may meet a worker that has just closed.
    deployment.check(least=20, before_exit=True)


@pytest.mark.parametrize("serve", [gunicorn_sync, gunicorn_preload, gunicorn_gevent, gunicorn_uvicorn, uvicorn_workers])
def test_killed(deployment: Deployment, serve: Server) -> None:
    """A worker is killed, then the whole service, in the middle of deliveries; its next start delivers the rest."""
    service = serve(deployment, deliveries="all the time")
    before = service.drive(deployment.identifiers(_REQUESTS))
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: bool(service.drive(deployment.identifiers(8)) - before), "the worker is replaced")
    service.kill()

    service = serve(deployment, deliveries="all the time", SHUTDOWN_IN_LIFESPAN="1")
    service.drive(deployment.identifiers(_REQUESTS))
    assert service.stop() == 0
    deployment.check(least=2 * _REQUESTS, before_exit=True)
