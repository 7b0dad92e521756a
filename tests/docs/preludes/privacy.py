"""A bank whose payments' module declares events, and a key for pseudonyms."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest


@contextmanager
def reader_has(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, object]]:
    for name in ("bank", "bank.payments"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setenv("ZENTRA_POSTHOG_PSEUDONYM_KEY", "0123456789abcdef" * 4)
    yield {}
