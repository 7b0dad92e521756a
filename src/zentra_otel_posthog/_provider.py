"""The application's tracer provider: where our spans come from, and where our span processor sits."""

from __future__ import annotations

import logging
import weakref
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Tracer

from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.processors import PostHogSpanProcessor

_logger = logging.getLogger("zentra_otel_posthog")

_SCOPE: Final = "zentra_otel_posthog"

# By id: a provider may have no hash (Logfire's is a dataclass that compares by value).
_attached: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_tracer: Tracer | None = None


def tracer() -> Tracer:
    """Return the tracer of our spans. Until a provider is installed it makes spans that record nothing."""
    return _tracer or attach()


def attach() -> Tracer:
    """Look at the global provider, add our span processor to it once, and return its tracer."""
    global _tracer  # noqa: PLW0603  one choice a process
    provider = trace.get_tracer_provider()
    found = provider.get_tracer(_SCOPE, __version__)
    if isinstance(provider, trace.ProxyTracerProvider):
        _tracer = None  # look again at the next call: the application may install its provider late
        return found
    if not hasattr(provider, "add_span_processor"):
        _logger.info(
            "%s takes no span processor: events that other code records on its spans are not captured",
            type(provider).__qualname__,
        )
    elif _attached.get(id(provider)) is not provider:
        # Two threads may both get here; a span is converted once whatever the number of processors.
        _attached[id(provider)] = provider
        provider.add_span_processor(PostHogSpanProcessor())
    _tracer = found
    return found
