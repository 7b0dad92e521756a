"""No identifier leaves that is personal data, or that PostHog would take for somebody else's."""

from __future__ import annotations

import enum
import hashlib
import hmac
import re
import unicodedata
from collections import Counter
from typing import NoReturn
from uuid import NAMESPACE_DNS, UUID, uuid5

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zentra_otel_posthog import telemetry
from zentra_otel_posthog.sanitize.identifiers import IdentifierGate

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
KEY = "an invented key of thirty-two bytes or more"
OTHER_KEY = "another invented key of thirty-two bytes"
PSEUDONYM = re.compile(r"psn1_[0-9a-f]{40}")
SESSION = "0192f0c1-2d3e-7abc-8def-0123456789ab"
ILLEGAL = [
    "0",
    "00000000-0000-0000-0000-000000000000",
    "[object Object]",
    "anonymous",
    "anonymous-user",
    "backend",
    "distinct_id",
    "distinctid",
    "email",
    "false",
    "guest",
    "id",
    "nan",
    "none",
    "not_authenticated",
    "null",
    "system",
    "true",
    "undefined",
    "user",
]
PERSONAL = [
    "ada@example.com",
    "Ada.Lovelace+bank@Example.com",
    "+2348031234567",
    "+234 803 123 4567",
    "08031234567",
    "22212345678",
    "4111111111111111",
    "4111 1111 1111 1111",
    "123456789",
    "usr:ada@example.com",
]
OPAQUE = [
    "usr_1",
    "42",
    "usr_01HZX3V9K2QW8RT5",
    "f47ac10b-58cc-4372-a567-0e02b2c3d479",
    "acme|1042",
    "x" * 200,
    "12345678",
]


class Tenant(str, enum.Enum):  # noqa: UP042  StrEnum came with Python 3.11; applications still have these
    ACME = "acme"


class Kept(enum.StrEnum):
    ACME = "acme"


class Hostile(str):
    __slots__ = ()

    def __str__(self) -> NoReturn:
        raise ZeroDivisionError


@pytest.fixture
def refused() -> Counter[tuple[str, ...]]:
    """What was refused before the test; ``since`` tells the difference."""
    return Counter(telemetry.totals(telemetry.REFUSED))


def since(before: Counter[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    return dict(Counter(telemetry.totals(telemetry.REFUSED)) - before)


def expected_pseudonym(key: str, purpose: str, value: str) -> str:
    text = unicodedata.normalize("NFKC", value).casefold()
    if re.fullmatch(r"\+?[0-9][0-9 ().\-/]{4,40}", text):
        text = re.sub(r"[^0-9+]", "", text)
    message = f"zentra-otel-posthog/1/{purpose}\0{text}".encode()
    return f"psn1_{hmac.new(key.encode(), message, hashlib.sha256).hexdigest()[:40]}"


@pytest.mark.parametrize("key", [None, KEY])
class TestWithAndWithoutKey:
    @pytest.mark.parametrize("value", OPAQUE)
    def test_opaque_ids_pass(self, key: str | None, value: str, refused: Counter[tuple[str, ...]]) -> None:
        """An id that says nothing about a person leaves as it is."""
        gate = IdentifierGate(key)
        assert (gate.distinct_id("a.b", value), gate.group_key("a.b", value)) == (value, value)
        assert since(refused) == {}

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (42, "42"),
            (-7, "-7"),
            (NAMESPACE_DNS, str(NAMESPACE_DNS)),
            ("  usr_1\n", "usr_1"),
            (Kept.ACME, "acme"),
            (Tenant.ACME, "acme"),
        ],
    )
    def test_other_types_of_ids(self, key: str | None, value: object, text: str) -> None:
        """Integers, UUIDs and enumerations are ids as well; blanks around them are not part of them."""
        for identifier in (IdentifierGate(key).distinct_id("a.b", value), IdentifierGate(key).group_key("a.b", value)):
            assert (identifier, type(identifier)) == (text, str)

    @pytest.mark.parametrize(
        "value",
        [
            *ILLEGAL,
            *map(str.upper, ILLEGAL),
            *map(str.title, ILLEGAL),
            '"user"',
            "'null'",
            " 0 ",
            "",
            " ",
            "''",
            0,
            UUID(int=0),
        ],
    )
    def test_ids_that_posthog_merges(self, key: str | None, value: object, refused: Counter[tuple[str, ...]]) -> None:
        """What PostHog makes no person of, in any case and in quotes, is refused and gets no pseudonym."""
        assert IdentifierGate(key).distinct_id("a.b", value) is None
        assert since(refused) == {("a.b", "distinct_id", "illegal_id"): 1}

    @pytest.mark.parametrize("value", [True, 1.5, b"usr_1", ["usr_1"], {"id": 1}, object(), ..., Hostile("usr_1")])
    def test_what_is_no_id(self, key: str | None, value: object, refused: Counter[tuple[str, ...]]) -> None:
        """Another type, or an object that fails, is refused; nothing is raised."""
        assert IdentifierGate(key).distinct_id("a.b", value) is None
        ((event, name, rule),) = since(refused)
        assert (event, name, rule in {"type", "error"}) == ("a.b", "distinct_id", True)

    @pytest.mark.parametrize("value", [SESSION, SESSION.upper(), UUID(SESSION), f"{{{SESSION}}}"])
    @pytest.mark.parametrize("name", ["session_id", "window_id"])
    def test_session_ids(self, key: str | None, name: str, value: object) -> None:
        """A UUIDv7, however written, is posthog-js's session or window in its usual spelling."""
        assert getattr(IdentifierGate(key), name)("a.b", value) == SESSION

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "sess_1",
            "f47ac10b-58cc-4372-a567-0e02b2c3d479",
            SESSION.replace("-7", "-8"),
            SESSION + "0",
            5,
            None,
            b"x",
            object(),
            NAMESPACE_DNS,
            Hostile(SESSION),
        ],
    )
    @pytest.mark.parametrize("name", ["session_id", "window_id"])
    def test_no_session_ids(self, key: str | None, name: str, value: object, refused: Counter[tuple[str, ...]]) -> None:
        """Anything else may be a credential, and PostHog would not count it: refused, without raising."""
        assert getattr(IdentifierGate(key), name)("a.b", value) is None
        assert since(refused) == {("a.b", f"${name}", name): 1}


class TestPersonalIds:
    @pytest.mark.parametrize("value", [*PERSONAL, 2348031234567])
    def test_refused_without_a_key(self, value: object, refused: Counter[tuple[str, ...]]) -> None:
        """Without a key a personal id goes nowhere, and the count bears the rule, never the value."""
        assert IdentifierGate().distinct_id("a.b", value) is None
        ((event, name, rule),) = since(refused)
        assert (event, name) == ("a.b", "distinct_id")
        assert re.fullmatch("[a-z_]+", rule)

    def test_too_long_for_posthog(self) -> None:
        """An id that PostHog would cut is refused; for a group's key the bound is wider."""
        gate = IdentifierGate()
        assert gate.distinct_id("a.b", "x" * 201) is None
        assert (gate.group_key("a.b", "x" * 201), gate.group_key("a.b", "x" * 401)) == ("x" * 201, None)

    @pytest.mark.parametrize("value", [*PERSONAL, "x" * 201])
    def test_a_pseudonym_is_hmac_sha256(self, value: str) -> None:
        """The pseudonym is that of RFC 2104 over purpose and id, so another system can compute it, and a later version too."""
        assert IdentifierGate(KEY).distinct_id("a.b", value) == expected_pseudonym(KEY, "distinct_id", value)

    @pytest.mark.parametrize(
        "spellings",
        [("+234 803 123 4567", "+2348031234567", "+234-803-123-4567"), ("Ada@Example.com", " ada@example.com")],
    )
    def test_one_spelling_one_pseudonym(self, spellings: tuple[str, ...]) -> None:
        """How a number or an address is written down makes no second person of its owner."""
        assert len({IdentifierGate(KEY).distinct_id("a.b", spelling) for spelling in spellings}) == 1

    @pytest.mark.parametrize("value", PERSONAL)
    def test_one_pseudonym_per_person_key_and_purpose(self, value: str) -> None:
        """The same input gives the same pseudonym anywhere; another key or purpose gives an unrelated one."""
        pseudonym = IdentifierGate(KEY).distinct_id("a.b", value)
        assert pseudonym is not None
        assert PSEUDONYM.fullmatch(pseudonym)
        assert IdentifierGate(KEY).distinct_id("c.d", f" {value} ") == pseudonym
        assert (
            len(
                {
                    pseudonym,
                    IdentifierGate(OTHER_KEY).distinct_id("a.b", value),
                    IdentifierGate(KEY).group_key("a.b", value),
                }
            )
            == 3
        )

    def test_spellings_are_one_person(self) -> None:
        """Case and width of an e-mail address make no second person."""
        gate = IdentifierGate(KEY)
        spellings = ["ada@example.com", "Ada@Example.COM", "\uff41da@example.com"]  # the last with a full width a
        assert len({gate.distinct_id("a.b", spelling) for spelling in spellings}) == 1

    def test_a_pseudonym_is_kept(self, refused: Counter[tuple[str, ...]]) -> None:
        """Another service's pseudonym passes as it is, with and without a key."""
        pseudonym = expected_pseudonym(KEY, "distinct_id", "ada@example.com")
        assert {
            gate.distinct_id("a.b", pseudonym)
            for gate in (IdentifierGate(), IdentifierGate(KEY), IdentifierGate(OTHER_KEY))
        } == {pseudonym}
        assert since(refused) == {}

    def test_a_replacement_is_counted_too(self, refused: Counter[tuple[str, ...]]) -> None:
        """A pseudonym in the place of an id shows in the counts each time, also from the cache."""
        gate = IdentifierGate(KEY)
        for _ in range(3):
            gate.distinct_id("a.b", "ada@example.com")
            gate.group_key("a.b", "ada@example.com")
        assert since(refused) == {("a.b", "distinct_id", "email"): 3, ("a.b", "tenant", "email"): 3}


_ids = (
    st.text(max_size=60)
    | st.integers()
    | st.uuids()
    | st.emails()
    | st.from_regex(r"\+?[0-9 \-]{5,20}")
    | st.sampled_from(PERSONAL + ILLEGAL + OPAQUE)
)


@pytest.mark.parametrize("purpose", ["distinct_id", "group_key"])
@PATIENT
@given(value=_ids)
def test_whatever_comes(purpose: str, value: object) -> None:
    """Without a key the id itself leaves or nothing; with one exactly the refused personal ones become pseudonyms."""
    open_gate, keyed_gate = getattr(IdentifierGate(), purpose), getattr(IdentifierGate(KEY), purpose)
    alone, keyed = open_gate("a.b", value), keyed_gate("a.b", value)
    text = str(value).strip()
    assert alone in {None, text}
    assert keyed == alone or (alone is None and PSEUDONYM.fullmatch(keyed))
    for gate, identifier in ((open_gate, alone), (keyed_gate, keyed)):
        assert identifier is None or gate("a.b", identifier) == identifier
    if "@example.com" in text or text.casefold() in ILLEGAL:
        assert alone is None


@PATIENT
@given(value=st.text() | st.uuids() | st.integers() | st.binary())
def test_whatever_session(value: object) -> None:
    """A session id is a UUIDv7 or nothing."""
    session = IdentifierGate().session_id("a.b", value)
    assert session is None or UUID(session).version == 7


def test_uuids_of_other_versions_are_ids() -> None:
    """A UUID of any version is a distinct id, also one whose digits run long."""
    gate = IdentifierGate()
    lost = [
        identifier
        for identifier in (str(uuid5(NAMESPACE_DNS, str(number))) for number in range(2000))
        if gate.distinct_id("a.b", identifier) != identifier
    ]
    assert lost == []
