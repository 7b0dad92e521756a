"""The sizes of the product's cohorts, by the same definitions that ``insights apply`` gives PostHog."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from zentra_otel_posthog.insights.models import Cohort, Performed, PersonProperty
from zentra_otel_posthog.inspector.store import Store
from zentra_otel_posthog.inspector.views import Scope, naive, pointer, where

_PERSONS_SHOWN: Final = 20
_NOT: Final = {False: "", True: "not"}


def cohorts(store: Store, scope: Scope, defined: Sequence[Cohort]) -> dict[str, Any]:
    """Return each cohort's size and some of its persons.

    Args:
        store: Where.
        scope: Which events count; its end is the moment that days are counted back from, else it is now.
        defined: The cohorts.
    """
    query = _Query(scope)
    members = [" and ".join(map(query.criterion, cohort.criteria)) for cohort in defined]
    [found] = store.read(query.text(members), query.parameters)
    return {
        "cohorts": [
            {
                "name": cohort.name,
                "description": cohort.description,
                "size": found[f"size_{number}"],
                "persons": found[f"persons_{number}"] or [],
            }
            for number, cohort in enumerate(defined)
        ]
    }


class _Query:
    """One query for all cohorts, so that events are gone through once."""

    def __init__(self, scope: Scope) -> None:
        self._until = scope.until or datetime.now(UTC)
        self._project = "true" if scope.project is None else "persons.project = $project"
        self.parameters = Scope(scope.project, scope.since, self._until).parameters()
        self._condition = where(self.parameters)
        self._counts: list[str] = []

    def criterion(self, asked: Performed | PersonProperty) -> str:
        """Return a criterion's condition on a person."""
        holds = self._performed(asked) if isinstance(asked, Performed) else self._property(asked)
        return f"{_NOT[asked.negation]} {holds}"

    def _performed(self, asked: Performed) -> str:
        event, since = self._value(asked.event), self._value(naive(self._until - timedelta(days=asked.days)))
        self._counts.append(
            f'count(*) filter (event = {event} and "timestamp" >= {since}) as times_{len(self._counts)}'
        )
        return f"coalesce(times_{len(self._counts) - 1}, 0) >= {self._value(asked.times)}"

    def _property(self, asked: PersonProperty) -> str:
        found = f"json_extract_string(properties, {self._value(pointer(asked.key))})"
        if not asked.value:
            return f"({found} is not null)"
        return f"coalesce(list_contains({self._value(list(asked.value))}, {found}), false)"

    def _value(self, value: object) -> str:
        name = f"value_{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"

    def text(self, members: Sequence[str]) -> str:
        """Return the query for cohorts with these conditions."""
        are_in = ", ".join(f"({condition}) as in_{number}" for number, condition in enumerate(members))
        figures = ", ".join(
            f"count(*) filter (in_{number}) as size_{number}, list_slice("
            f"list(person order by person) filter (in_{number}), 1, {_PERSONS_SHOWN}) as persons_{number}"
            for number in range(len(members))
        )
        return f"""
            with done as (
                select {", ".join(["project", "person", *self._counts])}
                from facts where {self._condition} group by project, person
            ), known as (
                select person, {are_in} from persons left join done using (project, person) where {self._project}
            )
            select {figures} from known
        """  # noqa: S608  numbers and conditions of ours
