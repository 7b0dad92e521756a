"""For tests of instrumented code: what was captured, without PostHog."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zentra_otel_posthog import runtime, telemetry
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.delivery import Capture, ConsoleSink, MemorySink

__all__ = ["ConsoleSink", "MemorySink", "captured_events"]


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
