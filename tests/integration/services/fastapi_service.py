"""FastAPI under uvicorn; asks the next service with httpx."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import uvicorn
from fastapi import Depends, FastAPI, Request
from posthog.integrations.asgi import PosthogASGIMiddleware
from shop import MIDDLEWARE, NEXT, listening, pay

from zentra_otel_posthog import identify

app = FastAPI()
if MIDDLEWARE:
    app.add_middleware(PosthogASGIMiddleware)


async def named(request: Request) -> AsyncIterator[None]:
    with identify(request.query_params.get("fastapi")):
        yield


@app.get("/pay/{number}", dependencies=[Depends(named)])
async def pay_basket(number: int, request: Request) -> str:
    pay(number, "fastapi")
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{NEXT}/pay/{number}", params=dict(request.query_params), timeout=30)
    return answer.text


if __name__ == "__main__":
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening()])
