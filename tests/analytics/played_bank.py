"""The bank, played in process through its own services: three tenants, customers that sign up over four weeks."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

from zentra_otel_posthog import identify

START = datetime(2026, 9, 7, tzinfo=UTC)  # a Monday
END = START + timedelta(weeks=5)
TENANTS = ("acme", "globex", "O'Neil {tenant} -- Bank")
CUSTOMERS = 12  # of each tenant


async def play(clock: time_machine.Traveller, database: Path) -> None:
    from bank.accounts import Accounts  # noqa: PLC0415  found by the fixture's path only
    from bank.errors import BankError  # noqa: PLC0415  likewise
    from bank.models import Method, Status  # noqa: PLC0415
    from bank.outside import Outside  # noqa: PLC0415
    from bank.payments import Payments  # noqa: PLC0415
    from bank.storage import Storage  # noqa: PLC0415

    chance, outside = random.Random(7), Outside(7)
    storage = Storage(database)
    accounts, payments = Accounts(storage, outside), Payments(storage, outside)
    for number in range(CUSTOMERS * len(TENANTS)):
        tenant = TENANTS[number % len(TENANTS)]
        clock.move_to(START + timedelta(minutes=chance.randrange(4 * 7 * 24 * 60)))
        with identify(tenant=tenant, platform="web"):
            customer = accounts.sign_up(
                "Ada Example", f"ada{number}@example.com", f"+23480{number:08}", channel="organic"
            )
            storage.credit(customer.id, 50_000_000)
            pan = outside.new_pan()
            for _ in range(chance.randrange(9)):
                clock.shift(timedelta(minutes=chance.randrange(6 * 24 * 60)))
                method = chance.choice(list(Method))
                try:
                    made = await payments.pay(
                        customer.id, method, chance.randrange(10_000, 6_000_000), chance.choice(("NGN", "USD")), pan
                    )
                except BankError:
                    continue
                if made.status is Status.PENDING and chance.random() < 0.8:
                    clock.shift(timedelta(minutes=20))
                    failed = chance.random() < 0.2
                    payments.take_notice(
                        made.id, Status.FAILED if failed else Status.COMPLETED, "returned" if failed else None
                    )
    storage.close()
