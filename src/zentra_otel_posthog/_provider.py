"""Where our spans come from: the application's tracer provider, or a private one where it has none that serves."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, AlwaysRecordSampler

from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.processors import PostHogSpanProcessor

_logger = logging.getLogger("zentra_otel_posthog")

_SCOPE = "zentra_otel_posthog"

_lock = threading.Lock()
_attached: weakref.WeakSet[Any] = weakref.WeakSet()
_shared: tuple[Tracer, bool] | None = None
_private: tuple[Tracer, bool] | None = None
_unsuitable: object = None


def tracer() -> tuple[Tracer, bool]:
    """Return the tracer of our spans, and whether the application's tracing sees them.

    Spans of the private provider must not become the current span: a child of theirs would hang from a parent that no
    tracing backend ever gets.
    """
    return _shared or _find()


def private_tracer() -> tuple[Tracer, bool]:
    """Return the tracer of the private provider, whose spans nobody but our processor sees."""
    global _private  # noqa: PLW0603  one private provider a process
    if _private is None:
        provider = TracerProvider(
            sampler=AlwaysRecordSampler(ALWAYS_OFF), resource=Resource.get_empty(), shutdown_on_exit=False
        )
        # OTEL_SDK_DISABLED switches tracing off, not analytics, and the SDK reads it in every provider.
        provider._disabled = False  # noqa: SLF001
        provider.add_span_processor(PostHogSpanProcessor())
        found = provider.get_tracer(_SCOPE, __version__)
        assert isinstance(found, Tracer)
        _private = (found, False)
    return _private


def attach() -> None:
    """Look at the global provider anew. Until a provider is installed, every call does so by itself."""
    global _shared, _unsuitable  # noqa: PLW0603  one choice a process
    with _lock:
        _shared = _unsuitable = None
    _find()


def _find() -> tuple[Tracer, bool]:
    global _shared, _unsuitable  # noqa: PLW0603  as above
    provider = trace.get_tracer_provider()
    if provider is _unsuitable or isinstance(provider, trace.ProxyTracerProvider):
        return private_tracer()
    with _lock:
        found = provider.get_tracer(_SCOPE, __version__)
        if not isinstance(found, Tracer) or not hasattr(provider, "add_span_processor"):
            _unsuitable = provider
            _logger.info("%s takes no span processor or is disabled: events use a private provider", type(provider))
            return private_tracer()
        if provider not in _attached:
            provider.add_span_processor(PostHogSpanProcessor())
            _attached.add(provider)
        if not isinstance(found.sampler, AlwaysRecordSampler):
            # Sampling is for traces: an unsampled span of ours is recorded all the same, and exported by nobody.
            found.sampler = AlwaysRecordSampler(found.sampler)
        _shared = (found, True)
        return _shared
