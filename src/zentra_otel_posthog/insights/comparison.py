"""Compares what is declared with what a server has, whatever the server has filled in."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

# What a server adds to a query or a filter: the version of its schema, a cohort's compiled form.
_COMPUTED: Final = frozenset({"version", "bytecode", "bytecode_error", "conditionHash"})
# Lists that people add to as well: another tag, another dashboard, themselves as subscribers. Ours must be in them.
_SHARED: Final = frozenset({"tags", "dashboards", "subscribed_users"})
# Written as numbers or lists of them, answered as objects.
_REFERENCES: Final = frozenset({"insight", "subscribed_users"})


class FieldChange(Struct, frozen=True):
    """A field that differs.

    Args:
        field: Its path, as in ``query.source.interval``.
        before: What the server has.
        after: What is declared.
    """

    field: str
    before: Any
    after: Any


def differences(declared: dict[str, Any], row: dict[str, Any]) -> tuple[dict[str, Any], list[FieldChange]]:
    """Return what to send so that a row becomes what is declared, and the fields in which it is not.

    A field within ours that the row has and the declaration has not is a difference, unless it is empty: null, false
    and nothing are what a server fills in. What a server takes and does not show cannot be compared.

    Args:
        declared: What would be sent to make it.
        row: What the server has.

    Returns:
        The declared fields of the row that differ, whole; and each path that differs.
    """
    body: dict[str, Any] = {}
    changes: list[FieldChange] = []
    for name, wanted in declared.items():
        if name not in row:
            continue
        found = _reference(row.get(name)) if name in _REFERENCES else row.get(name)
        if name in _SHARED:
            found = found or []
            missing = [one for one in wanted if one not in found]
            if missing:
                body[name] = [*found, *missing]
                changes.append(FieldChange(name, found, body[name]))
        elif name == "threshold":  # the server keeps it as an object of its own, with a number and a date
            _compare(f"{name}.configuration", wanted["configuration"], (found or {}).get("configuration"), changes)
        else:
            _compare(name, wanted, found, changes)
        if name not in body and any(change.field.partition(".")[0] == name for change in changes):
            body[name] = wanted
    return body, changes


def _compare(path: str, wanted: Any, found: Any, changes: list[FieldChange]) -> None:
    if isinstance(wanted, dict) and isinstance(found, dict):
        names = [*wanted, *(name for name in found if name not in wanted and name not in _COMPUTED)]
        for name in names:
            _compare(f"{path}.{name}", wanted.get(name), found.get(name), changes)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for position, (one, other) in enumerate(zip(wanted, found, strict=True)):
            _compare(f"{path}.{position}", one, other, changes)
    elif wanted != found and not (_is_empty(wanted) and _is_empty(found)):
        changes.append(FieldChange(path, found, wanted))


def _is_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(name in _COMPUTED or _is_empty(one) for name, one in value.items())
    return value is None or value is False or value in ("", [])


def _reference(value: Any) -> Any:
    if isinstance(value, list):
        return [_reference(one) for one in value]
    return value.get("id") if isinstance(value, dict) else value
