"""Auto-instrumentation: ``opentelemetry-instrument`` finds this by its entry point and calls ``instrument()``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # it carries no types

from zentra_otel_posthog import runtime


class ZentraInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # likewise
    """Configures the package from the environment and attaches its span processor to the tracer provider."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: it instruments the application, not a library."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        if kwargs:
            runtime.configure(**kwargs)
        else:
            runtime.current()

    def _uninstrument(self, **_: Any) -> None:
        runtime.shutdown()
