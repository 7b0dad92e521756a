"""The inspector's server: PostHog's endpoints, the page, the page's data and the stream that keeps it live.

It listens on 127.0.0.1 alone. Its own paths refuse a ``Host`` that is another name, so that no page can reach them by a
name that it resolves to this machine; what changes anything needs a header that no foreign page can send.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.inspector import api
from zentra_otel_posthog.inspector.flags import Flags
from zentra_otel_posthog.inspector.ingestion import BrowserAccess, Ingestion
from zentra_otel_posthog.inspector.store import Store
from zentra_otel_posthog.inspector.stream import Stream

HOST: Final = "127.0.0.1"
"""Where it listens: what it holds may come unsanitized from other clients."""

_PREFIX: Final = "/inspector"
_PAGE: Final = Path(__file__).with_name("page")
_NAMES: Final = frozenset({"localhost", HOST})
_READING: Final = frozenset({"GET", "HEAD"})
_PROTECTION: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_LAST_WORDS: Final = 3  # seconds in which requests that are on their way are answered


def listen(port: int) -> socket.socket:
    """Return a listening socket on a port of 127.0.0.1, 0 for any free one.

    Raises:
        OSError: The port is taken, or is not this user's to take.
    """
    return socket.create_server((HOST, port), backlog=1024)


def serve(listener: socket.socket, settings: Settings, folder: Path | None, started: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        listener: Where.
        settings: Whose spools are looked into.
        folder: Where everything is kept; None: in memory.
        started: Called when it can be used.

    Raises:
        StoreError: The folder cannot be used.
    """
    asyncio.run(_serve(listener, settings, folder, started))


async def _serve(listener: socket.socket, settings: Settings, folder: Path | None, started: Callable[[], None]) -> None:
    stream = Stream()
    store = Store(folder, stream.arrived)
    try:
        flags = Flags(store, stream.flags_changed)
        server = _Server(_application(settings, store, flags, stream, started), stream)
        await server.serve([listener])
    finally:
        store.close()


def _application(
    settings: Settings, store: Store, flags: Flags, stream: Stream, started: Callable[[], None]
) -> ASGIApp:
    ingestion = Ingestion(store, flags)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        started()
        yield

    async def page(_: Request) -> Response:
        return FileResponse(_PAGE / "index.html")

    async def nothing_here(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if request.url.path.startswith(_PREFIX):
            return api.refused(error.status_code, error.detail)
        ingestion.note(request.url.path, error.status_code, error.detail)
        return Response(error.detail, error.status_code, error.headers)

    routes = [
        *ingestion.routes(),
        Mount(f"{_PREFIX}/api", routes=api.Api(settings, store, flags, ingestion, stream).routes()),
        Mount(f"{_PREFIX}/page", StaticFiles(directory=_PAGE)),
        Route("/", page),
    ]
    application = Starlette(
        routes=routes, lifespan=lifespan, exception_handlers={**api.HANDLERS, HTTPException: nothing_here}
    )
    guarded, open_to_all = _Guard(application), BrowserAccess(application)

    async def doors(scope: Scope, receive: Receive, send: Send) -> None:
        own = scope["type"] == "http" and (scope["path"] == "/" or scope["path"].startswith(_PREFIX))
        await (guarded if own else open_to_all)(scope, receive, send)

    return doors


class _Guard:
    """Keeps foreign pages from what is the inspector's own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is not for them."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_PROTECTION)
            await send(message)

        if (reason := _why_not(scope["method"], Headers(scope=scope))) is not None:
            await api.refused(403, reason)(scope, receive, answer)
        else:
            await self._app(scope, receive, answer)


def _why_not(method: str, headers: Headers) -> str | None:
    if headers.get("host", "").rsplit(":", 1)[0].lower() not in _NAMES:
        return f"the inspector answers to {HOST} and localhost alone"
    if method not in _READING and headers.get("x-inspector") != "1":
        return "what changes anything needs the header X-Inspector: 1"
    return None


class _Server(uvicorn.Server):
    """Ends at a signal without raising it again, and ends the streams, which would hold it up for ever."""

    def __init__(self, app: ASGIApp, stream: Stream) -> None:
        # No log: refused requests are on the page, and a terminal is no place for a customer's data.
        configuration = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=_LAST_WORDS, server_header=False
        )
        super().__init__(configuration)
        self._stream = stream

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _end(self) -> None:
        self.should_exit = True
        self._stream.close()
