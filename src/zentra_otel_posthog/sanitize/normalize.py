"""One spelling for text that hides behind Unicode: a copy to look at, never the value that is sent."""

from __future__ import annotations

import unicodedata
from typing import Final

# Letters of other alphabets that are drawn like Latin ones (Unicode Technical Standard 39, confusables;
# only those that a Latin reader cannot tell apart).
_LOOKALIKES: Final = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХЗаеѕіјорсухԁһԛԝӏвкмнтΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυχϲɑɡı",
        "ABESIJKMHOPCTYX3aesijopcyxdhqwlbkmhtABEZHIKMNOPTYXaikvopuxcagi",
        strict=True,
    ),
)
_SPELLINGS: Final = _LOOKALIKES | {
    "\u2212": "-",  # minus sign
    "\u00b7": ".",  # middle dots stand between groups of digits
    "\u2022": ".",
    "\u2027": ".",
    "\u2219": ".",
    "\u22c5": ".",
    "\u30fb": ".",
    "\u3002": ".",  # ideographic full stop
    "\u2044": "/",
    "\u2215": "/",
    "\u2800": "",  # blank braille cell
    "\u3164": "",  # blank letters
    "\u115f": "",
    "\u1160": "",
    "\u2019": "'",
    "\u2018": "'",
    "\u201c": '"',
    "\u201d": '"',
}
_INVISIBLE: Final = frozenset({"Cf", "Cc", "Mn", "Me", "Cs", "Co"})
_SPACES: Final = frozenset({"Zs", "Zl", "Zp"})
_MOST_REMEMBERED: Final = 4096


def _fold_character(character: str) -> str:
    if (spelling := _SPELLINGS.get(character)) is not None:
        return spelling
    if (digit := unicodedata.digit(character, None)) is not None:
        return str(digit)
    category = unicodedata.category(character)
    if category in _INVISIBLE:
        return ""
    if category == "Pd":
        return "-"
    if category in _SPACES:
        return " "
    folded = unicodedata.normalize("NFKC", character)
    return folded if folded == character else "".join(map(_fold_character, folded))


class _Folds(dict[int, str]):
    """Translation table that learns; bounded, since the text that it sees is not ours."""

    def __missing__(self, code: int) -> str:
        folded = _fold_character(chr(code))
        if len(self) < _MOST_REMEMBERED:
            self[code] = folded
        return folded


_FOLDS: Final = _Folds({code: chr(code) for code in range(128) if chr(code).isprintable() or chr(code) in "\t\n\r"})


def fold(text: str) -> str:
    """Return `text` with one spelling for what looks the same.

    NFKC character by character; digits of every script become ASCII, dashes `-`, spaces one space each;
    letters that look Latin become Latin; format and control characters, marks and surrogates disappear.
    The result of folding a folded text is that text.
    """
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_FOLDS)


class _Letters(dict[int, str]):
    """Translation table that learns, of letters without their accents; bounded like the other."""

    def __missing__(self, code: int) -> str:
        parts = unicodedata.normalize("NFD", chr(code))
        plain = parts[0] if all(map(unicodedata.combining, parts[1:])) else chr(code)
        if len(self) < _MOST_REMEMBERED:
            self[code] = plain
        return plain


_LETTERS: Final = _Letters({code: chr(code) for code in range(128)})


def without_accents(text: str) -> str:
    """Return folded `text` with its letters' accents off; as long as `text`, so positions agree."""
    return text if text.isascii() else text.translate(_LETTERS)
