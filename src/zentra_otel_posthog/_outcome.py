"""How a call ended: completed, pending, failed with a reason, or neither."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

from zentra_otel_posthog.kinds import KINDS, Refused, slug_of_class_name


class Outcome(Enum):
    """How a call ended. ``NEITHER`` is a cancellation."""

    COMPLETED = "completed"
    PENDING = "pending"
    FAILED = "failed"
    NEITHER = "neither"


_WORDS: Final[Mapping[str, Outcome]] = {
    word: outcome
    for outcome, words in {
        Outcome.PENDING: (
            "pending processing in_progress initiated submitted queued scheduled awaiting waiting on_hold "
            "authorized authorised"
        ),
        Outcome.FAILED: (
            "failed failure fail declined rejected denied refused error errored expired timeout timed_out blocked "
            "unsuccessful invalid insufficient_funds"
        ),
        Outcome.NEITHER: "cancelled canceled aborted abandoned voided",
    }.items()
    for word in words.split()
}
_PENDING_PREFIXES: Final = ("requires_", "awaiting_", "pending_")
# Results that carry no status, told without looking for one.
_PLAIN: Final = frozenset({type(None), int, float, str, bytes, list, tuple, set, frozenset})
_GENERIC_FAILURES: Final = frozenset({"failed", "failure", "fail", "error", "errored", "unsuccessful"})

Judgement = tuple[Outcome, object]
"""An outcome and, where it is a failure, the reason: a slug or None."""

_COMPLETED: Final[Judgement] = (Outcome.COMPLETED, None)


def of_result(result: object) -> Judgement:
    """Judge what a function returned by its ``status`` or ``state``. Anything that says nothing is completed."""
    if type(result) in _PLAIN or result is True:
        return _COMPLETED
    if result is False:
        return Outcome.FAILED, None
    status = _member(result, "status")
    if status is None:
        status = _member(result, "state")
    return of_status(status, result)


def of_status(status: object, result: object) -> Judgement:
    """Judge by a status: a word, an enum member, a truth value, or None, which is completed."""
    if isinstance(status, Enum):
        status = status.value if isinstance(status.value, (str, bool)) else status.name
    if status is False:
        return Outcome.FAILED, _first_slug(_reasons_of(result))
    if not isinstance(status, str):
        return _COMPLETED
    word = status.strip().lower().replace("-", "_").replace(" ", "_")
    outcome = _WORDS.get(word)
    if outcome is None:
        return (Outcome.PENDING if word.startswith(_PENDING_PREFIXES) else Outcome.COMPLETED), None
    if outcome is not Outcome.FAILED:
        return outcome, None
    reason = _first_slug(_reasons_of(result))
    if reason is None and word not in _GENERIC_FAILURES:
        reason = word
    return outcome, reason


def of_error(error: BaseException) -> Judgement:
    """Judge what a function raised. A cancellation, an interrupt or a closed generator is neither."""
    if not isinstance(error, Exception) or isinstance(error, concurrent.futures.CancelledError):
        return Outcome.NEITHER, None
    reason = _first_slug(_member(error, name) for name in ("code", "reason"))
    if reason is None:
        try:
            reason = slug_of_class_name(type(error).__name__)
        except Refused:
            reason = None
    return Outcome.FAILED, reason


def _reasons_of(result: object) -> Iterator[object]:
    return (_member(result, name) for name in ("reason", "code"))


def _first_slug(candidates: Iterator[object]) -> str | None:
    normalise: Callable[[object], Any] = KINDS["slug"].normalise
    for candidate in candidates:
        if isinstance(candidate, (str, int, Enum)):
            try:
                return str(normalise(candidate))
            except Refused:
                continue
    return None


def _member(value: object, name: str) -> object:
    try:
        return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    except Exception:
        return None  # the application's own attribute, which says nothing where it cannot be read
