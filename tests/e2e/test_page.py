"""The inspector's page as one uses it: it is live, it filters, the keyboard does it all, and nothing in an event is markup."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.e2e.inspected import Inspector, made
from tests.e2e.pages import VIEWS, Watched, go, watched_page

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC)


@pytest.fixture
def opened(chromium: Browser, inspector: Inspector) -> Iterator[tuple[Page, Watched]]:
    with watched_page(chromium, inspector) as page:
        yield page


@pytest.fixture
def page(opened: tuple[Page, Watched]) -> Page:
    return opened[0]


def rows(page: Page) -> Any:
    return page.locator("ol.events button.event")


def test_an_empty_inspector_says_what_to_set(page: Page, inspector: Inspector) -> None:
    """Whoever has sent nothing reads the two lines, with this server's own address, and can copy them."""
    lines = f"POSTHOG_HOST={inspector.url}\nPOSTHOG_API_KEY=phc_local"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    go(page, "stream")
    expect(page.locator(".lines pre")).to_have_text(lines)
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == lines


def test_a_payment_appears_without_reload(page: Page, inspector: Inspector) -> None:
    """The page that is open shows an event that arrives, in the empty state and among others."""
    go(page, "stream")
    expect(page.locator(".empty")).to_be_visible()
    for number in range(3):
        inspector.send(
            made("payment.completed", f"usr_{number}", {"amount_minor": 125000, "currency": "NGN", "method": "card"})
        )
        stored = time.monotonic()
        rows(page).filter(has_text=f"usr_{number}").wait_for()
        print(f"on the page {1000 * (time.monotonic() - stored):.0f} ms after the server's answer")  # noqa: T201  a measurement
    expect(page.locator(".empty")).to_have_count(0)
    expect(rows(page).first).to_contain_text("NGN 1,250.00 · card")
    expect(rows(page)).to_have_count(3)


def test_filters_narrow_the_stream_and_stay_over_a_reload(page: Page, inspector: Inspector) -> None:
    """Event, customer, library and text each leave what they say, together too, and are in the address."""
    inspector.send(
        made("payment.completed", "usr_1", {"method": "card"}),
        made("payment.completed", "usr_2", {"method": "wallet"}),
        made("payment.failed", "usr_1", {"method": "card", "reason": "insufficient_funds"}),
        made("$pageview", "usr_1", {"$lib": "web"}),
    )
    go(page, "stream")
    expect(rows(page)).to_have_count(4)
    page.get_by_role("combobox", name="Event").select_option("payment.completed")
    expect(rows(page)).to_have_count(2)
    page.get_by_label("Customer").fill("usr_2")
    expect(rows(page)).to_have_count(1)
    page.reload()
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_label("Customer")).to_have_value("usr_2")
    page.get_by_label("Customer").fill("")
    page.get_by_role("combobox", name="Event").select_option("")
    page.get_by_role("combobox", name="Library").select_option("web")
    expect(rows(page)).to_have_text([re.compile(r"\$pageview")])
    page.get_by_role("combobox", name="Library").select_option("")
    page.get_by_label("Text").fill("insufficient")
    expect(rows(page)).to_have_text([re.compile("payment.failed")])
    inspector.send(made("payment.failed", "usr_9", {"reason": "insufficient_funds"}), made("payment.pending", "usr_9"))
    expect(rows(page)).to_have_count(2)
    page.get_by_label("Text").fill("nowhere")
    expect(page.get_by_text("No event passes this filter.")).to_be_visible()


def test_a_paused_stream_stands_still_and_says_what_waits(page: Page, inspector: Inspector) -> None:
    """While one reads, nothing moves; then all that arrived is there."""
    inspector.send(made("payment.pending", "usr_1"))
    go(page, "stream")
    expect(rows(page)).to_have_count(1)
    page.keyboard.press("p")
    inspector.send(made("payment.completed", "usr_1"), made("payment.completed", "usr_2"))
    expect(page.get_by_role("button", name="Paused, 2 new")).to_have_attribute("aria-pressed", "true")
    expect(rows(page)).to_have_count(1)
    page.keyboard.press("p")
    expect(rows(page)).to_have_count(3)


def test_the_keyboard_reaches_everything_in_the_stream(page: Page, inspector: Inspector) -> None:
    """Skip link, filter, list, event and the way back, each with the focus where it is looked for."""
    inspector.send(*[made("payment.completed", f"usr_{number}") for number in range(3)])
    go(page, "stream")
    expect(rows(page)).to_have_count(3)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Text")).to_be_focused()
    page.keyboard.type("usr")  # letters are text in a field, no commands
    expect(page.get_by_label("Text")).to_have_value("usr")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(rows(page).nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    expect(rows(page).nth(1)).to_be_focused()
    expect(rows(page).nth(1)).to_have_css("outline-style", "solid")  # the focus is seen
    page.keyboard.press("Enter")
    detail = page.get_by_role("dialog", name="payment.completed")
    expect(detail.get_by_role("heading", name="payment.completed")).to_be_focused()
    expect(detail).to_contain_text("usr_1")
    page.keyboard.press("k")
    expect(detail).to_contain_text("usr_2")
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    expect(rows(page).nth(0)).to_be_focused()


def test_digits_go_to_the_views_unless_switched_off(page: Page) -> None:
    """1 to 9 are the views, in the order of the list; whoever dictates can switch such keys off."""
    go(page, "stream")
    for digit, view in enumerate(VIEWS, 1):
        page.keyboard.press(str(digit))
        expect(page).to_have_url(re.compile(f"#/{view}$"))
        expect(page.locator(f"nav a[data-view={view}]")).to_have_attribute("aria-current", "page")
        expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("?")
    page.get_by_label("Keys without Ctrl or Alt are on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page).to_have_url(re.compile("#/health$"))


def test_what_an_event_holds_is_text(page: Page, inspector: Inspector) -> None:
    """Markup in a name, an id, a property or its name is shown, in the list, in full and on the timeline; nothing runs."""
    markup = "<img src=x onerror=\"document.title='run'\"><b>bold</b>"
    inspector.send(made(markup, f"usr_{markup}", {"note": markup, f"key {markup}": [markup]}))
    go(page, "stream")
    rows(page).first.click()
    expect(page.get_by_role("dialog")).to_contain_text(markup)
    page.get_by_role("dialog").get_by_role("link", name="usr_").click()
    expect(page.locator("ol.timeline")).to_contain_text(markup)
    go(page, "customers")
    expect(page.get_by_role("region", name="Customers")).to_contain_text(markup)
    assert page.locator("main img, main b, dialog img, dialog b").count() == 0
    assert page.title() == "Customers · Inspector"


def test_the_policy_refuses_what_is_not_the_servers(opened: tuple[Page, Watched]) -> None:
    """Were markup ever to get in: an inline script, a style and a foreign address are refused by the browser."""
    page, watched = opened
    response = page.goto("/")
    assert response is not None
    assert "default-src 'self'" in response.headers["content-security-policy"]
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "document.title = 'run'";
            document.body.append(script);
        }"""
    )
    refused = page.evaluate("fetch('http://127.0.0.2:9/').then(() => 'sent', () => 'refused')")
    assert (page.title(), refused) == ("Stream · Inspector", "refused")
    assert [line for line in watched.said if "Content Security Policy" not in line and "127.0.0.2" not in line] == []
    watched.said.clear()
    watched.asked = [url for url in watched.asked if "127.0.0.2" not in url]


def test_a_server_that_is_gone_is_said_and_found_again(opened: tuple[Page, Watched], inspector: Inspector) -> None:
    """The page says that it is not connected, keeps what it shows, and goes on by itself."""
    page, watched = opened
    inspector.send(made("payment.completed", "usr_before"))
    go(page, "stream")
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#connection")).to_have_text("Live")
    inspector.stop()
    expect(page.get_by_role("alert").filter(has_text="does not answer")).to_be_visible()
    expect(page.locator("#connection")).to_have_text("Not connected")
    expect(rows(page)).to_have_count(1)
    inspector.start()
    expect(page.locator("#connection")).to_have_text("Live", timeout=15_000)
    expect(page.locator("#trouble")).to_be_hidden()
    inspector.send(made("payment.completed", "usr_after"))
    expect(rows(page)).to_have_count(2)
    inspector.stop()
    page.get_by_label("Text").fill("usr")  # what is asked for meanwhile is no uncaught error
    expect(page.locator("#connection")).to_have_text("Not connected")
    inspector.start()
    expect(page.locator("#connection")).to_have_text("Live", timeout=15_000)
    expect(rows(page)).to_have_count(2)
    assert [line for line in watched.said if "net::ERR" not in line] == []  # the browser's own words on a dead server
    watched.said.clear()


def test_a_server_that_has_forgotten_is_shown_as_it_is(page: Page, inspector: Inspector) -> None:
    """Cleared from elsewhere, or begun anew: what is gone goes from the page with the next event."""
    inspector.send(made("payment.completed", "usr_1"), made("payment.completed", "usr_2"))
    go(page, "stream")
    expect(rows(page)).to_have_count(2)
    inspector.forget()
    inspector.send(made("payment.completed", "usr_3"))
    expect(rows(page)).to_have_text([re.compile("usr_3")])


def test_older_events_are_a_button_away(page: Page, inspector: Inspector) -> None:
    """The list begins with a hundred; the rest comes by the hundred, and new ones do not push it out."""
    inspector.send(
        *[made("payment.completed", f"usr_{number}", at=NOW - timedelta(seconds=250 - number)) for number in range(250)]
    )
    go(page, "stream")
    expect(rows(page)).to_have_count(100)
    page.get_by_role("button", name="100 older").click()
    expect(rows(page)).to_have_count(200)
    page.get_by_role("button", name="100 older").click()
    expect(rows(page)).to_have_count(250)
    expect(page.get_by_text("250 events.")).to_be_visible()
    inspector.send(made("payment.failed", "usr_new"))
    expect(rows(page).first).to_contain_text("usr_new")
    expect(page.get_by_role("button", name="100 older")).to_have_count(1)  # the oldest went out of the list for it
    assert len(set(rows(page).evaluate_all("rows => rows.map((row) => row.dataset.seq)"))) == rows(page).count()


def test_a_flood_leaves_the_newest(page: Page, inspector: Inspector) -> None:
    """More than a page at once, then some more: the hundred newest, in their order."""
    inspector.send(made("payment.pending", "usr_first"))
    go(page, "stream")
    expect(rows(page)).to_have_count(1)
    for many in (700, 30):
        inspector.send(*[made("payment.completed", f"usr_{number}") for number in range(many)])
        newest = [str(event["seq"]) for event in inspector.get("/events", limit=100)["events"]]
        expect(rows(page).first).to_have_attribute("data-seq", newest[0])
        assert rows(page).evaluate_all("rows => rows.map((row) => row.dataset.seq)") == newest


def test_the_live_region_is_not_chatty(chromium: Browser, inspector: Inspector) -> None:
    """It speaks every ten seconds at most, and then in one sentence of all that arrived."""
    with watched_page(chromium, inspector) as (page, _):
        page.clock.install()
        go(page, "stream")
        for number in range(3):
            inspector.send(made("payment.completed", f"usr_{number}"))
            page.clock.run_for(200)
            rows(page).filter(has_text=f"usr_{number}").wait_for()
        status = page.get_by_role("status")
        expect(status).to_have_text("")
        page.clock.run_for(10_000)
        expect(status).to_have_text("3 events arrived")
        assert status.get_attribute("aria-live") == "polite"


def test_the_theme_is_the_systems_until_it_is_chosen(chromium: Browser, inspector: Inspector) -> None:
    """Dark where the system is; a choice is kept over a reload."""
    ground = "getComputedStyle(document.body).backgroundColor"
    with watched_page(chromium, inspector, color_scheme="dark", reduced_motion="reduce") as (page, _):
        go(page, "stream")
        dark = page.evaluate(ground)
        page.get_by_role("button", name="Theme: system").click()
        page.get_by_role("button", name="Theme: dark").click()
        light = page.evaluate(ground)
        page.reload()
        expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
        assert page.evaluate(ground) == light != dark
        inspector.send(made("payment.completed", "usr_1"))
        assert rows(page).first.evaluate("row => getComputedStyle(row.parentElement).animationName") == "none"
