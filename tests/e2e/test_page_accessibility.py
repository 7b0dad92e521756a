"""The inspector's page for everyone: axe-core in light and dark, narrow screens, and pictures of it when asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, expect
from tests.e2e.histories import busiest, history
from tests.e2e.inspected import Inspector, made
from tests.e2e.pages import VIEWS, go, violations, watched_page

pytestmark = pytest.mark.slow

_HISTORY = history(30)
_PLACES = (*VIEWS, f"customers/{busiest(_HISTORY)}")
_MANY = history(120)
_IMAGES = Path(__file__).parents[2] / "docs" / "images"


@pytest.fixture
def filled(inspector: Inspector) -> Inspector:
    inspector.send(*_HISTORY)
    for path, body in (
        ("/batch/", {"batch": []}),
        ("/flags/", {"api_key": "phc_local", "distinct_id": "usr_1", "flag_keys_to_evaluate": ["instant-rail"]}),
    ):
        inspector.post(path, body)
    return inspector


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("inspected", ["inspector", "filled"])
def test_axe_finds_nothing(
    chromium: Browser, scheme: Literal["light", "dark"], inspected: str, request: pytest.FixtureRequest
) -> None:
    """No violation of axe-core's rules, contrast among them, in any view, with an event open, in the list of keys."""
    server: Inspector = request.getfixturevalue(inspected)
    with watched_page(chromium, server, color_scheme=scheme, reduced_motion="reduce") as (page, _):
        found = {}
        for place in _PLACES if inspected == "filled" else VIEWS:
            go(page, place)
            for closed in page.locator("summary").all():
                closed.click()
            found[place] = violations(page)
        go(page, "stream")
        if inspected == "filled":
            page.locator("ol.events button.event").first.click()
            page.get_by_role("dialog").get_by_text("Payload").click()
            found["an event"] = violations(page)
            page.keyboard.press("Escape")
        page.keyboard.press("?")
        found["keys"] = violations(page)
        assert {place: words for place, words in found.items() if words} == {}


def test_a_server_that_is_gone_is_said_accessibly(chromium: Browser, filled: Inspector) -> None:
    """The words on trouble have the contrast of the rest."""
    with watched_page(chromium, filled, reduced_motion="reduce") as (page, watched):
        go(page, "stream")
        filled.stop()
        expect(page.get_by_role("alert").filter(has_text="does not answer")).to_be_visible()
        assert violations(page) == []
        watched.said.clear()  # the browser's own words on a dead server


def test_nothing_is_wider_than_a_narrow_screen(chromium: Browser, filled: Inspector) -> None:
    """At 360 pixels no view scrolls sideways, whatever an event holds; the views are behind one button."""
    filled.send(made("a.name_" + "that_goes_on_" * 12, "usr_" + "0123456789" * 15, {"note": "word" * 90}))
    with watched_page(chromium, filled, viewport={"width": 360, "height": 740}, has_touch=True) as (page, _):
        for place in _PLACES:
            go(page, place)
            assert page.evaluate("document.documentElement.scrollWidth") == 360, place
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("link", name="Stream").click()
        expect(page.get_by_role("link", name="Stream")).to_be_hidden()
        page.locator("ol.events button.event").first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("that_goes_on_")
        assert dialog.evaluate("element => element.scrollWidth <= innerWidth")
        dialog.get_by_role("button", name="Close").click()
        expect(dialog).to_be_hidden()


def test_fifty_thousand_events_are_no_burden(chromium: Browser, inspector: Inspector) -> None:
    """Every view shows them; the list stays as long as it was asked to be. The times are printed."""
    events = history(1_800, weeks=8)[:50_000]
    for begin in range(0, len(events), 2_000):
        inspector.send(*events[begin : begin + 2_000])
    with watched_page(chromium, inspector, viewport={"width": 1280, "height": 800}) as (page, _):
        page.on("requestfinished", _print_time)
        for place in (*VIEWS, f"customers/{busiest(events)}", "stream"):
            go(page, place)
        assert page.locator("ol.events button.event").count() == 100


def _print_time(request: Any) -> None:
    timing = request.timing
    if "/inspector/api/" in request.url:
        print(f"{timing['responseEnd'] - timing['requestStart']:6.0f} ms  {request.url.partition('/inspector/api')[2]}")  # noqa: T201  a measurement


@pytest.mark.skipif("ZENTRA_SCREENSHOTS" not in os.environ, reason="ZENTRA_SCREENSHOTS=1 makes the docs' pictures")
@pytest.mark.parametrize(
    ("name", "place", "options"),
    [
        ("inspector-light", "stream", {}),
        ("inspector-dark", "trends", {"color_scheme": "dark"}),
        ("inspector-narrow", "customers/{busiest}", {"viewport": {"width": 360, "height": 740}}),
        ("inspector-timeline", "customers/{busiest}", {}),
        ("inspector-retention", "retention", {"color_scheme": "dark"}),
    ],
)
def test_pictures_for_the_docs(
    chromium: Browser, inspector: Inspector, name: str, place: str, options: dict[str, Any]
) -> None:
    """Each picture shows a view with events in it, and is small enough to be kept."""
    inspector.send(*_MANY)
    with watched_page(
        chromium, inspector, **{"viewport": {"width": 1120, "height": 660}, "locale": "en-GB", **options}
    ) as (page, _):
        go(page, place.format(busiest=busiest(_MANY)))
        expect(page.locator("#content")).to_contain_text("payment.completed" if place != "trends" else "Active users")
        if name == "inspector-timeline":
            page.locator("button.trace").first.click()
        picture = page.screenshot(path=_IMAGES / f"{name}.png")
        assert len(picture) < 150_000
