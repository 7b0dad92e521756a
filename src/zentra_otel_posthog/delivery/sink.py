"""The sink: where captures go, and the simplest one."""

from __future__ import annotations

from typing import ClassVar, Protocol

from zentra_otel_posthog.delivery.capture import Capture


class NotKept(Exception):
    """A capture that could not be kept, for one of the known reasons."""

    reason: ClassVar[str]
    """As it is counted."""


class Sink(Protocol):
    """Takes captures; ``configure(sink=...)`` takes any object with these methods.

    One that also has ``before_fork``, ``after_fork_in_parent`` and ``after_fork_in_child`` is told of forks.
    """

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


class MemorySink:
    """A sink that keeps captures in a list."""

    def __init__(self) -> None:
        self.captures: list[Capture] = []

    def append(self, capture: Capture) -> None:
        """Keep a capture."""
        self.captures.append(capture)

    def flush(self, timeout: float) -> bool:  # noqa: ARG002  the sink's protocol
        """Return True: nothing waits."""
        return True

    def shutdown(self, timeout: float) -> bool:  # noqa: ARG002  the sink's protocol
        """Return True: nothing waits."""
        return True
