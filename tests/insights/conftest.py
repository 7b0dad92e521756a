"""What tests of insights share: a project of PostHog's, and a module with a small dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.insights.project import KEY, SMALL, Project

from zentra_otel_posthog.inspector import PrivateApi


@pytest.fixture(autouse=True)
def _declared(declarations: None) -> None: ...


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A personal key and a project in the environment."""
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", KEY)
    monkeypatch.setenv("POSTHOG_PROJECT_ID", "1")


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch, credentials: None) -> Iterator[PrivateApi]:
    """A project that the environment leads to; it gives three rows a page, so that lists have several."""
    with Project(PrivateApi(personal_key=KEY, page=3), monkeypatch) as api:
        yield api


@pytest.fixture
def small(tmp_path: Path) -> None:
    """A module with a small dashboard, and what it was before."""
    (tmp_path / "boards_of_ours.py").write_text(SMALL, encoding="utf-8")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds for which it would have waited."""
    taken: list[float] = []
    monkeypatch.setattr("zentra_otel_posthog._private_api.time.sleep", taken.append)
    return taken
