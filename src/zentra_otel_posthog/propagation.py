"""PostHog's tracing headers in and out, as OpenTelemetry's propagator ``posthog``.

``OTEL_PROPAGATORS=tracecontext,baggage,posthog`` switches it on. Server instrumentations then hand it each request's
headers, client and queue instrumentations what they are about to send.

What comes in is set by the client. It is analytics context and never evidence of who is calling: whoever the backend
names goes before it, in this service and, because what goes out is whom this service knows, in those that it calls.
As in PostHog's own middlewares, where nobody else is named the claimed person gets the event, with its person
properties: a stranger who has the browser's project key could send the same to PostHog directly. So the tier and the
platform, which only person properties are made of, do not travel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from zentra_otel_posthog import identity, runtime, telemetry
from zentra_otel_posthog.delivery.capture import ClaimedTenant
from zentra_otel_posthog.identity import NOBODY, Identity

# posthog-js sends the first three. PostHog has no header for a group, and without its tenant the event of an internal
# service would be in nobody's analytics. Lower case, as gRPC and Celery want it; HTTP does not mind.
_HEADERS: Final = {
    "claimed_id": "x-posthog-distinct-id",
    "session_id": "x-posthog-session-id",
    "window_id": "x-posthog-window-id",
    "tenant": "x-zentra-posthog-tenant",
}
_BAGGAGE: Final = {
    "claimed_id": identity.DISTINCT_ID,
    "session_id": identity.SESSION_ID,
    "tenant": identity.TENANT,
}
# The rules of posthog 7.91's own readers (integrations/_tracing_headers.py).
_CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LENGTH: Final = 1000

_COUNTED_AS: Final = "(headers)"  # in the place of an event's name, where an identifier may not leave


class PostHogPropagator(TextMapPropagator):
    """Reads whom a request is about from its headers, and writes whom this service knows into those that it sends.

    Headers in and out: ``X-POSTHOG-DISTINCT-ID``, ``X-POSTHOG-SESSION-ID`` and ``X-POSTHOG-WINDOW-ID``, as posthog-js
    sends them (``tracing_headers``), and between services ``X-ZENTRA-POSTHOG-TENANT``. A request without any of them
    may say the same in W3C baggage: ``posthog.distinct_id``, ``posthog.session_id``, ``posthog.tenant``, where
    ``baggage`` stands before ``posthog`` in ``OTEL_PROPAGATORS``.
    """

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Return the context, completed by what the headers, else the baggage say. Nothing is raised.

        Args:
            carrier: A request's headers.
            context: An OpenTelemetry context; None for an empty one.
            getter: Reads from the carrier.
        """
        if context is None:
            context = Context()
        try:
            request = _read(_HEADERS, lambda header: getter.get(carrier, header))
            request = request or _read(_BAGGAGE, baggage.get_all(context).get)
            return identity.with_request(context, Identity(**request)) if request else context
        except Exception as error:
            telemetry.internal_error("reading headers", error)
            return context

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write the current identity into headers, as it may leave. Nothing is raised.

        Args:
            carrier: The headers of what is sent.
            context: An OpenTelemetry context; None for the current one.
            setter: Writes into the carrier.
        """
        try:
            subject = identity.current(otel_context.get_current() if context is None else context)
            if subject is not NOBODY:
                for header, value in _leaving(subject):
                    setter.set(carrier, header, value)
        except Exception as error:
            telemetry.internal_error("writing headers", error)

    @property
    def fields(self) -> set[str]:
        """The headers that ``inject`` sets."""
        return set(_HEADERS.values())


def _read(names: dict[str, str], get: Callable[[str], object]) -> dict[str, Any]:
    found = {field: value for field, name in names.items() if (value := _first_usable(get(name))) is not None}
    if "tenant" in found:
        found["tenant"] = ClaimedTenant(found["tenant"])
    return found


def _first_usable(values: object) -> str | None:
    """Return the first string of which something is left, as PostHog's readers do; several are never joined."""
    if values is None:
        return None
    if isinstance(values, str):
        values = (values,)
    if isinstance(values, Iterable):
        for value in values:
            if isinstance(value, str) and (text := _CONTROL_CHARACTERS.sub("", value).strip()[:_LENGTH]):
                return text
    return None


def _leaving(subject: Identity) -> Iterator[tuple[str, str]]:
    """Yield the headers that may leave: what the gate lets out, and no header could carry another way."""
    gate = runtime.current().gate
    for field, value, admit in (
        ("claimed_id", subject.person, gate.distinct_id),
        ("session_id", subject.session_id, gate.session_id),
        ("window_id", subject.window_id, gate.window_id),
        ("tenant", subject.tenant, gate.group_key),
    ):
        if value is not None and (text := admit(_COUNTED_AS, value)) is not None:
            # Clients raise on what is no Latin-1 or has a line break in it, and readers differ on what is no ASCII.
            if text.isascii() and text.isprintable():
                yield _HEADERS[field], text
            else:
                telemetry.refused(_COUNTED_AS, _HEADERS[field], "header")
