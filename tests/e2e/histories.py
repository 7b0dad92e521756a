"""Invented customers over some weeks, as events of the wire: the same at every run but for the day that it ends."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.inspected import made

_METHODS = ("card", "card", "bank_transfer", "wallet")
_REASONS = ("insufficient_funds", "network_timeout", "limit_exceeded")
_PAGES = ("/", "/sign-up", "/pay", "/pay/done")


def history(customers: int, weeks: int = 6, seed: int = 7) -> list[dict[str, Any]]:
    """Return what they did, in order."""
    chance, now = random.Random(seed), datetime.now(UTC)
    begin = now - timedelta(weeks=weeks)
    events = [event for number in range(customers) for event in _customer(chance, f"usr_{number:05}", begin, now)]
    return sorted(events, key=lambda event: str(event["timestamp"]))


def busiest(events: list[dict[str, Any]]) -> str:
    """Return who did most."""
    return str(Counter(event["distinct_id"] for event in events).most_common(1)[0][0])


def _customer(chance: random.Random, who: str, begin: datetime, now: datetime) -> Iterator[dict[str, Any]]:
    at = begin + (now - begin) * chance.random()
    session = _uuid7(chance, at)
    common = {"platform": chance.choice(("ios", "android", "web")), "$groups": {"tenant": "acme"}}
    browser = {"$lib": "web", "$session_id": session, "$current_url": f"http://127.0.0.1:8000{chance.choice(_PAGES)}"}
    yield made("$pageview", who, browser, at - timedelta(seconds=40))
    person = {
        "$set": {"platform": common["platform"], "user_tier": chance.choice(("tier_1", "tier_1", "tier_2", "tier_3"))}
    }
    signed_up = {"channel": chance.choice(("organic", "ads", "friend")), "$session_id": session, **_trace(chance)}
    yield made(
        "user.signed_up", who, {**common, **signed_up, **person, "$set_once": {"channel": signed_up["channel"]}}, at
    )
    while (at := at + timedelta(hours=chance.expovariate(1 / 120))) < now - timedelta(minutes=1):
        session, trace = _uuid7(chance, at), _trace(chance)
        visit = {**common, "$session_id": session, **trace}
        paid = {
            "amount_minor": chance.randrange(5, 900) * 5000,
            "currency": chance.choice(("NGN", "NGN", "KES")),
            "method": chance.choice(_METHODS),
        }
        yield made("$pageview", who, {**browser, "$session_id": session}, at - timedelta(seconds=9))
        yield made(
            "session.authenticated",
            who,
            {"method": "password", "deviceType": "phone", **visit},
            at - timedelta(seconds=7),
        )
        yield made("pay button clicked", who, {**browser, **trace, "$session_id": session}, at - timedelta(seconds=1))
        yield made("payment.pending", who, {**paid, **visit}, at)
        after = at + timedelta(milliseconds=chance.randrange(200, 5000))
        if chance.random() < 0.82:
            yield made("payment.completed", who, {**paid, **visit}, after)
        elif chance.random() < 0.8:
            yield made("payment.failed", who, {**paid, **visit, "reason": chance.choice(_REASONS)}, after)


def _trace(chance: random.Random) -> dict[str, str]:
    return {"$trace_id": f"{chance.getrandbits(128):032x}", "$span_id": f"{chance.getrandbits(64):016x}"}


def _uuid7(chance: random.Random, at: datetime) -> str:
    text = f"{int(at.timestamp() * 1000):012x}7{chance.getrandbits(12):03x}8{chance.getrandbits(60):015x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
