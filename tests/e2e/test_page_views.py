"""The inspector's views show what the API counts, and its switches do what they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.e2e.histories import busiest, history
from tests.e2e.inspected import Inspector, made
from tests.e2e.pages import go, watched_page

import zentra_otel_posthog as package

pytestmark = pytest.mark.slow

HISTORY = history(40)
BUSY = busiest(HISTORY)
NONE = "\u2013"  # what a cell says that has no number


@pytest.fixture
def page(chromium: Browser, inspector: Inspector) -> Iterator[Page]:
    with watched_page(chromium, inspector, locale="en-GB", timezone_id="UTC") as (opened, _):
        yield opened


@pytest.fixture
def filled(inspector: Inspector) -> Inspector:
    inspector.send(*HISTORY)
    return inspector


def cells(table: Locator) -> list[list[str]]:
    return [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]


def percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}".removesuffix(".0") + "%"


def test_customers_are_found_and_opened(page: Page, filled: Inspector) -> None:
    """The list has the API's customers; the filter narrows it; a link leads to the timeline."""
    go(page, "customers")
    listed = page.get_by_role("region", name="Customers")
    known = filled.get("/customers", limit=100)["customers"]
    assert [(row[0], row[1]) for row in cells(listed)] == [
        (person["person"], f"{person['events']:,}") for person in known
    ]
    page.keyboard.press("/")
    page.keyboard.type("usr_00007")
    expect(listed.locator("tbody tr")).to_have_count(1)
    listed.get_by_role("link", name="usr_00007").click()
    expect(page.get_by_role("heading", name="usr_00007")).to_be_visible()


def test_a_timeline_has_browser_and_backend_side_by_side(page: Page, filled: Inspector) -> None:
    """All of one customer's events, oldest first, on their sides; those of one trace are shown as one."""
    timeline = filled.get(f"/customers/{BUSY}")["timeline"]
    go(page, f"customers/{BUSY}")
    shown = page.locator("ol.timeline button.event")
    expect(shown).to_have_count(len(timeline))
    assert [int(seq) for seq in shown.evaluate_all("all => all.map((one) => one.dataset.seq)")] == [
        event["seq"] for event in timeline
    ]
    browser = page.locator("li.moment.browser button.event").evaluate_all(
        "all => all.map((one) => Number(one.dataset.seq))"
    )
    assert browser == [event["seq"] for event in timeline if event["lib"] == "web"]
    trace = next(event["trace_id"] for event in timeline if event["lib"] == "web" and event["trace_id"])
    page.locator(f"button.trace[data-trace='{trace}']").first.click()
    linked = page.locator("li.linked button.event").evaluate_all("all => all.map((one) => Number(one.dataset.seq))")
    assert linked == [event["seq"] for event in timeline if event["trace_id"] == trace]
    assert page.locator("li.linked.browser").count()
    assert page.locator("li.linked.backend").count()


def test_two_projects_customers_of_one_id_are_two(page: Page, inspector: Inspector) -> None:
    """Each row leads to the timeline of its own project."""
    inspector.send(made("payment.completed", "usr_1"), made("payment.completed", "usr_1"))
    inspector.post("/batch/", {"api_key": "phc_other", "batch": [made("payment.failed", "usr_1")]})
    for name, count in (("payment.completed", 2), ("payment.failed", 1)):
        go(page, "customers")
        row = page.get_by_role("region", name="Customers").get_by_role("row").filter(has_text=f"usr_1{count}")
        row.get_by_role("link").click()
        shown = page.locator("ol.timeline button.event")
        expect(shown).to_have_count(count)
        expect(shown.first).to_contain_text(name)
        page.get_by_role("combobox", name="Project").select_option("")


def test_an_anonymous_visitor_becomes_the_customer(page: Page, inspector: Inspector) -> None:
    """What was seen before the login is on the customer's timeline, with the id that it had."""
    inspector.send(
        made("$pageview", "0199-anonymous", {"$lib": "web"}),
        made("$identify", "usr_1", {"$lib": "web", "$anon_distinct_id": "0199-anonymous"}),
        made("payment.completed", "usr_1", {"method": "card"}),
    )
    go(page, "customers/usr_1")
    expect(page.locator("ol.timeline button.event")).to_have_count(3)
    expect(page.get_by_text("0199-anonymous")).to_be_visible()


def test_the_funnel_shows_the_apis_numbers(page: Page, filled: Inspector) -> None:
    """Every cell, by method, by another property, and with another step."""
    for steps, breakdown in (
        ("payment.pending,payment.completed", "method"),
        ("user.signed_up,payment.pending,payment.completed", "platform"),
    ):
        go(page, f"funnel?steps={steps}&breakdown={breakdown}")
        counted = filled.get("/funnel", steps=steps, breakdown=breakdown, window_days=14)
        together, *parts = counted["rows"]
        bars = page.locator(".funnel-steps li")
        expect(bars).to_have_count(len(counted["steps"]))
        assert [int(bar.locator("strong").inner_text()) for bar in bars.all()] == together["counts"]
        table = cells(page.get_by_role("region", name=f"Funnel by {breakdown}"))
        assert [row[:-1] for row in table] == [
            [row["breakdown"] or "none", *map(str, row["counts"]), percent(row["conversion"])] for row in parts
        ]
    page.get_by_role("combobox", name="Broken down by").fill("method")
    page.get_by_role("combobox", name="Broken down by").press("Enter")
    expect(page.get_by_role("region", name="Funnel by method")).to_be_visible()
    page.get_by_role("combobox", name="Step 1").select_option("$pageview")
    first = filled.get("/funnel", steps="$pageview,payment.pending,payment.completed", window_days=14)["rows"][0][
        "counts"
    ][0]
    expect(page.locator(".funnel-steps strong").first).to_have_text(str(first))


def test_retention_shows_the_apis_numbers(page: Page, filled: Inspector) -> None:
    """Every cell of the heat table, by week and by day."""
    for period, periods in (("week", 8), ("day", 5)):
        go(page, f"retention?period={period}&periods={periods}")
        counted = filled.get(
            "/retention", first="user.signed_up", returning="payment.completed", period=period, periods=periods
        )["rows"]
        assert any(row["size"] for row in counted)
        shown = [row[1:] for row in cells(page.get_by_role("region", name="Retention"))]
        width = max(len(row["returned"]) for row in counted)
        assert shown == [
            [str(row["size"])]
            + [f"{percent(count / row['size'])} {count}" if row["size"] else NONE for count in row["returned"]]
            + [""] * (width - len(row["returned"]))
            for row in counted
        ]


def test_trends_show_the_apis_numbers_in_charts_and_a_table(page: Page, filled: Inspector) -> None:
    """The charts have a bar for each bucket, and a table says the same in words."""
    go(page, "trends?interval=day")
    counted = filled.get("/trends", interval="day")
    for name in ("Payments", "Failure rate", "Active users"):
        expect(page.get_by_role("img", name=name)).to_be_visible()
    completed, failed = (counted["series"][f"payment.{outcome}"] for outcome in ("completed", "failed"))
    drawn = page.locator(".chart.payments .serie-0 .bar title").all_text_contents()
    assert [int(title.split(": ")[1].removesuffix(" completed")) for title in drawn] == completed
    page.get_by_text("The charts as a table").click()
    table = cells(page.get_by_role("region", name="Trends"))
    assert [[row[1], row[2], row[4]] for row in reversed(table)] == [
        [str(done), str(lost), percent(rate)]
        for done, lost, rate in zip(completed, failed, counted["failure_rate"], strict=True)
    ]
    by_method = cells(page.get_by_role("region", name="Failure rate by method"))
    assert dict(by_method) == {method: percent(rate) for method, rate in counted["failure_rate_by_method"].items()}
    assert cells(page.get_by_role("region", name="Why payments fail")) == [
        [row["reason"], str(row["count"])] for row in counted["reasons"]
    ]


def test_cohorts_have_the_apis_sizes(page: Page, filled: Inspector) -> None:
    """Each cohort with its size; its people lead to their timelines."""
    go(page, "cohorts")
    counted = filled.get("/cohorts")["cohorts"]
    assert counted
    assert page.locator(".cohorts-list h2").all_inner_texts() == [cohort["name"] for cohort in counted]
    assert page.locator(".cohorts-list .line strong").all_inner_texts() == [str(cohort["size"]) for cohort in counted]
    peopled = page.locator(".cohorts-list > li").filter(has=page.locator("details")).first
    peopled.locator("summary").click()
    peopled.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile("#/customers/usr_"))


def test_a_switched_flag_is_what_flags_answers(page: Page, inspector: Inspector) -> None:
    """A flag is added, switched, given a variant and removed with the keyboard; who asks gets that."""
    go(page, "flags")
    page.get_by_label("Flag", exact=True).fill("instant-rail")
    page.keyboard.press("Enter")
    switch = page.get_by_role("switch", name="instant-rail")
    expect(switch).to_have_attribute("aria-checked", "true")
    assert answered(inspector)["enabled"] is True
    switch.press("Space")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(switch).to_be_focused()
    assert answered(inspector)["enabled"] is False
    switch.press("Enter")
    expect(switch).to_have_attribute("aria-checked", "true")
    page.get_by_label("Variant of instant-rail").fill("fast")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Variant of instant-rail")).to_have_value("fast")
    page.get_by_text("asked").wait_for()
    assert answered(inspector)["variant"] == "fast"
    page.get_by_role("button", name="Remove instant-rail").press("Enter")
    expect(switch).to_have_count(0)


def test_a_flag_that_is_asked_for_shows_by_itself(page: Page, inspector: Inspector) -> None:
    """Whoever asks for a flag that nobody has set finds it on the page, to be switched."""
    inspector.get("/flags")
    go(page, "flags")
    asked = {"api_key": "phc_local", "distinct_id": "usr_1", "flag_keys_to_evaluate": ["new-checkout"]}
    inspector.post("/flags/?v=2", asked).raise_for_status()
    expect(page.get_by_role("switch", name="new-checkout")).to_be_visible()


def answered(inspector: Inspector) -> Any:
    body = {"api_key": "phc_local", "distinct_id": "usr_1"}
    return inspector.post("/flags/?v=2", body).json()["flags"]["instant-rail"]


def test_what_was_refused_is_listed_with_its_rule(page: Page, inspector: Inspector) -> None:
    """What the sanitizer kept back in an application here, and a request that this server did not take."""
    package.configure(api_key="phc_local", host=inspector.url)
    package.capture(
        "payment.completed",
        distinct_id="usr_1",
        properties={"amount_minor": 100, "currency": "NGN", "method": "card", "note": "ada@example.com"},
    )
    assert package.flush(timeout=10)
    package.shutdown(timeout=10)
    inspector.post("/batch/", {"batch": []})
    go(page, "refused")
    counted = inspector.get("/refused")
    kept = cells(page.get_by_role("region", name="Kept back by the sanitizer"))
    assert kept == [[row["event"], row["property"], row["rule"], str(row["count"])] for row in counted["refused"]]
    assert ["payment.completed", "note"] in [row[:2] for row in kept]
    taken = cells(page.get_by_role("region", name="Refused by this server"))
    assert (
        [(row[1], row[2]) for row in taken] == [(row["path"], str(row["status"])) for row in counted["requests"]] != []
    )
    assert "ada@example.com" not in page.content()


def test_delivery_shows_what_arrived_and_can_forget_it(page: Page, filled: Inspector) -> None:
    """The counts are the API's; forgetting asks first, and then the stream is empty."""
    go(page, "health")
    counted = filled.get("/health")
    tiles = dict(
        zip(page.locator(".tiles dt").all_inner_texts(), page.locator(".tiles dd").all_inner_texts(), strict=True)
    )
    assert (tiles["Received"], tiles["Stored"]) == (f"{counted['received']:,}", f"{counted['stored']:,}")
    page.get_by_role("button", name="Forget every event").click()
    page.get_by_role("button", name="Keep them").click()
    assert filled.get("/health")["stored"] == counted["stored"]
    page.get_by_role("button", name="Forget every event").click()
    page.get_by_role("button", name="Forget them").click()
    expect(page.locator(".tiles dd").nth(1)).to_have_text("0")
    go(page, "stream")
    expect(page.locator(".empty")).to_be_visible()


def test_time_and_project_narrow_every_view(page: Page, inspector: Inspector) -> None:
    """What the head of the page says holds in each view, and stays from one to the next."""
    inspector.send(*history(5), made("payment.completed", "usr_now"))
    inspector.post("/batch/", {"api_key": "phc_other", "batch": [made("payment.completed", "usr_other")]})
    listed = page.get_by_role("region", name="Customers").locator("tbody tr")
    go(page, "customers")
    expect(listed).to_have_count(7)
    page.get_by_role("combobox", name="Time").select_option("15m")
    expect(listed).to_have_count(2)
    other = next(row["project"] for row in inspector.get("/projects")["projects"] if row["events"] == 1)
    page.get_by_role("combobox", name="Project").select_option(other)
    expect(listed).to_have_count(1)
    page.get_by_role("link", name="Stream").click()
    expect(page.locator("ol.events button.event")).to_have_text([re.compile("usr_other")])
    page.get_by_role("combobox", name="Project").select_option("")
    expect(page.locator("ol.events button.event")).to_have_count(2)
