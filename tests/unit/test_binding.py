"""Where the values of an event come from: parameters, paths, callables and results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import pytest

from zentra_otel_posthog import auth, card, kyc, payment, signup, telemetry, transfer
from zentra_otel_posthog.testing import captured_events

Call = Callable[..., Any]


def captured(function: Call, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Call; return the completed event's own properties, and ``distinct_id`` and ``tenant`` where it has them."""
    with captured_events() as events:
        function(*args, **kwargs)
    event = events[-1]
    own = {name: value for name, value in event.properties.items() if not name.startswith("$")}
    if event.properties.get("$process_person_profile") is not False:
        own["distinct_id"] = event.distinct_id
    if "$groups" in event.properties:
        own["tenant"] = event.properties["$groups"]["tenant"]
    return own


class TestParameters:
    """A property takes the parameter of its name."""

    def test_positional_and_by_name(self) -> None:
        """Any way of passing an argument reaches the event, defaults included; None is left out."""

        @payment
        def charge(
            amount_minor: int, /, currency: str = "NGN", *rest: object, method: str | None = "card", **more: object
        ) -> None: ...

        complete = {"amount_minor": 5, "currency": "NGN", "method": "card"}
        assert captured(charge, 5) == complete
        assert captured(charge, 5, "USD") == {**complete, "currency": "USD"}
        assert captured(charge, 5, "USD", "x", "y", method="ussd", z=1) == {
            **complete,
            "currency": "USD",
            "method": "ussd",
        }
        assert captured(charge, 5, method=None) == {"amount_minor": 5, "currency": "NGN"}

    def test_keyword_only_without_defaults(self) -> None:
        """Order does not matter."""

        @payment
        def charge(*, method: str, amount_minor: int) -> None: ...

        assert captured(charge, amount_minor=5, method="card") == {"amount_minor": 5, "method": "card"}

    def test_a_positional_only_parameter_is_not_taken_from_the_keywords(self) -> None:
        """A keyword of the same name belongs to ``**more``, and the default holds."""

        @payment
        def charge(amount_minor: int = 5, /, **more: object) -> None: ...

        assert captured(charge, amount_minor=6) == {"amount_minor": 5}

    def test_snake_case(self) -> None:
        """The tracking plan's ``cardType`` and ``deviceType`` take parameters in Python's spelling, or their own."""

        @card
        def issue(card_type: str, tier: str) -> None: ...

        @auth
        def log_in(method: str, deviceType: str) -> None: ...  # noqa: N803  the tracking plan's spelling

        assert captured(issue, "Virtual", "gold") == {"cardType": "virtual", "tier": "gold"}
        assert captured(log_in, "otp", "ios") == {"method": "otp", "deviceType": "ios"}

    @pytest.mark.parametrize(
        ("decorator", "properties"),
        [
            (transfer, {"amount_minor": 5, "destination": "bank", "currency": "NGN"}),
            (card, {"cardType": "virtual", "tier": "gold"}),
            (kyc, {"tier": "gold", "documents": ["passport"]}),
            (signup, {"channel": "web", "referral": "friend"}),
            (auth, {"method": "otp", "deviceType": "ios"}),
        ],
    )
    def test_every_decorator_takes_its_own_event(self, decorator: Call, properties: dict[str, Any]) -> None:
        """Each reads the properties of its event, and nothing else that it is passed."""
        function = eval(f"lambda {', '.join(properties)}, account_number: None")

        assert captured(decorator(function), *properties.values(), "0123456789") == properties

    @pytest.mark.parametrize("name", ["distinct_id", "user_id", "customer_id"])
    def test_the_person(self, name: str) -> None:
        """One of three names is the person where no option says otherwise."""
        function = eval(f"lambda {name}, other: None")

        assert captured(payment(function), "usr_1", "usr_2") == {"distinct_id": "usr_1"}
        assert captured(payment(distinct_id="other")(function), "usr_1", "usr_2") == {"distinct_id": "usr_2"}

    def test_the_person_by_order_of_names(self) -> None:
        """``distinct_id`` comes before ``user_id``, and that before ``customer_id``."""
        assert captured(payment(lambda customer_id, user_id: None), "usr_1", "usr_2") == {"distinct_id": "usr_2"}
        assert captured(payment(lambda user_id, distinct_id: None), "usr_1", "usr_2") == {"distinct_id": "usr_2"}


class Amount(NamedTuple):
    minor: int
    currency: str


class Order(msgspec.Struct):
    amount: Amount | None = None


AMOUNT = Amount(5, "NGN")


class Mapped(dict[str, object]):
    """A mapping's keys come before its attributes."""

    amount = Amount(7, "NGN")

    def __init__(self) -> None:
        super().__init__(amount=AMOUNT)


class TestPaths:
    """A path goes through attributes and mappings."""

    @pytest.mark.parametrize(
        ("path", "argument"),
        [
            ("order", 5),
            ("order.minor", AMOUNT),
            ("order.minor", {"minor": 5}),
            ("order.amount.minor", {"amount": AMOUNT}),
            ("order.amount.minor", SimpleNamespace(amount={"minor": 5})),
            ("order.amount.minor", Order(AMOUNT)),
            ("order.amount.minor", Mapped()),
        ],
    )
    def test_where_it_leads(self, path: str, argument: object) -> None:
        """Each step is an attribute of an object or a key of a mapping."""

        @payment(properties={"amount_minor": path})
        def charge(order: Any) -> None: ...

        assert captured(charge, argument) == {"amount_minor": 5}

    @pytest.mark.parametrize("argument", [None, {}, {"amount": None}, object(), SimpleNamespace(amount=3), []])
    def test_a_path_that_breaks_off_is_no_value(self, argument: object) -> None:
        """Nothing there is nothing recorded, and no error."""

        @payment(properties={"amount_minor": "order.amount.minor"})
        def charge(order: Any) -> None: ...

        assert captured(charge, argument) == {}

    def test_results(self) -> None:
        """A path that starts at ``result`` is read when the function has returned; also the person and the tenant."""

        @signup(properties={"channel": "result.channel"}, distinct_id="result.user.id", tenant="result.tenant")
        def register() -> object:
            return {"channel": "web", "user": SimpleNamespace(id="usr_1"), "tenant": "acme"}

        assert captured(register) == {"channel": "web", "distinct_id": "usr_1", "tenant": "acme"}

    def test_a_parameter_called_result(self) -> None:
        """It is the parameter, as a reader of the function would expect."""

        @payment(properties={"amount_minor": "result.minor"})
        def charge(result: Amount) -> None: ...

        assert captured(charge, AMOUNT) == {"amount_minor": 5}

    def test_variadic_parameters(self) -> None:
        """Where a function takes ``**fields``, a path may start at any keyword, and at ``fields`` itself."""

        @payment(
            properties={"amount_minor": "amount.minor", "currency": "fields.currency", "method": lambda rest: rest[0]}
        )
        def charge(*rest: object, **fields: object) -> None: ...

        expected = {"amount_minor": 5, "currency": "NGN", "method": "card"}
        assert captured(charge, "card", amount=AMOUNT, currency="NGN") == expected

    @pytest.mark.parametrize("place", ["above", "below"])
    def test_self_and_cls(self, place: str) -> None:
        """Paths and callables may start at the instance or the class."""
        decorate = card(properties={"tier": "owner.tier", "cardType": lambda owner, kind: f"{owner.tier} {kind}"})

        def issue(owner: Any, kind: str) -> None: ...

        class Bank:
            tier = "gold"
            issue_by_instance = decorate(issue)
            issue_by_class = decorate(classmethod(issue)) if place == "above" else classmethod(decorate(issue))

        for bound in (Bank().issue_by_instance, Bank().issue_by_class, Bank.issue_by_class):
            assert captured(bound, "virtual") == {"tier": "gold", "cardType": "gold_virtual"}


class TestCallables:
    """A callable's parameters are named like the function's, or ``result``."""

    def test_injection(self) -> None:
        """Parameters in any order, with defaults of their own, and the result."""

        @payment(
            properties={"amount_minor": lambda result, scale, unit=100: (result + unit) * scale},
            tenant=lambda of: of["name"],
        )
        def charge(amount: int, of: Mapping[str, str], scale: int = 2) -> int:
            return amount

        assert captured(charge, 5, {"name": "acme"}) == {"amount_minor": 210, "tenant": "acme"}
        assert captured(charge, 5, {}, scale=1) == {"amount_minor": 105}

    def test_keyword_only_parameters(self) -> None:
        """A source may insist on names."""

        def minor(*, amount: int, scale: int = 3) -> int:
            return amount * scale

        @payment(properties={"amount_minor": minor})
        def charge(amount: int) -> None: ...

        assert captured(charge, 5) == {"amount_minor": 15}

    def test_one_that_raises_is_left_out_and_counted(self) -> None:
        """An application's callable that fails costs its property alone."""
        before = telemetry.totals(telemetry.REFUSED).get(("payment.completed", "amount_minor", "unreadable"), 0)

        @payment(properties={"amount_minor": lambda amount: 1 / amount}, distinct_id=lambda amount: amount["no"])
        def charge(amount: int, method: str = "card") -> None: ...

        assert captured(charge, 0) == {"method": "card"}
        after = telemetry.totals(telemetry.REFUSED)[("payment.completed", "amount_minor", "unreadable")]
        assert after == before + 1
