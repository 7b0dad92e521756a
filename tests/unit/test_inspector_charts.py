"""The inspector's charts are shapes that a page with a strict policy can take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zentra_otel_posthog.inspector import charts

SVG = "{http://www.w3.org/2000/svg}"
COUNTS = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**6)), max_size=charts.MOST + 9)


def trends(counts: list[tuple[int, int]]) -> dict[str, Any]:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    completed, failed = [done for done, _ in counts], [lost for _, lost in counts]
    return {
        "buckets": [(begin + timedelta(days=number)).isoformat() for number in range(len(counts))],
        "series": {"payment.completed": completed, "payment.failed": failed, "active_users": completed},
        "failure_rate": [lost / (done + lost) if done + lost else None for done, lost in counts],
    }


@settings(max_examples=25, deadline=None)
@given(counts=COUNTS, width=st.integers(-5, 5_000))
def test_a_chart_has_its_bars_and_nothing_that_a_strict_policy_refuses(
    counts: list[tuple[int, int]], width: int
) -> None:
    """A bar with its words for each of the latest buckets; no script, style or link, whatever the numbers are."""
    drawn = charts.draw(trends(counts), "day", width)
    assert set(drawn) == {"payments", "failure_rate", "active_users"}
    for text in drawn.values():
        elements = list(ET.fromstring(text).iter())
        assert {element.tag.removeprefix(SVG) for element in elements} <= {"svg", "g", "rect", "path", "text", "title"}
        assert not {name for element in elements for name in element.attrib} & {"style", "href", "onclick", "id"}
    said = [title.text for title in ET.fromstring(drawn["payments"]).iterfind(f".//{SVG}g[@class='bar']/{SVG}title")]
    completed = [f"{done:,} completed" for done, _ in counts[-charts.MOST :]]
    assert [str(words).split(": ")[1] for words in said][: len(completed)] == completed


@pytest.mark.parametrize(
    ("highest", "finest", "labels"),
    [
        (0, 0, [0]),
        (1, 0, [0, 1]),
        (7, 0, [0, 2, 4, 6, 8]),
        (12345, 0, [0, 5000, 10000, 15000]),
        (0.07, -2, [0, 0.02, 0.04, 0.06, 0.08]),
    ],
)
def test_labels_are_round_and_reach_the_highest_value(highest: float, finest: int, labels: list[float]) -> None:
    """At most six, of one, two or five times a power of ten."""
    assert charts._steps(highest, finest) == pytest.approx(labels)
