"""The storefront and the inspector's page, each in a tab, at the same time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

import pytest
from playwright.sync_api import Browser, expect
from tests.e2e.inspected import Inspector
from tests.e2e.pages import violations
from tests.e2e.storefront import POSTHOG_JS, Person, Storefront, bank, tab

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not POSTHOG_JS.is_dir(), reason="posthog-js is not installed: make e2e installs it"),
]


class Stand(NamedTuple):
    """The URLs of what runs."""

    bank: str
    inspector: str


@pytest.fixture
def stand(inspector: Inspector, tmp_path: Path) -> Iterator[Stand]:
    with bank(tmp_path, inspector.url, BANK_STOREFRONT="1") as running:
        yield Stand(running.url, inspector.url)


def test_a_payment_is_on_the_inspectors_page_within_a_second(stand: Stand, chromium: Browser) -> None:
    """From the bank's answer to the click until the open page shows the payment; by one clock, printed, and not asserted."""
    payments = 10
    person = Person()
    with tab(chromium) as (_, watching), tab(chromium) as (_, page):
        storefront = Storefront(page, stand.bank)
        storefront.open()
        storefront.sign_up(person)
        storefront.add_money()
        watching.goto(stand.inspector)
        expect(watching.get_by_role("button", name="user.signed_up")).to_be_visible()
        completed = watching.get_by_role("button", name="payment.completed")
        seconds = []
        for shown in range(payments):
            storefront.choose("Wallet", "Wallet's phone number", person.wallet)
            with page.expect_response("**/payments"):
                storefront.press_pay()
            answered = time.perf_counter()
            completed.nth(shown).wait_for()
            seconds.append(time.perf_counter() - answered)
    print(  # noqa: T201  a figure for whoever measures
        f"a payment on the inspector's page: median {median(seconds):.3f} s, worst {max(seconds):.3f} s of {payments}"
    )


def test_what_is_refused_is_said_as_a_person_would(stand: Stand, chromium: Browser) -> None:
    """Each way to fail tells its reason, the button is ready again, and a wrong password does not let anybody in."""
    with tab(chromium) as (_, page):
        storefront = Storefront(page, stand.bank)
        storefront.open()
        storefront.log_in(Person(email="nobody@example.com"))
        storefront.said("nobody has an account")
        storefront.sign_up(Person("Bode Larkspur", "bode.larkspur@example.com", "08035550148"))
        page.get_by_text("Make a payment fail").click()
        for button, reason in (
            ("More than the balance", "the balance is too low"),
            ("More than the tier allows", "it is more than your tier allows"),
            ("A card number with a wrong digit", "the balance is too low"),
        ):
            page.get_by_role("button", name=button).click()
            storefront.press_pay()
            storefront.said(reason)
        storefront.add_money()
        page.get_by_role("button", name="An account that is closed").click()
        storefront.press_pay()
        storefront.said("pending: the bank rail has it")
        storefront.said("failed: the account is closed")
        expect(page.get_by_role("region", name="Payments")).to_contain_text("Because the account is closed.")
        page.reload()
        expect(page.get_by_role("region", name="Payments")).to_contain_text("Failed")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_storefront_is_for_everyone(stand: Stand, chromium: Browser, scheme: Literal["light", "dark"]) -> None:
    """axe-core finds nothing on either side of the door, with everything unfolded, and a narrow screen scrolls down only."""
    with tab(chromium, color_scheme=scheme, viewport={"width": 360, "height": 740}) as (_, page):
        storefront = Storefront(page, stand.bank)
        storefront.open()
        expect(page.get_by_role("heading", name="Sign up")).to_be_visible()
        assert violations(page) == []
        storefront.sign_up(Person())
        expect(page.get_by_role("heading", name="Your account")).to_be_focused()
        storefront.add_money()
        page.get_by_text("Make a payment fail").click()
        page.get_by_role("button", name="A card number with a wrong digit").click()
        storefront.press_pay()
        storefront.said("failed: the card number is wrong")
        page.get_by_text("Verify who you are").click()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == 360
