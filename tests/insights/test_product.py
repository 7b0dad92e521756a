"""The product's dashboard as it is sent to PostHog, whole and readable in ``product.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zentra_otel_posthog.cli import main
from zentra_otel_posthog.insights import Dashboard, check, product
from zentra_otel_posthog.insights.exports import as_json, as_terraform

SNAPSHOT = Path(__file__).with_name("product.json")


def test_everything_that_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    """Every payload stands in product.json; ``zentra-otel-posthog insights export`` writes it anew."""
    assert main(["insights", "export"]) == 0
    assert capsys.readouterr().out == SNAPSHOT.read_text(encoding="utf-8")


def test_the_product_is_valid() -> None:
    """It passes the check that every dashboard has to pass before anything is sent."""
    check(product())
    check(product(kyc_tiers=["silver.plus"], user_tiers=[]))


def test_a_tile_for_each_insight() -> None:
    """No two tiles overlap, and none leaves the grid."""
    taken: set[tuple[int, int]] = set()
    for place in product().layouts().values():
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + 5)}
        assert not cells & taken
        assert place["x"] + place["w"] <= 12
        taken |= cells


def test_terraform(capsys: pytest.CaptureFixture[str]) -> None:
    """What the official provider covers refers to each other by name; the rest is told, not left out in silence."""
    assert main(["insights", "export", "--format", "terraform"]) == 0
    captured = capsys.readouterr()
    resources: dict[str, Any] = json.loads(captured.out)["resource"]
    assert resources.keys() == {"posthog_dashboard", "posthog_insight", "posthog_dashboard_layout", "posthog_alert"}
    sent = as_json(product())
    queries = {name: json.loads(made["query_json"]) for name, made in resources["posthog_insight"].items()}
    assert queries == {key.replace("-", "_"): insight["query"] for key, insight in sent["insights"].items()}
    assert {made["insight"] for made in resources["posthog_alert"].values()} == {
        "${posthog_insight.payment_failure_rate.id}",
        "${posthog_insight.daily_active_users.id}",
    }
    tiles = resources["posthog_dashboard_layout"]["product"]["tiles"]
    assert [tile["insight_id"] for tile in tiles] == [f"${{posthog_insight.{name}.id}}" for name in queries]
    assert "cohort 'lapsed'" in captured.err
    assert "alert 'Unusual transaction volume'" in captured.err


def test_terraform_sees_no_template() -> None:
    """A text that looks like one of Terraform's templates stays a text."""
    board = Dashboard(key="it", name="${var.it}", description="100 %{ of it }")
    document, _ = as_terraform(board)
    made = document["resource"]["posthog_dashboard"]["it"]
    assert made == {"name": "$${var.it}", "description": "100 %%{ of it }"}
