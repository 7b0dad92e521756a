"""What cannot be right is an error when a function is decorated, and says what would be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple, Optional, TypedDict

import msgspec
import pytest

from zentra_otel_posthog import Event, PaymentCompleted, events, payment, track
from zentra_otel_posthog.events import UnknownEvent
from zentra_otel_posthog.kinds import Slug
from zentra_otel_posthog.testing import captured_events


@dataclass
class Amount:
    minor: int
    currency: str
    region: ClassVar[str] = "ng"

    @property
    def double(self) -> int:
        return 2 * self.minor


class Body(TypedDict, total=False):
    amount: Amount
    method: str


class Line(NamedTuple):
    amount: Amount


class Order(msgspec.Struct):
    line: Line
    body: Body | None = None


class Open:
    """Any attribute may exist, as far as one can tell from the class."""


class Unreadable:
    __signature__ = "nonsense"

    def __call__(self) -> None: ...


def sample(
    amount_minor: int,
    order: Amount,
    body: Body,
    line: Line,
    struct: Order,
    maybe: Amount | None,
    old: Optional[Amount],  # noqa: UP045  both spellings
    any_: Any,
    open_: Open,
    several: Amount | Line,
    noted: Annotated[Amount, "note"],
) -> Line:
    raise NotImplementedError


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "option": ({"distinctid": "x"}, TypeError, "unknown option 'distinctid'; did you mean 'distinct_id'?"),
    "parameter": ({"distinct_id": "amount_mino"}, ValueError, "distinct_id of * is 'amount_mino', but there is no parameter 'amount_mino'; did you mean 'amount_minor'?"),
    "far parameter": ({"tenant": "zzz"}, ValueError, "tenant of * is 'zzz', but there is no parameter 'zzz'; there are: amount_minor, order, *, result"),
    "property": ({"properties": {"amount": "amount_minor"}}, ValueError, "properties of *: no property 'amount'; did you mean 'amount_minor'?"),
    "reserved property": ({"properties": {"$set": "amount_minor"}}, ValueError, "properties of *: no property '$set'; there are: *"),
    "dataclass": ({"tenant": "order.mino"}, ValueError, "tenant of * is 'order.mino', but there is no 'mino'; did you mean 'minor'?"),
    "TypedDict": ({"tenant": "body.methd"}, ValueError, "there is no 'methd'; did you mean 'method'?"),
    "TypedDict, deeper": ({"tenant": "body.amount.currncy"}, ValueError, "there is no 'currncy'; did you mean 'currency'?"),
    "NamedTuple": ({"tenant": "line.amnt"}, ValueError, "there is no 'amnt'; did you mean 'amount'?"),
    "Struct": ({"tenant": "struct.line.amount.mnor"}, ValueError, "there is no 'mnor'; did you mean 'minor'?"),
    "Struct, optional": ({"tenant": "struct.body.amout"}, ValueError, "there is no 'amout'; did you mean 'amount'?"),
    "optional": ({"tenant": "maybe.mino"}, ValueError, "there is no 'mino'; did you mean 'minor'?"),
    "Optional": ({"tenant": "old.mino"}, ValueError, "there is no 'mino'; did you mean 'minor'?"),
    "Annotated": ({"tenant": "noted.mino"}, ValueError, "there is no 'mino'; did you mean 'minor'?"),
    "result": ({"outcome": "result.amoun"}, ValueError, "outcome of * is 'result.amoun', but there is no 'amoun'; did you mean 'amount'?"),
    "no path": ({"distinct_id": "order..id"}, ValueError, "distinct_id of * is 'order..id': a path is names joined by dots"),
    "empty path": ({"distinct_id": ""}, ValueError, "distinct_id of * is '': a path is names joined by dots"),
    "no source": ({"outcome": 3}, TypeError, "outcome of * is 3: give a path as in 'request.amount' or a callable"),
    "no source of a property": ({"properties": {"method": 3}}, TypeError, "properties['method'] of * is 3: give a path"),
    "properties": ({"properties": ["amount_minor"]}, TypeError, "properties of * is ['amount_minor']: give a mapping"),
    "span name": ({"span_name": 3}, TypeError, "span_name of * is 3: give a string"),
    "callable": ({"properties": {"method": lambda metod: 1}}, ValueError, "properties['method'] of * is 'metod', but there is no parameter 'metod'"),
    "callable without signature": ({"properties": {"method": Unreadable()}}, TypeError, "the parameters of <* cannot be read; wrap it in a lambda"),
}  # fmt: skip


def pattern(message: str) -> str:
    """Return a regular expression for a message in which ``*`` stands for anything."""
    return re.escape(message).replace(r"\*", ".*")


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_right_is_an_error_when_decorating(name: str) -> None:
    """The message names the option, the function, the wrong name and the nearest right one."""
    options, error, message = WRONG[name]
    with pytest.raises(error, match=pattern(message)):
        payment(**options)(sample)


@pytest.mark.parametrize(
    "path",
    [
        "order.double",
        "order.region",
        "order.minor.real",
        "any_.whatever",
        "open_.whatever",
        "several.whatever",
        "line.count",
        "result.amount.minor",
        "noted.minor",
        "maybe.minor",
    ],
)
def test_what_may_be_right_is_taken(path: str) -> None:
    """Properties, class variables and methods exist; open classes and unions may have any attribute."""
    assert callable(payment(tenant=path)(sample))


def test_a_hint_that_does_not_resolve_checks_nothing() -> None:
    """A name that is imported for type checkers alone is no error."""

    def charge(order: NotImported) -> None: ...  # type: ignore[name-defined]  # noqa: F821  on purpose

    assert callable(payment(tenant="order.whatever")(charge))


NOT_DECORATED: dict[str, tuple[Any, str]] = {
    "class": (Amount, "is no function: decorate the function or method itself"),
    "text": ("customer_id", "options have names: @payment(distinct_id='customer_id')"),
    "property": (property(lambda self: 1), "is no function"),
    "class method of a class": (classmethod(Amount), "is no function"),  # type: ignore[arg-type]
    "unreadable signature": (Unreadable(), "Unreadable cannot be decorated: its signature cannot be read"),
}


@pytest.mark.parametrize("name", NOT_DECORATED)
def test_what_is_no_function_cannot_be_decorated(name: str) -> None:
    """A class, a value or something without a signature is an error that says so."""
    thing, message = NOT_DECORATED[name]
    with pytest.raises(TypeError, match=pattern(message)):
        payment(thing)


def test_a_function_and_options_together() -> None:
    """The message shows the right way."""
    with pytest.raises(TypeError, match=re.escape("as in @payment(distinct_id='customer_id')")):
        payment(sample, tenant="order")  # type: ignore[call-overload]


@pytest.fixture
def declared() -> Iterator[type[Event]]:
    """Declare an event for one test."""

    class Loaded(Event, name="wallet.loaded"):
        amount_minor: Slug

    yield Loaded
    events.forget(Loaded.event_schema.origin)


class TestTrack:
    """Any declared event, by its class or its name."""

    def test_class_and_name(self) -> None:
        """Both give the same."""
        with captured_events() as captures:
            for event in (PaymentCompleted, "payment.completed"):
                track(event)(lambda amount_minor: None)(5)

        assert [capture.event for capture in captures] == ["payment.completed"] * 2
        assert [capture.properties["amount_minor"] for capture in captures] == [5, 5]

    @pytest.mark.parametrize(
        ("event", "error", "message"),
        [
            (
                "payment.complete",
                UnknownEvent,
                "no event 'payment.complete' in the tracking plan; did you mean 'payment.completed'?",
            ),
            ("nothing.like_it", UnknownEvent, "subclass of Event or as [[event]]"),
            (sample, TypeError, "as in @track('checkout.completed'), not <function sample"),
            (Event, TypeError, "an event's name or an Event class"),
            (3, TypeError, "not 3"),
        ],
    )
    @pytest.mark.parametrize("role", ["event", "pending", "failed"])
    def test_wrong_events(self, role: str, event: Any, error: type[Exception], message: str) -> None:
        """A name that nothing declares, or no name at all, is an error for each of the three events."""
        arguments: dict[str, Any] = {"event": PaymentCompleted, role: event}
        with pytest.raises(error, match=pattern(message)):
            track(**arguments)

    def test_events_that_disagree(self, declared: type[Event]) -> None:
        """One property cannot be two kinds: the message names both."""
        message = "'amount_minor' is a slug in one event of the decorator for 'payment.completed' and a minor_units in"
        with pytest.raises(ValueError, match=message):
            track(PaymentCompleted, failed=declared)(sample)

    def test_options_can_be_added(self, declared: type[Event]) -> None:
        """``track`` takes options at once or later; later ones win."""
        decorator = track(declared, properties={"amount_minor": "a"}, tenant="b")
        later = decorator(properties={"amount_minor": "b"})
        with captured_events() as captures:
            decorator(lambda a, b: None)("low", "acme")
            later(lambda a, b: None)("low", "acme")

        assert [capture.properties["amount_minor"] for capture in captures] == ["low", "acme"]
        assert [capture.properties["$groups"] for capture in captures] == [{"tenant": "acme"}] * 2
