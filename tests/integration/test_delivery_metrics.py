"""The state of delivery as OpenTelemetry metrics: what waits, since when, and how long things take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.metrics import _internal as metrics_internal
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.util._once import Once

from zentra_otel_posthog import capture, configure, flush, shutdown, telemetry
from zentra_otel_posthog.delivery import sender
from zentra_otel_posthog.inspector import Answer, Receiver

Points = Callable[[str], list[Any]]


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Iterator[Points]:
    """Collects the points of one metric."""
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER", None)
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(metrics_internal, "_PROXY_METER_PROVIDER", metrics_internal._ProxyMeterProvider())
    monkeypatch.setattr(telemetry, "_instruments", [])
    monkeypatch.setattr(telemetry, "_histograms", {})
    monkeypatch.setattr(sender, "_BACKOFF_FIRST", 0.01)
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    telemetry.register()

    def collected(name: str) -> list[Any]:
        data = reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    yield collected
    provider.shutdown()


def value(points: list[NumberDataPoint]) -> float:
    (point,) = points
    assert not point.attributes
    return point.value


def test_what_waits(receiver: Receiver, tmp_path: Path, points: Points) -> None:
    """Bytes and age of the spool follow what is captured and delivered, and end with the sink."""
    assert points(telemetry.SPOOL_SIZE) == []
    began = time.time()
    configure(api_key="phc_invented", host=receiver.url, spool_dir=tmp_path / "spool", flush_interval=3600)
    assert (value(points(telemetry.SPOOL_SIZE)), value(points(telemetry.SPOOL_AGE))) == (0, 0)
    capture("basket.paid", distinct_id="usr_1")
    (segment,) = (tmp_path / "spool").glob("*/*.v0.jsonl")
    assert value(points(telemetry.SPOOL_SIZE)) == segment.stat().st_size > 100
    assert 0 < value(points(telemetry.SPOOL_AGE)) <= time.time() - began + 1
    assert flush(5)
    assert (value(points(telemetry.SPOOL_SIZE)), value(points(telemetry.SPOOL_AGE))) == (0, 0)
    shutdown(5)
    assert points(telemetry.SPOOL_SIZE) == []


@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_durations(receiver: Receiver, tmp_path: Path, points: Points, mode: str) -> None:
    """Requests are counted and timed by status or error, a delivery from its first capture to its acceptance."""
    receiver.answer(Answer(503))
    receiver.answer(Answer(connection="close"))
    configure(
        api_key="phc_invented", host=receiver.url, spool_dir=tmp_path / "spool", flush_interval=3600, capture_mode=mode
    )
    capture("basket.paid", distinct_id="usr_1")
    assert flush(5)

    requests: list[HistogramDataPoint] = points(telemetry.REQUEST_DURATION)
    assert sorted((str(dict(point.attributes or {})), point.count) for point in requests) == [
        ("{'error.type': 'ConnectionError'}", 1),
        ("{'http.response.status_code': 200}", 1),
        ("{'http.response.status_code': 503}", 1),
    ]
    (delivery,) = points(telemetry.DELIVERY_DURATION)
    assert (delivery.count, dict(delivery.attributes)) == (1, {})
    assert 0 < delivery.sum < 10
    outcomes = {dict(point.attributes)["outcome"] for point in points(telemetry.CAPTURES)}
    assert {"spooled", "delivered"} <= outcomes
