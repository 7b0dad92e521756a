"""For tests of instrumented code: what was captured, without PostHog."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zentra_otel_posthog import config, runtime, telemetry
from zentra_otel_posthog.delivery import Capture, ConsoleSink, MemorySink

__all__ = ["ConsoleSink", "MemorySink", "captured_events"]


@contextmanager
def captured_events(**settings: Any) -> Iterator[list[Capture]]:
    """Collect what is captured inside a ``with`` block instead of sending it.

    ::

        with captured_events() as events:
            charge(amount_minor=125000, currency="NGN", method="card")
        assert [event.event for event in events] == ["payment.pending", "payment.completed"]

    Errors inside the package, which it otherwise keeps from the application, are raised in the block. Neither the
    environment nor a file in the working directory has a say.

    Args:
        settings: Fields of ``Settings`` that differ from the defaults, as for ``configure``; ``config`` names a file,
            whose events and policy then apply.

    Raises:
        SettingsError: A setting is unknown or its value is wrong.
    """
    given = config.load({"config": os.devnull, **settings}, environment={})
    if given.event:
        runtime.declare_events(given)
    sink = MemorySink()
    raised_before = telemetry.raise_internal_errors(enabled=True)
    before = runtime.replace(runtime.Runtime(given, sink))
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
    def posthog_settings() -> dict[str, Any]:
        """Return what ``posthog_events`` gives ``captured_events``; a fixture of this name in a test suite decides."""
        return {}

    @pytest.fixture
    def posthog_events(posthog_settings: dict[str, Any]) -> Iterator[list[Capture]]:
        """Collect what the test captures instead of sending it."""
        with captured_events(**posthog_settings) as captures:
            yield captures
