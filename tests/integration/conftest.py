"""What integration tests share: a tracer provider of the test's own, and what is captured under it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.inspector import Receiver
from zentra_otel_posthog.testing import captured_events


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[trace.TracerProvider | None], None]:
    """Return what installs a global tracer provider, None for none; OpenTelemetry itself allows one a process."""

    def installed(provider: trace.TracerProvider | None) -> None:
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
        monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
        if provider is not None:
            trace.set_tracer_provider(provider)

    return installed


@pytest.fixture
def install_logs(monkeypatch: pytest.MonkeyPatch) -> Callable[[_logs.LoggerProvider | None], None]:
    """Return what installs a global logger provider, None for none; as ``install``."""

    def installed(provider: _logs.LoggerProvider | None) -> None:
        monkeypatch.setattr("opentelemetry._logs._internal._LOGGER_PROVIDER", None)
        monkeypatch.setattr("opentelemetry._logs._internal._LOGGER_PROVIDER_SET_ONCE", Once())
        if provider is not None:
            _logs.set_logger_provider(provider)

    return installed


@pytest.fixture
def logged() -> InMemoryLogRecordExporter:
    """Return what a logs backend gets of the log records of ``logger_provider``."""
    return InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the SDK's own


@pytest.fixture
def logger_provider(
    install_logs: Callable[[_logs.LoggerProvider | None], None], logged: InMemoryLogRecordExporter
) -> Iterator[LoggerProvider]:
    """Install an application's own logger provider, which exports every log record."""
    own = LoggerProvider(shutdown_on_exit=False)
    own.add_log_record_processor(SimpleLogRecordProcessor(logged))
    install_logs(own)
    yield own
    own.shutdown()


@pytest.fixture
def exported() -> InMemorySpanExporter:
    """Return what a tracing backend gets of the spans of ``provider``."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(
    install: Callable[[trace.TracerProvider | None], None], exported: InMemorySpanExporter
) -> Iterator[TracerProvider]:
    """Install an application's own tracer provider, which exports every span at its end."""
    own = TracerProvider(shutdown_on_exit=False)
    own.add_span_processor(SimpleSpanProcessor(exported))
    install(own)
    yield own
    own.shutdown()


@pytest.fixture
def spans(provider: TracerProvider, exported: InMemorySpanExporter) -> InMemorySpanExporter:
    """Return what is exported under ``provider``, for tests that need nothing else of it."""
    return exported


@pytest.fixture
def events(spans: InMemorySpanExporter) -> Iterator[list[Capture]]:
    """Collect what is captured; its spans go to ``spans``."""
    with captured_events() as captures:
        yield captures


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a stand-in for PostHog."""
    with Receiver() as running:
        yield running


@pytest.fixture
def posthogs() -> Callable[..., AbstractContextManager[None]]:
    """Return a block that does what PostHog's own middlewares do with the ids of a request."""
    from posthog import contexts  # noqa: PLC0415  it costs more than all else that these tests import

    @contextmanager
    def block(distinct_id: str | None = None, session_id: str | None = None) -> Iterator[None]:
        with contexts.new_context(fresh=True, capture_exceptions=False):
            if distinct_id is not None:
                contexts.identify_context(distinct_id)
            if session_id is not None:
                contexts.set_context_session(session_id)
            yield

    return block
