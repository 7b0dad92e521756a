"""A personal key, a project, and PostHog's app with nothing in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from zentra_otel_posthog.inspector import PrivateApi, Receiver


@contextmanager
def reader_has(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, object]]:
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", "phx_invented")
    monkeypatch.setenv("POSTHOG_PROJECT_ID", "12345")
    with Receiver(private_api=PrivateApi(project_id=12345)) as app:
        monkeypatch.setattr("posthog.request.determine_app_host", lambda _: app.url)
        yield {}
