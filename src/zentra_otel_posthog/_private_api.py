"""PostHog's private API: what a project has, read and changed with a personal key.

What may be done twice is tried again; what may not (making something) is not, unless PostHog says that it was not done:
an answer that is lost does not say. Waiting is bounded, and the key is in no message.
"""

from __future__ import annotations

import http.client
import logging
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

if TYPE_CHECKING:
    from zentra_otel_posthog.delivery._http import Reply

_logger = logging.getLogger("zentra_otel_posthog")

_ATTEMPTS: Final = 4
_AGAIN: Final = frozenset({429, 502, 503, 504})
_PAUSE: Final = 0.5  # seconds, doubled from attempt to attempt, where PostHog names none
_TIMEOUT: Final = 30.0  # seconds for one attempt; a list of insights takes PostHog a few
# Seconds for a request with its pauses. PostHog counts its limits by the minute, so a pause of one fits in twice.
_PATIENCE: Final = 180.0
_LONG: Final = 5.0  # seconds: a longer pause is told
_PAGE: Final = 100  # rows, the most that PostHog gives
_PAGES: Final = 1000
_DETAIL_LENGTH: Final = 300  # characters of what PostHog says


class PrivateApiError(Exception):
    """PostHog did not do it. The message is one sentence with the way out, and never the key."""


class PrivateApi:
    """One project. Not for several threads at once.

    Args:
        host: PostHog's app or ingest host.
        project_id: The project's number.
        personal_key: A personal key (``phx_...``).

    Attributes:
        host: PostHog's app host.
        project_page: The address of the project's pages.

    Raises:
        ValueError: An argument is wrong. The message names it, and the variable that commands take it from.
    """

    def __init__(self, host: str, project_id: int | str, personal_key: str) -> None:
        # Both cost more than the rest of the package, and a request comes anyway.
        from posthog.request import determine_app_host  # noqa: PLC0415

        from zentra_otel_posthog.delivery._http import Client  # noqa: PLC0415

        if personal_key.startswith("phc_"):
            raise ValueError(
                "personal_key (POSTHOG_PERSONAL_API_KEY) is a project key (phc_…): it has to be a personal key (phx_…)"
            )
        if not personal_key or not personal_key.isascii() or not personal_key.isprintable():
            raise ValueError("personal_key (POSTHOG_PERSONAL_API_KEY) is no key: make one in PostHog's settings")
        number = str(project_id)
        if not (number.isascii() and number.isdecimal()):
            raise ValueError(
                f"project_id (POSTHOG_PROJECT_ID) = {project_id!r} is no number: it stands in the project's settings"
            )
        if not host.startswith(("https://", "http://")):
            raise ValueError("host (POSTHOG_HOST) is no http or https address, as in https://eu.posthog.com")
        self.host = determine_app_host(host)
        self.project_page = f"{self.host}/project/{number}"
        self._project_id = number
        self._personal_key = personal_key
        self._headers = {"Authorization": f"Bearer {personal_key}", "Content-Type": "application/json"}
        self._client = Client()
        self._has_answered = False

    def __repr__(self) -> str:
        """Show where it asks, not the key."""
        return f"PrivateApi({self.host!r}, {self._project_id})"

    def rows(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Return every row of a list, page by page.

        Args:
            path: Below the project, as in ``cohorts``.
            query: Filters.

        Raises:
            PrivateApiError: PostHog refused, or did not answer.
        """
        # By offset and not by the address of the next page, which a proxy may have rewritten to another host.
        offset = 0
        for _ in range(_PAGES):
            page = self.request("GET", f"{path}/?{urlencode({**query, 'limit': _PAGE, 'offset': offset})}")
            rows = page.get("results")
            if not isinstance(rows, list):
                raise PrivateApiError(f"{self.host} answers with no list of {path}: is it PostHog's app host?")
            yield from rows
            offset += len(rows)
            if not rows or not page.get("next"):
                return

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        repeatable: bool | None = None,
        deadline: float | None = None,
    ) -> dict[str, Any]:
        """Make a request.

        Args:
            method: GET, POST, PATCH or DELETE.
            path: Below the project, with the query.
            body: To be sent as JSON.
            repeatable: Whether it may be done twice; None: all but POST may.
            deadline: Of ``time.monotonic``, for the request with its pauses; None: in three minutes, of which one
                attempt takes 30 seconds at most.

        Returns:
            The answer, empty where there is none.

        Raises:
            PrivateApiError: PostHog refused, did not answer, or asks for more patience than there is.
        """
        again = method != "POST" if repeatable is None else repeatable
        content = None if body is None else msgspec.json.encode(body)
        reply = self._patiently(method, path, content, again=again, deadline=deadline)
        if method == "DELETE" and reply.status == HTTPStatus.NOT_FOUND:
            return {}  # gone is what was asked for
        if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise PrivateApiError(self._refusal(method, path, reply, again=again))
        if not reply.body:
            return {}
        answer = _decoded(reply)
        if answer is None:
            raise PrivateApiError(f"{self.host} answers {method} {path} with no JSON: is it PostHog's app host?")
        return answer

    def _patiently(self, method: str, path: str, body: bytes | None, *, again: bool, deadline: float | None) -> Reply:
        from zentra_otel_posthog.delivery.wire import retry_after  # noqa: PLC0415  as above

        longest = _TIMEOUT if deadline is None else float("inf")
        deadline = time.monotonic() + _PATIENCE if deadline is None else deadline
        for attempt in range(1, _ATTEMPTS + 1):
            reply = self._attempt(method, path, body, min(longest, deadline - time.monotonic()))
            pause = _PAUSE * 2 ** (attempt - 1)
            if isinstance(reply, str):
                # A host that has never answered is more likely wrong than busy.
                once_more = again and self._has_answered
            else:
                # What is rate limited was not done.
                once_more = reply.status == HTTPStatus.TOO_MANY_REQUESTS or (again and reply.status in _AGAIN)
                pause = pause if (asked := retry_after(reply.retry_after)) is None else asked
            if not once_more or attempt == _ATTEMPTS or time.monotonic() + pause >= deadline:
                break
            if pause >= _LONG:
                _logger.warning("PostHog asks to wait: %.0f seconds", pause)
            time.sleep(pause)
        if isinstance(reply, str):
            lost = _lost(again=again)
            raise PrivateApiError(f"{self.host} did not answer ({reply}){lost}: check the host, or try again later")
        return reply

    def _attempt(self, method: str, path: str, body: bytes | None, timeout: float) -> Reply | str:
        """Return the answer, or why there is none."""
        url = f"{self.host}/api/projects/{self._project_id}/{path}"
        began = time.monotonic()
        try:
            reply = self._client.exchange(method, url, body, self._headers, max(timeout, 0.001))
        except OSError as error:
            return f"{type(error).__name__} after {time.monotonic() - began:.1f} s"
        self._has_answered = True
        return reply if reply.whole else "the answer broke off"

    def _refusal(self, method: str, path: str, reply: Reply, *, again: bool) -> str:
        detail, what = self._detail(reply), f"{method} {path.partition('?')[0]}"
        scope = _scope(method, path)
        match reply.status:
            case HTTPStatus.UNAUTHORIZED:
                text = f"{self.host} does not know the personal key: make one in its settings, with the scope {scope}"
            case HTTPStatus.NOT_FOUND if "?" in path or path == "query/":  # what every project has
                text = (
                    f"{self.host} has no project {self._project_id} for this key: check the project's number, and "
                    "whether the host is of the right region"
                )
            case status if status == HTTPStatus.PAYMENT_REQUIRED or "your plan" in detail.lower():
                text = f"PostHog's plan does not allow {what} ({detail}): upgrade it, or leave this out"
            case HTTPStatus.FORBIDDEN:
                text = (
                    f"PostHog forbids {what} ({detail}): it takes the scope {scope} on this project, an owner of "
                    "the key who may do it, and a plan that has it"
                )
            case HTTPStatus.TOO_MANY_REQUESTS:
                text = f"{self.host} limits the rate of requests ({detail}): try again in a few minutes"
            case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                text = f"{self.host} fails with {status} at {what}{_lost(again=again)}: try again later"
            case status:
                text = f"PostHog answers {what} with {status} ({detail})"
        return text

    def _detail(self, reply: Reply) -> str:
        answer = _decoded(reply) or {}
        detail = answer.get("detail") or answer.get("error")
        # "attr" names the field, where one is wrong.
        named = f"{answer['attr']}: " if answer.get("attr") else ""
        text = f"{named}{detail}" if detail else http.client.responses.get(reply.status, "no reason given")
        return " ".join(text.replace(self._personal_key, "…").split()).rstrip(". ")[:_DETAIL_LENGTH]


def _decoded(reply: Reply) -> dict[str, Any] | None:
    try:
        answer = msgspec.json.decode(reply.body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _scope(method: str, path: str) -> str:
    """Return the scope that a request needs, as in ``insight:write``."""
    name = path.partition("/")[0].removesuffix("s")
    return f"{name}:{'read' if method == 'GET' or name == 'query' else 'write'}"


def _lost(*, again: bool) -> str:
    return "" if again else ", and may have done it all the same"
