"""Decorated functions pickle and copy as undecorated ones do, so they go through process pools."""

from __future__ import annotations

import copy
import functools
import multiprocessing
import pickle
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from zentra_otel_posthog import payment
from zentra_otel_posthog.delivery import Capture


@payment
def charge(amount_minor: int, currency: str = "NGN") -> str:
    return f"{currency} {amount_minor}"


@payment(distinct_id=lambda user_id: user_id)
def charge_with_options(amount_minor: int, user_id: str = "usr_1") -> str:
    return f"{user_id} {amount_minor}"


def settle(amount_minor: int, currency: str = "NGN") -> str:
    return f"{currency} {amount_minor}"


class Bank:
    def __init__(self, name: str) -> None:
        self.name = name
        self.callback: Callable[[int], str] | None = None

    @payment
    def method(self, amount_minor: int) -> str:
        return f"{self.name} {amount_minor}"

    @payment
    @classmethod
    def above_class_method(cls, amount_minor: int) -> str:
        return f"{cls.__name__} {amount_minor}"

    @classmethod
    @payment
    def below_class_method(cls, amount_minor: int) -> str:
        return f"{cls.__name__} {amount_minor}"

    @payment
    @staticmethod
    def above_static_method(amount_minor: int) -> str:
        return f"static {amount_minor}"

    @staticmethod
    @payment
    def below_static_method(amount_minor: int) -> str:
        return f"static {amount_minor}"

    class Branch:
        @payment
        def method(self, amount_minor: int) -> str:
            return f"branch {amount_minor}"

        @payment
        @classmethod
        def class_method(cls, amount_minor: int) -> str:
            return f"{cls.__qualname__} {amount_minor}"


class Subsidiary(Bank):
    pass


acme = Bank("acme")
CALLABLES: dict[str, tuple[Callable[[int], str], str]] = {
    "function": (charge, "NGN 5"),
    "function with options": (charge_with_options, "usr_1 5"),
    "bound method": (acme.method, "acme 5"),
    "method of the class": (functools.partial(Bank.method, acme), "acme 5"),
    "method of a nested class": (Bank.Branch().method, "branch 5"),
    "class method, above": (Bank.above_class_method, "Bank 5"),
    "class method, above, of an instance": (acme.above_class_method, "Bank 5"),
    "class method, below": (Bank.below_class_method, "Bank 5"),
    "class method of a nested class": (Bank.Branch.class_method, "Bank.Branch 5"),
    "class method, inherited": (Subsidiary.above_class_method, "Subsidiary 5"),
    "class method, below, inherited": (Subsidiary.below_class_method, "Subsidiary 5"),
    "static method, above": (Bank.above_static_method, "static 5"),
    "static method, above, of an instance": (acme.above_static_method, "static 5"),
    "static method, below": (Bank.below_static_method, "static 5"),
    "partial of a decorated function": (functools.partial(charge, currency="USD"), "USD 5"),
    "decorated partial": (payment(functools.partial(settle, currency="USD")), "USD 5"),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", CALLABLES)
def test_it_pickles(name: str, protocol: int, events: list[Capture]) -> None:
    """What comes back does the same and still records its events."""
    function, expected = CALLABLES[name]
    restored: Callable[[int], str] = pickle.loads(pickle.dumps(function, protocol))

    assert restored(5) == expected
    assert [event.event for event in events] == ["payment.pending", "payment.completed"]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("name", CALLABLES)
def test_it_can_be_copied(name: str, duplicate: Callable[[Any], Any], events: list[Capture]) -> None:
    """A copy does the same and still records its events."""
    function, expected = CALLABLES[name]

    assert duplicate(function)(5) == expected
    assert [event.event for event in events] == ["payment.pending", "payment.completed"]


def test_a_function_is_itself_when_it_comes_back() -> None:
    """As for any function, pickling and copying a module's function gives the same object."""
    for restored in (pickle.loads(pickle.dumps(charge)), copy.copy(charge), copy.deepcopy(charge)):
        assert restored is charge


def test_an_instance_is_copied_with_its_callback(events: list[Capture]) -> None:
    """A deep copy of an object that holds its own bound method holds the copy's method, as undecorated."""
    bank = Bank("before")
    bank.callback = bank.method
    duplicate = copy.deepcopy(bank)
    bank.name = "after"

    assert duplicate.callback is not None
    assert duplicate.callback(5) == "before 5"
    assert events


def test_bound_methods_are_equal_as_undecorated() -> None:
    """Registries of callbacks find and remove bound methods by equality and hash."""
    assert acme.method == acme.method
    assert hash(acme.method) == hash(acme.method)
    assert acme.method != Bank("acme").method
    assert [acme.method].index(acme.method) == 0
    assert len({acme.method, acme.method, charge, charge}) == 2


def test_a_process_pool_maps_a_decorated_function() -> None:
    """A spawned process imports the function by its name and runs it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(charge, [1, 2]) == ["NGN 1", "NGN 2"]
        assert pool.map(acme.method, [3]) == ["acme 3"]


NOT_RESTORED = "weakref.WeakMethod calls the method's type with a function and an object, which it does not take"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("bound method", marks=pytest.mark.xfail(strict=True, raises=TypeError, reason=NOT_RESTORED)),
        pytest.param(
            "class method, above", marks=pytest.mark.xfail(strict=True, raises=TypeError, reason=NOT_RESTORED)
        ),
        pytest.param(
            "class method, below",
            # Since 3.13 classmethod() makes the bound method itself.
            marks=pytest.mark.xfail(sys.version_info < (3, 13), strict=True, raises=TypeError, reason=NOT_RESTORED),
        ),
    ],
)
def test_a_weak_reference_to_a_bound_method(name: str, events: list[Capture]) -> None:
    """``weakref.WeakMethod``, with which signals hold their receivers, restores a method that records its events."""
    method, expected = CALLABLES[name]
    restored = weakref.WeakMethod(method)()

    assert restored is not None
    assert restored == method
    assert restored(5) == expected
    assert [event.event for event in events] == ["payment.pending", "payment.completed"]
