"""The application's tracer and logger providers: where our spans and log records come from, and our processors sit."""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, Tracer

from zentra_otel_posthog import telemetry
from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.processors import PostHogSpanProcessor

if TYPE_CHECKING:
    from opentelemetry._logs import Logger, LoggerProvider

_module_logger = logging.getLogger("zentra_otel_posthog")

_SCOPE: Final = "zentra_otel_posthog"

# By id: a provider may have no hash (Logfire's is a dataclass that compares by value).
_attached: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
# What the last look at the global providers found.
_tracer_provider: trace.TracerProvider | None = None
_logger_provider: LoggerProvider | None = None
_tracer: Tracer | None = None
_logger: Logger | None = None


def start_span(name: str, context: Context) -> Span:
    """Start a span of ours. Where the application's tracing fails, return one that records nothing."""
    try:
        return tracer().start_span(name, context)
    except Exception as error:  # a sampler or another processor; the capture depends on neither
        telemetry.internal_error("start of a span", error)
        return INVALID_SPAN


def end(span: Span) -> None:
    """End a span of ours. What another processor raises stays here."""
    try:
        span.end()
    except Exception as error:
        telemetry.internal_error("end of a span", error)


def tracer() -> Tracer:
    """Return the tracer of our spans. Until a provider is installed it makes spans that record nothing.

    The application may install its providers late, and tests replace them: either is noticed here, at the next use.
    OpenTelemetry calls nobody back when a provider is installed.
    """
    # Asked only where log records are in use at all, 0.06 µs.
    if "opentelemetry._logs" in sys.modules and _current_logger_provider() is not _logger_provider:
        _look_at_logger_provider()
    if _tracer is not None and trace.get_tracer_provider() is _tracer_provider:
        return _tracer
    return _look_at_tracer_provider()


def logger() -> Logger:
    """Return the logger of our events, in log mode. Until a provider is installed it emits nothing."""
    import opentelemetry._logs  # noqa: F401, PLC0415  log mode alone needs it, and it costs 3 ms

    if _current_logger_provider() is not _logger_provider:
        _look_at_logger_provider()
    assert _logger is not None
    return _logger


def attach() -> None:
    """Add our processors to the application's providers, where they are there already and have none; never raise."""
    try:
        tracer()
    except Exception as error:  # of the application's provider
        telemetry.internal_error("attaching a processor", error)


def look_again() -> None:
    """Look at the providers again at the next use: one has shut its processors down.

    Logfire does so where it is configured a second time, and then goes on, under the same global provider, with
    processors that know nothing of ours. A provider that is shut down for good gets one more, which does no harm.
    """
    global _tracer_provider, _logger_provider  # noqa: PLW0603  one choice a process
    _attached.clear()
    _tracer_provider = _logger_provider = None


def _look_at_tracer_provider() -> Tracer:
    global _tracer, _tracer_provider
    provider = trace.get_tracer_provider()
    found = provider.get_tracer(_SCOPE, __version__)
    if not isinstance(provider, trace.ProxyTracerProvider):
        _add_processor(provider, "add_span_processor", "events that other code records on its spans", _span_processor)
    _tracer, _tracer_provider = found, provider
    return found


def _look_at_logger_provider() -> None:
    global _logger, _logger_provider  # noqa: PLW0603  one choice a process
    provider = _current_logger_provider()
    try:
        if provider is not None:
            _logger = provider.get_logger(_SCOPE, __version__)
            if type(provider).__name__ != "ProxyLoggerProvider":  # OpenTelemetry keeps the class to itself
                _add_processor(
                    provider,
                    "add_log_record_processor",
                    "events that other code emits as log records",
                    _log_record_processor,
                )
    except Exception as error:  # spans of ours do not depend on it
        telemetry.internal_error("attaching a processor", error)
    _logger_provider = provider


def _current_logger_provider() -> LoggerProvider | None:
    """Return the global logger provider, or None where nothing in the process has to do with log records."""
    if (logs := sys.modules.get("opentelemetry._logs")) is None:
        return None
    # Another thread may be in the middle of importing it.
    get = getattr(logs, "get_logger_provider", None)
    return None if get is None else get()


def _add_processor(provider: object, method: str, captured: str, make: Callable[[], object]) -> None:
    try:
        add = getattr(provider, method, None)
        if add is None:
            _module_logger.info("%s has no %s: %s are not captured", type(provider).__qualname__, method, captured)
        elif _attached.get(id(provider)) is not provider:
            # Two threads may both get here; an event is converted once whatever the number of processors.
            _attached[id(provider)] = provider
            add(make())
    except Exception as error:
        telemetry.internal_error("attaching a processor", error)


def _span_processor() -> PostHogSpanProcessor:
    return PostHogSpanProcessor()


def _log_record_processor() -> object:
    from zentra_otel_posthog.log_processor import PostHogLogRecordProcessor  # noqa: PLC0415  as in that module

    return PostHogLogRecordProcessor()
