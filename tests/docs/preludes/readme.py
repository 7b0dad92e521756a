"""A bank with a card network, and the modules that its rules name."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest


class PaymentService:
    def charge(self, request: Any) -> None: ...


def on_settled(payment_id: str) -> None: ...


@contextmanager
def reader_has(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, object]]:
    for name in ("bank", "bank.wsgi", "bank.payments", "bank.rails"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    vars(sys.modules["bank.payments"])["PaymentService"] = PaymentService
    vars(sys.modules["bank.rails"])["on_settled"] = on_settled
    yield {
        "card_network": SimpleNamespace(charge=lambda customer_id, amount_minor, currency: "approved"),
        "ChargeRequest": object,
        "Receipt": object,
    }
