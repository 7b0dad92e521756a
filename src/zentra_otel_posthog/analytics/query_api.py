"""PostHog's query endpoint: one query, its rows, one clear error."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from zentra_otel_posthog._private_api import PrivateApi, PrivateApiError
from zentra_otel_posthog.analytics.queries import ROWS, Query

_PAUSE: Final = 0.5  # seconds, doubled up to _LONGEST_PAUSE
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
        try:
            self._api = PrivateApi(host, project_id, personal_key)
        except ValueError as error:
            raise AnalyticsError(str(error)) from None
        self._timeout = timeout

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
        try:
            answer = self._answer(body)
        except PrivateApiError as error:
            raise AnalyticsError(str(error)) from None
        rows = answer.get("results")
        if not isinstance(rows, list):
            raise AnalyticsError(f"{self._api.host} answered without results: is it PostHog's app host?")
        if answer.get("hasMore") or len(rows) >= ROWS:
            raise AnalyticsError(
                f"the answer has more than PostHog's {ROWS:,} rows: choose a shorter time or a longer interval"
            )
        return rows

    def _answer(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        deadline = time.monotonic() + self._timeout
        # A query changes nothing.
        answer = self._api.request("POST", "query/", body, repeatable=True, deadline=deadline)
        pause = _PAUSE
        while (status := answer.get("query_status")) and not status.get("complete"):
            if time.monotonic() + pause >= deadline:
                raise AnalyticsError(
                    f"PostHog needs more than the {self._timeout:g} s of the timeout: try again later, or allow more"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            answer = self._api.request("GET", f"query/{quote(str(status.get('id')), safe='')}/", deadline=deadline)
        if status and status.get("error"):
            says = str(status.get("error_message") or "no reason given")[:_DETAIL_LENGTH]
            raise AnalyticsError(f"PostHog could not run the query: {says}")
        return (status.get("results") or {}) if status else answer
