"""What a type checker must see of decorated functions. Checked, never executed."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Protocol, assert_type

from zentra_otel_posthog import PaymentCompleted, auth, card, kyc, payment, signup, track, transfer
from zentra_otel_posthog.decorators import Decorator


class Receipt:
    number: str


@payment
def function(amount_minor: int, currency: str = "NGN", *, method: str = "card") -> Receipt:
    return Receipt()


@payment(distinct_id="user_id", properties={"method": lambda user_id: user_id})
async def coroutine(amount_minor: int, user_id: str) -> Receipt:
    return Receipt()


@payment()
def generator(amount_minor: int) -> Generator[int, str, Receipt]:
    yield 1
    return Receipt()


@track(PaymentCompleted, outcome="result.status")
async def async_generator(amount_minor: int) -> AsyncIterator[int]:
    yield amount_minor


assert_type(function(5), Receipt)
assert_type(function(5, "NGN", method="card").number, str)
assert_type(generator(5), Generator[int, str, Receipt])
assert_type(async_generator(5), AsyncIterator[int])
function("5")  # type: ignore[arg-type]
function(5, method=3)  # type: ignore[arg-type]
function()  # type: ignore[call-arg]
function(5, nothing=1)  # type: ignore[call-arg]
generator(5).send(3)  # type: ignore[arg-type]


async def use() -> None:
    assert_type(await coroutine(5, "usr_1"), Receipt)
    assert_type([item async for item in async_generator(5)], list[int])
    await coroutine("5", "usr_1")  # type: ignore[arg-type]
    await function(5)  # type: ignore[misc]


class Bank:
    @payment
    def method(self, amount_minor: int) -> Receipt:
        return Receipt()

    @payment
    async def coroutine_method(self, amount_minor: int) -> Receipt:
        return Receipt()

    @payment
    @classmethod
    def above_class_method(cls, amount_minor: int) -> Bank:
        return cls()

    @classmethod
    @payment(tenant="cls.name")
    def below_class_method(cls, amount_minor: int) -> Bank:
        return cls()

    @payment(span_name="charge")
    @staticmethod
    def above_static_method(amount_minor: int) -> Receipt:
        return Receipt()

    @staticmethod
    @payment
    def below_static_method(amount_minor: int) -> Receipt:
        return Receipt()

    @property
    @payment
    def balance(self) -> int:
        return 1


class Branch(Bank):
    @payment
    def method(self, amount_minor: str) -> Receipt:  # type: ignore[override]
        return super().method(5)


bank = Bank()
assert_type(bank.method(5), Receipt)
assert_type(Bank.method(bank, 5), Receipt)
assert_type(bank.above_class_method(5), Bank)
assert_type(Bank.above_class_method(5), Bank)
assert_type(Bank.below_class_method(5), Bank)
assert_type(Bank.above_static_method(5), Receipt)
assert_type(bank.below_static_method(5), Receipt)
assert_type(bank.balance, int)
bank.method("5")  # type: ignore[arg-type]
bank.method(bank, 5)  # type: ignore[call-arg, arg-type]
Bank.above_class_method("5")  # type: ignore[arg-type]
Bank.below_class_method()  # type: ignore[call-arg]
Bank.above_static_method("5")  # type: ignore[arg-type]
Bank.below_static_method(5, 5)  # type: ignore[call-arg]


class Charges(Protocol):
    def method(self, amount_minor: int) -> Receipt: ...


charges: Charges = bank
callback: Callable[[int], Receipt] = function
awaiting: Callable[[int, str], Awaitable[Receipt]] = coroutine
wrong: Callable[[str], Receipt] = function  # type: ignore[assignment]
assert_type(payment(functools.partial(function, currency="USD"))(5), Receipt)

# Options: known names, paths or callables, one function or none.
assert_type(payment(distinct_id="user_id"), Decorator)
for decorator in (payment, transfer, card, auth, kyc, signup):
    assert_type(decorator(tenant=lambda tenant: tenant, properties={"method": "method"}, span_name="x"), Decorator)
payment(distnct_id="user_id")  # type: ignore[call-overload]
payment(distinct_id=3)  # type: ignore[call-overload]
payment(properties={"method": 3})  # type: ignore[dict-item]
payment(properties=["method"])  # type: ignore[call-overload]
payment(span_name=3)  # type: ignore[call-overload]
payment(outcome=True)  # type: ignore[call-overload]
payment("user_id")  # type: ignore[call-overload]
payment(function, tenant="tenant")  # type: ignore[call-overload]

track("payment.completed", pending="payment.pending", failed=PaymentCompleted, tenant="tenant")
track()  # type: ignore[call-arg]
track(3)  # type: ignore[arg-type]
track(Receipt)  # type: ignore[arg-type]
