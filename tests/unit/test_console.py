"""Captures on the terminal: one line each, in colour on a terminal alone."""

from __future__ import annotations

import io
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from zentra_otel_posthog import PaymentCompleted, capture, configure, flush, identify, payment, shutdown, telemetry
from zentra_otel_posthog.delivery import Capture, ConsoleSink, console

MOMENT = datetime(2026, 11, 2, 10, 0, 0, 123456, UTC)


@pytest.fixture(autouse=True)
def _nothing_to_tell() -> None:
    console._told.update(Counter(telemetry.totals(telemetry.REFUSED)) - console._told)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(properties: dict[str, Any], stream: io.StringIO | None = None) -> str:
    stream = io.StringIO() if stream is None else stream
    ConsoleSink(stream).append(Capture("checkout.completed", "usr_1", "u", MOMENT, properties))
    return stream.getvalue()


@pytest.mark.parametrize("way", ["argument", "variable", "sink"])
def test_by_each_way(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], way: str) -> None:
    """A variable, an argument or an object shows captures on stderr; no key is needed."""
    monkeypatch.setenv("ZENTRA_POSTHOG_SINK", "console" if way == "variable" else "")
    arguments: dict[str, dict[str, Any]] = {"argument": {"sink": "console"}, "sink": {"sink": ConsoleSink()}}
    configure(**arguments.get(way, {}))
    with identify("usr_1", tenant="acme"):
        capture(PaymentCompleted(amount_minor=125_000, currency="NGN", method="card"), timestamp=MOMENT)
    shown = capsys.readouterr().err
    assert shown.startswith("10:00:00.123 payment.completed usr_1 amount_minor=125000 currency=NGN method=card ")
    assert shown.endswith(" $groups.tenant=acme\n")
    assert shown.count("\n") == 1
    assert flush()
    assert shutdown()


def test_values() -> None:
    """What is not one plain word stands in quotes, so that a line stays a line and a pair a pair."""
    properties = {
        "a": "two words",
        "b": "x\ny",
        "c": 'q"',
        "d": "",
        "e": [1, "z"],
        "f": None,
        "g": "k=v",
        "$set": {"h": True},
    }
    assert written(properties) == (
        '10:00:00.123 checkout.completed usr_1 a="two words" b="x\\ny" c="q\\"" d="" e=[1,"z"] f=null g="k=v" $set.h=true\n'
    )


def test_nobody() -> None:
    """An event about nobody says so; what stands in each capture is left out."""
    assert written({"$process_person_profile": False, "$lib": "x", "$is_server": True}) == (
        "10:00:00.123 checkout.completed nobody\n"
    )


def test_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escapes are for terminals, and for nobody who does not want them."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1mcheckout.completed\x1b[0m" in written({"n": 1}, Terminal())
    assert "\x1b" not in written({"n": 1})
    assert "\x1b" not in written({"n": "\x1b[31m"}, Terminal()).partition("n=")[2].removeprefix("\x1b[0m")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in written({"n": 1}, Terminal())


@payment
def charge(customer_id: str, amount_minor: object, currency: str, method: str) -> None: ...


def test_what_is_left_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A line says what was kept back of its event and by which rule, also the first, and never the value."""
    monkeypatch.setenv("ZENTRA_POSTHOG_SINK", "console")
    capture("basket.closed", distinct_id="ada@example.com", properties={"note": "ada@example.com", "items": 3})
    charge("usr_1", 12.5, "NGN", "card")
    charge("usr_1", 125_000, "NGN", "card")
    first, pending, completed, *later = capsys.readouterr().err.splitlines()

    assert first.endswith(" basket.closed nobody items=3 left out: note (email), distinct_id (email)")
    assert pending.endswith(" payment.pending usr_1 currency=NGN method=card")
    assert completed.endswith(" payment.completed usr_1 currency=NGN method=card left out: amount_minor (minor_units)")
    assert not any("left out" in line for line in later)
