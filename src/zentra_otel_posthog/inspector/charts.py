"""Trends drawn as SVG. Shapes and classes alone: the page's stylesheet colours them, in light and dark."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from xml.etree import ElementTree as ET

MOST: Final = 120
"""Buckets that a chart has, the latest ones: the three take 60 ms with so many, and with more a bar is a line."""

_HEIGHT: Final = 200
_WIDTHS: Final = (240, 1600)  # what a page can be; a chart is drawn at the width it has, so that its text is no smaller
_LABEL_WIDTH: Final = 110
_LABELS: Final = {"minute": "%H:%M", "hour": "%d %b %H:%M", "day": "%d %b"}


def draw(trends: Mapping[str, Any], interval: str, width: int) -> dict[str, str]:
    """Draw an answer of ``/inspector/api/trends``.

    Args:
        trends: The answer.
        interval: ``minute``, ``hour`` or ``day``.
        width: Pixels.

    Returns:
        SVG by the chart's name, without style and script: ``payments``, ``failure_rate`` and ``active_users``.
    """
    series = trends["series"]
    times = [datetime.fromisoformat(bucket).astimezone() for bucket in trends["buckets"][-MOST:]]  # the reader's zone
    labels = [time.strftime(_LABELS[interval]) for time in times]
    within = max(_WIDTHS[0], min(_WIDTHS[1], width))
    payments = {"completed": series["payment.completed"], "failed": series["payment.failed"]}
    return {
        "payments": _bars(payments, labels, within, "{:,.0f}"),
        "failure_rate": _bars({"failure rate": trends["failure_rate"]}, labels, within, "{:.0%}", finest=-2),
        "active_users": _bars({"active users": series["active_users"]}, labels, within, "{:,.0f}"),
    }


def _bars(
    series: Mapping[str, Sequence[float | None]], labels: list[str], width: int, form: str, finest: int = 0
) -> str:
    stacked_bar = _stacked_bar()
    latest = {name: values[-MOST:] for name, values in series.items()}
    highest = max((sum(filter(None, column)) for column in zip(*latest.values(), strict=True)), default=0)
    chart = stacked_bar(
        css=[],
        js=[],
        width=width,
        height=_HEIGHT,
        margin=10,
        spacing=10,
        no_prefix=True,
        show_legend=False,
        show_minor_x_labels=False,
        truncate_label=-1,
        x_labels_major_every=-(-len(labels) * _LABEL_WIDTH // width) or 1,
        y_labels=_steps(highest, finest),
        value_formatter=form.format,
    )
    chart.x_labels = labels
    for name, values in latest.items():
        chart.add(name, values)
    return _plain(chart.render_tree(), list(latest))


def _stacked_bar() -> Any:
    import pygal  # noqa: PLC0415  an extra, imported when used

    # It looks for plugins by an import hook of Python 2's protocol, at which every later import would warn.
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]
    return pygal.StackedBar


def _steps(highest: float, finest: int) -> list[float]:
    """Return at most six labels from nought to the highest value or just above it.

    Args:
        highest: The value.
        finest: The power of ten of the smallest step.
    """
    step = next(
        size * 10**power for power in range(finest, 16) for size in (1, 2, 5) if size * 10**power * 4 >= highest
    )
    return [step * count for count in range(6) if step * (count - 1) < highest]


def _plain(tree: ET.Element, names: list[str]) -> str:
    """Take out style and script, which the page's policy refuses, and say on each bar what it is."""
    for parent in tree.iter():
        for child in list(parent):
            aside = callable(child.tag) or "overlay" in (
                child.get("class") or ""
            )  # a comment; what pygal's script fills
            if aside or child.tag in {"style", "script", "title", "defs"}:
                parent.remove(child)
    del tree.attrib["id"]
    for number, name in enumerate(names):
        for bar in tree.iterfind(f".//g[@class='series serie-{number} color-{number}']//g[@class='bar']"):
            said = {element.get("class"): element.text for element in bar.iterfind("desc")}
            for element in bar.findall("desc"):
                bar.remove(element)
            ET.SubElement(bar, "title").text = f"{said.get('x_label')}: {said.get('value')} {name}"
    return ET.tostring(tree, encoding="unicode")
