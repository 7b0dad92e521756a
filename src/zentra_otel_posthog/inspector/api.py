"""The page's data as JSON, under ``/inspector/api``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import duckdb
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.events import nearest
from zentra_otel_posthog.insights import product
from zentra_otel_posthog.inspector import charts, figures, spools, views
from zentra_otel_posthog.inspector.arrivals import EARLIEST, parsed
from zentra_otel_posthog.inspector.cohorts import cohorts
from zentra_otel_posthog.inspector.flags import Flag, FlagError, Flags
from zentra_otel_posthog.inspector.ingestion import Ingestion
from zentra_otel_posthog.inspector.store import Store, reason_of
from zentra_otel_posthog.inspector.stream import Stream
from zentra_otel_posthog.inspector.views import Scope

_LIMIT_MAX: Final = 1_000
_CHART_WIDTH_MAX: Final = 4_000  # pixels
_PERIODS_MAX: Final = 52
_WINDOW_MAX: Final = 3_650  # days
_FUNNEL: Final = "payment.pending,payment.completed"
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_TEXT_FILTERS: Final = ("event", "distinct_id", "lib", "q")


_Word = TypeVar("_Word", bound=str)


class QueryError(ValueError):
    """A parameter that says nothing that can be answered."""


class _Switch(msgspec.Struct, forbid_unknown_fields=True):
    enabled: bool
    variant: str | None = None


class Api:
    """The page's data.

    Args:
        settings: Whose spools are looked into.
        store: What was captured.
        flags: What can be switched.
        ingestion: What was answered and refused.
        stream: What keeps the page live.
    """

    def __init__(self, settings: Settings, store: Store, flags: Flags, ingestion: Ingestion, stream: Stream) -> None:
        self._settings = settings
        self._store = store
        self._flags = flags
        self._ingestion = ingestion
        self._stream = stream

    def routes(self) -> list[Route]:
        """Return the routes, without their common prefix."""
        return [
            Route("/projects", self._projects),
            Route("/events", self._events),
            Route("/customers", self._customers),
            Route("/customers/{person:path}", self._customer),
            Route("/funnel", self._funnel),
            Route("/retention", self._retention),
            Route("/trends", self._trends),
            Route("/cohorts", self._cohorts),
            Route("/flags", self._all_flags),
            Route("/flags/{key:path}", self._put_flag, methods=["PUT"]),
            Route("/flags/{key:path}", self._delete_flag, methods=["DELETE"]),
            Route("/refused", self._refused),
            Route("/health", self._health),
            Route("/clear", self._clear, methods=["POST"]),
            Route("/stream", self._events_stream),
        ]

    # Functions that are no coroutines run in a thread: a query never holds up ingestion.

    def _projects(self, _: Request) -> Response:
        return answered(views.projects(self._store))

    def _events(self, request: Request) -> Response:
        asked = request.query_params
        filters: dict[str, Any] = {name: asked[name] for name in _TEXT_FILTERS if asked.get(name)}
        filters |= {name: _whole(request, name) for name in ("after", "before") if asked.get(name)}
        return answered(views.events(self._store, _scope(request), filters, limit(request)))

    def _customers(self, request: Request) -> Response:
        return answered(views.customers(self._store, _scope(request), request.query_params.get("q"), limit(request)))

    def _customer(self, request: Request) -> Response:
        person = request.path_params["person"]
        found = views.customer(self._store, _scope(request), person)
        return refused(404, f"there is no customer {person!r}") if found is None else answered(found)

    def _funnel(self, request: Request) -> Response:
        steps = [step for step in request.query_params.get("steps", _FUNNEL).split(",") if step]
        if not 2 <= len(steps) <= figures.STEPS_MAX:  # noqa: PLR2004  one step is no funnel
            raise QueryError(f"steps={','.join(steps)}: name 2 to {figures.STEPS_MAX} events, joined by commas")
        breakdown = request.query_params.get("breakdown") or None
        return answered(figures.funnel(self._store, _scope(request), steps, breakdown, _window(request)))

    def _retention(self, request: Request) -> Response:
        asked = request.query_params
        period = choice(request, "period", figures.PERIODS, "week")
        periods = limit(request, "periods", default=8, most=_PERIODS_MAX)
        first, returning = asked.get("first") or "user.signed_up", asked.get("returning") or "payment.completed"
        return answered(figures.retention(self._store, _scope(request), first, returning, period, periods))

    def _trends(self, request: Request) -> Response:
        interval = choice(request, "interval", figures.INTERVALS, "day")
        trends = figures.trends(self._store, _scope(request), interval)
        if request.query_params.get("charts_width"):
            width = limit(request, "charts_width", most=_CHART_WIDTH_MAX)
            texts = {**trends, "buckets": [bucket.isoformat() for bucket in trends["buckets"]]}
            trends["charts"] = charts.draw(texts, interval, width)
        return answered(trends)

    def _cohorts(self, request: Request) -> Response:
        return answered(cohorts(self._store, _scope(request), product().cohorts))

    def _all_flags(self, _: Request) -> Response:
        return answered({"flags": self._flags.all()})

    async def _put_flag(self, request: Request) -> Response:
        switch = msgspec.json.decode(await request.body(), type=_Switch)
        key = request.path_params["key"]
        return answered(await run_in_threadpool(self._flags.put, key, enabled=switch.enabled, variant=switch.variant))

    def _delete_flag(self, request: Request) -> Response:
        key = request.path_params["key"]
        if self._flags.delete(key):
            return Response(status_code=204)
        return refused(404, f"there is no flag {key!r}; {nearest(key, [flag.key for flag in self._flags.all()])}")

    def _refused(self, _: Request) -> Response:
        return answered({**spools.kept_back(self._settings), "requests": list(self._ingestion.refusals)})

    def _health(self, _: Request) -> Response:
        requests = [
            {"path": path, "status": status, "count": count}
            for (path, status), count in sorted(self._ingestion.answered.items())
        ]
        return answered({**views.arrivals(self._store), "requests": requests, "spools": spools.waiting(self._settings)})

    async def _clear(self, _: Request) -> Response:
        await asyncio.wrap_future(self._store.clear())
        self._ingestion.forget()
        return Response(status_code=204)

    async def _events_stream(self, _: Request) -> Response:
        return StreamingResponse(self._stream.messages(), media_type="text/event-stream")


def answered(document: dict[str, Any] | Flag) -> Response:
    """Return a document as JSON."""
    return Response(msgspec.json.encode(document), media_type="application/json")


def refused(status: int, error: str) -> Response:
    """Return why there is no document."""
    return Response(msgspec.json.encode({"error": error}), status, media_type="application/json")


async def wrong_query(_: Request, error: Exception) -> Response:
    """Answer a request that says nothing that can be answered."""
    return refused(400, str(error))


async def failed_query(_: Request, error: Exception) -> Response:
    """Answer where the store cannot: its memory is bounded."""
    return refused(503, reason_of(error))


HANDLERS: Final = {
    QueryError: wrong_query,
    FlagError: wrong_query,
    msgspec.MsgspecError: wrong_query,
    duckdb.Error: failed_query,
}
"""What becomes of the errors that these routes raise."""


def limit(request: Request, name: str = "limit", *, default: int = 100, most: int = _LIMIT_MAX) -> int:
    """Return how many rows are asked for."""
    if not request.query_params.get(name):
        return default
    found = _whole(request, name)
    if not 1 <= found <= most:
        raise QueryError(f"{name}={found}: choose a number from 1 to {most}")
    return found


def choice(request: Request, name: str, choices: Iterable[_Word], default: _Word) -> _Word:
    """Return one of several words."""
    found = request.query_params.get(name) or default
    for word in (known := tuple(choices)):
        if word == found:
            return word
    raise QueryError(f"{name}={found}: {nearest(found, known)}")


def _whole(request: Request, name: str) -> int:
    text = request.query_params[name]
    if not (text.isascii() and text.isdecimal() and len(text) < 19):  # noqa: PLR2004  a 64-bit number
        raise QueryError(f"{name}={text}: it is no whole number")
    return int(text)


def _window(request: Request) -> timedelta:
    text = request.query_params.get("window_days") or "14"
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days <= _WINDOW_MAX:
        raise QueryError(f"window_days={text}: choose a number of days above 0, up to {_WINDOW_MAX}")
    return timedelta(days=days)


def _scope(request: Request) -> Scope:
    return Scope(request.query_params.get("project") or None, _moment(request, "from"), _moment(request, "to"))


def _moment(request: Request, name: str) -> datetime | None:
    if not (text := request.query_params.get(name)):
        return None
    found = parsed(text)
    if found is None or not EARLIEST <= found < _LATEST:
        raise QueryError(f"{name}={text}: write a time as in 2026-11-25T09:00:00Z")
    return found
