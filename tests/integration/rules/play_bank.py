"""Plays seeded customers through the services of the demo bank, which is the same in every run."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import sys
from pathlib import Path

from bank import models
from bank.accounts import Accounts
from bank.cards import Cards
from bank.checkouts import Checkouts
from bank.errors import BankError
from bank.outside import Outside
from bank.payments import Payments
from bank.people import invent
from bank.storage import Storage
from bank.transfers import Transfers
from zentra_otel_posthog import identify, shutdown

CUSTOMERS = 25


async def play() -> None:

    chance = random.Random(5)
    secrets.choice = chance.choice  # the bank's ids, the same in every run
    storage, outside = Storage(Path(":memory:")), Outside(seed=5)
    accounts, cards, payments = Accounts(storage, outside), Cards(storage, outside), Payments(storage, outside)
    checkouts, transfers = Checkouts(payments), Transfers(storage, outside)
    for number in range(CUSTOMERS):
        person = invent(chance, number)
        with identify(tenant="acme", platform=person.platform):
            customer = accounts.sign_up(
                person.name, person.email, person.phone, channel=person.channel, referral=person.referral
            )
            for credential in ("mistyped", f"password-of-{person.email}"):
                with contextlib.suppress(BankError):
                    accounts.log_in(person.email, credential, method="password", device_type=person.device_type)
            documents = [models.Document(*document) for document in person.documents]
            accounts.verify(customer.id, models.Tier.TIER_2, person.bvn, documents)
            storage.credit(customer.id, chance.randrange(100_000, 30_000_000))
            pan = ""
            with contextlib.suppress(BankError):
                pan = cards.issue(customer.id, chance.choice(("virtual", "physical")), "gold").pan
            sources = {"card": pan, "wallet": person.phone, "bank": customer.account_number}
            for method in models.Method:
                money = models.Money(chance.randrange(50_000, 9_000_000), "NGN")
                with contextlib.suppress(BankError):
                    made = await payments.pay(
                        customer.id, method, money.amount_minor, money.currency, source=sources[method]
                    )
                    if made.status is models.Status.PENDING:
                        failed = chance.random() < 0.3
                        payments.take_notice(
                            made.id,
                            models.Status.FAILED if failed else models.Status.COMPLETED,
                            "account_closed" if failed else None,
                        )
                with contextlib.suppress(BankError):
                    basket = models.Basket(money, 2, chance.choice((None, f"call {person.phone}")))
                    await checkouts.buy(customer.id, basket, method, sources[method])
            beneficiary = models.Beneficiary(person.name, "0123456789", chance.choice(("coastal_trust", "lagoon_bank")))
            with contextlib.suppress(BankError):
                await transfers.send(models.TransferOrder(customer.id, models.Money(90_000, "NGN"), beneficiary))


asyncio.run(play())
sys.exit(0 if shutdown(30) else "not everything was delivered")
