"""What every test starts from: a clean environment, internal errors raised, nothing of the package left running."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from zentra_otel_posthog import events, runtime, telemetry


@pytest.fixture
def declarations() -> Iterator[None]:
    """Put the tracking plan back as it was."""
    before = dict(events._registry)
    yield
    events._registry.clear()
    events._registry.update(before)


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Keep the machine's settings out and each test's state in."""
    for name in os.environ:
        if name.startswith(("POSTHOG_", "ZENTRA_POSTHOG_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    # Logfire, which only tests run beside, would have every process with a pydantic model import it (0.46 s).
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "logfire-plugin")
    monkeypatch.chdir(tmp_path)
    before = telemetry.raise_internal_errors(enabled=True)
    yield
    runtime.shutdown(timeout=0)
    runtime.replace(None)
    telemetry.raise_internal_errors(enabled=before)
