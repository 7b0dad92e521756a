"""The page's data: filters, and what lies beside the inspector on the same machine."""

from __future__ import annotations

from pathlib import Path

from tests.inspector.conftest import Inspector, an_event

from zentra_otel_posthog import capture, configure, shutdown
from zentra_otel_posthog.delivery.account import Account


def test_filters(inspector: Inspector) -> None:
    """Each narrows the events; names and libraries stay as they are to choose from."""
    web, backend = {"$lib": "web", "page": "Basket"}, {"$lib": "zentra-otel-posthog"}
    inspector.send(
        an_event("$pageview", "usr_1", properties=web, timestamp="2026-11-02T10:00:00Z"),
        an_event("payment.completed", "usr_1", properties=backend, timestamp="2026-11-02T11:00:00Z"),
        an_event("payment.completed", "usr_2", properties=backend, timestamp="2026-11-02T12:00:00+01:00"),
    )
    first, second, third = (event["seq"] for event in inspector.events())

    def found(**query: object) -> list[int]:
        return [event["seq"] for event in inspector.get("events", **query)["events"]]

    assert found() == [third, second, first]
    assert found(limit=2) == [third, second]
    assert found(after=first) == [third, second]
    assert found(before=third, limit=1) == [second]
    assert found(event="payment.completed") == [third, second]
    assert found(distinct_id="usr_1") == [second, first]
    assert found(lib="web") == [first]
    assert found(q="BASKET") == [first]
    assert found(q="usr_2") == [third]
    assert found(since="2026-11-02T11:00:00Z") == [third, second]
    assert found(to="2026-11-02T11:00:00Z") == [first]
    assert found(q="nothing' or 1=1 --") == []
    whole = inspector.get("events", q="basket")
    assert whole["names"] == [{"event": "payment.completed", "count": 2}, {"event": "$pageview", "count": 1}]
    assert whole["libs"] == ["web", "zentra-otel-posthog"]


def test_what_lies_in_the_spool(inspector: Inspector, spool: Path) -> None:
    """What an application kept back, and what waits, by its own account in the spool's folder."""
    configure(api_key="phc_invented", host="http://127.0.0.1:9", spool_dir=str(spool), flush_interval=60)
    capture("basket.paid", distinct_id="usr_1", properties={"mail": "ada@example.com", "items": 2})
    capture(
        "payment.completed",
        distinct_id="usr_1",
        properties={"amount_minor": "much", "currency": "NGN", "method": "card"},
    )
    (folder,) = spool.iterdir()
    Account(folder).save()  # as the sender does once a minute
    shutdown(timeout=0)
    refused = inspector.get("refused")
    assert ("basket.paid", "items") in {(row["event"], row["property"]) for row in refused["undeclared"]}
    kept_back = {(row["event"], row["property"]) for row in refused["refused"]}
    assert {("basket.paid", "mail"), ("payment.completed", "amount_minor")} <= kept_back
    (waiting,) = inspector.get("health")["spools"]
    assert waiting["events"] == 2
    assert waiting["bytes"] > 0
    assert waiting["oldest_at"].endswith("Z")
    assert (waiting["held_by"], waiting["dead_letters"]) == ([], 0)


def test_health(inspector: Inspector) -> None:
    """What was answered, by path and status, and how long events took."""
    inspector.send(an_event(), an_event())
    inspector.post("/e/", b"{")
    health = inspector.get("health")
    assert {(row["path"], row["status"]): row["count"] for row in health["requests"]} == {
        ("/batch/", 200): 1,
        ("/e/", 400): 1,
    }
    assert 0 < health["latency"]["median_seconds"] <= health["latency"]["p95_seconds"]
    assert inspector.change("POST", "clear") == 204
    empty = inspector.get("health")
    assert (empty["received"], empty["requests"], empty["latency"]["median_seconds"]) == (0, [], None)


def test_charts(inspector: Inspector) -> None:
    """Drawn when a width is asked for, of the figures in the same answer."""
    inspector.send(an_event())
    assert "charts" not in inspector.get("trends")
    charts = inspector.get("trends", charts_width=600)["charts"]
    assert set(charts) == {"payments", "failure_rate", "active_users"}
    assert all(chart.startswith("<svg") for chart in charts.values())
