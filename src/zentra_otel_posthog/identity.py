"""Who an event is about: distinct id, session, tenant and the common properties, carried in the OTel context."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, cast

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

# Span and event attributes. The first is the one that PostHog's own packages read and write.
DISTINCT_ID: Final = "posthog.distinct_id"
SESSION_ID: Final = "posthog.session_id"
TENANT: Final = "posthog.tenant"

_OTHERS: Final = ("posthogDistinctId", "user.id", "enduser.id")
_KEY: Final = otel_context.create_key("zentra-posthog-identity")


class Identity(NamedTuple):
    """Raw identity, as the application gave it; it passes the sanitizer before it leaves.

    Args:
        distinct_id: The person.
        session_id: posthog-js's session.
        tenant: The tenant, PostHog's group.
        platform: ``ios``, ``android`` or ``web``.
        user_tier: The person's tier at the tenant.
    """

    distinct_id: object = None
    session_id: object = None
    tenant: object = None
    platform: object = None
    user_tier: object = None


NOBODY: Final = Identity()


class identify:  # noqa: N801  reads as the verb it is
    """Say who the events inside a ``with`` block are about.

    ::

        with identify("usr_1", tenant="acme", platform="ios", user_tier="gold"):
            charge(amount_minor=125000, currency="NGN", method="card")

    It lives in the OpenTelemetry context, so it follows the block's own calls, coroutines and tasks. An inner block
    inherits what it does not name; one that names another person inherits the tenant alone.

    Args:
        distinct_id: The person's opaque id. Personal data becomes a pseudonym or is refused.
        session_id: posthog-js's session id (UUIDv7).
        tenant: The tenant; becomes the group ``tenant``.
        platform: ``ios``, ``android`` or ``web``.
        user_tier: The person's tier at the tenant, a code.
    """

    def __init__(
        self,
        distinct_id: object = None,
        *,
        session_id: object = None,
        tenant: object = None,
        platform: object = None,
        user_tier: object = None,
    ) -> None:
        self._given = Identity(distinct_id, session_id, tenant, platform, user_tier)
        self._tokens: list[Any] = []

    def __enter__(self) -> Self:
        """Begin the block."""
        outer = from_context(otel_context.get_current())
        given = self._given
        if given.distinct_id is not None and given.distinct_id != outer.distinct_id and outer.distinct_id is not None:
            outer = Identity(tenant=outer.tenant)
        inner = Identity(
            *(
                own if own is not None else inherited
                for own, inherited in (
                    (given.distinct_id, outer.distinct_id),
                    (given.session_id, outer.session_id),
                    (given.tenant, outer.tenant),
                    (given.platform, outer.platform),
                    (given.user_tier, outer.user_tier),
                )
            )
        )
        self._tokens.append(otel_context.attach(otel_context.set_value(_KEY, inner)))
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the block."""
        otel_context.detach(self._tokens.pop())


def from_context(context: Context) -> Identity:
    """Return what ``identify`` said, else what PostHog's own middlewares put into ``posthog.contexts``.

    Args:
        context: An OpenTelemetry context.
    """
    identity = context.get(_KEY)
    if identity is not None:
        return cast("Identity", identity)
    # Only where the application uses it: importing posthog costs more than all of this package.
    if (contexts := sys.modules.get("posthog.contexts")) is not None:
        distinct_id, session_id = contexts.get_context_distinct_id(), contexts.get_context_session_id()
        if distinct_id is not None or session_id is not None:
            return Identity(distinct_id, session_id)
    return NOBODY


def noted_on(attributes: Mapping[str, Any] | None, surrounding: Identity) -> Identity:
    """Return who an event or a span is about: what its attributes say, and for the rest the surrounding identity.

    ``user.id`` and ``enduser.id`` are OpenTelemetry's conventions; they come last, after what was meant for PostHog.
    """
    if not attributes:
        return surrounding
    distinct_id = attributes.get(DISTINCT_ID)
    if distinct_id is None:
        distinct_id = surrounding.distinct_id
        for name in _OTHERS if distinct_id is None else ():
            if (distinct_id := attributes.get(name)) is not None:
                break
    return Identity(
        distinct_id,
        attributes.get(SESSION_ID, surrounding.session_id),
        attributes.get(TENANT, surrounding.tenant),
        surrounding.platform,
        surrounding.user_tier,
    )


def with_common(surrounding: Identity, properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return properties completed by the common ones of the surrounding identity."""
    if surrounding.platform is None and surrounding.user_tier is None:
        return properties
    return {"platform": surrounding.platform, "user_tier": surrounding.user_tier, **properties}


def current(context: Context) -> Identity:
    """Return who an event recorded now is about: what the current span notes, else what ``from_context`` says.

    Args:
        context: The current OpenTelemetry context.
    """
    span = get_current_span(context)
    surrounding = from_context(context)
    if span.is_recording() and (attributes := getattr(span, "attributes", None)):
        return noted_on(attributes, surrounding)
    return surrounding
