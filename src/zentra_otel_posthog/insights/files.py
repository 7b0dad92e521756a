"""A tenant's own insights, cohorts and alerts from TOML: tables of the same keys as the classes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from zentra_otel_posthog.events import nearest
from zentra_otel_posthog.insights.models import Alert, Cohort, Dashboard, Funnel, Insight, Retention, Trend
from zentra_otel_posthog.insights.validation import InvalidDashboard

_INSIGHTS: Final[dict[str, type[Funnel | Retention | Trend]]] = {
    "funnel": Funnel,
    "retention": Retention,
    "trend": Trend,
}
_TABLES: Final = ("insight", "cohort", "alert")

Model = TypeVar("Model", bound=msgspec.Struct)
Tables = Sequence[Mapping[str, Any]]


def read(path: Path) -> dict[str, Tables]:
    """Read a file of ``[[insight]]``, ``[[cohort]]`` and ``[[alert]]``.

    Raises:
        InvalidDashboard: It cannot be read, is no TOML, or has something else in it.
    """
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidDashboard(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise InvalidDashboard(f"--file {path} cannot be read ({error.strerror}): name a TOML file") from None
    for name, tables in found.items():
        if name not in _TABLES:
            raise InvalidDashboard(f"{path} has an unknown table {name!r}; {nearest(name, _TABLES)}")
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise InvalidDashboard(f"{path} has {name!r} as something else than tables: write [[{name}]]")
    return found


def extended(
    dashboard: Dashboard, origin: str, *, insight: Tables = (), cohort: Tables = (), alert: Tables = ()
) -> Dashboard:
    """Return a dashboard with what tables declare; what has the key of something in it takes its place.

    Args:
        dashboard: What there is.
        origin: The file, for messages.
        insight: Tables with a ``type``: funnel, retention or trend.
        cohort: Tables.
        alert: Tables.

    Raises:
        InvalidDashboard: A key or a value is wrong; the message names it and the nearest right one.
    """
    return dashboard.extended(
        insights=[_insight(table, origin) for table in insight],
        cohorts=[_converted("cohort", table, Cohort, origin) for table in cohort],
        alerts=[_converted("alert", table, Alert, origin) for table in alert],
    )


def _insight(table: Mapping[str, Any], origin: str) -> Insight:
    model = _INSIGHTS.get(str(table.get("type")))
    if model is None:
        raise InvalidDashboard(
            f"{_label('insight', table, origin)} has type {table.get('type')!r}; "
            f"{nearest(str(table.get('type')), _INSIGHTS)}"
        )
    return _converted("insight", table, model, origin, "type")


def _converted(kind: str, table: Mapping[str, Any], model: type[Model], origin: str, *also: str) -> Model:
    label = _label(kind, table, origin)
    known = (*model.__struct_fields__, *also)
    for name in table:
        if name not in known:
            raise InvalidDashboard(f"{label} has an unknown key {name!r}; {nearest(name, known)}")
    try:
        return msgspec.convert(table, model)
    except msgspec.ValidationError as error:
        raise InvalidDashboard(f"{label}: {error}") from None


def _label(kind: str, table: Mapping[str, Any], origin: str) -> str:
    return f"[[{kind}]] {table.get('key') or table.get('name')!r} in {origin}"
