"""The storefront in a real browser, the bank behind it, and the inspector that both send to.

One visit is played once; the tests look at what it left: on the wire, in the inspector, on the inspector's page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from tests.e2e.inspected import Inspector
from tests.e2e.storefront import EXAMPLES, POSTHOG_JS, BankRunning, Person, Storefront, bank, tab, wait_until
from tests.e2e.wire import Wire

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not POSTHOG_JS.is_dir(), reason="posthog-js is not installed: make e2e installs it"),
]

ADAEZE = Person()
AMOUNT = 250_000  # minor units, what the pay form starts with


@dataclass
class Visit:
    """What one customer did, and where it went."""

    customer: str
    anonymous: list[str]  # whom posthog-js had before sign-up and before log-in
    storefront: Storefront
    wire: Wire
    inspector: Inspector
    bank: BankRunning

    def events(self) -> list[Any]:
        """Return what is stored, oldest first."""
        stored: list[Any] = self.inspector.get("/events", limit=1000)["events"]
        return stored[::-1]

    def timeline(self) -> Any:
        return self.inspector.get(f"/customers/{self.customer}")["timeline"]


@pytest.fixture(scope="module")
def visit(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """Play a visit: sign up, be verified, pay by card, bank and wallet, once in vain; log out, log in, pay, go."""
    folder = tmp_path_factory.mktemp("visit")
    inspector = Inspector(folder)
    inspector.start()
    with ExitStack() as stack:
        stack.callback(inspector.stop)
        wire = stack.enter_context(Wire(inspector.url))
        running = stack.enter_context(bank(folder, wire.url, BANK_STOREFRONT="1"))
        _, page = stack.enter_context(tab(chromium))
        storefront = Storefront(page, running.url)
        storefront.open()
        # A browser's events are moved by how long they took to arrive: this one has arrived before the next begins.
        wait_until(lambda: any(b"$pageview" in reading for passed in wire.passed for reading in passed.readings()))
        customer = storefront.sign_up(ADAEZE)
        anonymous = [storefront.headers["/customers"]["x-posthog-distinct-id"]]
        storefront.add_money()
        storefront.verify(ADAEZE)
        storefront.choose("Card", "Card number", ADAEZE.card)
        storefront.press_pay()
        storefront.said("₦2,500.00 completed")
        page.get_by_text("Make a payment fail").click()
        page.get_by_role("button", name="A card number with a wrong digit").click()
        storefront.press_pay()
        storefront.said("failed: the card number is wrong")
        storefront.choose("Bank", "Account number", ADAEZE.account)
        storefront.press_pay()
        storefront.said("₦2,500.00 pending")
        storefront.said("₦2,500.00 completed")
        page.get_by_role("button", name="Log out").click()
        storefront.said("logged out")
        storefront.log_in(ADAEZE)
        storefront.said("You are logged in")
        anonymous.append(storefront.headers["/sessions"]["x-posthog-distinct-id"])
        storefront.choose("Wallet", "Wallet's phone number", ADAEZE.wallet)
        storefront.press_pay()
        storefront.said("₦2,500.00 completed")
        page.close(run_before_unload=False)
        done = Visit(customer, anonymous, storefront, wire, inspector, running)
        wait_until(
            lambda: {"$pageleave", "checkout.started"} <= names(done) and counted(done, "payment.completed") == 3
        )
        yield done


def names(visit: Visit) -> set[str]:
    return {event["event"] for event in visit.events()}


def counted(visit: Visit, name: str) -> int:
    return sum(event["event"] == name for event in visit.events())


def from_browser(event: Any) -> bool:
    return bool(event["lib"] == "web")


def test_browser_and_backend_are_one_person(visit: Visit) -> None:
    """All events are one customer's, also those from before sign-up and log-in, when the browser did not know whose they are."""
    (person,) = visit.inspector.get("/customers")["customers"]
    assert person["person"] == visit.customer
    assert set(person["distinct_ids"]) == {visit.customer, *visit.anonymous}
    assert len(set(visit.anonymous)) == 2
    assert {event["person"] for event in visit.events()} == {visit.customer}
    (seen_first, *_) = visit.timeline()
    assert (seen_first["event"], seen_first["distinct_id"]) == ("$pageview", visit.anonymous[0])
    backend = [event for event in visit.events() if not from_browser(event)]
    assert {event["distinct_id"] for event in backend} == {visit.customer}
    assert all(event["trace_id"] for event in backend)


def test_browser_and_backend_are_one_session(visit: Visit) -> None:
    """The backend's events are in the browser's session: the first until log-out, a second from then on; the rail's in none."""
    sessions = list(dict.fromkeys(event["session_id"] for event in visit.timeline() if event["session_id"]))
    assert len(sessions) == 2
    seen = {(event["event"], event["properties"].get("method"), event["session_id"]) for event in visit.timeline()}
    first, second = sessions
    assert {
        ("$pageview", None, first),
        ("user.signed_up", None, first),
        ("kyc.verified", None, first),
        ("checkout.started", "card", first),
        ("payment.pending", "card", first),
        ("payment.completed", "card", first),
        ("payment.failed", "card", first),
        ("payment.pending", "bank", first),
        ("payment.completed", "bank", None),
        ("session.authenticated", "password", second),
        ("checkout.started", "wallet", second),
        ("payment.completed", "wallet", second),
    } <= seen
    for event in visit.events():
        if from_browser(event):
            assert event["session_id"], event["event"]


def test_frontend_and_backend_take_turns(visit: Visit) -> None:
    """The customer's timeline begins in the browser, goes on behind it, and ends where the browser leaves."""
    timeline = [(event["event"], event["lib"]) for event in visit.timeline()]
    assert (timeline[0], timeline[-1]) == (("$pageview", "web"), ("$pageleave", "web"))
    turns = [lib for lib, _ in groupby(lib for _, lib in timeline)]
    assert turns[:2] == ["web", "zentra-otel-posthog"]
    assert turns[-2:] == ["zentra-otel-posthog", "web"]


def test_nothing_typed_is_on_the_wire_or_stored(visit: Visit) -> None:
    """Name, e-mail, phone, BVN, passport, card, account and password are in no request, answer, stored event or file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        from bank import personal  # noqa: PLC0415  found by the path above only
    wire = [reading for passed in visit.wire.passed for reading in passed.readings()]
    assert any(b"checkout.started" in reading for reading in wire), "the browser's bodies were not unpacked"
    assert any(b"payment.completed" in reading for reading in wire), "the bank's bodies were not unpacked"
    api = [json.dumps(visit.inspector.get(path)).encode() for path in ("/events?limit=1000", "/customers", "/refused")]
    api.append(json.dumps(visit.inspector.get(f"/customers/{visit.customer}")).encode())
    files = [
        path.read_bytes()
        for folder in (visit.bank.spool, visit.bank.database.parent / "inspector")
        for path in folder.rglob("*")
        if path.is_file()
    ]
    assert len(files) > 1
    everything = [*wire, *api, *files, *(url.encode() for url in visit.storefront.asked)]
    search = personal.look_for(visit.bank.database, everything)
    assert {"name", "e-mail", "phone", "BVN", "account", "document"} <= set(search.values)
    assert not search.found
    haystack = b"\n".join(everything).lower()
    for secret in ADAEZE.secrets():
        assert secret.lower().encode() not in haystack


def test_nothing_typed_is_on_the_inspectors_page(visit: Visit, chromium: Browser) -> None:
    """Neither its lists nor the details of any event show what was typed."""
    with tab(chromium) as (_, page):
        page.goto(visit.inspector.url)
        rows = page.locator("button.event")
        expect(rows).to_have_count(len(visit.events()))
        shown = [page.content()]
        for number in range(rows.count()):
            rows.nth(number).click()
            shown.append(page.locator("#detail").inner_text())
        page.goto(f"{visit.inspector.url}/#/customers/{visit.customer}")
        expect(rows).to_have_count(len(visit.events()))
        shown.append(page.content())
    assert "payment.completed" in shown[0]
    typed = [*ADAEZE.secrets(), *ADAEZE.name.split(), ADAEZE.email, ADAEZE.phone, ADAEZE.bvn, ADAEZE.passport]
    assert [what for what in typed if what.lower() in "\n".join(shown).lower()] == []


def test_the_browser_asks_nobody_else_and_complains_of_nothing(visit: Visit) -> None:
    """Every request goes to the bank or to where PostHog is said to be, every one is answered, and the console is empty."""
    hosts = {"/".join(url.split("/")[:3]) for url in visit.storefront.asked if not url.startswith("data:")}
    assert hosts == {visit.bank.url, visit.wire.url}
    assert visit.storefront.console == []
    assert {passed.status for passed in visit.wire.passed} == {200}
    assert visit.inspector.get("/refused")["requests"] == []
