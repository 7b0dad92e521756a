"""PostHog's query endpoint: one query, its rows, one clear error."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from zentra_otel_posthog.analytics.queries import ROWS, Query

_ATTEMPTS: Final = 4
_AGAIN: Final = frozenset({429, 502, 503, 504})
_PAUSE: Final = 0.5  # seconds, doubled up to _LONGEST_PAUSE, where the server names none
_LONGEST_PAUSE: Final = 5.0
_DETAIL_LENGTH: Final = 300  # characters of what the server says


class AnalyticsError(Exception):
    """A metric cannot be had. The message says why, and the way out."""


class QueryApi:
    """Runs HogQL queries in a project. Not for several threads at once.

    Args:
        personal_key: A personal key (``phx_...``) with the scope ``query:read``.
        project_id: The project's number.
        host: PostHog's app or ingest host.
        timeout: Seconds for one query, waiting included.

    Raises:
        AnalyticsError: An argument is wrong.
    """

    def __init__(self, personal_key: str, project_id: int | str, host: str, timeout: float) -> None:
        # Both cost more than the rest of the package, and a request comes anyway.
        from posthog.request import determine_app_host  # noqa: PLC0415

        from zentra_otel_posthog.delivery._http import Client  # noqa: PLC0415

        if personal_key.startswith("phc_"):
            raise AnalyticsError("personal_key is a project key (phc_…): queries need a personal key (phx_…)")
        if not personal_key or not personal_key.isascii() or not personal_key.isprintable():
            raise AnalyticsError("personal_key is no key: create one in PostHog's settings, with the scope query:read")
        if not str(project_id).isdecimal():
            raise AnalyticsError(f"project_id = {project_id!r} is no number: it stands in PostHog's project settings")
        if not host.startswith(("https://", "http://")):
            raise AnalyticsError("host is no http or https address, as in https://eu.posthog.com")
        self._url = f"{determine_app_host(host)}/api/projects/{project_id}/query/"
        self._headers = {"Authorization": f"Bearer {personal_key}", "Content-Type": "application/json"}
        self._timeout = timeout
        self._client = Client()

    def __repr__(self) -> str:
        """Show where it asks, not the key."""
        return f"QueryApi({self._url!r})"

    def run(self, query: Query, values: Mapping[str, str], *, all_tenants: bool) -> list[Any]:
        """Run a query.

        PostHog computes it while we wait; where it answers that it goes on in the background, its status is asked for
        until it is complete.

        Args:
            query: The query.
            values: What its placeholders stand for.
            all_tenants: Without the condition on the tenant.

        Returns:
            The rows.

        Raises:
            AnalyticsError: There is no answer, or it is a refusal, or not all of it.
        """
        body = {
            "query": {"kind": "HogQLQuery", "query": query.text(all_tenants=all_tenants), "values": values},
            "name": f"zentra-otel-posthog {query.name}",
            "refresh": "blocking",
        }
        deadline = time.monotonic() + self._timeout
        answer = self._ask(self._url, msgspec.json.encode(body), deadline)
        pause = _PAUSE
        while (status := answer.get("query_status")) and not status.get("complete"):
            self._sleep(pause, deadline)
            pause = min(2 * pause, _LONGEST_PAUSE)
            answer = self._ask(f"{self._url}{quote(str(status.get('id')), safe='')}/", None, deadline)
        if status:
            if status.get("error"):
                raise AnalyticsError(f"PostHog could not run the query: {_shortened(status.get('error_message'))}")
            answer = status.get("results") or {}
        rows = answer.get("results")
        if not isinstance(rows, list):
            raise AnalyticsError(f"{self._url} answered without results: is it PostHog's app host?")
        if answer.get("hasMore") or len(rows) >= ROWS:
            raise AnalyticsError(
                f"the answer has more than PostHog's {ROWS:,} rows: choose a shorter time or a longer interval"
            )
        return rows

    def _ask(self, url: str, body: bytes | None, deadline: float) -> dict[str, Any]:
        """Get, or post a body; queries change nothing, so one that failed for now is made again."""
        pause = _PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            remaining = deadline - time.monotonic()
            try:
                if body is None:
                    reply = self._client.get(url, self._headers, remaining)
                else:
                    reply = self._client.post(url, body, self._headers, remaining)
            except OSError as error:
                raise AnalyticsError(
                    f"{self._url} did not answer ({type(error).__name__}): check the host, or allow more than "
                    f"{self._timeout:g} s"
                ) from None
            if reply.status not in _AGAIN or attempt == _ATTEMPTS:
                break
            asked = reply.retry_after or ""
            self._sleep(float(asked) if asked.isdecimal() else pause, deadline)
            pause = min(2 * pause, _LONGEST_PAUSE)
        try:
            answer = msgspec.json.decode(reply.body) if reply.whole else None
        except ValueError:
            answer = None
        if reply.status not in {200, 202}:
            raise AnalyticsError(_refusal(reply.status, answer))
        if not isinstance(answer, dict):
            raise AnalyticsError(f"{self._url} answered no JSON: is it PostHog's app host?")
        return answer

    def _sleep(self, pause: float, deadline: float) -> None:
        if time.monotonic() + pause >= deadline:
            raise AnalyticsError(
                f"PostHog needs more than the {self._timeout:g} s of the timeout (it asked for {pause:g} s more): "
                "try again later, or allow more"
            )
        time.sleep(pause)


def _refusal(status: int, answer: object) -> str:
    detail = _shortened(answer.get("detail") or answer.get("error")) if isinstance(answer, dict) else "no reason given"
    match status:
        case 401:
            return "PostHog does not know the personal key: create one in its settings, with the scope query:read"
        case 403:
            return f"PostHog refused the query ({detail}): the personal key needs the scope query:read on this project"
        case 404:
            return "PostHog has no such project: check project_id, and whether the host is of the right region"
        case 429:
            return "PostHog limits the rate of queries (240 a minute, 3 at once): try again later"
        case _:
            return f"PostHog answered {status} ({detail})"


def _shortened(detail: object) -> str:
    return str(detail)[:_DETAIL_LENGTH] if detail else "no reason given"
