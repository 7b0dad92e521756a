"""The sampler ``zentra_posthog``: every span's events are captured, and exported is what the inner sampler chose."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from zentra_otel_posthog import PostHogSpanProcessor, runtime
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.inspector import Receiver
from zentra_otel_posthog.sampler import record_every_span
from zentra_otel_posthog.testing import MemorySink


def describe(argument: str | None) -> str:
    return str(record_every_span(argument).get_description())  # type: ignore[no-untyped-call]  # the SDK's own


DEFAULT = describe(None)


@pytest.mark.parametrize(
    ("argument", "description"),
    [
        (None, DEFAULT),
        ("", DEFAULT),
        ("parentbased_always_on", DEFAULT),
        ("always_off", "AlwaysRecordSampler{AlwaysOffSampler}"),
        (" always_on ", "AlwaysRecordSampler{AlwaysOnSampler}"),
        ("traceidratio:0.1", "AlwaysRecordSampler{TraceIdRatioBased{0.1}}"),
    ],
)
def test_the_argument(argument: str | None, description: str, caplog: pytest.LogCaptureFixture) -> None:
    """It names one of OpenTelemetry's samplers, with that one's own argument behind a colon."""
    assert describe(argument) == description
    assert not caplog.records
    assert DEFAULT.startswith("AlwaysRecordSampler{ParentBased{root:AlwaysOnSampler")


@pytest.mark.parametrize(
    ("argument", "way_out"),
    [
        ("always_of", "did you mean 'always_off'?"),
        ("0.1", "as in parentbased_traceidratio:0.1"),
        ("traceidratio", "as in traceidratio:0.1"),
        ("traceidratio:7", "a ratio from 0 to 1"),
        ("parentbased_traceidratio:nan", "a ratio from 0 to 1"),
        ("zentra_posthog", "there is no sampler 'zentra_posthog'"),
        (":", "there is no sampler ''"),
    ],
)
def test_a_wrong_argument(argument: str, way_out: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is one warning that names the variable and the way out, and OpenTelemetry's default."""
    assert describe(argument) == DEFAULT
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"OTEL_TRACES_SAMPLER_ARG={argument}" in record.getMessage()
    assert way_out in record.getMessage()


def test_it_attaches_the_processor_itself(install: Callable[[trace.TracerProvider | None], None]) -> None:
    """Of other code's spans alone, on a provider installed after ``configure``, the first one's events are captured."""
    sink, exported = MemorySink(), InMemorySpanExporter()
    install(None)
    runtime.replace(runtime.Runtime(Settings(), sink))
    provider = TracerProvider(sampler=record_every_span("always_off"), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    trace.set_tracer_provider(provider)
    for _ in range(3):
        with trace.get_tracer("app").start_as_current_span("request") as span:
            span.add_event("card.issued")
    assert [one.event for one in sink.captures] == ["card.issued"] * 3
    assert not exported.get_finished_spans()
    attached = provider._active_span_processor._span_processors
    assert sum(isinstance(one, PostHogSpanProcessor) for one in attached) == 1


PROGRAM = """
from opentelemetry import _logs, trace
for number in range(20):
    with trace.get_tracer("app").start_as_current_span("request") as span:
        span.add_event("card.issued", {"tier": "gold"})
        _logs.get_logger("app").emit(event_name="kyc.verified", attributes={"tier": "2"})
"""


@pytest.mark.slow
def test_under_opentelemetry_instrument(receiver: Receiver, tmp_path: Path) -> None:
    """The configurator finds the sampler by its name; every event of unsampled spans arrives, no span is exported."""
    environment = {
        **os.environ,
        "POSTHOG_API_KEY": "phc_test",
        "POSTHOG_HOST": receiver.url,
        "ZENTRA_POSTHOG_SPOOL_DIR": str(tmp_path / "spool"),
        "OTEL_TRACES_SAMPLER": "zentra_posthog",
        "OTEL_TRACES_SAMPLER_ARG": "always_off",
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
    }
    command = [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout == ""
    names = [event["event"] for event in receiver.events]
    assert (names.count("card.issued"), names.count("kyc.verified"), len(names)) == (20, 20, 40)
