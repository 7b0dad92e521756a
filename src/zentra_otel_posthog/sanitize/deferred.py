"""Patterns that are compiled when they are first used."""

from __future__ import annotations

import re
from typing import Any, cast


class _Deferred:
    """Stands for a pattern; a method that was asked for once is found in the instance from then on."""

    def __init__(self, pattern: str, flags: re.RegexFlag) -> None:
        self._pattern = pattern
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        method = getattr(re.compile(self._pattern, self._flags), name)
        setattr(self, name, method)
        return method


def deferred(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """Return what behaves like ``re.compile(pattern, flags)`` and compiles only when it is used.

    Most values need few of the detectors' patterns. Compiled at import, all of them together took 16 of the
    detectors' 36 ms.

    Args:
        pattern: A regular expression.
        flags: As for `re.compile`.
    """
    return cast("re.Pattern[str]", _Deferred(pattern, flags))
