"""Values that someone has already made harmless."""

from __future__ import annotations

import re
from typing import Final

_MARKER: Final = re.compile(
    r"\s{0,4}(?:[\[<({*]{1,3}[\w -]{1,32}[\])}>*]{1,3}|[*xX#.•-]{3,64}|redacted|masked|hidden|filtered|removed|"
    r"n/?a|none|null|nil|true|false|undefined|-)?\s{0,4}",
    re.IGNORECASE,
)
_RUN: Final = re.compile(r"[*•#]{2,}|[xX]{4,}")
_VISIBLE: Final = re.compile(r"[0-9A-Za-z]{7,}")
_LONGEST: Final = 128
_MOST_VISIBLE_DIGITS: Final = 10


def is_masked(text: str) -> bool:
    """Whether nothing of `text` is left to read: a marker such as `[EMAIL]`, or only asterisks."""
    return _MARKER.fullmatch(text) is not None


def is_partly_masked(text: str) -> bool:
    """Whether the middle of `text` is masked: at most six characters in a row, ten digits in all, remain."""
    if len(text) > _LONGEST or not _RUN.search(text):
        return False
    shown = _RUN.sub("*", text).partition("@")[0]
    return not _VISIBLE.search(shown) and sum(map(str.isdigit, shown)) <= _MOST_VISIBLE_DIGITS
