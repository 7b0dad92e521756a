"""What in a project is ours, by the marks that it bears: nothing else is ever changed.

PostHog's objects have no names of our choosing and names need not be unique, so insights and dashboards bear two tags
(whose they are, and which one), cohorts a mark at the end of their description, alerts one at the end of their name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

OWNER: Final = "zentra-otel-posthog"
"""The tag of everything that is ours."""

_MARK: Final = re.compile(rf"\[{OWNER}:([a-z0-9-]+)\]")

Row = dict[str, Any]


def tags(key: str) -> list[str]:
    """Return the tags of an insight or a dashboard."""
    return [OWNER, f"{OWNER}:{key}"]


def key_by_tags(row: Row) -> str | None:
    """Return which insight or dashboard of ours it is, None for somebody else's."""
    found = row.get("tags") or []
    keys = [tag.removeprefix(f"{OWNER}:") for tag in found if tag.startswith(f"{OWNER}:")]
    return keys[0] if OWNER in found and keys else None


def marked(description: str, key: str) -> str:
    """Return a cohort's description with the mark."""
    return f"{description} [{OWNER}:{key}]".lstrip()


def key_by_mark(row: Row) -> str | None:
    """Return which cohort of ours it is, None for somebody else's."""
    found = _MARK.search(row.get("description") or "")
    return found[1] if found else None


def alert_name(name: str) -> str:
    """Return an alert's name with the mark: somebody else's alert on our insight is not ours."""
    return f"{name} [{OWNER}]"


def name_of_our_alert(row: Row) -> str | None:
    """Return an alert's name without the mark, None for somebody else's."""
    name = str(row.get("name") or "")
    return name.removesuffix(f" [{OWNER}]") if name.endswith(f" [{OWNER}]") else None


def first_of_each(rows: Iterable[tuple[str | None, Row]]) -> tuple[dict[str, Row], list[Row]]:
    """Return our rows by key, and the copies of them.

    Whoever duplicates one of ours in PostHog duplicates its tags. The first is ours; a copy is theirs.

    Args:
        rows: Each with its key, None for somebody else's.
    """
    ours: dict[str, Row] = {}
    copies: list[Row] = []
    # Deleted ones are not listed; a server that lists them all the same must not have us revive them.
    living = ((key, row) for key, row in rows if key is not None and not row.get("deleted"))
    for key, row in sorted(living, key=lambda pair: pair[1]["id"]):
        if key not in ours:
            ours[key] = row
        elif row["id"] != ours[key]["id"]:  # one that is made meanwhile moves rows from a page to the next
            copies.append(row)
    return ours, copies
