"""A customer, and a card network that charges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace

import pytest


@contextmanager
def reader_has(_: pytest.MonkeyPatch) -> Iterator[Mapping[str, object]]:
    yield {
        "user": SimpleNamespace(id="usr_1", email="ada@example.com", tier="gold", tenant="acme"),
        "network": SimpleNamespace(charge=lambda user, amount, currency: "approved"),
    }
