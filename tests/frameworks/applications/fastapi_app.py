"""FastAPI, with the lifespan that the documentation recommends where the environment asks for it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response

from work import respond
from zentra_otel_posthog import shutdown


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    if "SHUTDOWN_IN_LIFESPAN" in os.environ:
        shutdown()


app = FastAPI(lifespan=lifespan)


@app.get("/{identifier}")
def pay(identifier: str) -> Response:
    return Response(respond(identifier))
