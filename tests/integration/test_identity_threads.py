"""Identity follows a request's threads and tasks, and no other's."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.threading import ThreadingInstrumentor

from zentra_otel_posthog import capture, identify
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.propagation import PostHogPropagator

SESSION = "0192f0c1-2d3e-7abc-8def-0123456789ab"
CLIENTS = 8
REQUESTS = 5  # of each client, one after the other


@pytest.fixture
def instrumented() -> Iterator[None]:
    """OpenTelemetry's own instrumentation gives threads the context of who starts them."""
    instrumentor = ThreadingInstrumentor()
    instrumentor.instrument()
    yield
    instrumentor.uninstrument()


@contextmanager
def request(distinct_id: str) -> Iterator[None]:
    """What a server's instrumentation does with a request from a browser."""
    headers = {"x-posthog-distinct-id": distinct_id, "x-posthog-session-id": SESSION}
    token = otel_context.attach(PostHogPropagator().extract(headers))
    try:
        yield
    finally:
        otel_context.detach(token)


def in_a_pool(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def in_a_pool_by_copy(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(contextvars.copy_context().run, work).result()


def in_a_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def in_a_timer(work: Callable[[], object]) -> None:
    timer = threading.Timer(0, work)
    timer.start()
    timer.join()


def in_a_task(work: Callable[[], object]) -> None:
    async def child() -> None:
        work()

    async def parent() -> None:
        await asyncio.create_task(child())

    asyncio.run(parent())


def in_a_group(work: Callable[[], object]) -> None:
    async def child() -> None:
        work()

    async def parent() -> None:
        await asyncio.gather(child())

    asyncio.run(parent())


def in_asyncios_thread(work: Callable[[], object]) -> None:
    asyncio.run(asyncio.to_thread(work))


def persons(events: list[Capture]) -> list[str | None]:
    return [None if "$process_person_profile" in one.properties else one.distinct_id for one in events]


CARRIERS = [in_a_pool_by_copy, in_a_task, in_a_group, in_asyncios_thread]
CARRIERS_WHERE_INSTRUMENTED = [in_a_pool, in_a_thread, in_a_timer]


def paid_in_three_ways(carrier: Callable[[Callable[[], object]], None]) -> None:
    def pay() -> None:
        capture("basket.paid")

    with request("browser_1"):
        carrier(pay)
        with identify("usr_1"):
            carrier(pay)
    carrier(pay)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_carried(events: list[Capture], carrier: Callable[[Callable[[], object]], None]) -> None:
    """Copied contexts carry what the request claims and whom the backend names, and only while that lasts."""
    paid_in_three_ways(carrier)
    assert persons(events) == ["browser_1", "usr_1", None]
    assert [one.properties.get("$session_id") for one in events] == [SESSION, SESSION, None]


@pytest.mark.parametrize("carrier", CARRIERS_WHERE_INSTRUMENTED)
@pytest.mark.usefixtures("instrumented")
def test_carried_by_opentelemetrys_instrumentation(
    events: list[Capture], carrier: Callable[[Callable[[], object]], None]
) -> None:
    """So does OpenTelemetry's instrumentation of threads and pools, although it copies no context variables."""
    paid_in_three_ways(carrier)
    assert persons(events) == ["browser_1", "usr_1", None]
    assert [one.properties.get("$session_id") for one in events] == [SESSION, SESSION, None]


@pytest.mark.parametrize("carrier", CARRIERS_WHERE_INSTRUMENTED)
def test_not_carried(events: list[Capture], carrier: Callable[[Callable[[], object]], None]) -> None:
    """A bare thread knows nobody: the documented limit without that instrumentation."""
    paid_in_three_ways(carrier)
    assert persons(events) == [None, None, None]


EXPECTED = {(number, f"{who}_{number}") for number in range(CLIENTS * REQUESTS) for who in ("browser", "usr")}


def seen(events: list[Capture]) -> set[tuple[Any, str | None]]:
    assert len(events) == len(EXPECTED)
    return set(zip((one.properties["number"] for one in events), persons(events), strict=True))


def test_concurrent_tasks(events: list[Capture]) -> None:
    """Requests that take turns in one event loop each keep their own person, in their threads too."""

    async def client(first: int, turn: asyncio.Barrier) -> None:
        for number in range(first, first + REQUESTS):
            with request(f"browser_{number}"):
                await turn.wait()
                await asyncio.to_thread(capture, "basket.changed", properties={"number": number})
                await turn.wait()
                with identify(f"usr_{number}"):
                    await turn.wait()
                    capture("basket.paid", properties={"number": number})

    async def server() -> None:
        turn = asyncio.Barrier(CLIENTS)
        await asyncio.gather(*(client(number * REQUESTS, turn) for number in range(CLIENTS)))

    asyncio.run(server())
    assert seen(events) == EXPECTED


@pytest.mark.usefixtures("instrumented")
def test_concurrent_threads(events: list[Capture]) -> None:
    """Requests in a server's pool of threads, which share a second pool, each keep their own person."""
    turn = threading.Barrier(CLIENTS)

    def client(first: int, inner: ThreadPoolExecutor) -> None:
        for number in range(first, first + REQUESTS):
            with request(f"browser_{number}"):
                turn.wait(30)
                inner.submit(capture, "basket.changed", properties={"number": number}).result()
                with identify(f"usr_{number}"):
                    turn.wait(30)
                    inner.submit(capture, "basket.paid", properties={"number": number}).result()

    with ThreadPoolExecutor(3) as inner, ThreadPoolExecutor(CLIENTS) as server:
        for done in [server.submit(client, number * REQUESTS, inner) for number in range(CLIENTS)]:
            done.result()
    assert seen(events) == EXPECTED
