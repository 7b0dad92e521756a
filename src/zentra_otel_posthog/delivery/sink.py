"""The sink: where captures go."""

from __future__ import annotations

from typing import Protocol

from zentra_otel_posthog.delivery.capture import Capture


class Sink(Protocol):
    """Takes captures. ``MemorySink`` and the spool are sinks; an application may bring its own."""

    def append(self, capture: Capture) -> None:
        """Take a capture over. Called before the business function returns, so it must be quick.

        Args:
            capture: Sanitized and complete.

        Raises:
            Exception: It could not be kept; the caller counts it as lost.
        """

    def flush(self, timeout: float) -> bool:
        """Deliver what was appended.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            True where everything appended before the call is delivered.
        """

    def shutdown(self, timeout: float) -> bool:
        """Flush and stop working in the background. A capture may still be appended afterwards.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            As ``flush``.
        """
