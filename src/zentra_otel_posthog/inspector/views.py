"""The queries behind the page: events, customers, and how delivery is doing.

What a caller says is a parameter of a query, never part of its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from zentra_otel_posthog.inspector.store import Rows, Store

TIMELINE_MAX: Final = 1_000
"""Events of a customer's timeline, the latest."""

_LATENCIES: Final = 1_000
_AS_JSON: Final = ("properties", "set", "set_once", "groups")
_NOTHING: Final = msgspec.Raw(b"{}")
_CONDITIONS: Final = {
    "project": "project = $project",
    "from": '"timestamp" >= $from',
    "to": '"timestamp" < $to',
    "event": "event = $event",
    "distinct_id": "(distinct_id = $distinct_id or person = $distinct_id)",
    "lib": "lib = $lib",
    "after": "seq > $after",
    "before": "seq < $before",
    "q": """(contains(lower(event), $q) or contains(lower(distinct_id), $q) or contains(lower(person), $q)
             or contains(uuid, $q) or contains(lower(properties), $q))""",
}


class Scope(msgspec.Struct):
    """Which events a view is about.

    Args:
        project: The masked key; None for all projects.
        since: The first moment.
        until: The moment after the last.
    """

    project: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """Return what the query's placeholders stand for."""
        values = {"project": self.project, "from": naive(self.since), "to": naive(self.until)}
        return {name: value for name, value in values.items() if value is not None}


def naive(moment: datetime | None) -> datetime | None:
    """Return a moment as the store has it, in UTC without an offset."""
    return None if moment is None else moment.replace(tzinfo=None)


def where(parameters: Mapping[str, Any]) -> str:
    """Return the condition of a query with these parameters."""
    return " and ".join(["true", *(_CONDITIONS[name] for name in parameters)])


def pointer(name: str) -> str:
    """Return where a property is in a JSON object (RFC 6901)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def projects(store: Store) -> dict[str, Any]:
    """Return the projects by how many events they have."""
    query = "select project, count(*) as events from events group by project order by events desc, project"
    return {"projects": store.read(query)}


def events(store: Store, scope: Scope, filters: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Return the newest events.

    Args:
        store: Where.
        scope: Which events; their names and libraries are counted whatever the filters are.
        filters: ``event``, ``distinct_id``, ``lib``, ``q``, ``after``, ``before``.
        limit: How many.
    """
    scoped = scope.parameters()
    asked = {**scoped, **filters}
    if "q" in asked:
        asked["q"] = asked["q"].lower()
    # Sorting whole rows would carry all their properties along.
    found = store.read(
        f"""select * from facts where seq in (
            select seq from facts where {where(asked)} order by seq desc limit $limit
        ) order by seq desc""",  # noqa: S608  conditions of ours
        asked | {"limit": limit},
    )
    names = (
        f"select event, count(*) as count from events where {where(scoped)} group by event order by count desc, event"  # noqa: S608  likewise
    )
    libs = f"select distinct lib from events where lib is not null and {where(scoped)} order by lib"  # noqa: S608  likewise
    return {
        "events": shown(found),
        "names": store.read(names, scoped),
        "libs": [row["lib"] for row in store.read(libs, scoped)],
    }


def shown(rows: Rows) -> Rows:
    """Return events as the page gets them."""
    for row in rows:
        del row["key"], row["own"]
        for name in _AS_JSON:
            row[name] = msgspec.Raw(row[name].encode()) if row[name] is not None else _NOTHING
    return rows


def customers(store: Store, scope: Scope, q: str | None, limit: int) -> dict[str, Any]:
    """Return customers by when they were last seen.

    Args:
        store: Where.
        scope: Which events count.
        q: What one of a customer's ids or properties contains.
        limit: How many.
    """
    asked: dict[str, Any] = scope.parameters()
    wanted = "true"
    if q:
        asked["q"] = q.lower()
        wanted = """(contains(lower(properties), $q) or exists(
            select 1 from distinct_ids as ids where ids.project = persons.project and ids.person = persons.person
            and contains(lower(ids.distinct_id), $q)))"""
    scoped = {name: value for name, value in asked.items() if name != "q"}
    rows = store.read(
        f"""
        select persons.project, persons.person, persons.properties, seen.events, seen.first_seen, seen.last_seen,
               (select list(distinct_id order by distinct_id) from distinct_ids as ids
                where ids.project = persons.project and ids.person = persons.person) as distinct_ids
        from persons
        join (select project, person, count(*) as events, min("timestamp") as first_seen,
                     max("timestamp") as last_seen
              from facts where {where(scoped)} group by project, person) as seen using (project, person)
        where {wanted} order by last_seen desc, person limit $limit
        """,  # noqa: S608  conditions of ours
        asked | {"limit": limit},
    )
    return {"customers": [_customer(row) for row in rows]}


def customer(store: Store, scope: Scope, distinct_id: str) -> dict[str, Any] | None:
    """Return one customer with a timeline, by any distinct id; None where there is nobody.

    Where several projects have the id and none is named, it is that of the project where it was seen last.
    """
    scoped = scope.parameters()
    asked = scoped | {"distinct_id": distinct_id}
    found = store.read(
        f"""select project, person, count(*) as events, min("timestamp") as first_seen, max("timestamp") as last_seen
        from facts where person = coalesce(
            (select any_value(ids.person) from distinct_ids as ids
             where ids.project = facts.project and ids.distinct_id = $distinct_id), $distinct_id)
        and {where(scoped)} group by project, person order by last_seen desc limit 1""",  # noqa: S608  likewise
        asked,
    )
    if not found:
        return None
    row = found[0]
    one = {"project": row["project"], "person": row["person"]}
    ids = "select distinct_id from distinct_ids where project = $project and person = $person order by distinct_id"
    row["distinct_ids"] = [each["distinct_id"] for each in store.read(ids, one)] or [row["person"]]
    known = store.read("select properties from persons where project = $project and person = $person", one)
    row["properties"] = known[0]["properties"] if known else None
    latest = store.read(
        f"""select * from facts where project = $project and person = $person and {where(scoped)}
        order by "timestamp" desc, seq desc limit $limit""",  # noqa: S608  likewise
        scoped | one | {"limit": TIMELINE_MAX},
    )
    return _customer(row) | {"timeline": shown(latest[::-1])}


def _customer(row: dict[str, Any]) -> dict[str, Any]:
    properties = row["properties"]
    return row | {"properties": _NOTHING if properties is None else msgspec.Raw(properties.encode())}


def arrivals(store: Store) -> dict[str, Any]:
    """Return how many events came, and how long the latest took."""
    counts = store.read("select count(*) as stored, coalesce(sum(resent), 0)::bigint as resent from events")[0]
    latency = store.read(
        """select median(seconds) as median_seconds, quantile_cont(seconds, 0.95) as p95_seconds
        from (select epoch(received_at - "timestamp") as seconds from events order by seq desc limit $limit)""",
        {"limit": _LATENCIES},
    )[0]
    return {"received": counts["stored"] + counts["resent"], **counts, "latency": latency}
