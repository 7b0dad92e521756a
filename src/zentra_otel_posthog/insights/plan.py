"""What separates a project from a dashboard: the changes, and carrying them out.

The changes are worked out one after the other. ``plan`` only looks at them; ``apply`` carries out each before the next
is worked out, so that what is made first (the dashboard) has its number when it is referred to (by its insights). Who
is interrupted starts again and finds by the marks what is done: an object is made with its mark in one request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from zentra_otel_posthog._private_api import PrivateApi, PrivateApiError
from zentra_otel_posthog.insights import ownership, payloads
from zentra_otel_posthog.insights.comparison import FieldChange, differences
from zentra_otel_posthog.insights.models import Dashboard
from zentra_otel_posthog.insights.ownership import Row

Kind = Literal["dashboard", "insight", "layout", "cohort", "alert"]
Action = Literal["create", "change", "remove", "unchanged"]

_NOTHING: Final = Dashboard(key="nothing", name="nothing")
_DELETED: Final = {"deleted": True}


class Change(Struct, frozen=True, kw_only=True):
    """What becomes of one object.

    Args:
        action: Made, changed, removed, or left as it is.
        kind: What it is; ``layout``: where the insights stand on the dashboard.
        key: Its key.
        name: What people read.
        id: PostHog's number, None for one that is not made yet.
        fields: What differs, for a change.
        body: What is sent.
    """

    action: Action
    kind: Kind
    key: str
    name: str
    id: int | str | None = None
    fields: list[FieldChange] = []
    body: dict[str, Any] = {}


class State:
    """What a project has that is ours.

    Args:
        api: The project.

    Raises:
        PrivateApiError: It cannot be read.
    """

    def __init__(self, api: PrivateApi) -> None:
        ours = {"tags": msgspec.json.encode([ownership.OWNER]).decode()}
        self._api = api
        self.rows: dict[Kind, dict[str, Row]] = {}
        self.notes: list[str] = []
        by_tags = ownership.key_by_tags
        self._own("dashboard", ((by_tags(row), row) for row in api.rows("dashboards", **ours)))
        # "basic" leaves out results, which may be megabytes.
        self._own("insight", ((by_tags(row), row) for row in api.rows("insights", **ours, basic="true")))
        self._own("cohort", ((ownership.key_by_mark(row), row) for row in api.rows("cohorts")))
        keys = {row["id"]: key for key, row in self.rows["insight"].items()}
        alerts = [(keys.get(_number(row["insight"])), row) for row in api.rows("alerts")]
        self._own("alert", ((_alert_key(key, row), row) for key, row in alerts))
        self.foreign_alerts = [(key, row) for key, row in alerts if key and _alert_key(key, row) is None]
        self.notes.extend(
            f"alert {row['id']} ({row['name']}) bears our mark and watches no insight of ours: remove it in PostHog"
            for key, row in alerts
            if key is None and ownership.name_of_our_alert(row) is not None
        )

    def _own(self, kind: Kind, rows: Iterator[tuple[str | None, Row]]) -> None:
        self.rows[kind], copies = ownership.first_of_each(rows)
        self.notes.extend(
            f"{kind} {row['id']} ({row.get('name')}) is a copy of ours and left alone; take off its tags or its mark"
            for row in copies
        )

    def page(self, dashboard: str) -> str | None:
        """Return the address of a dashboard's page, None where it is not made yet."""
        number = self.id("dashboard", dashboard)
        return None if number is None else f"{self._api.project_page}/dashboard/{number}"

    def id(self, kind: Kind, key: str) -> int | str | None:
        """Return an object's number, None where it is not made yet."""
        row = self.rows[kind].get(key)
        return None if row is None else row["id"]

    def tiles(self, dashboard: str) -> dict[int, Row]:
        """Ask for a dashboard's tiles, by the number of their insight."""
        if (number := self.id("dashboard", dashboard)) is None:
            return {}
        tiles = self._api.request("GET", f"dashboards/{number}/").get("tiles") or []
        return {tile["insight"]["id"]: tile for tile in tiles if tile.get("insight") and not tile.get("deleted")}

    def carry_out(self, change: Change) -> Change:
        """Carry out a change, and know its outcome.

        Returns:
            The change, with the number of what was made.

        Raises:
            PrivateApiError: PostHog refused it.
        """
        try:
            self._carry_out(change)
        except PrivateApiError as error:
            raise PrivateApiError(f"{change.kind} {change.key!r}: {error}") from None
        return change if change.id else msgspec.structs.replace(change, id=self.id(change.kind, change.key))

    def _carry_out(self, change: Change) -> None:
        path = f"{'dashboard' if change.kind == 'layout' else change.kind}s/"
        match change.action:
            case "unchanged":
                return
            case _ if change.kind == "layout" and not change.body["tiles"]:
                return  # the server has made no tiles, so there is nothing to place
            case "remove" if change.kind == "alert":
                self._api.request("DELETE", f"{path}{change.id}/")
                row: Row = {}
            case "create" if change.kind != "layout":
                row = self._created(change, path)
            case _:
                row = self._api.request("PATCH", f"{path}{change.id}/", change.body)
        if change.kind == "layout":
            return
        if change.action == "remove":
            del self.rows[change.kind][change.key]
        else:
            self.rows[change.kind][change.key] = row

    def _created(self, change: Change, path: str) -> Row:
        row = self._api.request("POST", path, change.body)
        if change.kind in {"dashboard", "insight"} and ownership.key_by_tags(row) is None:
            # Some versions of PostHog drop tags without a word where the plan has no tagging.
            self._api.request("PATCH", f"{path}{row.get('id')}/", _DELETED)
            raise PrivateApiError(
                "PostHog has kept no tags, by which it would be found again, so it was removed: this needs a plan with "
                "tagging, or a newer PostHog"
            )
        return row


def changes(wanted: Dashboard | None, state: State) -> Iterator[Change]:
    """Work out what to do, in the order in which it can be done.

    Args:
        wanted: What is to be there; None: nothing.
        state: What is there. It may change between two changes.
    """
    dashboard = wanted or _NOTHING
    if wanted is not None:
        yield _change(state, "dashboard", wanted.key, wanted.name, payloads.of_dashboard(wanted))
    for insight in dashboard.insights:
        body = payloads.of_insight(insight, state.id("dashboard", dashboard.key))
        yield _change(state, "insight", insight.key, insight.name, body)
    yield from _layout(dashboard, state)
    for cohort in dashboard.cohorts:
        yield _change(state, "cohort", cohort.key, cohort.name, payloads.of_cohort(cohort))
    yield from _removals(state, "alert", {alert.key for alert in dashboard.alerts})
    yield from _removals(state, "insight", {insight.key for insight in dashboard.insights})
    yield from _removals(state, "cohort", {cohort.key for cohort in dashboard.cohorts})
    yield from _removals(state, "dashboard", set() if wanted is None else {wanted.key})
    # At last, since a plan may allow only so many: all else is done by then.
    for alert in dashboard.alerts:
        body = payloads.of_alert(alert, state.id("insight", alert.insight))
        yield _change(state, "alert", alert.key, alert.name, body)


def notes(wanted: Dashboard | None, state: State) -> list[str]:
    """Return what people should know beside the changes."""
    staying = set() if wanted is None else {insight.key for insight in wanted.insights}
    mute = wanted is not None and any(alert.enabled and not alert.subscribed_users for alert in wanted.alerts)
    return [
        *state.notes,
        *(
            f"alert {row.get('name')!r} is somebody else's, on insight {key!r}, which is removed"
            for key, row in state.foreign_alerts
            if key not in staying
        ),
        *(["of alerts without subscribed_users nobody is told: --subscribe, or subscribe in PostHog"] if mute else []),
    ]


def _change(state: State, kind: Kind, key: str, name: str, body: dict[str, Any]) -> Change:
    row = state.rows[kind].get(key)
    if row is None:
        return Change(action="create", kind=kind, key=key, name=name, body=body)
    body, fields = differences(body, row)
    return Change(
        action="change" if fields else "unchanged",
        kind=kind,
        key=key,
        name=name,
        id=row["id"],
        fields=fields,
        body=body,
    )


def _removals(state: State, kind: Kind, staying: set[str]) -> Iterator[Change]:
    for key, row in list(state.rows[kind].items()):
        if key not in staying:
            yield Change(action="remove", kind=kind, key=key, name=str(row.get("name")), id=row["id"], body=_DELETED)


def _layout(dashboard: Dashboard, state: State) -> Iterator[Change]:
    tiles = state.tiles(dashboard.key)
    body: list[dict[str, Any]] = []
    fields: list[FieldChange] = []
    for key, layout in dashboard.layouts().items():
        number = state.id("insight", key)
        tile = tiles.get(number) if isinstance(number, int) else None  # none where the insight is not made yet
        layouts = (tile or {}).get("layouts") or {}
        found = layouts.get("sm") or {}
        before = {name: found.get(name) for name in layout}
        if before == layout:
            continue
        fields.append(FieldChange(key, before if found else None, layout))
        if tile is not None:
            # Beside the wide layout that of telephones, which PostHog works out.
            body.append({"id": tile["id"], "layouts": {**layouts, "sm": {**found, **layout}}})
    if fields:
        new = len(fields) == len(dashboard.insights) and all(change.before is None for change in fields)
        yield Change(
            action="create" if new else "change",
            kind="layout",
            key=dashboard.key,
            name=dashboard.name,
            id=state.id("dashboard", dashboard.key),
            fields=[] if new else fields,
            body={"tiles": body},
        )


def _alert_key(insight: str | None, row: Row) -> str | None:
    """Return what ``Alert.key`` is for an alert of ours on an insight of ours."""
    name = ownership.name_of_our_alert(row)
    return None if insight is None or name is None else f"{insight}: {name}"


def _number(reference: Any) -> Any:
    return reference["id"] if isinstance(reference, dict) else reference
