"""The package counts what happens to captures, and tells no value."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.metrics import _internal as metrics_internal
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.util._once import Once

from zentra_otel_posthog import telemetry

SECRET = "ada@example.com"
ATTRIBUTES = {
    telemetry.CAPTURES: ("outcome",),
    telemetry.REFUSED: ("event", "property", "rule"),
    telemetry.LOST: ("reason",),
    telemetry.SPOOL_IN_MEMORY: (),
    telemetry.INTERNAL_ERRORS: ("step", "error.type"),
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from nothing counted, and keep what the test counts from the others."""
    monkeypatch.setattr(telemetry, "_totals", {metric: Counter() for metric in telemetry._totals})


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[InMemoryMetricReader, Callable[[], None]]]:
    """A metric reader, and what installs its provider globally; OpenTelemetry lets that happen once a process."""
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER", None)
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(metrics_internal, "_PROXY_METER_PROVIDER", metrics_internal._ProxyMeterProvider())
    monkeypatch.setattr(telemetry, "_instruments", [])
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    yield reader, lambda: metrics.set_meter_provider(provider)
    provider.shutdown()


def collected(reader: InMemoryMetricReader) -> dict[str, dict[tuple[tuple[str, Any], ...], Any]]:
    data = reader.get_metrics_data()
    if data is None:
        return {}
    found = [
        metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
    ]
    return {
        metric.name: {
            tuple(sorted((point.attributes or {}).items())): getattr(point, "value", None)
            for point in metric.data.data_points
        }
        for metric in found
    }


@pytest.mark.parametrize("metric", ATTRIBUTES)
def test_totals_by_attributes(metric: str) -> None:
    """Each combination of attribute values has a total of its own; a copy is handed out."""
    one, other = (tuple(f"{name} {number}" for name in ATTRIBUTES[metric]) for number in (1, 2))
    telemetry.add(metric, *one)
    telemetry.add(metric, *other, count=5)
    telemetry.add(metric, *one, count=2)
    assert telemetry.totals(metric) == ({one: 3, other: 5} if one != other else {(): 8})
    telemetry.totals(metric).clear()
    assert telemetry.totals(metric)


def test_threads_lose_no_count() -> None:
    """Counts from several threads add up."""
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4000):
            pool.submit(telemetry.refused, "a.b", "tier", "slug")
    assert telemetry.totals(telemetry.REFUSED) == {("a.b", "tier", "slug"): 4000}


def test_the_first_loss_of_each_reason_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A loss is never silent, and an outage does not fill the log."""
    for reason in ("spool_full", "sink", "spool_full", "spool_full"):
        telemetry.lost(reason, 2)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert [reason in message for reason, message in zip(("spool_full", "sink"), caplog.messages, strict=True)] == [
        True
    ] * 2
    assert telemetry.totals(telemetry.LOST) == {("spool_full",): 6, ("sink",): 2}


class TestInternalErrors:
    def test_kept_from_the_caller(self, caplog: pytest.LogCaptureFixture) -> None:
        """In production an error is counted by step and type, logged once, and its message stays out of it."""
        telemetry.raise_internal_errors(enabled=False)
        for error in (ValueError(SECRET), ValueError("again"), KeyError(SECRET)):
            telemetry.internal_error("capture", error)
        telemetry.internal_error("sink", ValueError(SECRET))
        assert telemetry.totals(telemetry.INTERNAL_ERRORS) == {
            ("capture", "ValueError"): 2,
            ("capture", "KeyError"): 1,
            ("sink", "ValueError"): 1,
        }
        assert len(caplog.records) == 3
        assert SECRET not in caplog.text
        assert not any(record.exc_info for record in caplog.records)

    def test_raised_in_tests(self) -> None:
        """Where a test asks for it, the error itself is raised; the choice before is told."""
        assert telemetry.raise_internal_errors(enabled=True) is True
        with pytest.raises(KeyError, match="broken"):
            telemetry.internal_error("capture", KeyError("broken"))
        assert telemetry.raise_internal_errors(enabled=False) is True
        assert telemetry.raise_internal_errors(enabled=True) is False


@pytest.mark.parametrize("late", [False, True], ids=["provider first", "provider later"])
def test_opentelemetry_sees_the_totals(reader: tuple[InMemoryMetricReader, Callable[[], None]], late: bool) -> None:
    """Every metric is a cumulative counter with its attributes, whenever the meter provider is installed."""
    metric_reader, install = reader
    for step in (telemetry.register, install) if late else (install, telemetry.register):
        step()
    telemetry.register()
    expected = {}
    for metric, names in ATTRIBUTES.items():
        telemetry.add(metric, *(f"a {name}" for name in names), count=3)
        expected[metric] = {tuple(sorted((name, f"a {name}") for name in names)): 3}
    assert collected(metric_reader) == expected
    telemetry.lost("a reason", 4)
    assert collected(metric_reader)[telemetry.LOST] == {(("reason", "a reason"),): 7}


def test_a_forked_child_counts_its_own() -> None:
    """A child starts from zero, also where the parent held the lock at the fork, and the parent's totals stay."""
    script = """
import os
from zentra_otel_posthog import telemetry
telemetry.add(telemetry.LOST, "sink", count=3)
with telemetry._lock:
    child = os.fork()
    if child == 0:
        telemetry.add(telemetry.LOST, "sink")
        os._exit(telemetry.totals(telemetry.LOST)["sink",])
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
assert telemetry.totals(telemetry.LOST) == {("sink",): 3}
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
