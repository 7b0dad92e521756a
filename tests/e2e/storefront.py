"""A customer at the bank's storefront, as a browser sees it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
POSTHOG_JS = EXAMPLES / "bank/storefront/node_modules/posthog-js"
_PATIENCE = 20_000  # milliseconds; CI's machines are busy
SEED = 41  # with which the bank's outside declines nothing of what the tests do


@dataclass(frozen=True)
class Person:
    """Somebody invented, and everything that is typed about them."""

    name: str = "Adaeze Quillfeather"
    email: str = "adaeze.quillfeather@example.com"
    phone: str = "08035550147"
    bvn: str = "22393847561"
    passport: str = "B50938471"
    card: str = "5060 9938 4756 1026"
    account: str = "0193847561"
    wallet: str = "09035550192"

    @property
    def password(self) -> str:
        return f"password-of-{self.email}"

    def secrets(self) -> list[str]:
        """Return what must not get out, beside what the bank's own search knows of its customers."""
        return [self.password, self.card, self.card.replace(" ", ""), self.account, self.wallet]


class BankRunning(NamedTuple):
    url: str
    database: Path
    spool: Path


@contextmanager
def bank(folder: Path, posthog: str, **more: str) -> Iterator[BankRunning]:
    """Run the bank as its README says, on a database of its own.

    Args:
        folder: What it keeps is there.
        posthog: The URL that its captures and its page's go to.
        more: Variables of its environment.
    """
    foreign = ("OTEL_", "POSTHOG_", "ZENTRA_POSTHOG_", "BANK_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    running = BankRunning("", folder / "bank.sqlite3", folder / "spool")
    environment |= {
        "BANK_DATABASE": str(running.database),
        "BANK_SEED": str(SEED),
        "OTEL_PROPAGATORS": "tracecontext,baggage,posthog",
        **{f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")},
        "POSTHOG_API_KEY": "phc_invented",
        "POSTHOG_HOST": posthog,
        "PYDANTIC_DISABLE_PLUGINS": "logfire-plugin",
        "ZENTRA_POSTHOG_CONFIG": str(EXAMPLES / "bank/zentra-otel-posthog.toml"),
        "ZENTRA_POSTHOG_FLUSH_INTERVAL": "0.05",
        "ZENTRA_POSTHOG_SPOOL_DIR": str(running.spool),
        **more,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        from bank.bank_process import BankProcess  # noqa: PLC0415  found by the path above only
    with BankProcess(environment, folder / "bank.log") as process:
        yield running._replace(url=process.url)


@dataclass
class Storefront:
    """A tab of a browser at the storefront, and all that happened in it."""

    page: Page
    url: str
    console: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # URLs
    headers: dict[str, Mapping[str, str]] = field(default_factory=dict)  # of the last request to each path of the bank

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        self.page.on("request", lambda request: self._ask(request.url, request.headers))

    def _ask(self, url: str, headers: Mapping[str, str]) -> None:
        self.asked.append(url)
        if url.startswith(self.url):
            self.headers[url.removeprefix(self.url)] = headers

    def open(self) -> None:
        self.page.goto(self.url)

    def said(self, words: str) -> None:
        """Wait until the page says so."""
        expect(self.page.get_by_role("status")).to_contain_text(words, timeout=_PATIENCE)

    def sign_up(self, person: Person) -> str:
        """Sign up and return the customer's id."""
        form = self.page.get_by_role("region", name="Sign up")
        form.get_by_label("Full name").fill(person.name)
        form.get_by_label("E-mail address").fill(person.email)
        form.get_by_label("Phone number").fill(person.phone)
        with self.page.expect_response("**/customers") as answer:
            form.get_by_role("button", name="Open an account").click()
        self.said("Your account is open")
        customer: str = answer.value.json()["customer_id"]
        return customer

    def log_in(self, person: Person) -> None:
        form = self.page.get_by_role("region", name="Log in")
        form.get_by_label("E-mail address").fill(person.email)
        form.get_by_label("Password").fill(person.password)
        form.get_by_role("button", name="Log in").click()

    def add_money(self) -> None:
        self.page.get_by_role("button", name="Add ₦50,000").click()
        self.said("₦50,000 added")

    def verify(self, person: Person) -> None:
        self.page.get_by_text("Verify who you are").click()
        self.page.get_by_label("BVN").fill(person.bvn)
        self.page.get_by_label("Passport number").fill(person.passport)
        self.page.get_by_role("button", name="Verify").click()
        self.said("Verified")

    def choose(self, method: str, label: str, source: str) -> None:
        self.page.get_by_label(method, exact=True).check()
        self.page.get_by_label(label).fill(source)

    def press_pay(self) -> None:
        self.page.get_by_role("button", name=re.compile("^Pay ₦")).click()


@contextmanager
def tab(chromium: Browser, **options: Any) -> Iterator[tuple[BrowserContext, Page]]:
    """Open a tab of a browser that knows nobody yet."""
    context = chromium.new_context(**options)
    context.set_default_timeout(_PATIENCE)
    try:
        yield context, context.new_page()
    finally:
        context.close()


def wait_until(reached: Callable[[], bool], timeout: float = 30) -> None:
    """Wait for a condition.

    Raises:
        AssertionError: It has not come true in so many seconds.
    """
    until = time.monotonic() + timeout
    while not reached():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)
