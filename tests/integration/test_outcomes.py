"""How a call ended decides which event goes out and how its span looks."""

from __future__ import annotations

import concurrent.futures
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum, auto
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from zentra_otel_posthog import kyc, payment
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.testing import captured_events

COMPLETED = ("payment.completed", None)
PENDING = (None, None)
NEITHER = (None, None)


def failed(reason: str | None) -> tuple[str, str | None]:
    return "payment.failed", reason


class Status(Enum):
    PAID = "paid"
    WAITING = "requires_action"
    REFUSED = "Declined"


class Word(StrEnum):
    FAILED = auto()
    PENDING = auto()


class Numbered(Enum):
    SUCCEEDED = auto()
    FAILED = auto()
    PROCESSING = auto()


class Code(IntEnum):
    OK = 200
    ERROR = 500


@dataclass
class Result:
    status: object = None
    state: object = None
    reason: object = None
    code: object = None


class Pair(NamedTuple):
    status: str
    reason: str


def outcome_of(call: Callable[[], Any]) -> tuple[str | None, str | None]:
    """Return the last event that a call records after payment.pending, and its reason."""
    with captured_events() as events:
        call()
    first, *rest = events
    assert first.event == "payment.pending"
    assert len(rest) <= 1
    return (rest[0].event, rest[0].properties.get("reason")) if rest else (None, None)


RESULTS: list[tuple[object, tuple[str | None, str | None]]] = [
    (None, COMPLETED),
    (True, COMPLETED),
    (False, failed(None)),
    (0, COMPLETED),
    ("", COMPLETED),
    ("failed", COMPLETED),  # a word that is returned is a value, not a status
    ([], COMPLETED),
    ({}, COMPLETED),
    (object(), COMPLETED),
    (Result(), COMPLETED),
    ({"status": None, "state": None}, COMPLETED),
    # attributes, mappings, enums
    (Result(status="succeeded"), COMPLETED),
    (Result(status="failed", reason="insufficient_funds"), failed("insufficient_funds")),
    (Result(state="failed", reason="Limit exceeded"), failed("limit_exceeded")),
    (Result(status="paid", state="failed"), COMPLETED),
    ({"status": "failed", "reason": "limit"}, failed("limit")),
    ({"state": "failed", "code": "05"}, failed("05")),
    (SimpleNamespace(status="declined", code=51), failed("51")),
    (Pair("failed", "fraud"), failed("fraud")),
    (Result(status=Status.REFUSED), failed("declined")),
    (Result(status=Status.WAITING), PENDING),
    (Result(status=Status.PAID), COMPLETED),
    (Result(status=Word.FAILED, reason=Word.PENDING), failed("pending")),
    (Result(status=Word.PENDING), PENDING),
    (Result(status=Numbered.SUCCEEDED), COMPLETED),
    (Result(status=Numbered.FAILED), failed(None)),
    (Result(status=Numbered.PROCESSING), PENDING),
    (Result(status=True), COMPLETED),
    (Result(status=False, reason="limit"), failed("limit")),
    (Result(status=200), COMPLETED),
    (Result(status=500), COMPLETED),  # a number says nothing that one could know
    (Result(status=Code.ERROR), failed(None)),  # its name does
    # words and their spellings
    *((Result(status=word), PENDING) for word in ("pending", "Processing", "IN-PROGRESS", "in progress", " queued ")),
    *((Result(status=word), PENDING) for word in ("requires_capture", "awaiting_funds", "pending_review", "on_hold")),
    *((Result(status=word), failed(word.lower())) for word in ("declined", "REJECTED", "expired", "timed_out")),
    *((Result(status=word), failed(None)) for word in ("failed", "error", "Unsuccessful")),
    *((Result(status=word), NEITHER) for word in ("cancelled", "canceled", "voided")),
    *((Result(status=word), COMPLETED) for word in ("success", "settled", "anything else", "")),
    # the reason's order: reason, code, the status itself
    (Result(status="failed", reason="limit", code="05"), failed("limit")),
    (Result(status="failed", reason="", code="05"), failed("05")),
    (Result(status="declined", reason=None, code=None), failed("declined")),
    (Result(status="failed", reason=["not", "a", "slug"], code=object()), failed(None)),
    # personal data in a reason is refused, and the next best is taken
    (Result(status="failed", reason="ada@example.com declined", code="05"), failed("05")),
    (Result(status="declined", reason="card 4111 1111 1111 1111"), failed("declined")),
]


@pytest.mark.parametrize(
    ("result", "expected"), RESULTS, ids=[re.sub(" at 0x.*", "", repr(result))[:70] for result, _ in RESULTS]
)
def test_what_a_result_says(result: object, expected: tuple[str | None, str | None]) -> None:
    """A returned status decides: pending-like stays pending, failed-like is failed with its reason."""

    @payment
    def charge() -> object:
        return result

    assert outcome_of(charge) == expected


class InsufficientFunds(Exception):
    pass


class HTTPDeclined(Exception):
    code = 402


class WithReason(Exception):
    reason = "Do not honour"


class WithBoth(Exception):
    code = "insufficient_funds"
    reason = "balance too low"


class PersonalCode(Exception):
    code = "ada@example.com"
    reason = "card 4111 1111 1111 1111"


class PersonalCodeAlone(Exception):
    code = "+234 803 555 0199"
    reason = "do_not_honour"


class HostileCode(Exception):
    @property
    def code(self) -> str:
        raise RuntimeError


ERRORS: list[tuple[type[BaseException], tuple[str | None, str | None]]] = [
    (InsufficientFunds, failed("insufficient_funds")),
    (HTTPDeclined, failed("402")),
    (WithReason, failed("do_not_honour")),
    (WithBoth, failed("insufficient_funds")),
    (PersonalCode, failed("personal_code")),
    (PersonalCodeAlone, failed("do_not_honour")),
    (ValueError, failed("value_error")),
    (TimeoutError, failed("timeout_error")),
    (KeyboardInterrupt, NEITHER),
    (SystemExit, NEITHER),
    (GeneratorExit, NEITHER),
    (concurrent.futures.CancelledError, NEITHER),
]


@pytest.mark.parametrize(("error", "expected"), ERRORS)
def test_what_an_exception_says(error: type[BaseException], expected: tuple[str | None, str | None]) -> None:
    """The reason is the exception's code or reason, else its class; a cancellation or interrupt is no outcome."""

    @payment
    def charge() -> None:
        raise error("customer ada@example.com")

    def call() -> None:
        with pytest.raises(error):
            charge()

    assert outcome_of(call) == expected


def test_a_refused_reason_is_personal_data_nowhere(events: list[Capture], spans: InMemorySpanExporter) -> None:
    """Neither the captures nor the span hold what the exception said about the customer."""

    @payment
    def charge() -> None:
        raise PersonalCode("for ada@example.com with card 4111 1111 1111 1111")

    with pytest.raises(PersonalCode):
        charge()

    (span,) = spans.get_finished_spans()
    seen = f"{events} {span.to_json()}"
    assert "ada@" not in seen
    assert "4111" not in seen


def test_an_exception_whose_code_cannot_be_read_is_a_failure_all_the_same(events: list[Capture]) -> None:
    """A property that raises is left out; the class name is the reason."""

    @payment
    def charge() -> None:
        raise HostileCode

    with pytest.raises(HostileCode):
        charge()
    assert events[-1].event == "payment.failed"
    assert events[-1].properties["reason"] == "hostile_code"


OUTCOMES: dict[str, tuple[Any, object, tuple[str | None, str | None]]] = {
    "path into the result": (
        "result.transaction.outcome",
        {"transaction": {"outcome": "declined"}},
        failed("declined"),
    ),
    "path, nothing there": ("result.transaction.outcome", {"status": "failed"}, COMPLETED),
    "path to an argument": ("mode", "anything", PENDING),
    "callable with the result": (lambda result: "failed" if result > 3 else None, 4, failed(None)),
    "callable with an argument": (lambda result, mode: f"{mode}_{result}", "review", PENDING),
    "callable, truth value": (lambda result: result == "yes", "no", failed(None)),
    "callable, enum": (lambda: Status.REFUSED, None, failed("declined")),
    "callable, reason beside it": (lambda result: "failed", {"reason": "limit"}, failed("limit")),
    "None is completed": (lambda: None, {"status": "failed"}, COMPLETED),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_the_option_outcome(name: str) -> None:
    """A path or a callable takes the place of the result's own status."""
    source, result, expected = OUTCOMES[name]

    @payment(outcome=source)
    def charge(mode: str = "pending") -> object:
        return result

    assert outcome_of(charge) == expected


def test_an_option_reason_wins(events: list[Capture]) -> None:
    """A reason that the decorator names is taken before the exception's own, and belongs to failed alone."""

    @payment(properties={"reason": "decline_code"})
    def charge(decline_code: str) -> None:
        raise InsufficientFunds

    with pytest.raises(InsufficientFunds):
        charge("do_not_honour")
    assert "reason" not in events[0].properties
    assert events[1].properties["reason"] == "do_not_honour"


@pytest.mark.parametrize("result", [False, {"status": "failed"}, {"status": "pending"}, {"status": "cancelled"}])
def test_an_event_without_a_failure_goes_out_on_success_alone(result: object, events: list[Capture]) -> None:
    """A KYC verification that did not pass is no ``kyc.verified``."""

    @kyc
    def verify(tier: str) -> object:
        return result

    assert verify("gold") is result
    assert not events


@pytest.mark.parametrize("option", [{}, {"span_name": "Charge a card"}])
def test_the_span(option: dict[str, Any], events: list[Capture], spans: InMemorySpanExporter) -> None:
    """Its name is the module's and the function's, or the option's; it is internal, and unset where nothing failed."""

    @payment(**option)
    def charge(amount_minor: int, note: str) -> None: ...

    charge(125_000, "for ada@example.com")

    (span,) = spans.get_finished_spans()
    assert span.name == option.get("span_name", f"{__name__} {charge.__qualname__}")
    assert span.kind is SpanKind.INTERNAL
    assert span.status.status_code is StatusCode.UNSET
    assert not span.attributes
    assert [(event.name, dict(event.attributes or {})) for event in span.events] == [
        ("payment.pending", {"amount_minor": 125_000}),
        ("payment.completed", {"amount_minor": 125_000}),
    ]


@pytest.mark.parametrize("record_exceptions", [False, True])
def test_the_span_of_a_failure(record_exceptions: bool, spans: InMemorySpanExporter) -> None:
    """Its status names the exception's type; message and stack quote customers, so they need a setting."""

    @payment
    def charge() -> None:
        raise InsufficientFunds("ada@example.com")

    with captured_events(record_exceptions=record_exceptions), pytest.raises(InsufficientFunds):
        charge()

    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes == {"error.type": "InsufficientFunds"}
    recorded = [event for event in span.events if event.name == "exception"]
    assert len(recorded) == record_exceptions
    assert span.status.description == (
        "InsufficientFunds: ada@example.com" if record_exceptions else "InsufficientFunds"
    )
    assert ("ada@example.com" in span.to_json()) is record_exceptions


def test_a_result_that_says_failed_leaves_the_span_unset(events: list[Capture], spans: InMemorySpanExporter) -> None:
    """The function did what it should: a declined payment is a business outcome, not an error of the software."""
    payment(lambda: {"status": "declined"})()

    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.UNSET
