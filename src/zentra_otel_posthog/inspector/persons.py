"""Who the events are about: PostHog's rules for persons, applied to one batch of events.

From its ingestion (nodejs, worker/ingestion/persons): ``$identify`` and ``$create_alias`` join two distinct ids. The
other one's person goes into that of the one that is named, unless it is identified already. ``$set`` and ``$set_once``
apply in order of arrival. An event that says ``$process_person_profile: false``, or is of an id that is
nobody's, makes no person.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from zentra_otel_posthog.inspector.arrivals import person_properties
from zentra_otel_posthog.inspector.capture_v0 import Event
from zentra_otel_posthog.sanitize.identifiers import ILLEGAL

_ALIASES: Final = frozenset({"$create_alias", "$merge_dangerously"})

Id = tuple[str, str]
"""Project and distinct id."""


class Person(msgspec.Struct):
    """A person.

    Args:
        project: Whose customer.
        name: The distinct id that it goes by.
        properties: What ``$set`` and ``$set_once`` have made of it.
        identified: Whether it was joined with another id: it goes into no other person any more.
    """

    project: str
    name: str
    properties: dict[str, Any] = {}
    identified: bool = False


def joined_ids(event: Event) -> tuple[str, str] | None:
    """Return the other id and the one that it goes into, where an event joins two."""
    properties = event.get("properties") or {}
    name = event["event"]
    if name == "$identify":
        other = properties.get("$anon_distinct_id")
    elif name in _ALIASES:
        other = properties.get("alias")
    else:
        return None
    if other is None or str(other) == event["distinct_id"] or not (_legal(str(other)) and _legal(event["distinct_id"])):
        return None
    return str(other), event["distinct_id"]


def ids_of(project: str, event: Event) -> Iterator[Id]:
    """Yield the ids whose persons an event may change."""
    if not _profiled(event):
        return
    for distinct_id in joined_ids(event) or (event["distinct_id"],):
        yield project, distinct_id


class Persons:
    """The persons that a batch of events touches.

    Args:
        known: Those that there are, by id.

    Attributes:
        by_id: Each id's person now.
        touched: Ids whose row is new or another.
        changed: Persons likewise, by project and name.
        merged: Persons that went into another, as project, name, and name of the other, in order.
    """

    def __init__(self, known: dict[Id, Person]) -> None:
        self.by_id = known
        self.touched: set[Id] = set()
        self.changed: dict[Id, Person] = {}
        self.merged: list[tuple[str, str, str]] = []

    def apply(self, project: str, event: Event) -> None:
        """Apply one event."""
        if not _profiled(event):
            return
        if (pair := joined_ids(event)) is not None:
            self._join(project, *pair, anyway=event["event"] == "$merge_dangerously")
        person = self._person(project, event["distinct_id"])
        known = person_properties(event, "$set_once") | person.properties | person_properties(event, "$set")
        removed = (event.get("properties") or {}).get("$unset")
        for name in removed if isinstance(removed, list) else ():
            known.pop(str(name), None)
        if known != person.properties:
            person.properties = known
            self._change(person)

    def _join(self, project: str, other_id: str, into_id: str, *, anyway: bool) -> None:
        other, into = self.by_id.get((project, other_id)), self.by_id.get((project, into_id))
        if other is not None and other is into:
            into.identified = True
            self._change(into)
            return
        if other is not None and other.identified and not anyway:
            if into is None:  # nobody yet: the id is one more of the other person
                self.by_id[project, into_id] = other
                self.touched.add((project, into_id))
            return
        into = self._person(project, into_id)
        into.identified = True
        if other is None:
            self.by_id[project, other_id] = into
        else:
            into.properties = other.properties | into.properties
            self.merged.append((project, other.name, into.name))
            self.changed.pop((project, other.name), None)
            for distinct_id, person in self.by_id.items():
                if person is other:
                    self.by_id[distinct_id] = into
        self.touched.add((project, other_id))
        self._change(into)

    def _person(self, project: str, distinct_id: str) -> Person:
        if (person := self.by_id.get((project, distinct_id))) is None:
            person = self.by_id[project, distinct_id] = Person(project, distinct_id)
            self.touched.add((project, distinct_id))
            self._change(person)
        return person

    def _change(self, person: Person) -> None:
        self.changed[person.project, person.name] = person


def _legal(distinct_id: str) -> bool:
    bare = distinct_id.strip().strip("'\"").lower()
    return bool(bare) and bare not in ILLEGAL


def _profiled(event: Event) -> bool:
    says = (event.get("properties") or {}).get("$process_person_profile")
    return says is not False and _legal(event["distinct_id"])
