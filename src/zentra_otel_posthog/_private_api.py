"""PostHog's private API: one project's objects, under a personal key.

What may be done twice is tried again; what may not (making something) never is, since an answer that is lost does not
say whether it was done. Waiting is bounded, and the key is in no message.
"""

from __future__ import annotations

import http.client
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

if TYPE_CHECKING:
    from zentra_otel_posthog.delivery._http import Reply

_logger = logging.getLogger("zentra_otel_posthog")

_TIMEOUT: Final = 30.0  # seconds for a request; a list of insights takes PostHog a few
_ATTEMPTS: Final = 5
_PATIENCE: Final = 180.0  # seconds of waiting over the life of a client; PostHog counts its limits by the minute
_RATE_LIMITED_PAUSE: Final = 15.0  # where PostHog names none
_PAGE: Final = 100  # rows, the most that PostHog gives
_PAGES: Final = 1000
_KEY: Final = re.compile(r"phx_[\x21-\x7e]+", re.ASCII)


class PrivateApiError(Exception):
    """PostHog did not do it. The message is one sentence with the way out, and never the key.

    Args:
        message: The sentence.
        status: What PostHog answered, None where it did not.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class PrivateApi:
    """One project.

    Args:
        host: PostHog's host; its ingest host will do.
        project_id: The project's number.
        personal_key: A personal key (``phx_...``).
        pause: What waits, given seconds.

    Raises:
        ValueError: The key or the number is none.
    """

    def __init__(
        self, host: str, project_id: str, personal_key: str, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        from posthog.request import determine_app_host  # noqa: PLC0415  it takes longer than the rest

        from zentra_otel_posthog.delivery._http import Client  # noqa: PLC0415  likewise

        if not _KEY.fullmatch(personal_key):
            what = "this is the project key" if personal_key.startswith("phc_") else "it is none"
            raise ValueError(f"POSTHOG_PERSONAL_API_KEY: {what}; make a personal key (phx_...) in PostHog's settings")
        if not (project_id.isascii() and project_id.isdigit()):
            raise ValueError(f"POSTHOG_PROJECT_ID={project_id!r}: it is the number in the address of PostHog's pages")
        self.host = determine_app_host(host)
        self.project_id = project_id
        self._root = f"{self.host}/api/projects/{project_id}"
        self._personal_key = personal_key
        self._client = Client()
        self._pause = pause
        self._patience = _PATIENCE

    def rows(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Return every row of a list, page by page.

        Args:
            path: Below the project, as in ``cohorts``.
            query: Filters.

        Raises:
            PrivateApiError: PostHog refused, or cannot be reached.
        """
        # By offset and not by the address of the next page, which a proxy may have rewritten to another host.
        offset = 0
        for _ in range(_PAGES):
            page = self.request("GET", f"{path}/?{urlencode({**query, 'limit': _PAGE, 'offset': offset})}")
            rows = page.get("results")
            if not isinstance(rows, list):
                raise PrivateApiError(f"{self.host} answers with no list of {path}: is POSTHOG_HOST a PostHog?")
            yield from rows
            offset += len(rows)
            if not rows or not page.get("next"):
                return

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make a request.

        Args:
            method: GET, POST, PATCH or DELETE.
            path: Below the project, with the query.
            body: To be sent as JSON.

        Returns:
            The answer, empty where there is none.

        Raises:
            PrivateApiError: PostHog refused, cannot be reached, or asks for more patience than there is.
        """
        reply = self._patiently(method, path, None if body is None else msgspec.json.encode(body))
        if method == "DELETE" and reply.status == HTTPStatus.NOT_FOUND:
            return {}  # gone is what was asked for
        if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise PrivateApiError(self._refusal(method, path, reply), reply.status)
        if not reply.body and reply.whole:
            return {}
        try:
            answer = msgspec.json.decode(reply.body) if reply.whole else None
        except msgspec.DecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise PrivateApiError(f"{self.host} answers {method} {path} with no JSON: is POSTHOG_HOST a PostHog?")
        return answer

    def _patiently(self, method: str, path: str, body: bytes | None) -> Reply:
        from zentra_otel_posthog.delivery.wire import retry_after  # noqa: PLC0415  as above

        headers = {"Authorization": f"Bearer {self._personal_key}", "Content-Type": "application/json"}
        attempt = 0
        while True:
            attempt += 1
            pause = float(2 ** (attempt - 1))
            try:
                reply = self._client.exchange(method, f"{self._root}/{path}", body, headers, _TIMEOUT)
            except OSError as error:
                if method == "POST" or attempt == _ATTEMPTS:
                    raise PrivateApiError(
                        f"{self.host} cannot be reached ({type(error).__name__}){_lost(method)}; check POSTHOG_HOST"
                    ) from None
            else:
                limited = reply.status == HTTPStatus.TOO_MANY_REQUESTS
                # One that is rate limited was not done.
                if not limited and (reply.status < HTTPStatus.INTERNAL_SERVER_ERROR or method == "POST"):
                    return reply
                if attempt == _ATTEMPTS:
                    return reply
                if limited:
                    pause = _RATE_LIMITED_PAUSE
                if (named := retry_after(reply.retry_after)) is not None:
                    pause = named
                if pause > self._patience:
                    return reply
            self._wait(pause)

    def _wait(self, seconds: float) -> None:
        self._patience -= seconds
        _logger.info("waiting %.0f s for PostHog", seconds)
        self._pause(seconds)

    def _refusal(self, method: str, path: str, reply: Reply) -> str:
        detail, what = self._detail(reply), f"{method} {path.partition('?')[0]}"
        match reply.status:
            case HTTPStatus.UNAUTHORIZED:
                text = f"{self.host} does not know the personal key: set POSTHOG_PERSONAL_API_KEY to one of this host"
            case HTTPStatus.NOT_FOUND if method == "GET" and "?" in path:  # a list, which every project has
                text = (
                    f"{self.host} has no project {self.project_id} for this key: check POSTHOG_PROJECT_ID and "
                    "POSTHOG_HOST"
                )
            case HTTPStatus.PAYMENT_REQUIRED:
                text = f"PostHog's plan does not allow {what} ({detail}): upgrade it, or leave this out"
            case HTTPStatus.FORBIDDEN if "scope" in detail:
                text = f"the personal key may not do {what} ({detail}): add the scope to it in PostHog's settings"
            case HTTPStatus.FORBIDDEN:
                text = f"PostHog forbids {what} ({detail}): look at the plan, and at what the key's owner may do"
            case HTTPStatus.TOO_MANY_REQUESTS:
                text = f"{self.host} still limits the rate of requests: run the command again in a few minutes"
            case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                text = f"{self.host} fails with {status}{_lost(method)}; run the command again"
            case _:
                text = f"PostHog refuses {what} with {reply.status} ({detail})"
        return text

    def _detail(self, reply: Reply) -> str:
        try:
            answer = msgspec.json.decode(reply.body)
        except msgspec.DecodeError:
            answer = None
        detail = answer.get("detail") if isinstance(answer, dict) else None
        # "attr" names the field, where one is wrong.
        named = f"{answer['attr']}: " if isinstance(answer, dict) and answer.get("attr") else ""
        text = f"{named}{detail}" if detail else http.client.responses.get(reply.status, "no reason given")
        return text.replace(self._personal_key, "…").rstrip(". ")[:300]


def _lost(method: str) -> str:
    return ", and may have done it all the same" if method == "POST" else ""
