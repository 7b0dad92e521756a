"""The bank's example of a rollout."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from openfeature.client import OpenFeatureClient
from tests.flags.conftest import FlagServer

from zentra_otel_posthog.delivery import Capture


@pytest.mark.parametrize("instant", [True, False])
def test_a_payment_takes_the_rail_of_the_rollout(
    flags: OpenFeatureClient,
    server: FlagServer,
    captures: list[Capture],
    monkeypatch: pytest.MonkeyPatch,
    *,
    instant: bool,
) -> None:
    """On: completed at once, with the flag on the event. Off: pending, as ever."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))
    from bank.instant import FLAG, InstantPayments  # noqa: PLC0415  found by the path above only
    from bank.models import Customer, Status  # noqa: PLC0415  likewise
    from bank.outside import Outside  # noqa: PLC0415
    from bank.storage import Storage  # noqa: PLC0415

    server.flags = {FLAG: instant}
    storage = Storage(Path(":memory:"))
    storage.add_customer(Customer("cus_ada", "Ada Example", "ada@example.com", "+2348000000000", "0123456789", "web"))
    storage.credit("cus_ada", 500_000)

    made = asyncio.run(InstantPayments(storage, Outside(1)).pay("cus_ada", 200_000, "NGN", "0123456789"))
    storage.close()

    assert made.status is (Status.COMPLETED if instant else Status.PENDING)
    assert [(one.event, one.properties.get(f"$feature/{FLAG}")) for one in captures] == [
        ("payment.pending", None),
        ("$feature_flag_called", instant),
        *([("payment.completed", True)] if instant else []),
    ]
