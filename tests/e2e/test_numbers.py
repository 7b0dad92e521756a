"""Funnel and retention on the inspector: the numbers that the bank's database has."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser
from tests.e2e.inspected import Inspector
from tests.e2e.storefront import BankRunning, Person, bank, tab, wait_until

pytestmark = pytest.mark.slow

CUSTOMERS = 30
WEEKS = 4
SECRET = "of-the-rail"
WEEK = timedelta(weeks=1)
SOURCES = {
    "card": (Person.card.replace(" ", ""), "5060990000000000"),
    "wallet": ("09035550192", ""),
    "bank": ("0193847561",),
}


@dataclass
class Played:
    inspector: Inspector
    signed_up: dict[str, datetime] = field(default_factory=dict)  # by customer
    payments: dict[str, list[tuple[datetime, str, str]]] = field(default_factory=lambda: defaultdict(list))

    def read(self, database: Path) -> None:
        """Read what the bank knows: when each customer came, and each payment with its method and status."""
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            for customer, at in connection.execute("select id, signed_up_at from customers"):
                self.signed_up[customer] = datetime.fromisoformat(at)
            rows = connection.execute("select customer_id, created_at, method, status from payments")
            for customer, at, method, status in rows:
                self.payments[customer].append((datetime.fromisoformat(at), method, status))


class Clockwork:
    """Plays the bank's customers at times of the past."""

    def __init__(self, running: BankRunning) -> None:
        self._url = running.url
        self._http = requests.Session()
        self._chance = random.Random(11)

    def play(self, start: datetime) -> None:
        """Everybody signs up, has one way to pay, and comes back in some of the weeks after, or not at all."""
        for number in range(CUSTOMERS):
            first = self._chance.randrange(WEEKS)
            self._at(start + first * WEEK, range(4))
            person = {
                "name": f"Ada {number}",
                "email": f"ada{number}@example.com",
                "phone": f"080355{number:05}",
                "channel": "organic",
            }
            customer = self._post("/customers", person).json()["customer_id"]
            self._post("/deposits", {"amount_minor": 90_000_000}, customer)
            method = self._chance.choice(list(SOURCES))
            for week in range(first, WEEKS):
                if self._chance.random() < 0.55:
                    self._at(start + week * WEEK, range(4 if week == first else 0, 7))
                    for _ in range(self._chance.choice((1, 1, 2))):
                        self._pay(customer, method)

    def _at(self, week: datetime, days: Sequence[int]) -> None:
        """Turn the clock to one of these days of a week, early enough for what is done then to end in it."""
        self._now = week + timedelta(days=self._chance.choice(days), hours=self._chance.uniform(6, 20))
        self._turn()

    def _turn(self) -> None:
        self._post("/demo/clock", {"now": self._now.isoformat()}).raise_for_status()

    def _pay(self, customer: str, method: str) -> None:
        source = self._chance.choice(SOURCES[method])
        order = {"method": method, "amount_minor": 250_000, "currency": "NGN", "source": source}
        answer = self._post("/payments", order, customer)
        while answer.status_code == requests.codes.gateway_timeout:  # the rail's; nothing is in the database then
            answer = self._post("/payments", order, customer)
        made = answer.json()
        if made["status"] == "pending" and self._chance.random() < 0.8:
            self._now += timedelta(minutes=20)
            self._turn()
            self._settle(made["payment_id"], *self._chance.choice((("completed", None), ("failed", "returned"))))

    def _settle(self, payment: str, status: str, reason: str | None) -> None:
        body = json.dumps({"payment_id": payment, "status": status, "reason": reason}).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Signature": signature, "Content-Type": "application/json"}
        self._http.post(self._url + "/webhooks/rail", data=body, headers=headers, timeout=30).raise_for_status()

    def _post(self, path: str, body: dict[str, Any], customer: str = "") -> requests.Response:
        headers = {"X-Customer-Id": customer} if customer else {}
        return self._http.post(self._url + path, json=body, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Play four weeks that are over, stop the bank, and wait until all is there."""
    folder = tmp_path_factory.mktemp("played")
    inspector = Inspector(folder)
    inspector.start()
    try:
        now = datetime.now(UTC)
        monday = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=now.weekday())
        with bank(folder, inspector.url, BANK_DEMO="1", BANK_RAIL_SECRET=SECRET) as running:
            Clockwork(running).play(monday - (WEEKS + 1) * WEEK)
        known = Played(inspector)
        known.read(running.database)
        completed = sum(status == "completed" for made in known.payments.values() for _, _, status in made)
        assert completed > 10

        def arrived() -> bool:
            counts = {row["event"]: row["count"] for row in inspector.get("/events", limit=1)["names"]}
            return counts.get("payment.completed") == completed and counts.get("user.signed_up") == CUSTOMERS

        wait_until(arrived)
        yield known
    finally:
        inspector.stop()


def paying(played: Played, method: str | None, statuses: tuple[str, ...]) -> int:
    """Count customers with a payment by that method that ended so, from the database."""
    return sum(
        any((method is None or by == method) and status in statuses for _, by, status in made)
        for made in played.payments.values()
    )


def expected_funnel(played: Played) -> dict[str | None, list[int]]:
    methods = {None, *(by for made in played.payments.values() for _, by, _ in made)}
    every = ("pending", "completed", "failed")
    return {method: [paying(played, method, every), paying(played, method, ("completed",))] for method in methods}


def returned(played: Played, start: datetime, periods: int) -> tuple[int, list[int]]:
    """Count, from the database, who signed up in the week from ``start``, and who of them paid in it and each one after."""
    cohort = [customer for customer, at in played.signed_up.items() if start <= at < start + WEEK]
    weeks = [(start + number * WEEK, start + (number + 1) * WEEK) for number in range(periods)]
    return len(cohort), [
        sum(
            any(status == "completed" and since <= at < until for at, _, status in played.payments.get(customer, ()))
            for customer in cohort
        )
        for since, until in weeks
    ]


def test_the_funnel_is_the_databases(played: Played) -> None:
    """Persons who tried to pay and who did, all together and by method."""
    answer = played.inspector.get("/funnel", steps="payment.pending,payment.completed", breakdown="method")
    assert {row["breakdown"]: row["counts"] for row in answer["rows"]} == expected_funnel(played)
    assert len(answer["rows"]) == 1 + len(SOURCES)
    for row in answer["rows"]:
        tried, paid = row["counts"]
        assert row["conversion"] == pytest.approx(paid / tried, abs=1e-6)


def test_retention_is_the_databases(played: Played) -> None:
    """Of those who signed up in a week, how many paid in it and in each one after."""
    rows = played.inspector.get("/retention", first="user.signed_up", returning="payment.completed", period="week")[
        "rows"
    ]
    found = {row["start"]: (row["size"], row["returned"]) for row in rows}
    assert sum(size for size, _ in found.values()) == CUSTOMERS
    assert found == {
        start: returned(played, datetime.fromisoformat(start), len(counts)) for start, (_, counts) in found.items()
    }


def test_the_page_shows_these_numbers(played: Played, chromium: Browser) -> None:
    """The tables of the inspector's page have the database's counts in their cells."""
    with tab(chromium) as (_, page):
        page.goto(f"{played.inspector.url}/#/funnel")
        rows = page.get_by_role("region", name="Funnel by method").locator("tbody tr")
        rows.first.wait_for()
        shown = [[cell.strip() for cell in row.locator("th, td").all_inner_texts()] for row in rows.all()]
        expected = expected_funnel(played)
        assert {row[0]: [int(row[1]), int(row[2])] for row in shown} == {
            method: counts for method, counts in expected.items() if method
        }
        page.goto(f"{played.inspector.url}/#/retention")
        rows = page.get_by_role("region", name="Retention").locator("tbody tr")
        rows.first.wait_for()
        answer = played.inspector.get(
            "/retention", first="user.signed_up", returning="payment.completed", period="week"
        )
        for row, said in zip(rows.all(), answer["rows"], strict=True):
            size, counts = returned(played, datetime.fromisoformat(said["start"]), len(said["returned"]))
            assert row.locator("td").first.inner_text() == str(size)
            assert row.locator("small").all_inner_texts() == [str(count) for count in counts if size]
