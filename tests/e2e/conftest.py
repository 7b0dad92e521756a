"""What browser tests share: a headless Chromium, and the inspector's real server in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.e2e.inspected import Inspector

_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def inspector(tmp_path: Path) -> Iterator[Inspector]:
    """Run the inspector on an empty folder."""
    running = Inspector(tmp_path)
    running.start()
    yield running
    running.stop()


# Playwright's event loop counts as running for as long as it is started; other modules' tests have loops of their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Run a headless Chromium."""
    found = next(filter(None, map(shutil.which, _CHROMIUMS)), None)
    if found is None:
        pytest.skip(f"there is no Chromium here: none of {', '.join(_CHROMIUMS)} is on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        yield browser
        browser.close()
