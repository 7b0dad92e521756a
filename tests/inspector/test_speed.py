"""How long the page's data takes with 50,000 events stored. It prints what it measures and asserts no time.

``pytest -m slow -s tests/inspector/test_speed.py``
"""

from __future__ import annotations

import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.inspector.conftest import Inspector

EVENTS = 50_000
CUSTOMERS = 2_000
VIEWS = (
    "projects",
    "events?limit=100",
    "events?limit=1000",
    "events?q=wallet",
    "events?q=in+no+event",
    "events?event=payment.failed&lib=bank",
    "events?distinct_id=usr_77",
    "customers",
    "customers?q=usr_77",
    "customers/usr_77",
    "funnel?breakdown=method",
    "funnel?steps=user.signed_up,kyc.verified,payment.pending,payment.completed&breakdown=channel&window_days=60",
    "retention",
    "retention?period=day&periods=52",
    "trends",
    "trends?charts_width=900",
    "trends?interval=hour&charts_width=900",
    "trends?interval=minute",
    "cohorts",
    "flags",
    "refused",
    "health",
)


def history() -> list[dict[str, Any]]:
    chance = random.Random(5)
    start = datetime.now(UTC) - timedelta(weeks=8)

    def event(name: str, customer: int, at: datetime, **properties: Any) -> dict[str, Any]:
        trace = f"{chance.getrandbits(128):032x}"
        common = {
            "$lib": "web" if name[0] == "$" else "bank",
            "$ignore_sent_at": True,
            "$session_id": str(UUID(int=chance.getrandbits(128))),
            "$trace_id": trace,
            "$span_id": trace[:16],
            "$groups": {"tenant": "acme"},
            "$set": {"platform": ("ios", "android", "web")[customer % 3]},
            "$current_url": "https://shop.example/basket?step=2",
            "$raw_user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0",
        }
        return {
            "event": name,
            "distinct_id": f"usr_{customer}",
            "uuid": str(UUID(int=chance.getrandbits(128))),
            "timestamp": at.isoformat(),
            "properties": {**properties, **common},
        }

    events = []
    for customer in range(CUSTOMERS):
        at = start + timedelta(minutes=chance.randrange(40_000))
        events.append(event("user.signed_up", customer, at, channel=chance.choice(("organic", "ad"))))
        events.append(event("kyc.verified", customer, at + timedelta(minutes=5), tier="tier_1"))
    while len(events) < EVENTS:
        customer, at = chance.randrange(CUSTOMERS), start + timedelta(minutes=chance.randrange(80_000))
        paid = {
            "amount_minor": chance.randrange(1_000_000),
            "currency": chance.choice(("NGN", "USD")),
            "method": chance.choice(("card", "bank", "wallet", "ussd")),
        }
        ended = "payment.completed" if chance.random() < 0.8 else "payment.failed"
        events += [
            event("$pageview", customer, at),
            event("payment.pending", customer, at + timedelta(seconds=30), **paid),
            event(ended, customer, at + timedelta(seconds=40), **paid, reason="declined"),
        ]
    return events[:EVENTS]


@pytest.mark.slow  # half a minute
@pytest.mark.timeout(300)
def test_fifty_thousand_events(inspector: Inspector) -> None:
    """Every view answers; how fast is printed."""
    began = time.perf_counter()
    events = history()
    random.Random(6).shuffle(events)
    made = time.perf_counter()
    for start in range(0, EVENTS, 500):
        inspector.send(*events[start : start + 500])
    print(f"\n{EVENTS} events stored in {time.perf_counter() - made:.1f} s (made in {made - began:.1f} s)")  # noqa: T201  what it is for
    assert inspector.get("health")["stored"] == EVENTS
    for view in VIEWS:
        seconds = []
        for _ in range(9):
            began = time.perf_counter()
            status, _, body = inspector.request("GET", f"/inspector/api/{view}")
            seconds.append(time.perf_counter() - began)
            assert status == 200, body
        print(f"{statistics.median(seconds) * 1000:6.1f} ms, at most {max(seconds) * 1000:6.1f}  {view}")  # noqa: T201  what it is for
