"""Texts inside a text: percent-encoded, escaped, in base64 or in hexadecimal."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,}={0,2}(?![A-Za-z0-9+/_=-])")
_HEXADECIMAL: Final = re.compile(r"(?<![0-9A-Za-z])(?:0x)?((?:[0-9a-fA-F]{2}){8,})(?![0-9A-Za-z])")
_SHORTEST_HEXADECIMAL: Final = 16
_ESCAPE: Final = re.compile(r"\\{1,8}(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
_URL_SAFE: Final = str.maketrans("-_", "+/")


def _text_of(raw: bytes) -> str | None:
    """The text that `raw` is the UTF-8 of, or None; signs that nobody sees may stand in it."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _from_base64(token: str) -> str | None:
    compact = token.rstrip("=").translate(_URL_SAFE)
    try:
        return _text_of(binascii.a2b_base64(compact + "=" * (-len(compact) % 4)))
    except binascii.Error:
        return None


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1] or match[2], 16))


def _unescaped(text: str) -> str:
    if "%" in text:
        text = unquote(text)
    if "&" in text and ";" in text:
        import html  # noqa: PLC0415  its table of entities takes 1 ms, and few values need it

        text = html.unescape(text)
    if "\\" in text:
        text = _ESCAPE.sub(_unescape, text)
    return text


def inner_texts(text: str) -> Iterator[str]:
    """Yield what folded `text` says once decoded, one layer deep; together never longer than `text`."""
    plain = _unescaped(text)
    if plain != text:
        yield plain  # tokens in it are of the next layer
        return
    for match in _BASE64.finditer(text):
        if inner := _from_base64(match[0]):
            yield inner
    if len(text) < _SHORTEST_HEXADECIMAL:
        return
    for match in _HEXADECIMAL.finditer(text):
        if inner := _text_of(bytes.fromhex(match[1])):
            yield inner
