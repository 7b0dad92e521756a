"""Each kind takes what the tracking plan allows, in one shape, and refuses all else with ``Refused`` alone."""

from __future__ import annotations

import enum
import itertools
import re
import string
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn

import pycountry
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zentra_otel_posthog import kinds
from zentra_otel_posthog.kinds import KINDS, Kind, Refused

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
INT64_MAX = 2**63 - 1
WITHDRAWN = {"ANG", "BGN", "HRK", "SLL", "ZWL"}  # since 2023; settlements and refunds still bear them
CURRENCIES = {currency.alpha_3 for currency in pycountry.currencies} | WITHDRAWN
COUNTRIES = {country.alpha_2 for country in pycountry.countries}
PLATFORMS = {"ios", "android", "web"}
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9_.\-]{0,62}[a-z0-9])?")
LONG_NUMBER = re.compile(r"\d(?:[\W_]{0,3}\d){6}")


class Method(enum.Enum):
    BANK = "Bank Transfer"
    NUMBERED = 3
    NAIRA = "ngn"


class Tier(enum.IntEnum):
    GOLD = 3


class Channel(enum.StrEnum):
    WEB = "web"


def accepted(kind: str, value: object) -> Any:
    return KINDS[kind].normalise(value)


def refusal(kind: str, value: object) -> str:
    with pytest.raises(Refused) as caught:
        KINDS[kind].normalise(value)
    return caught.value.rule


class TestMinorUnits:
    @pytest.mark.parametrize(
        ("value", "amount"),
        [
            (125_000, 125_000),
            ("125000", 125_000),
            (" 125000\n", 125_000),
            ("000125", 125),
            (100.0, 100),
            (0, 0),
            (-0.0, 0),
            (Decimal(5), 5),
            (Decimal("5.00"), 5),
            (Decimal("1E+3"), 1000),
            (Tier.GOLD, 3),
            (INT64_MAX, INT64_MAX),
            (str(INT64_MAX), INT64_MAX),
            (2.0**53, 2**53),
        ],
    )
    def test_whole_amounts_become_integers(self, value: object, amount: int) -> None:
        """A whole number from 0 to 2**63 - 1 becomes a plain int, whichever type carries it."""
        result = accepted("minor_units", value)
        assert (result, type(result)) == (amount, int)

    @pytest.mark.parametrize(
        "value",
        [
            *(True, False, -1, -1.0, "-1", Decimal(-1), INT64_MAX + 1, str(INT64_MAX + 1), Decimal(INT64_MAX + 1)),
            *(100.5, Decimal("100.5"), "100.5", "100.0", "1e3", 2.0**53 + 2, 1e300),
            *(float("nan"), float("inf"), float("-inf"), Decimal("nan"), Decimal("sNaN"), Decimal("inf"), "nan", "inf"),
            *("", " ", "+5", "1_000", "1,000", "0x10", "\u0663", "\u00b2", "5" * 20, "5" * 10_000, "NGN 5"),
            *(None, b"5", [5], {}, 5j, Fraction(5), object(), Method.NUMBERED, date(2026, 11, 2)),
        ],
    )
    def test_anything_else_is_refused(self, value: object) -> None:
        """No boolean, fraction, NaN, infinity, sign, separator, other script, or number out of range passes."""
        assert refusal("minor_units", value) == "minor_units"

    def test_an_astronomic_decimal_is_refused_by_its_size(self) -> None:
        """The billion digits of a decimal are never written out, which would hold the request up for minutes."""
        written_out: list[object] = []
        exact = type("Exact", (Decimal,), {"__int__": written_out.append})
        assert refusal("minor_units", exact("1E+1000000000")) == "minor_units"
        assert written_out == []


class TestCodes:
    def test_currencies_are_those_of_iso_4217(self) -> None:
        """Of all three-letter codes exactly ISO 4217's are taken, and the few withdrawn of late."""
        every = map("".join, itertools.product(string.ascii_uppercase, repeat=3))
        taken = {code for code in every if _is_accepted("currency", code)}
        assert taken == CURRENCIES

    def test_countries_are_those_of_iso_3166(self) -> None:
        """Of all two-letter codes exactly ISO 3166-1's are taken."""
        every = map("".join, itertools.product(string.ascii_uppercase, repeat=2))
        taken = {code for code in every if _is_accepted("country", code)}
        assert taken == COUNTRIES

    @pytest.mark.parametrize(
        ("kind", "value", "code"),
        [
            ("currency", "ngn", "NGN"),
            ("currency", " Ngn ", "NGN"),
            ("currency", Method.NAIRA, "NGN"),
            ("country", "ng", "NG"),
            ("platform", "iOS", "ios"),
            ("platform", " ANDROID ", "android"),
            ("platform", Channel.WEB, "web"),
        ],
    )
    def test_case_and_enumerations_make_no_difference(self, kind: str, value: object, code: str) -> None:
        """A code is taken in any case, with blanks around it, and as a member of an enumeration."""
        result = accepted(kind, value)
        assert (result, type(result)) == (code, str)

    @pytest.mark.parametrize("kind", ["currency", "country", "platform"])
    @pytest.mark.parametrize(
        "value", ["", "N", "NGNN", "XYZ1", "₦", "N\u0261N", "naira", "windows", None, 566, True, b"NGN", ["NGN"], {}]
    )
    def test_no_code_is_refused(self, kind: str, value: object) -> None:
        """What is not in the list is refused, look-alikes and numeric codes included."""
        assert refusal(kind, value) == kind

    @pytest.mark.parametrize(
        ("value", "flag"), [(True, True), ("TRUE", True), (1, True), (False, False), ("false", False), (0, False)]
    )
    def test_flags(self, value: object, flag: bool) -> None:
        """True and false pass as booleans, words and 0 or 1."""
        assert accepted("flag", value) is flag

    @pytest.mark.parametrize("value", ["", "yes", "1", 2, -1, 1.0, None, [], b"true"])
    def test_no_flag(self, value: object) -> None:
        """Nothing that merely is truthy is a flag."""
        assert refusal("flag", value) == "flag"

    @pytest.mark.parametrize("value", [0, 999_999, "42", 7.0])
    def test_counts(self, value: Any) -> None:
        """A count is a whole number of at most six digits."""
        assert accepted("count", value) == int(value)

    @pytest.mark.parametrize("value", [1_000_000, "1000000", -1, 0.5, True, "many", None, []])
    def test_no_count(self, value: object) -> None:
        """A number that may be an account, a phone or an identity is no count."""
        assert refusal("count", value) == "count"


def _fails(*_: object, **__: object) -> NoReturn:
    raise ZeroDivisionError


class EverythingFails:
    __index__ = __int__ = __float__ = __str__ = __repr__ = __iter__ = __len__ = __eq__ = __bool__ = _fails
    __hash__ = None  # type: ignore[assignment]  # as every class with an __eq__ of its own


class Disguised:
    __class__ = property(_fails)  # what proxies do, gone wrong


def _hostile(base: type, value: object, *methods: str) -> object:
    return type("Hostile", (base,), {**dict.fromkeys(methods, _fails), "__hash__": base.__hash__})(value)


HOSTILE: dict[str, Callable[[], object]] = {
    "object": EverythingFails,
    "class": Disguised,
    "item": lambda: [EverythingFails()],
    "str": lambda: _hostile(str, "card", "strip", "lower", "upper", "__len__", "__eq__"),
    "int": lambda: _hostile(int, 1, "__index__", "__le__", "__ge__", "__eq__"),
    "float": lambda: _hostile(float, 1.0, "is_integer", "__abs__", "__int__"),
    "Decimal": lambda: _hostile(Decimal, 1, "is_finite", "__eq__", "__int__"),
}


def test_hostile_values_are_refused_or_understood() -> None:
    """An object whose own methods raise makes a kind raise nothing but ``Refused``."""
    escaped = []
    for kind, (name, value) in itertools.product(KINDS, HOSTILE.items()):
        try:
            _is_accepted(kind, value())
        except ZeroDivisionError:
            escaped.append((kind, name))
    assert escaped == []


@pytest.mark.parametrize(
    ("value", "slug"),
    [
        ("Access Bank", "access_bank"), ("friend", "friend"), ("Black Friday", "black_friday"), ("NG", "ng"),
        ("Adaugo Nwachukwu-Bello", None), ("Mr Obi", None), ("OBI, Ada", None), ("Ada J. Obi", None),
    ],
)  # fmt: skip
def test_a_partner_is_no_person(value: str, slug: str | None) -> None:
    """Who stands at the other end leaves as a code, and not at all where it is written like a person's name."""
    assert ([accepted("partner", value)] if slug else [refusal("partner", value)]) == [slug or "name"]


WORDS = st.sampled_from(
    ["Ada", "pk", "test", "sk", "live", "token", "bank", "12", "123", "4567", ";", "-", ".", "é", "GB82", "WEST"]
)
_scalars = (
    st.text()
    | st.text("0123456789 -_.@aB\u0301\u0661", max_size=40)
    | st.lists(WORDS).map(" ".join)
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.booleans()
    | st.binary()
    | st.dates()
    | st.uuids()
    | st.complex_numbers()
    | st.sampled_from(
        [*Method, *Tier, *Channel, object(), len, str, ..., NotImplemented, datetime.now(UTC), uuid.NAMESPACE_DNS]
    )
)
_anything = st.recursive(
    _scalars, lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
class TestProperties:
    @PATIENT
    @given(value=_anything)
    def test_output_has_the_kinds_shape(self, kind: Kind, value: object) -> None:
        """Whatever goes in, ``Refused`` or a value within the kind's shape comes out."""
        for result in _results(kind, value):
            assert _in_shape(kind.name, result)

    @PATIENT
    @given(value=_anything)
    def test_normalising_twice_is_normalising_once(self, kind: Kind, value: object) -> None:
        """What a kind has let through it lets through unchanged."""
        for result in _results(kind, value):
            again = kind.normalise(result)
            assert (again, type(again)) == (result, type(result))


def _results(kind: Kind, value: object) -> Iterator[Any]:
    try:
        yield kind.normalise(value)
    except Refused as refused:
        assert re.fullmatch(r"[a-z_]+", refused.rule)  # noqa: PT017  a refusal is one of two right outcomes


def _is_accepted(kind: str, value: object) -> bool:
    return any(True for _ in _results(KINDS[kind], value))


_SHAPES = {
    "slug": SLUG,
    "partner": SLUG,
    "text": re.compile(r"\S(?:.{0,198}\S)?", re.DOTALL),
    "identifier": re.compile(r"\S(?:.{0,198}\S)?", re.DOTALL),
    "pseudonym": re.compile("psn1_[0-9a-f]{40}"),  # of another process: there is no key here
    "last_four": re.compile(r"\*{4}[0-9A-Z]{4}"),
}


def _in_shape(kind: str, value: Any) -> bool:
    match kind:
        case "minor_units" | "count":
            return type(value) is int and 0 <= value <= (INT64_MAX if kind == "minor_units" else 999_999)
        case "flag":
            return type(value) is bool
        case "slug_list":
            return type(value) is list and len(value) <= 32 and all(_in_shape("slug", item) for item in value)
    if type(value) is not str or (kind in {"slug", "partner"} and LONG_NUMBER.search(value)):
        return False
    if kind in _SHAPES:
        return _SHAPES[kind].fullmatch(value) is not None
    return value in {"currency": CURRENCIES, "country": COUNTRIES}.get(kind, PLATFORMS)


def test_the_annotations_carry_their_kinds() -> None:
    """Each public alias bears the kind of its name, so an annotation and a TOML file mean the same."""
    aliases = {name: alias for name, alias in vars(kinds).items() if hasattr(alias, "__metadata__")}
    assert {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): alias.__metadata__[0] for name, alias in aliases.items()
    } == dict(KINDS)
