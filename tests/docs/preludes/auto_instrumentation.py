"""A bank with the modules that its rules name."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest


class PaymentService:
    def charge(self, request: Any) -> None: ...


def on_settled(payment_id: str) -> None: ...


@contextmanager
def reader_has(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, object]]:
    for name in ("bank", "bank.wsgi", "bank.payments", "bank.rails"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.delitem(sys.modules, "django.contrib.auth.signals", raising=False)  # of a test before
    vars(sys.modules["bank.payments"])["PaymentService"] = PaymentService
    vars(sys.modules["bank.rails"])["on_settled"] = on_settled
    yield {}
