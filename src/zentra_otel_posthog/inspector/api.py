"""The page's data as JSON, under ``/inspector/api``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.events import nearest
from zentra_otel_posthog.inspector import spools, views
from zentra_otel_posthog.inspector.arrivals import parsed
from zentra_otel_posthog.inspector.flags import Flag, FlagError, Flags
from zentra_otel_posthog.inspector.ingestion import Ingestion
from zentra_otel_posthog.inspector.store import Store
from zentra_otel_posthog.inspector.stream import Stream
from zentra_otel_posthog.inspector.views import Scope

_LIMIT_MAX: Final = 1_000
_TEXT_FILTERS: Final = ("event", "distinct_id", "lib", "q")


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


HANDLERS: Final = {QueryError: wrong_query, FlagError: wrong_query, msgspec.MsgspecError: wrong_query}
"""What becomes of the errors that these routes raise."""


def limit(request: Request, default: int = 100) -> int:
    """Return how many rows are asked for."""
    if not request.query_params.get("limit"):
        return default
    found = _whole(request, "limit")
    if not 1 <= found <= _LIMIT_MAX:
        raise QueryError(f"limit={found}: choose a number from 1 to {_LIMIT_MAX}")
    return found


def choice(request: Request, name: str, choices: Iterable[str], default: str) -> str:
    """Return one of several words."""
    found = request.query_params.get(name) or default
    if found not in (known := tuple(choices)):
        raise QueryError(f"{name}={found}: {nearest(found, known)}")
    return found


def _whole(request: Request, name: str) -> int:
    text = request.query_params[name]
    if not (text.isascii() and text.isdecimal() and len(text) < 19):  # noqa: PLR2004  a 64-bit number
        raise QueryError(f"{name}={text}: it is no whole number")
    return int(text)


def _scope(request: Request) -> Scope:
    return Scope(request.query_params.get("project") or None, _moment(request, "from"), _moment(request, "to"))


def _moment(request: Request, name: str) -> datetime | None:
    if not (text := request.query_params.get(name)):
        return None
    if (found := parsed(text)) is None:
        raise QueryError(f"{name}={text}: write a time as in 2026-11-25T09:00:00Z")
    return found
