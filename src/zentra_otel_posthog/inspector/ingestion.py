"""PostHog's endpoints: what applications, the official clients and posthog-js talk to.

Each capture is judged as PostHog does (``capture_v0``, ``capture_v1``), and answered when it is on disk. What browsers
need beside that is PostHog's too: any origin may post (CORS), bodies come as text, as gzip and as forms.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentra_otel_posthog.inspector import capture_v0, capture_v1
from zentra_otel_posthog.inspector.arrivals import Arrival, arrival, parsed, sending_time
from zentra_otel_posthog.inspector.capture_v0 import Event, RefusalError, Verdict
from zentra_otel_posthog.inspector.flags import Flags
from zentra_otel_posthog.inspector.store import Store, reason_of

_REFUSALS_KEPT: Final = 200
_SHOWN_MAX: Final = 500  # characters of a path or a reason
_IN_FLIGHT_MAX: Final = 256 << 20  # bytes of bodies at once; past it a client is to come again
_JUDGING_MAX: Final = 2  # at once; a body of the greatest size takes 100 MiB when it is decompressed
_RETRY_AFTER: Final = {"Retry-After": "1"}
_LARGE: Final = 1 << 16  # bytes of a body that is stored before another is judged
_READ_ON: Final = 5  # times its limit a body is read, to be answered at all
_JSON: Final = "application/json"

_Judged: TypeAlias = tuple[Verdict, list[tuple[Arrival, Event]]]
_Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

# What posthog-js is told to do: send events, and fetch nothing that is not here (recorder, web vitals). Nothing is said
# of surveys: it fetches their script even to learn that there are none (1.449).
_BROWSER_CONFIG: Final = {
    "supportedCompression": ["gzip", "gzip-js"],
    "hasFeatureFlags": True,
    "captureDeadClicks": False,
    "capturePerformance": False,
    "autocapture_opt_out": False,
    "autocaptureExceptions": False,
    "analytics": {"endpoint": "/i/v0/e/"},
    "elementsChainAsString": True,
    "sessionRecording": False,
    "heatmaps": False,
    "conversations": False,
    "productTours": False,
    "logs": {"captureConsoleLogs": False},
    "defaultIdentifiedOnly": True,
    "siteApps": [],
    "isAuthenticated": False,
    "toolbarParams": {},
}


class Refusal(msgspec.Struct):
    """A request that was refused.

    Args:
        at: When.
        path: Of the request.
        status: What was answered.
        reason: In words.
    """

    at: datetime
    path: str
    status: int
    reason: str


class Ingestion:
    """Takes captures in and answers for flags.

    Args:
        store: Where events go.
        flags: What is answered.

    Attributes:
        answered: How many requests by path and status.
        refusals: The latest that were refused, newest first.
    """

    def __init__(self, store: Store, flags: Flags) -> None:
        self._store = store
        self._flags = flags
        self._in_flight = 0
        self._judging = asyncio.Semaphore(_JUDGING_MAX)
        self.answered: Counter[tuple[str, int]] = Counter()
        self.refusals: deque[Refusal] = deque(maxlen=_REFUSALS_KEPT)

    def routes(self) -> list[Route]:
        """Return the endpoints' routes, with and without a slash at the end."""
        endpoints = {
            **dict.fromkeys(sorted(capture_v0.PATHS), ("POST", self._capture_v0)),
            capture_v1.PATH: ("POST", self._capture_v1),
            "/flags": ("POST", self._answer_flags),
            "/array/{token}/config": ("GET", self._config),
            "/array/{token}/config.js": ("GET", self._config_script),
        }
        return [
            Route(address, self._guarded(endpoint), methods=[method])
            for path, (method, endpoint) in endpoints.items()
            for address in (path, f"{path}/")
        ]

    def _guarded(self, endpoint: _Endpoint) -> _Endpoint:
        async def answered(request: Request) -> Response:
            try:
                return await endpoint(request)
            except _BusyError:
                return self._refused(request, 503, "too many bodies at once", _RETRY_AFTER)
            except ClientDisconnect:  # nobody reads the answer
                return Response(status_code=400, headers={"Connection": "close"})

        return answered

    def forget(self) -> None:
        """Forget requests that were answered and refused."""
        self.answered.clear()
        self.refusals.clear()

    def note(self, path: str, status: int, reason: str) -> None:
        """Remember a refused request."""
        self.refusals.appendleft(Refusal(datetime.now(UTC), path[:_SHOWN_MAX], status, reason[:_SHOWN_MAX]))

    async def _capture_v0(self, request: Request) -> Response:
        def judge(body: bytes | None) -> _Judged:
            verdict = capture_v0.judge(body, **_content(request))
            return verdict, _arrivals(verdict, sending_time(verdict.decoded, request.query_params))

        async with self._body(request, capture_v0.BODY_LIMIT) as body:
            answer = await self._take(request, judge, body)
        if answer.status_code == HTTPStatus.OK and request.query_params.get("beacon") == "1":
            return Response(status_code=204)  # nobody is left to read it
        return answer

    async def _capture_v1(self, request: Request) -> Response:
        def judge(body: bytes | None) -> _Judged:
            verdict = capture_v1.judge(body, dict(request.headers), {})
            return verdict, _arrivals(verdict, parsed(request.headers.get("posthog-request-timestamp")))

        async with self._body(request, capture_v1.BODY_LIMIT) as body:
            answer = await self._take(request, judge, body)
        for uuid, reason in _dropped(answer):
            self.note(capture_v1.PATH, answer.status_code, f"event {uuid}: {reason}")
        return answer

    async def _take(self, request: Request, judge: Callable[[bytes | None], _Judged], body: bytes | None) -> Response:
        async with self._judging:
            verdict, arrivals = await run_in_threadpool(judge, body)
            stored = asyncio.wrap_future(self._store.add(arrivals))
            if body is not None and len(body) > _LARGE:  # the next may be as large
                await asyncio.wait([stored])
        try:
            await stored
        except Exception as error:
            return self._refused(request, 503, reason_of(error), _RETRY_AFTER)
        self._flags.met(_flags_called(verdict.events))
        if verdict.status != HTTPStatus.OK:
            return self._refused(request, verdict.status, verdict.reason)
        return self._answered(request, Response(verdict.answer or b'{"status": "Ok"}', media_type=_JSON))

    async def _answer_flags(self, request: Request) -> Response:
        async with self._body(request, capture_v0.BODY_LIMIT) as body:
            try:
                asked = _flags_asked(capture_v0.decode(body, **_content(request)))
            except RefusalError as refusal:
                return self._refused(request, refusal.status, str(refusal))
        keys = asked.get("flag_keys_to_evaluate")
        named = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else None
        version = request.query_params.get("v", "1")
        answer = self._flags.answer(named, int(version) if version.isdecimal() else 1)
        if request.query_params.get("config") == "true":
            answer = {**_BROWSER_CONFIG, **answer}
        return self._answered(request, _json(answer))

    async def _config(self, request: Request) -> Response:
        return self._configured(request, lambda _, config: _json(config))

    async def _config_script(self, request: Request) -> Response:
        def script(token: str, config: dict[str, Any]) -> Response:
            said = msgspec.json.encode({"config": config, "siteApps": []}).decode()
            name = msgspec.json.encode(token).decode()
            text = (
                "(function(){window._POSTHOG_REMOTE_CONFIG=window._POSTHOG_REMOTE_CONFIG||{};"
                f"window._POSTHOG_REMOTE_CONFIG[{name}]={said};}})();"
            )
            return Response(text, media_type="application/javascript")

        return self._configured(request, script)

    def _configured(self, request: Request, respond: Any) -> Response:
        try:
            token = capture_v0.valid_key(request.path_params["token"])
        except RefusalError as refusal:
            return self._refused(request, refusal.status, str(refusal))
        answer: Response = respond(token, {"token": token, **_BROWSER_CONFIG})
        return self._answered(request, answer)

    def _answered(self, request: Request, answer: Response) -> Response:
        self.answered[_known_path(request), answer.status_code] += 1
        return answer

    def _refused(
        self, request: Request, status: int, reason: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        self.note(_known_path(request), status, reason)
        return self._answered(request, Response(reason, status, headers, media_type="text/plain"))

    @asynccontextmanager
    async def _body(self, request: Request, limit: int) -> AsyncIterator[bytes | None]:
        """Read a body, None for one over the limit.

        What is too big is read on and thrown away, since a client that is still sending would see a reset connection
        and no answer. Past five times the limit it gets the reset.

        Raises:
            _BusyError: So many bodies are there already that memory would not be bounded.
        """
        length = request.headers.get("content-length", "")
        reserved = min(int(length), limit) if length.isdecimal() else limit
        if self._in_flight + reserved > _IN_FLIGHT_MAX:
            raise _BusyError
        self._in_flight += reserved
        try:
            pieces: list[bytes] = []
            size = 0
            async for piece in request.stream():
                size += len(piece)
                if size > _READ_ON * limit:
                    raise ClientDisconnect
                pieces.append(piece) if size <= limit else pieces.clear()
            yield b"".join(pieces) if size <= limit else None
        finally:
            self._in_flight -= reserved


class _BusyError(Exception):
    """Too many bodies are there at once."""


class BrowserAccess:
    """Lets pages of any origin post, as PostHog's capture service does: origin and headers are mirrored.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer preflights, and add the headers to what is answered else."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        allowed = {"Vary": "Origin"}
        if (origin := asked.get("origin")) is not None:
            allowed |= {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
        if scope["method"] == "OPTIONS":
            allowed["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS, HEAD"
            if (headers := asked.get("access-control-request-headers")) is not None:
                allowed["Access-Control-Allow-Headers"] = headers
            # A page on a public address may reach a private one.
            if asked.get("access-control-request-private-network") == "true":
                allowed["Access-Control-Allow-Private-Network"] = "true"
            await Response(headers=allowed)(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(allowed)
            await send(message)

        await self._app(scope, receive, answer)


def _arrivals(verdict: Verdict, sent_at: datetime | None) -> list[tuple[Arrival, Event]]:
    now = datetime.now(UTC)
    return [(arrival(event, verdict.api_key, now, sent_at), event) for event in verdict.events]


def _content(request: Request) -> dict[str, str]:
    # posthog-js names the compression in the query, so that a browser asks for no preflight.
    compressed = request.query_params.get("compression") in {"gzip", "gzip-js"}
    encoding = "gzip" if compressed else request.headers.get("content-encoding", "")
    return {"content_type": request.headers.get("content-type", ""), "content_encoding": encoding}


def _dropped(answer: Response) -> list[tuple[str, str]]:
    """Return the events that capture V1 takes out of a request that it accepts, and why."""
    if answer.status_code != HTTPStatus.OK:
        return []
    results = msgspec.json.decode(bytes(answer.body))["results"]
    return [(uuid, result["details"]) for uuid, result in results.items() if result["result"] == "drop"]


def _flags_asked(decoded: object) -> dict[str, Any]:
    if not isinstance(decoded, dict):
        raise RefusalError(400, "the body is no object")
    capture_v0.valid_key(decoded.get("token") or decoded.get("api_key"))
    if decoded.get("distinct_id") in (None, "") and decoded.get("$device_id") in (None, ""):
        raise RefusalError(400, "there is no distinct_id")
    return decoded


def _flags_called(events: list[Event]) -> set[str]:
    called = {
        (event.get("properties") or {}).get("$feature_flag")
        for event in events
        if event["event"] == "$feature_flag_called"
    }
    return {key for key in called if isinstance(key, str)}


def _known_path(request: Request) -> str:
    """Return the path as it is counted: a project's key is no path."""
    path = request.url.path
    return path if not path.startswith("/array/") else "/array/" + path.rstrip("/").rpartition("/")[2]


def _json(document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type=_JSON)
