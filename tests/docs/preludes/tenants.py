"""Keys of tenants in the environment, and a vault that has others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace

import pytest


@contextmanager
def reader_has(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, object]]:
    monkeypatch.setenv("ACME_POSTHOG_KEY", "phc_inventedKeyOfAcme0123456789")
    monkeypatch.setenv("GLOBEX_POSTHOG_KEY", "phc_inventedKeyOfGlobex01234567")
    yield {"vault": SimpleNamespace(read=lambda path: None)}
