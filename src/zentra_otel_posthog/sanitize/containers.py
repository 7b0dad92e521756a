"""Dicts and lists, item by item, without touching the one that was passed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

MOST_DEPTH: Final = 32
MOST_NODES: Final = 10_000
MOST_CHARACTERS: Final = 65_536

LEAST_DIGITS_OF_AN_ID: Final = 5

# Keys under which a dict names what the value beside it is, and keys of that value.
_NAMING: Final = ("name", "key", "field", "type", "id", "label", "attribute", "property", "question", "kind")
_VALUES: Final = frozenset({"value", "values", "val", "answer", "number", "content", "input"})
_LONGEST_NAME: Final = 48
_DROPPED: Final = object()

_SEQUENCES: Final = (list, tuple, set, frozenset)
CONTAINERS: Final = (dict, *_SEQUENCES)


class TooLargeError(ValueError):
    """A container has more nodes or characters than are looked at."""


def _said(value: dict[object, object]) -> str | None:
    """What a dict says in words that its value is: `{"name": "bvn", "value": "22450546173"}`."""
    if _VALUES.isdisjoint(value):
        return None
    names = (value.get(naming) for naming in _NAMING)
    return next((name for name in names if isinstance(name, str) and len(name) <= _LONGEST_NAME), None)


class Walk:
    """One pass over a value and everything in it.

    Args:
        judge_key: Names the rule under which the text of a dict's key is itself refused, or None.
        judge_leaf: The same for a value that is no container, given the key and that value.

    Attributes:
        rule: The first rule that refused something, None if none did.
    """

    def __init__(self, judge_key: Callable[[str], str | None], judge_leaf: Callable[[str, object], str | None]) -> None:
        self.rule: str | None = None
        self._judge_key = judge_key
        self._judge_leaf = judge_leaf
        self._nodes = 0
        self._characters = 0

    def clean(self, key: str, value: object) -> object | None:
        """Return `value` if nothing in it is refused, else a copy without what is, or None if that is empty.

        Raises:
            TooLargeError: The container is past `MOST_NODES` or `MOST_CHARACTERS`.
        """
        kept = self._visit(key, key, value, 0)
        return None if kept is _DROPPED else kept

    def _refuse(self, rule: str) -> object:
        self.rule = self.rule or rule
        return _DROPPED

    def _visit(self, name: str, key: str, value: object, depth: int) -> object:
        self._nodes += 1
        if isinstance(value, (str, bytes)):
            self._characters += len(value)
        if self._nodes > MOST_NODES or self._characters > MOST_CHARACTERS:
            raise TooLargeError
        if not isinstance(value, CONTAINERS):
            rule = self._judge_leaf(key, value)
            return value if rule is None else self._refuse(rule)
        if depth >= MOST_DEPTH:
            return self._refuse("too_deep")
        if isinstance(value, dict):
            return self._visit_dict(name, value, depth + 1)
        return self._visit_items(name, key, value, depth + 1)

    def _visit_dict(self, name: str, value: dict[object, object], depth: int) -> object:
        kept = {}
        changed = False
        said = _said(value)
        for child, item in value.items():
            cleaned = self._visit_entry(name, child, item, depth)
            if said and child in _VALUES and cleaned is not _DROPPED:
                cleaned = self._visit(said, f"{name}.{said}", cleaned, depth)
            if cleaned is _DROPPED:
                changed = True
                continue
            changed = changed or cleaned is not item
            kept[child] = cleaned
        if not changed:
            return value
        return kept or _DROPPED

    def _visit_entry(self, parent: str, child: object, item: object, depth: int) -> object:
        """Judges one entry of a dict, its value under the parent's name as well as its own."""
        if not isinstance(child, (str, int, float)):
            return self._refuse("unsupported_type")
        name = str(child)
        self._characters += len(name)
        rule = self._judge_key(name)
        if rule is None and not name.isidentifier() and sum(map(str.isdecimal, name)) >= LEAST_DIGITS_OF_AN_ID:
            rule = self._judge_leaf(parent, name)  # {"bvn": {"22450546173": "ok"}}: a number that only its parent names
        return self._visit(name, f"{parent}.{name}", item, depth) if rule is None else self._refuse(rule)

    def _visit_items(self, name: str, key: str, value: Iterable[object], depth: int) -> object:
        pairs = [(item, self._visit(name, key, item, depth)) for item in value]
        if all(cleaned is item for item, cleaned in pairs):
            return value
        kept = [cleaned for _, cleaned in pairs if cleaned is not _DROPPED]
        if not kept:
            return _DROPPED
        return next(kind for kind in _SEQUENCES if isinstance(value, kind))(kept)
