"""A stand-in for PostHog's private API: a project with dashboards, insights, cohorts, alerts and a query endpoint.

As strict as PostHog is (``private_objects``), with its pages, its scopes and its limits, and with faults on request.

Example:
    >>> from zentra_otel_posthog.inspector import PrivateApi, Receiver
    >>> with Receiver(private_api=PrivateApi()) as posthog:
    ...     posthog.url.startswith("http://127.0.0.1:")
    True
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from copy import deepcopy
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from zentra_otel_posthog.inspector import private_objects as objects
from zentra_otel_posthog.inspector.connection import Answer
from zentra_otel_posthog.inspector.private_objects import Refusal, Row

if TYPE_CHECKING:
    from collections.abc import Mapping

_MADE: Final = "2026-11-01T09:00:00Z"
_PAGE: Final = 100
_SCOPES: Final = {"dashboards": "dashboard", "insights": "insight", "cohorts": "cohort", "alerts": "alert"}
_KINDS: Final = {HTTPStatus.BAD_REQUEST: "validation_error", HTTPStatus.TOO_MANY_REQUESTS: "throttled_error"}


class PrivateRequest(NamedTuple):
    """One request as it arrived.

    Attributes:
        method: HTTP method.
        path: Path and query.
        body: The parsed JSON, None where there is none.
        status: What is answered, None for a connection that is closed instead.
    """

    method: str
    path: str
    body: Any
    status: int | None


class PrivateApi:
    """One project; mounted by ``Receiver(private_api=...)``. It may be used from several threads.

    Args:
        personal_key: The key that it takes.
        project_id: The project's number.
        scopes: What the key may do, as in ``insight:write``; None: everything.
        page: Rows of a page at most.
        tagging: Whether tags are kept; some versions drop them without a word where the plan has no tagging.
        alert_limit: How many alerts the plan allows; None: any number.
        users: Numbers of the users that alerts may tell; the first is the key's owner.
        query: Answers the query endpoint, given what was posted.
    """

    def __init__(
        self,
        *,
        personal_key: str = "phx_invented",
        project_id: int = 1,
        scopes: Iterable[str] | None = None,
        page: int = _PAGE,
        tagging: bool = True,
        alert_limit: int | None = None,
        users: Iterable[int] = (1, 2),
        query: Callable[[Row], Row] | None = None,
    ) -> None:
        self.rows: dict[str, dict[int | str, Row]] = {name: {} for name in _SCOPES}
        self.requests: list[PrivateRequest] = []
        self._tiles: dict[int, Row] = {}
        self._personal_key = personal_key
        self._project = f"/api/projects/{project_id}/"
        self._scopes = None if scopes is None else frozenset(scopes)
        self._page = page
        self._tagging = tagging
        self._alert_limit = alert_limit
        self._users = tuple(users)
        self._query = query or (lambda _: {"results": [], "columns": [], "types": [], "hasMore": False})
        self._faults: dict[int, Answer] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def fail(self, answer: Answer, *, after: int = 0, times: int = 1) -> None:
        """Answer some of the next requests otherwise.

        Args:
            answer: What to answer; with ``accept`` the request is carried out all the same.
            after: How many requests come before them.
            times: How many they are.
        """
        with self._lock:
            first = len(self.requests) + after
            self._faults.update(dict.fromkeys(range(first, first + times), answer))

    def recover(self) -> None:
        """Answer all that comes as it should be, whatever ``fail`` has said."""
        with self._lock:
            self._faults.clear()

    def writes(self) -> list[PrivateRequest]:
        """Return the requests that were to change something."""
        with self._lock:
            return [request for request in self.requests if request.method != "GET"]

    def living(self, name: str) -> list[Row]:
        """Return what the project has, as it is answered; deleted ones not."""
        with self._lock:
            return [self._shown(name, row, detailed=True) for row in self.rows[name].values() if not row["deleted"]]

    def add(self, name: str, body: Row) -> Row:
        """Make something by hand, as a person would in PostHog's pages.

        Args:
            name: ``dashboards``, ``insights``, ``cohorts`` or ``alerts``.
            body: As it would be posted.
        """
        with self._lock:
            return self._shown(name, self._create(name, body), detailed=True)

    def change(self, name: str, number: int | str, body: Row) -> None:
        """Change or delete something by hand, as ``add``."""
        with self._lock:
            self._update(name, self.rows[name][number], body)

    def respond(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer | None:
        """Return the answer to a request, None to close the connection without one."""
        with self._lock:
            fault = self._faults.pop(len(self.requests), None)
            try:
                content = msgspec.json.decode(body) if body else None
            except msgspec.DecodeError:
                content = None
            if fault is None or fault.accept:
                answer = self._judged(method, path, headers, content)
            answer = answer if fault is None else fault
            status = None if answer.connection == "close" else answer.status
            self.requests.append(PrivateRequest(method, path, content, status))
        return None if answer.connection == "close" else answer

    def _judged(self, method: str, path: str, headers: Mapping[str, str], content: Any) -> Answer:
        try:
            status, shown = self._handled(method, path, headers, content)
        except Refusal as refusal:
            kind = _KINDS.get(HTTPStatus(refusal.status), "authentication_error")
            shown = {"type": kind, "code": "invalid_input", "detail": refusal.detail, "attr": refusal.attr}
            status = refusal.status
        body = b"" if shown is None else msgspec.json.encode(shown)
        return Answer(status, {"Content-Type": "application/json"}, body)

    def _handled(self, method: str, path: str, headers: Mapping[str, str], content: Any) -> tuple[int, Row | None]:
        if headers.get("Authorization") != f"Bearer {self._personal_key}":
            raise Refusal(401, "Personal API key found in request Authorization header is invalid.")
        parts = urlsplit(path)
        if not parts.path.startswith(self._project):
            raise Refusal(404, "Project not found.")
        name, _, number = parts.path.removeprefix(self._project).strip("/").partition("/")
        scope = f"{_SCOPES.get(name, 'query')}:{'read' if method == 'GET' or name == 'query' else 'write'}"
        if self._scopes is not None and scope not in self._scopes:
            raise Refusal(403, f"API key missing required scope '{scope}'")
        if method in {"POST", "PATCH"} and not isinstance(content, dict):
            raise Refusal(400, "JSON parse error")
        if name == "query" and method == "POST":
            return 200, self._query(content)
        if name not in _SCOPES:
            raise Refusal(404, "Endpoint not found.")
        if not number:
            return self._of_list(method, name, parse_qs(parts.query), content, f"{parts.path}")
        return self._of_one(method, name, self._found(name, number), content)

    def _of_list(
        self, method: str, name: str, query: Mapping[str, list[str]], content: Any, path: str
    ) -> tuple[int, Row]:
        if method == "POST":
            return 201, self._shown(name, self._create(name, content), detailed=True)
        if method != "GET":
            raise Refusal(405, f'Method "{method}" not allowed.')
        # The newest first, as PostHog lists them.
        rows = [row for row in reversed(self.rows[name].values()) if not row["deleted"]]
        if "tags" in query and name in {"insights", "dashboards"}:
            wanted = set(msgspec.json.decode(query["tags"][0]))
            rows = [row for row in rows if wanted & set(row["tags"])]
        limit = min(int(query.get("limit", [str(_PAGE)])[0]), self._page)
        offset = int(query.get("offset", ["0"])[0])
        more = offset + limit < len(rows)
        shown = [self._shown(name, row, detailed=False) for row in rows[offset : offset + limit]]
        following = f"http://elsewhere.invalid{path}?limit={limit}&offset={offset + limit}" if more else None
        return 200, {"count": len(rows), "next": following, "previous": None, "results": shown}

    def _of_one(self, method: str, name: str, row: Row, content: Any) -> tuple[int, Row | None]:
        if method == "PATCH":
            self._update(name, row, content)
        elif method == "DELETE" and name == "alerts":
            del self.rows[name][row["id"]]
            return 204, None
        elif method != "GET":
            raise Refusal(405, f'Method "{method}" not allowed.')
        return 200, self._shown(name, row, detailed=True)

    def _found(self, name: str, number: str) -> Row:
        row = self.rows[name].get(int(number) if number.isdigit() else number)
        if row is None:
            raise Refusal(404, "Not found.")
        return row

    def _create(self, name: str, body: Row) -> Row:
        number = next(self._numbers)
        identifier: int | str = f"00000000-0000-4000-8000-{number:012}" if name == "alerts" else number
        row: Row = {"id": identifier, "deleted": False, "created_at": _MADE, "created_by": self._user(self._users[0])}
        if name == "alerts":
            row |= {"enabled": True, "calculation_interval": "daily", "detector_config": None, "state": "Not firing"}
            if self._alert_limit is not None and len(self.rows[name]) >= self._alert_limit:
                raise Refusal(400, f"Your plan is limited to {self._alert_limit} alerts.", "alert")
        else:
            row |= {"name": "", "description": "", "tags": []}
        self._update(name, row, body, creating=True)
        self.rows[name][identifier] = row
        if name == "insights":
            self._attach(row)
        return row

    def _update(self, name: str, row: Row, body: Row, *, creating: bool = False) -> None:
        changed = {**deepcopy(row), **deepcopy(body)}
        objects.text(changed, "name", required=creating and name == "cohorts")
        objects.text(changed, "description")
        if "tags" in body:
            changed["tags"] = objects.tags(body) if self._tagging else []
        if name == "insights":
            changed.setdefault("dashboards", [])
            for number in changed["dashboards"]:
                if number not in self.rows["dashboards"]:
                    raise Refusal(400, f'Invalid pk "{number}" - object does not exist.', "dashboards")
        elif name == "cohorts" and ("filters" in body or creating):
            changed["filters"] = objects.cohort_filters(body.get("filters"))
        elif name == "dashboards":
            self._place(changed.pop("tiles", []))
        elif name == "alerts":
            self._check_alert(changed)
        row.clear()
        row.update(changed)
        if name == "insights" and not creating:
            self._attach(row)

    def _check_alert(self, alert: Row) -> None:
        insight = self.rows["insights"].get(alert.get("insight", 0))
        if insight is None or insight["deleted"]:
            raise Refusal(400, f'Invalid pk "{alert.get("insight")}" - object does not exist.', "insight")
        users = alert.get("subscribed_users")
        if not isinstance(users, list):
            raise Refusal(400, "This field is required.", "subscribed_users")
        for user in users:
            if user not in self._users:
                raise Refusal(400, "User does not belong to the same organization as the alert's team.")
        alert["detector_config"] = objects.detector(alert.get("detector_config"))
        objects.check_alert(alert, insight)

    def _attach(self, insight: Row) -> None:
        wanted = set() if insight["deleted"] else set(insight["dashboards"])
        for number, tile in list(self._tiles.items()):
            if tile["insight"] == insight["id"] and tile["dashboard"] not in wanted:
                del self._tiles[number]
        there = {tile["dashboard"] for tile in self._tiles.values() if tile["insight"] == insight["id"]}
        for dashboard in sorted(wanted - there):
            number = next(self._numbers)
            self._tiles[number] = {
                "id": number,
                "dashboard": dashboard,
                "insight": insight["id"],
                "layouts": {},
                "color": None,
            }

    def _place(self, tiles: list[Row]) -> None:
        for tile in tiles:
            if tile.get("id") not in self._tiles:
                raise Refusal(400, "Tile does not exist.", "tiles")
            layouts = deepcopy(tile["layouts"])
            # The narrow layout is worked out where there is none.
            layouts.setdefault("xs", {"x": 0, "y": layouts["sm"]["y"], "w": 1, "h": layouts["sm"]["h"]})
            self._tiles[tile["id"]]["layouts"] = layouts

    def _shown(self, name: str, row: Row, *, detailed: bool) -> Row:
        shown = deepcopy(row)
        match name:
            case "insights":
                shown |= {
                    "short_id": f"s{row['id']}",
                    "favorited": False,
                    "query": objects.shown_query(row.get("query")),
                }
            case "dashboards" if detailed:
                tiles = [deepcopy(tile) for tile in self._tiles.values() if tile["dashboard"] == row["id"]]
                for tile in tiles:
                    del tile["dashboard"]
                    tile["insight"] = self._shown("insights", self.rows["insights"][tile["insight"]], detailed=True)
                shown["tiles"] = tiles
            case "cohorts":
                del shown["tags"]
                shown |= {"is_calculating": False, "count": None, "is_static": False}
            case "alerts":
                insight = self.rows["insights"][row["insight"]]
                shown["insight"] = {"id": insight["id"], "name": insight["name"], "short_id": f"s{insight['id']}"}
                shown["subscribed_users"] = [self._user(user) for user in row["subscribed_users"]]
                shown["threshold"] = {"id": f"t{row['id']}", "created_at": _MADE, "name": "", **row["threshold"]}
                del shown["deleted"]
        return shown

    def _user(self, number: int) -> Row:
        return {"id": number, "first_name": f"User {number}", "email": f"user{number}@example.com"}
