"""A person and a session cross real services: Flask asks FastAPI, which asks Django, under ``opentelemetry-instrument``.

The services know nothing of the propagator: ``OTEL_PROPAGATORS`` names it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from zentra_otel_posthog.inspector import Receiver

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent / "services"
SERVICES = ("flask", "fastapi", "django")  # in the order in which they ask each other
SESSION = "0192f0c1-2d3e-7abc-8def-0123456789ab"
WINDOW = "0192f0c1-2d3e-7abc-8def-0123456789ac"
NOBODY = "nobody"


class Said(NamedTuple):
    """What one service's event says."""

    person: str
    session: str | None
    window: str | None
    tenant: str | None


class Shop:
    def __init__(self, url: str, receiver: Receiver) -> None:
        self._url = url
        self._receiver = receiver

    def pay(self, number: int, headers: dict[str, str] | None = None, **named: str) -> None:
        """Pay a basket; each service by that name identifies the person given for it."""
        answer = requests.get(f"{self._url}/pay/{number}", params=named, headers=headers, timeout=30)
        assert (answer.status_code, "paid" in answer.text) == (200, True)

    def said(self, number: int, payments: int = 1) -> dict[str, Said]:
        """Return what the services' events say of one basket, when those of so many payments are there."""
        assert self._receiver.wait_for(len(SERVICES) * payments, timeout=30)
        assert len(self._receiver.events) == len(SERVICES) * payments
        own: list[Any] = [one for one in self._receiver.events if one["properties"]["number"] == number]
        assert len(own) == len(SERVICES)
        return {one["properties"]["service"]: _said(one) for one in own}


def _said(event: Any) -> Said:
    properties = event["properties"]
    return Said(
        NOBODY if "$process_person_profile" in properties else event["distinct_id"],
        properties.get("$session_id"),
        properties.get("$window_id"),
        properties.get("$groups", {}).get("tenant"),
    )


def environment(receiver: Receiver, spool_dir: Path, **more: str) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "POSTHOG_"))}
    return {
        **inherited,
        "DJANGO_SETTINGS_MODULE": "django_service",
        "OTEL_PROPAGATORS": "tracecontext,baggage,posthog",
        **{f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")},
        "POSTHOG_API_KEY": "phc_invented",
        "POSTHOG_HOST": receiver.url,
        "PYTHONPATH": str(FOLDER),
        "ZENTRA_POSTHOG_FLUSH_INTERVAL": "0.05",
        "ZENTRA_POSTHOG_SPOOL_DIR": str(spool_dir),
        **more,
    }


@contextmanager
def running(*command: str, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a service as ``opentelemetry-instrument`` runs it."""
    instrument = str(Path(sys.executable).parent / "opentelemetry-instrument")
    process = subprocess.Popen(
        [instrument, sys.executable, *command], cwd=FOLDER, env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module", params=["", "1"], ids=["alone", "beside PostHog's middlewares"])
def services(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Receiver() as receiver, ExitStack() as stack:
        url = ""
        for name in reversed(SERVICES):
            more = {"NEXT_SERVICE": url, "POSTHOG_MIDDLEWARE": request.param}
            env = environment(receiver, tmp_path_factory.mktemp(name), **more)
            service = stack.enter_context(running(f"{name}_service.py", env=env))
            assert service.stdout is not None
            url = f"http://127.0.0.1:{int(service.stdout.readline())}"
        yield Shop(url, receiver)


@pytest.fixture
def shop(services: Shop) -> Shop:
    """Return the running services, with nothing received so far."""
    services._receiver.clear()
    return services


def browser(distinct_id: str) -> dict[str, str]:
    """What posthog-js sends with a request."""
    return {
        "X-POSTHOG-DISTINCT-ID": distinct_id,
        "X-POSTHOG-SESSION-ID": SESSION,
        "X-POSTHOG-WINDOW-ID": WINDOW,
    }


def test_a_browsers_request(shop: Shop) -> None:
    """Person, session and window that the browser names are those of each service's event."""
    shop.pay(1, browser("browser_1"))
    assert shop.said(1) == dict.fromkeys(SERVICES, Said("browser_1", SESSION, WINDOW, None))


def test_whom_the_backend_names(shop: Shop) -> None:
    """The first service names person and tenant, which go on; the browser's session stays the request's."""
    shop.pay(1, browser("browser_1"), flask="usr_1", tenant="acme")
    assert shop.said(1) == dict.fromkeys(SERVICES, Said("usr_1", SESSION, WINDOW, "acme"))


@pytest.mark.parametrize("named", range(len(SERVICES)))
def test_from_the_service_on_that_names_somebody(shop: Shop, named: int) -> None:
    """Whoever knows better counts from there on; also where a dependency named the person, which FastAPI forgets."""
    shop.pay(1, browser("browser_1"), **{SERVICES[named]: "usr_1"})
    expected = [Said("usr_1" if place >= named else "browser_1", SESSION, WINDOW, None) for place in range(3)]
    assert shop.said(1) == dict(zip(SERVICES, expected, strict=True))


def test_no_header_names_anybody(shop: Shop) -> None:
    """Without the headers the events are about nobody."""
    shop.pay(1)
    assert shop.said(1) == dict.fromkeys(SERVICES, Said(NOBODY, None, None, None))


def test_what_is_no_id_goes_no_further(shop: Shop) -> None:
    """An e-mail address as an id and a credential as a session leave no service, towards PostHog or the next one."""
    headers = {"X-POSTHOG-DISTINCT-ID": "ada@example.com", "X-POSTHOG-SESSION-ID": "s3cret"}
    shop.pay(1, headers, django="usr_1")
    nobody = Said(NOBODY, None, None, None)
    assert shop.said(1) == {"flask": nobody, "fastapi": nobody, "django": Said("usr_1", None, None, None)}
    assert "ada@" not in repr(shop._receiver.events)


def test_concurrent_requests(shop: Shop) -> None:
    """Requests at the same time each keep their own person through all services."""
    with ThreadPoolExecutor(8) as clients:
        for done in [clients.submit(shop.pay, number, browser(f"browser_{number}")) for number in range(40)]:
            done.result()
    said = {number: shop.said(number, payments=40) for number in range(40)}
    assert said == {
        number: dict.fromkeys(SERVICES, Said(f"browser_{number}", SESSION, WINDOW, None)) for number in range(40)
    }


def test_tasks_in_a_queue(receiver: Receiver, tmp_path: Path) -> None:
    """A Celery worker's events are about whom the publisher knew: the task's, its retry's, and those that it publishes."""
    for name in ("data_in", "processed", "control"):
        (tmp_path / name).mkdir()
    env = environment(receiver, tmp_path / "spool", BROKER_FOLDER=str(tmp_path))
    worker = ("-m", "celery", "-A", "celery_service", "worker", "--pool", "solo", "--without-mingle")
    with running("celery_service.py", env=env) as publisher:
        assert publisher.wait(30) == 0
    with running(*worker, env=env):
        assert receiver.wait_for(6, timeout=40)
    assert len(receiver.events) == 6
    said = {one["properties"]["number"]: _said(one) for one in receiver.events}
    known = Said("usr_1", None, None, "acme")
    assert said == {
        **dict.fromkeys((1, 2, 3), known),
        4: Said(NOBODY, None, None, None),
        5: Said("browser_1", SESSION, None, None),
        6: Said("usr_2", SESSION, None, None),
    }
