"""Serves the storefront: one page with posthog-js, whose customers are those of the bank.

Only where ``BANK_STOREFRONT=1``, since it plays the bank rail as well.
"""

import os
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

from bank.rail import Rail

_FOLDER: Final = Path(__file__).with_name("storefront")
_LIBRARY: Final = _FOLDER / "node_modules" / "posthog-js" / "dist" / "module.no-external.js"
_DEFAULT_HOST: Final = "https://us.i.posthog.com"

_routes = APIRouter(include_in_schema=False)


def open_storefront(app: FastAPI) -> None:
    """Add the page to the bank, and a bank rail that settles what the page's customers pay by bank."""
    services = app.state.services
    app.state.rail = Rail(services.storage, services.payments)
    app.include_router(_routes)
    app.mount("/storefront", StaticFiles(directory=_FOLDER))
    if (missing := _missing()) is not None:
        print(missing)


@_routes.get("/")
def page() -> Response:
    """The page. It may talk to the bank and to PostHog, and to nobody else.

    No form is sent by the browser itself: it would put what was typed into an address, which is on every page view.
    """
    policy = f"default-src 'self'; img-src 'self' data:; connect-src 'self' {_host()}; form-action 'none'"
    return FileResponse(_FOLDER / "index.html", headers={"Content-Security-Policy": policy})


@_routes.get("/storefront/settings")
def settings() -> dict[str, str | None]:
    """What posthog-js needs to know. A project key is made for browsers; a personal key never comes here."""
    return {"key": os.environ.get("POSTHOG_API_KEY"), "host": _host(), "missing": _missing()}


def _host() -> str:
    return os.environ.get("POSTHOG_HOST", _DEFAULT_HOST).rstrip("/")


def _missing() -> str | None:
    if not _LIBRARY.is_file():
        return "PostHog hears nothing of this page: run npm install in examples/bank/storefront."
    if not os.environ.get("POSTHOG_API_KEY"):
        return "PostHog hears nothing of this page: POSTHOG_API_KEY is not set."
    return None
