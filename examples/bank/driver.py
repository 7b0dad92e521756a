"""Plays seeded customers through the bank over HTTP: they sign up, pay, come back in later weeks or do not."""

import hashlib
import heapq
import hmac
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import httpx

from bank.people import Person, invent
from bank.tally import Tally

_CURRENCY: Final = "NGN"
_BANKS: Final = ("first_savanna", "coastal_trust", "lagoon_microfinance")
_NOTES: Final = (None, None, None, "leave it at the gate", "gift wrap, please")
_HOURS: Final = (7, 22)
_DEADLINE: Final = 30.0  # seconds for one answer


@dataclass(slots=True)
class _Customer:
    """A person that the bank knows."""

    person: Person
    headers: dict[str, str]
    account_number: str
    pan: str | None = None
    big_spender: bool = False


@dataclass(order=True, slots=True)
class _Act:
    """Something that happens at a time."""

    at: datetime
    order: int
    happen: Callable[[datetime], None] = field(compare=False)


class Driver:
    """Plays customers.

    Args:
        client: Talks to the bank.
        rail_secret: Signs the rail's webhooks.
        seed: The same seed plays the same customers.
        start: The first Monday.
        weeks: How many weeks are played.
        sign_ups: How many customers sign up in all.
    """

    def __init__(
        self, client: httpx.Client, rail_secret: str, *, seed: int, start: datetime, weeks: int, sign_ups: int
    ) -> None:
        self.tally = Tally()
        self._client = client
        self._rail_secret = rail_secret.encode()
        self._chance = random.Random(seed)
        self._end = start + timedelta(weeks=weeks)
        self._agenda: list[_Act] = []
        self._acts = 0
        for number in range(sign_ups):
            person = invent(self._chance, number)
            self._plan(start + self._moment(weeks), partial(self._first_visit, person))

    def play(self) -> Iterator[datetime]:
        """Play everything, in order of time.

        Yields:
            The time that has been reached, after each act.

        Raises:
            httpx.HTTPError: The bank went away or answered with a server error of its own.
        """
        while self._agenda:
            act = heapq.heappop(self._agenda)
            self._expect(self._client.post("/demo/clock", json={"now": act.at.isoformat()}))
            act.happen(act.at)
            yield act.at

    def _moment(self, weeks: int) -> timedelta:
        day = self._chance.randrange(7 * weeks)
        return timedelta(days=day, hours=self._chance.uniform(*_HOURS))

    def _plan(self, at: datetime, happen: Callable[[datetime], None]) -> None:
        if at < self._end:
            self._acts += 1
            heapq.heappush(self._agenda, _Act(at, self._acts, happen))

    def _first_visit(self, person: Person, at: datetime) -> None:
        answer = self._client.post(
            "/customers",
            json={
                "name": person.name,
                "email": person.email,
                "phone": person.phone,
                "channel": person.channel,
                "referral": person.referral,
            },
            headers={"X-Platform": person.platform},
        )
        self.tally.signed_up(answer)
        body = self._expect(answer).json()
        headers = {"X-Customer-Id": body["customer_id"], "X-Platform": person.platform}
        customer = _Customer(person, headers, body["account_number"], big_spender=self._chance.random() < 0.15)
        self._log_in(customer)
        self._get_ready(customer)
        self._spend(customer, at)
        self._come_back(customer, at)

    def _come_back(self, customer: _Customer, signed_up: datetime) -> None:
        """Plan the visits of the weeks after: who stays away for a week is less likely to return."""
        loyalty = customer.person.loyalty
        week = signed_up - timedelta(days=signed_up.weekday(), hours=signed_up.hour, minutes=signed_up.minute)
        while (week := week + timedelta(weeks=1)) < self._end:
            if self._chance.random() > loyalty:
                loyalty *= 0.4
                continue
            loyalty = min(0.95, loyalty * 1.05)
            for _ in range(self._chance.choice((1, 1, 2, 3))):
                self._plan(week + self._moment(1), partial(self._visit, customer))

    def _visit(self, customer: _Customer, at: datetime) -> None:
        if not self._log_in(customer):
            return
        if self._chance.random() < 0.4:
            self._post(customer, "/deposits", amount_minor=self._amount(2_000_000, 15_000_000))
        self._spend(customer, at)
        if self._chance.random() < 0.35:
            self._transfer(customer)

    def _log_in(self, customer: _Customer) -> bool:
        person = customer.person
        right = self._chance.random() > 0.06
        answer = self._client.post(
            "/sessions",
            json={
                "login": person.email,
                "credential": f"{person.login_method}-of-{person.email}" if right else "mistyped",
                "method": person.login_method,
                "device_type": person.device_type,
            },
            headers={"X-Platform": person.platform},
        )
        self.tally.logged_in(answer)
        return answer.is_success

    def _get_ready(self, customer: _Customer) -> None:
        """Be verified, get a card, put money in: most do, some never get so far."""
        person = customer.person
        self._post(customer, "/deposits", amount_minor=self._amount(3_000_000, 20_000_000))
        verified = False
        if self._chance.random() < 0.85:
            answer = self._post(
                customer,
                "/kyc",
                tier="tier_3" if customer.big_spender else "tier_2",
                bvn=person.bvn,
                documents=[{"type": kind, "number": number} for kind, number in person.documents],
            )
            self.tally.verified(answer)
            verified = answer.is_success and answer.json()["status"] == "verified"
        if self._chance.random() < (0.85 if verified else 0.4):
            answer = self._post(
                customer,
                "/cards",
                card_type=self._chance.choice(("virtual", "virtual", "physical")),
                tier="platinum" if customer.big_spender else self._chance.choice(("classic", "classic", "gold")),
            )
            self.tally.card_issued(answer)
            customer.pan = answer.json()["pan"] if answer.is_success else None

    def _spend(self, customer: _Customer, at: datetime) -> None:
        for _ in range(self._chance.choice((0, 1, 1, 2, 2, 3))):
            sources = {"wallet": customer.person.phone, "bank": customer.account_number}
            if customer.pan is not None:
                sources["card"] = customer.pan
            method = self._chance.choice(tuple(sources))
            most = 30_000_000 if customer.big_spender else 6_000_000
            order = {
                "method": method,
                "amount_minor": self._amount(50_000, most),
                "currency": _CURRENCY,
                "source": sources[method],
            }
            if method != "bank" and self._chance.random() < 0.3:
                answer = self._post(
                    customer, "/checkouts", **order, items=self._chance.randint(1, 6), note=self._note(customer)
                )
                self.tally.paid(answer, checkout=True)
            else:
                answer = self._post(customer, "/payments", **order)
                self.tally.paid(answer)
            if answer.is_success and answer.json()["status"] == "pending":
                self._await_rail(answer.json()["payment_id"], at)

    def _note(self, customer: _Customer) -> str | None:
        if self._chance.random() < 0.3:
            person = customer.person
            return self._chance.choice((f"send the receipt to {person.email}", f"call {person.phone} at the gate"))
        return self._chance.choice(_NOTES)

    def _await_rail(self, payment_id: str, at: datetime) -> None:
        """Plan the rail's notice: usually within the hour, sometimes twice, now and then never."""
        if self._chance.random() < 0.04:
            return
        failed = self._chance.random() < 0.08
        notice = {
            "payment_id": payment_id,
            "status": "failed" if failed else "completed",
            "reason": self._chance.choice(("account_closed", "name_mismatch", "returned")) if failed else None,
        }
        due = at + timedelta(minutes=self._chance.expovariate(1 / 25))
        self._plan(due, partial(self._notify, notice))
        if self._chance.random() < 0.1:
            self._plan(due + timedelta(minutes=5), partial(self._notify, notice))

    def _notify(self, notice: dict[str, str | None], _: datetime) -> None:
        body = json.dumps(notice).encode()
        signature = hmac.new(self._rail_secret, body, hashlib.sha256).hexdigest()
        headers = {"X-Signature": signature, "Content-Type": "application/json"}
        answer = self._expect(self._client.post("/webhooks/rail", content=body, headers=headers))
        self.tally.settled(answer)

    def _transfer(self, customer: _Customer) -> None:
        stranger = invent(self._chance, self._chance.randrange(1000))
        answer = self._post(
            customer,
            "/transfers",
            amount_minor=self._amount(100_000, 8_000_000),
            currency=_CURRENCY,
            bank=self._chance.choice(_BANKS),
            account_number=f"{self._chance.randrange(10**10):010d}",
            beneficiary=stranger.name,
        )
        self.tally.transferred(answer)

    def _amount(self, least: int, most: int) -> int:
        # Small amounts are common and large ones rare; whole naira.
        return int(min(most, least * self._chance.paretovariate(0.9))) // 100 * 100

    def _post(self, customer: _Customer, path: str, **body: Any) -> httpx.Response:
        answer = self._client.post(path, json=body, headers=customer.headers, timeout=_DEADLINE)
        # A refusal carries the bank's own code; anything else is a fault of the demo's.
        return answer if answer.is_success or "code" in answer.json() else self._expect(answer)

    @staticmethod
    def _expect(answer: httpx.Response) -> httpx.Response:
        return answer.raise_for_status()
