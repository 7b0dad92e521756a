"""Free text becomes a short code, and no number, address or secret hides in one."""

from __future__ import annotations

import enum
import itertools

import pytest

from zentra_otel_posthog import kinds
from zentra_otel_posthog.kinds import KINDS, Normalised, Refused


class Method(enum.Enum):
    BANK = "Bank Transfer"
    NUMBERED = 3


class Tier(enum.IntEnum):
    GOLD = 3


class Channel(enum.StrEnum):
    WEB = "web"


def accepted(kind: str, value: object) -> Normalised:
    return KINDS[kind].normalise(value)


def refusal(kind: str, value: object) -> str:
    with pytest.raises(Refused) as caught:
        KINDS[kind].normalise(value)
    return caught.value.rule


class TestSlug:
    @pytest.mark.parametrize(
        ("value", "slug"),
        [
            ("Insufficient funds", "insufficient_funds"),
            ("insufficient_funds", "insufficient_funds"),
            ("Card -- declined (05)!", "card_--_declined_05"),
            ("  card  ", "card"),
            ("a__b", "a_b"),
            ("visa.debit-3ds", "visa.debit-3ds"),
            ("Crédit agricole", "credit_agricole"),
            ("ＣＡＲＤ", "card"),  # noqa: RUF001  full width is the point
            ("ﬁat", "fiat"),
            ("123456", "123456"),
            ("x" * 64, "x" * 64),
            (Method.BANK, "bank_transfer"),
            (Method.NUMBERED, "3"),
            (Tier.GOLD, "3"),
            (Channel.WEB, "web"),
            (2, "2"),
            ("058", "058"),
        ],
    )
    def test_codes_and_plain_words_become_slugs(self, value: object, slug: str) -> None:
        """Free text, accents, widths and enumerations are folded to one lower-case code."""
        result = accepted("slug", value)
        assert (result, type(result)) == (slug, str)

    @pytest.mark.parametrize(
        "value", ["", " ", "!!!", "_.-", "x" * 65, "x y" * 200, "₦", True, 1.0, 1_000_000, None, b"card", ["card"], {}]
    )
    def test_no_slug(self, value: object) -> None:
        """Nothing, too much, and other types are refused."""
        assert refusal("slug", value) in {"slug", "count"}

    @pytest.mark.parametrize(
        "value",
        [
            *("1234567", "account 1234567", "123-45-67", "12 34 567", "1.2.3.4.5.6.7", "1 - 2 - 3 - 4 - 5 - 6 - 7"),
            *(
                "\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
                "\uff11\uff12\uff13\uff14\uff15\uff16\uff17",
                "\u2460\u2461\u2462\u2463\u2464\u2465\u2466",
            ),
            *("1\u200b2\u200b3\u200b4\u200b5\u200b6\u200b7", "12\u03013456\u03017"),
        ],
    )
    def test_more_than_six_digits_are_refused(self, value: str) -> None:
        """A number long enough for an account or a phone is refused, however it is written or separated."""
        assert refusal("slug", value) == "long_number"

    @pytest.mark.parametrize("value", ["ada@example.com", "ada＠example.com", "@ada", "a @ b"])  # noqa: RUF001  likewise
    def test_an_at_sign_is_refused(self, value: str) -> None:
        """Nothing with an @ passes."""
        assert refusal("slug", value) == "email"

    @pytest.mark.parametrize(
        "value",
        [
            "sk" + "_live_a1B2c3D4e5F6g7H8i9J0k1L2",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJlLW9mLW5vdGhpbmc",
            "192.168.10.24",
            "00:1b:44:11:3a:b7",
            "password=hunter2hunter2",
        ],
    )
    def test_what_a_detector_knows_is_refused(self, value: str) -> None:
        """Secrets and addresses do not become slugs."""
        refusal("slug", value)

    @pytest.mark.parametrize("value", ["123    4567", "12 , ; & 34567", "1" + "\u0301" * 4 + "234567"])
    def test_folding_makes_no_long_number(self, value: str) -> None:
        """Digits that only come close when the rest is folded away are a long number all the same."""
        assert refusal("slug", value) == "long_number"

    def test_folding_makes_no_secret(self) -> None:
        """A text whose slug a detector knows is refused like that slug."""
        assert refusal("slug", "_-Ada-pk-test-bank-;-token") == refusal("slug", "ada-pk-test-bank-_-token")

    def test_a_refused_text_is_refused_again(self) -> None:
        """The memory of known codes answers a refused text no differently the second time."""
        assert refusal("slug", "ada@example.com") == refusal("slug", "ada@example.com")

    @pytest.mark.parametrize(
        ("name", "slug"),
        [
            ("InsufficientFunds", "insufficient_funds"),
            ("HTTPError", "http_error"),
            ("Timeout", "timeout"),
            ("Rail3DSRejected", "rail3_ds_rejected"),
            ("snake_case", "snake_case"),
        ],
    )
    def test_class_names(self, name: str, slug: str) -> None:
        """An exception's class name becomes the code that a dashboard shows."""
        assert kinds.slug_of_class_name(name) == slug


class TestSlugList:
    @pytest.mark.parametrize(
        ("value", "slugs"),
        [
            (["Passport", "Utility bill"], ["passport", "utility_bill"]),
            (("passport",), ["passport"]),
            ("Passport", ["passport"]),
            (Method.BANK, ["bank_transfer"]),
            ([Method.BANK, 2], ["bank_transfer", "2"]),
            ({"passport"}, ["passport"]),
            (frozenset({"passport"}), ["passport"]),
            ([], []),
            (["x"] * 32, ["x"] * 32),
        ],
    )
    def test_lists_of_codes(self, value: object, slugs: list[str]) -> None:
        """Each item becomes a slug; one text is a list of one."""
        assert accepted("slug_list", value) == slugs

    @pytest.mark.parametrize(
        "value",
        [
            *(["x"] * 33, itertools.repeat("x"), ["passport", "A1234567890"], ["passport", None], [["passport"]]),
            *({"passport": "A1"}, None, 5, 5.0, True, object()),
        ],
    )
    def test_one_bad_item_refuses_the_list(self, value: object) -> None:
        """Too many items, an endless iterable, a mapping or one refused item: nothing is kept."""
        refusal("slug_list", value)

    @pytest.mark.parametrize("value", [b"ada@example.com", bytearray(b"A1234567"), memoryview(b"A1234567")])
    def test_bytes_are_no_list(self, value: object) -> None:
        """The character codes of a text are that text in another spelling."""
        assert refusal("slug_list", value) == "slug_list"

    def test_an_iterator_is_left_alone(self) -> None:
        """The business function still finds everything in an iterator that it was passed."""
        documents = iter(["passport", "selfie"])
        assert refusal("slug_list", documents) == "slug_list"
        assert list(documents) == ["passport", "selfie"]
