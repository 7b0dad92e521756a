"""The inspector's page in a browser, watched: it may say nothing on its console and ask nobody but its own server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from tests.e2e.inspected import Inspector

VIEWS = ("stream", "customers", "funnel", "retention", "trends", "cohorts", "flags", "refused", "health")


class Watched:
    """What a page said and whom it asked."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"uncaught: {error}"))
        page.on("request", lambda request: self.asked.append(request.url))


@contextmanager
def watched_page(browser: Browser, inspector: Inspector, **options: Any) -> Iterator[tuple[Page, Watched]]:
    """Open the page, and hold it at its end to silence and to its own server."""
    context = browser.new_context(base_url=inspector.url, **options)
    page, watched = context.new_page(), Watched()
    watched.watch(page)
    try:
        yield page, watched
        assert not watched.said, watched.said
        foreign = [url for url in watched.asked if not url.startswith(f"{inspector.url}/")]
        assert not foreign, foreign
    finally:
        context.close()


def go(page: Page, path: str) -> None:
    """Go to a view and wait until it shows what the server answered."""
    page.goto(f"/#/{path}")
    view = path.partition("?")[0].partition("/")[0]
    page.locator(f"#content > .{view}:not([aria-busy])").wait_for(state="attached")


def violations(page: Page) -> list[str]:
    """Return what axe-core has against a page as it is."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]
