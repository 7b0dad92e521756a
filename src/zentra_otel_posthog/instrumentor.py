"""Auto-instrumentation: ``opentelemetry-instrument`` finds this by its entry point and calls ``instrument()``."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # it carries no types

from zentra_otel_posthog import runtime
from zentra_otel_posthog.config import SettingsError

_logger = logging.getLogger("zentra_otel_posthog")


class ZentraInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # likewise
    """Configures the package from the environment and attaches its span processor to the tracer provider."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: it instruments the application, not a library."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        try:
            runtime.configure(**kwargs)
        except SettingsError as error:
            _logger.error("analytics is off: %s", error)  # noqa: TRY400  the message says it all

    def _uninstrument(self, **_: Any) -> None:
        runtime.shutdown()
