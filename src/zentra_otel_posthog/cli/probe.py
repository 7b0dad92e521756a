"""What ``doctor`` finds out about PostHog: whether it is reached, takes the key, and an event arrives."""

from __future__ import annotations

import itertools
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from zentra_otel_posthog import delivery, events
from zentra_otel_posthog.analytics import AnalyticsError
from zentra_otel_posthog.analytics.queries import Query
from zentra_otel_posthog.analytics.query_api import QueryApi
from zentra_otel_posthog.cli._options import MissingCredentials, private_api_credentials
from zentra_otel_posthog.cli.checks import Check
from zentra_otel_posthog.config import Settings, shown_value
from zentra_otel_posthog.convert import Origin, convert, random_position
from zentra_otel_posthog.delivery.capture import Capture, encode_line
from zentra_otel_posthog.delivery.wire import Answer, Batch
from zentra_otel_posthog.identity import NOBODY
from zentra_otel_posthog.sanitize.identifiers import IdentifierGate

CANARY: Final = "doctor.checked"
"""The event that ``--send`` sends."""

_POLL_FIRST: Final = 1.0  # seconds, doubled up to the next: PostHog takes 240 queries a minute
_POLL_MAX: Final = 8.0
_QUERY_TIMEOUT: Final = 30.0  # seconds, for one answer
_TAKES_CAPTURES: Final = {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}
_ARRIVED: Final = Query(
    "doctor",
    "select {attempt}, count() from events where event = {event} and uuid = {uuid} "
    "and timestamp > now() - interval 1 day",
)


def host(settings: Settings, timeout: float) -> Iterator[Check]:
    """Ask the host with a request that holds no event, so that nothing is captured.

    A server that takes captures answers 400 to it (capture V0 before it looks at the key, V1 after).
    """
    began = time.monotonic()
    answer, trouble = _posted(settings, [], timeout)
    where = _where(settings)
    if answer is None:
        yield Check("host", "failed", f"{where}: {trouble[0]}.", trouble[1])
        return
    took = f"in {(time.monotonic() - began) * 1000:.0f} ms"
    match answer.status:
        case status if status in _TAKES_CAPTURES:
            yield Check("host", "ok", f"{where} takes capture {settings.capture_mode.upper()}; it answered {took}.")
            yield _key(settings)
        case HTTPStatus.UNAUTHORIZED:
            yield Check("host", "ok", f"{where} answered {took}.")
            yield _key_refused(settings)
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
            has_v1 = "or POSTHOG_CAPTURE_MODE to v0: not every server has V1"
            way_out = f"Set POSTHOG_HOST to the ingest host{f', {has_v1}' if settings.capture_mode == 'v1' else ''}."
            mode = settings.capture_mode.upper()
            yield Check("host", "failed", f"{where} has no capture {mode}: it answered {answer.status}.", way_out)
        case status if status < HTTPStatus.BAD_REQUEST:
            way_out = "Set POSTHOG_HOST to where it redirects: captures are not sent after a redirect."
            yield Check("host", "failed", f"{where} answered {status}.", way_out)
        case HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            yield Check("host", "failed", f"{where}: the proxy wants a password.", "Put it into HTTPS_PROXY.")
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            way_out = "Captures wait in the spool until it recovers."
            yield Check("host", "warning", f"{where} is reached, but answered {status}.", way_out)
        case status:
            yield Check("host", "failed", f"{where} answered {status}: {answer.text}", "See what stands between.")


def _key(settings: Settings) -> Check:
    shown = shown_value("api_key", settings.api_key)
    if not str(settings.api_key).startswith("phc_"):
        return Check(
            "key",
            "warning",
            f"{shown} does not begin with phc_, as project keys do.",
            "Copy the project key from PostHog's project settings.",
        )
    return Check(
        "key",
        "ok",
        f"{shown} has the shape of a project key. That its project exists is not proved: capture answers 200 to any "
        "key of this shape.",
        "--send proves it, with POSTHOG_PERSONAL_API_KEY and POSTHOG_PROJECT_ID in the environment.",
    )


def _key_refused(settings: Settings) -> Check:
    shown = shown_value("api_key", settings.api_key)
    return Check(
        "key", "failed", f"PostHog refuses {shown} (401).", "Copy the project key from PostHog's project settings."
    )


def canary(settings: Settings, timeout: float) -> tuple[Check, Capture | None]:
    """Send one event about nobody, on the wire that delivers all others, not over the spool.

    Returns:
        The finding, and the event where it was accepted.
    """
    origin = Origin.of_ids(None, None)
    uuid = origin.uuid(random_position(), CANARY)
    sent = convert(events.undeclared(CANARY), {}, NOBODY, origin, uuid, time.time_ns(), IdentifierGate(None))
    answer, trouble = _posted(settings, [encode_line(sent).removesuffix(b"\n")], timeout)
    if answer is None:
        return Check("canary", "failed", f"{CANARY} was not sent: {trouble[0]}.", trouble[1]), None
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return msgspec.structs.replace(_key_refused(settings), name="canary"), None
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        says = f"{CANARY} was refused with {answer.status}: {answer.text}"
        return Check("canary", "failed", says, "docs/delivery.md says what each status means."), None
    if not answer.readable:
        return Check("canary", "failed", f"{answer.status} came without results.", "See what stands between."), None
    result, details = answer.results.get(0, ("ok", ""))
    if result not in {"ok", "warning"}:
        return Check("canary", "failed", f"{CANARY} was not taken: {result} {details}", "See PostHog's billing."), None
    return Check("canary", "ok", f"{CANARY} {uuid} was accepted ({answer.status}) for ingestion."), sent


def arrival(settings: Settings, sent: Capture, deadline: float) -> Check:
    """Ask PostHog's app until the event is there.

    Args:
        settings: Those in force.
        sent: The event.
        deadline: Seconds.
    """
    try:
        personal_key, project = private_api_credentials()
    except MissingCredentials as missing:
        says = "Arrival was not confirmed: an accepted event is dropped later where key or quota are wrong."
        return Check("arrival", "not checked", says, f"Set {missing.names}, or look for it in PostHog.")
    try:
        api = QueryApi(personal_key, project, settings.host, _QUERY_TIMEOUT)
        took = _until_there(api, sent, deadline)
    except AnalyticsError as error:
        way_out = "They come from POSTHOG_PERSONAL_API_KEY, POSTHOG_PROJECT_ID and POSTHOG_HOST."
        return Check("arrival", "failed", str(error), way_out)
    if took is not None:
        return Check("arrival", "ok", f"It arrived in project {project} within {took:.0f} s: the key is right.")
    return Check(
        "arrival",
        "failed",
        f"It was accepted, but is not in project {project} after {deadline:g} s.",
        f"Compare the key with that of project {project}, see the quota under billing, or wait longer with --wait.",
    )


def _until_there(api: QueryApi, sent: Capture, deadline: float) -> float | None:
    """Return after how many seconds the event was there, None where it was not within the deadline."""
    began, pause = time.monotonic(), _POLL_FIRST
    for attempt in itertools.count(1):
        # Each query is another, or PostHog would answer the second from its cache.
        values = {"event": sent.event, "uuid": sent.uuid, "attempt": str(attempt)}
        rows = api.run(_ARRIVED, values, all_tenants=True)
        took = time.monotonic() - began
        if rows and rows[0][-1]:
            return took
        if took + pause > deadline:
            break
        time.sleep(pause)
        pause = min(2 * pause, _POLL_MAX)
    return None


def _posted(settings: Settings, lines: list[bytes], timeout: float) -> tuple[Answer | None, tuple[str, str]]:
    wire = delivery.project_wire(settings)
    try:
        return wire.post(Batch(lines, uuid4(), 1, datetime.now(UTC)), timeout), ("", "")
    except OSError as error:
        return None, _trouble(error, wire.url, timeout)


def _trouble(error: OSError, url: str, timeout: float) -> tuple[str, str]:
    """Return why there was no answer, and the way out."""
    root: BaseException = error
    while (cause := root.__cause__ or root.__context__) is not None:
        root = cause
    through = _proxy(url)
    if through and not isinstance(root, ssl.SSLError):
        return f"no answer ({type(root).__name__})", f"See the proxy {through} (HTTPS_PROXY, HTTP_PROXY, NO_PROXY)."
    match root:
        case socket.gaierror():
            return "its name cannot be resolved", "Check POSTHOG_HOST, and this machine's resolver."
        case ConnectionRefusedError():
            return "nothing listens there", "Check POSTHOG_HOST and its port."
        case ssl.SSLError():
            says = getattr(root, "verify_message", "") or root.reason or "no TLS"
            return f"TLS failed ({says})", "Check http or https, and name a private authority by REQUESTS_CA_BUNDLE."
        case TimeoutError():
            return f"no answer within {timeout:g} s", "Check the firewall, and whether HTTPS_PROXY has to be set."
    return f"no answer ({type(root).__name__})", "See what stands between, and whether HTTPS_PROXY has to be set."


def _where(settings: Settings) -> str:
    through = _proxy(settings.host)
    return f"{settings.host} through the proxy {through}" if through else settings.host


def _proxy(url: str) -> str | None:
    """Return the proxy to an address, without the password."""
    from requests.utils import get_environ_proxies, select_proxy  # noqa: PLC0415  as in the wire

    proxy = select_proxy(url, get_environ_proxies(url))
    if proxy is None:
        return None
    try:
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:
        return "that cannot be read"
