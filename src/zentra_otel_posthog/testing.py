"""For tests of instrumented code: what was captured, without PostHog."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zentra_otel_posthog import runtime, telemetry
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.delivery import Capture


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


@contextmanager
def captured_events(**settings: Any) -> Iterator[list[Capture]]:
    """Collect what is captured inside a ``with`` block instead of sending it.

    ::

        with captured_events() as events:
            charge(amount_minor=125000, currency="NGN", method="card")
        assert [event.event for event in events] == ["payment.pending", "payment.completed"]

    Errors inside the package, which it otherwise keeps from the application, are raised in the block.

    Args:
        settings: Fields of ``Settings`` that differ from the defaults.
    """
    sink = MemorySink()
    raised_before = telemetry.raise_internal_errors(enabled=True)
    before = runtime.replace(runtime.Runtime(Settings(**settings), sink))
    try:
        yield sink.captures
    finally:
        runtime.replace(before)
        telemetry.raise_internal_errors(enabled=raised_before)


try:
    import pytest
except ImportError:  # an application without pytest uses the context manager alone
    pass
else:

    @pytest.fixture
    def posthog_events() -> Iterator[list[Capture]]:
        """Collect what the test captures instead of sending it."""
        with captured_events() as captures:
            yield captures
