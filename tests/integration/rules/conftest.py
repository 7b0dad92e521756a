"""What tests of rules share: rules that are taken back, modules that are written, and one of every shape of target."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zentra_otel_posthog import ZentraInstrumentor
from zentra_otel_posthog.testing import captured_events

SHOP = '''
import functools
import types

def function(customer_id, amount_minor): return "paid"
async def coroutine(customer_id, amount_minor): return "paid"
def generator(customer_id, amount_minor): yield "paid"
async def async_generator(customer_id, amount_minor): yield "paid"

def logged(function):
    @functools.wraps(function)
    def call(*args, **kwargs): return function(*args, **kwargs)
    return call

@logged
def behind_wraps(customer_id, amount_minor): return "paid"

class Till:
    def __call__(self, customer_id, amount_minor): return "paid"

callable_object = Till()
partial = functools.partial(function, "usr_1")

class Base:
    def method(self, customer_id, amount_minor): return "paid"
    async def async_method(self, customer_id, amount_minor): return "paid"
    @classmethod
    def class_method(cls, customer_id, amount_minor): return cls.__name__
    @staticmethod
    def static_method(customer_id, amount_minor): return "paid"
    callable_attribute = Till()
    class Inner:
        def method(self, customer_id, amount_minor): return "paid"

class Inheriting(Base): ...

class Overriding(Base):
    def method(self, customer_id, amount_minor): return "overridden"

class Extending(Base):
    def method(self, customer_id, amount_minor): return super().method(customer_id, amount_minor)

instance = Base()
bound = instance.method

def raw():
    """What stands in each namespace."""
    return [dict(vars(one)) for one in (types.SimpleNamespace(**globals()), Base, Base.Inner, Inheriting, Overriding, instance)]

RAW = None
RAW = [{**raw()[0], "RAW": None}, *raw()[1:]]
'''

Instrument = Callable[..., ZentraInstrumentor]
Write = Callable[[str, str], None]


@pytest.fixture
def instrument() -> Iterator[Instrument]:
    """Return what carries out rules; they are taken back at the end."""

    def carried_out(*targets: str, **options: Any) -> ZentraInstrumentor:
        rules = [{"target": target, "event": "payment", **options} for target in targets]
        ZentraInstrumentor().instrument(instrument=rules)
        return ZentraInstrumentor()

    yield carried_out
    if ZentraInstrumentor().is_instrumented_by_opentelemetry:
        ZentraInstrumentor().uninstrument()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Return what writes an importable module; it leaves ``sys.modules`` at the end."""
    written: list[str] = []
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a module that is written twice within a second

    def wrote(name: str, source: str) -> None:
        written.append(name)
        file = tmp_path / f"{name.replace('.', '/')}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(source)
        importlib.invalidate_caches()

    yield wrote
    for name in written:
        sys.modules.pop(name.removesuffix(".__init__"), None)


@pytest.fixture
def shop(write: Write) -> Callable[[], ModuleType]:
    """Return what imports the module of all the shapes."""
    write("shop", SHOP)
    return lambda: importlib.import_module("shop")


@pytest.fixture
def events_of() -> Callable[[Callable[[], object]], list[str]]:
    """Return what calls something and returns the names of the events that it recorded."""

    def called(call: Callable[[], object]) -> list[str]:
        with captured_events() as captures:
            call()
        return [capture.event for capture in captures]

    return called
