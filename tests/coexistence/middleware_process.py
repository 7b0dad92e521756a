"""A service behind PostHog's own middleware for one framework. Arguments: the framework, and where PostHog is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import httpx
from fastapi import FastAPI, Request  # here, where FastAPI resolves annotations
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from posthog import Posthog
from posthog.integrations.otel import PostHogContextSpanProcessor

from peers import SESSION
from zentra_otel_posthog import configure, identify, payment, shutdown, telemetry

Send = Callable[[Mapping[str, str]], int]


def main() -> None:
    framework, host = sys.argv[1:]
    telemetry.raise_internal_errors(enabled=True)
    configure()
    provider = TracerProvider()
    provider.add_span_processor(PostHogContextSpanProcessor())
    trace.set_tracer_provider(provider)
    client = Posthog("phc_invented", host=host, sync_mode=True)

    @payment
    def charge(amount_minor: int, currency: str, method: str) -> None: ...

    def view(known: str | None) -> str:
        with identify(known) if known else nullcontext():
            charge(125_000, "NGN", "card")
        with trace.get_tracer("app").start_as_current_span("settlement") as span:
            span.add_event("card.issued", {"cardType": "virtual", "tier": "gold"})
        client.capture("statement.viewed")
        return "done"

    send = FRAMEWORKS[framework](view)
    browser = {"X-POSTHOG-DISTINCT-ID": "usr_browser", "X-POSTHOG-SESSION-ID": SESSION}
    for headers in (browser, {**browser, "X-KNOWN": "usr_known"}, {}):
        assert send(headers) == 200
    client.shutdown()
    assert shutdown(20)


def fastapi(view: Callable[[str | None], str]) -> Send:
    from posthog.integrations.asgi import PosthogASGIMiddleware

    app = FastAPI()
    app.add_middleware(PosthogASGIMiddleware)

    @app.get("/")
    def index(request: Request) -> str:
        return view(request.headers.get("X-KNOWN"))

    async def send(headers: Mapping[str, str]) -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bank.example") as client:
            return (await client.get("/", headers=dict(headers))).status_code

    return lambda headers: asyncio.run(send(headers))


def flask(view: Callable[[str | None], str]) -> Send:
    from flask import Flask, request
    from posthog.integrations.flask import PosthogFlaskIntegration

    app = Flask(__name__)
    PosthogFlaskIntegration(app)

    @app.get("/")
    def index() -> str:
        return view(request.headers.get("X-KNOWN"))

    client = app.test_client()
    return lambda headers: client.get("/", headers=dict(headers)).status_code


def django(view: Callable[[str | None], str]) -> Send:
    import django as package
    from django.conf import settings
    from django.http import HttpResponse
    from django.test import Client
    from django.urls import path

    def index(request: Any) -> HttpResponse:
        return HttpResponse(view(request.headers.get("X-KNOWN")))

    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=(path("", index),),
        MIDDLEWARE=["posthog.integrations.django.PosthogContextMiddleware"],
    )
    package.setup()
    client = Client()
    return lambda headers: int(client.get("/", headers=dict(headers)).status_code)


FRAMEWORKS = {"fastapi": fastapi, "flask": flask, "django": django}

if __name__ == "__main__":
    main()
