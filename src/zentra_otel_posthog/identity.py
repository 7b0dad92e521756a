"""Who an event is about: distinct id, session, tenant and the common properties, carried in the OTel context."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from msgspec.structs import astuple, replace
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span, get_current_span

# Span and event attributes. The first is the one that PostHog's own packages read and write.
DISTINCT_ID: Final = "posthog.distinct_id"
SESSION_ID: Final = "posthog.session_id"
TENANT: Final = "posthog.tenant"

_OTHERS: Final = ("posthogDistinctId", "user.id", "enduser.id")
_KEY: Final = otel_context.create_key("zentra-posthog-identity")
_REQUEST: Final = otel_context.create_key("zentra-posthog-request")


class Identity(msgspec.Struct, frozen=True):
    """Raw identity, as the application gave it; it passes the sanitizer before it leaves.

    Args:
        distinct_id: The person.
        session_id: posthog-js's session.
        tenant: The tenant, PostHog's group.
        platform: ``ios``, ``android`` or ``web``.
        user_tier: The person's tier at the tenant.
        window_id: posthog-js's window (tab); it belongs to the session.
        claimed_id: Whom the request says it is from. It counts where the backend names nobody, and is never compared
            with whom that names: a browser may not know yet who its user is.
        sequence: Which ``identify`` block began later.
        answers: What feature flags answered in the innermost ``identify`` block: properties of the events that follow,
            sanitized, by the distinct id that they are about. None outside, and where no flags are used.
    """

    distinct_id: object = None
    session_id: object = None
    tenant: object = None
    platform: object = None
    user_tier: object = None
    window_id: object = None
    claimed_id: object = None
    sequence: int = 0
    answers: dict[str, dict[str, Any]] | None = None

    @property
    def person(self) -> object:
        """Whom the backend names, else whom the request claims to be from."""
        return self.claimed_id if self.distinct_id is None else self.distinct_id


NOBODY: Final = Identity()

_sequence: Final = itertools.count(1)
# The OpenTelemetry context carries identity wherever tracing's own instrumentation carries that. This variable keeps
# it where a framework puts an older context back: FastAPI 0.165 does so between a dependency and its endpoint.
_latest: Final[ContextVar[Identity]] = ContextVar("zentra-posthog-identity", default=NOBODY)
# Whether anything in this process ever told of anybody; POSTHOG_CONTEXTS, once it is imported, may at any time. Until
# then no context need be read, which is what most spans of other code pay for.
ever_said = False
# Whether feature flags are used, so that what they answer is to be kept for a block's events.
flags_used = False

POSTHOG_CONTEXTS: Final = "posthog.contexts"


class identify:  # noqa: N801  reads as the verb it is
    """Say who the events inside a ``with`` block are about.

    ::

        with identify("usr_1", tenant="acme", platform="ios", user_tier="gold"):
            charge(amount_minor=125000, currency="NGN", method="card")

    It follows the block's own calls, coroutines and tasks. An inner block inherits what it does not name; one that
    names another person inherits the tenant alone.

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
        self._tokens: list[tuple[Token[Context], Token[Identity]]] = []

    def __enter__(self) -> Self:
        """Begin the block."""
        global ever_said  # noqa: PLW0603  of the process
        ever_said = True
        context = otel_context.get_current()
        inner = replace(about(self._given, from_context(context)), sequence=next(_sequence))
        if flags_used:
            # Of its own: what is answered in the block ends with it.
            inner = replace(inner, answers={one: dict(found) for one, found in list((inner.answers or {}).items())})
        if _REQUEST in context:
            # The block has it now. An inner block about another person must not get this request's session again.
            context = otel_context.set_value(_REQUEST, NOBODY, context)
        attached = otel_context.attach(otel_context.set_value(_KEY, inner, context))
        self._tokens.append((attached, _latest.set(inner)))
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the block."""
        attached, latest = self._tokens.pop()
        otel_context.detach(attached)
        # A generator that is closed by another task ends the block in that task's context, where it never began.
        with contextlib.suppress(ValueError):
            _latest.reset(latest)


def about(given: Identity, surrounding: Identity) -> Identity:
    """Return a given identity, completed by the surrounding one.

    Session, platform and tier belong to a person: where another one is given, only the tenant is taken over. Whom a
    request claims to be from is no other person, and a window goes with its session.
    """
    if surrounding is NOBODY:
        return given
    if given.distinct_id is not None and surrounding.distinct_id is not None:
        if not _same(given.distinct_id, surrounding.distinct_id):
            surrounding = Identity(tenant=surrounding.tenant, answers=surrounding.answers)
    elif given is NOBODY:
        return surrounding
    if (
        surrounding.window_id is not None
        and given.session_id is not None
        and not _same(given.session_id, surrounding.session_id)
    ):
        surrounding = replace(surrounding, window_id=None)
    return Identity(
        *[around if own is None else own for own, around in zip(astuple(given), astuple(surrounding), strict=True)]
    )


def _same(one: object, other: object) -> bool:
    try:
        return one is other or str(one) == str(other)
    except Exception:
        return False


def with_request(context: Context, request: Identity) -> Context:
    """Return a context that also says what a request brought along.

    Args:
        context: An OpenTelemetry context.
        request: From the request's headers or baggage, so its person is ``claimed_id``.
    """
    global ever_said  # noqa: PLW0603  of the process
    ever_said = True
    return otel_context.set_value(_REQUEST, request, context)


def from_context(context: Context) -> Identity:
    """Return what ``identify`` said, completed by what the request says.

    That is what PostHog's own middlewares put into ``posthog.contexts``, then what the propagator read. The browser may
    not know yet who the backend knows it is; its session is the request's all the same.

    Args:
        context: An OpenTelemetry context.
    """
    identity: Identity = context.get(_KEY, NOBODY)  # type: ignore[assignment]  # nobody else knows the key
    latest = _latest.get()
    if latest is not identity and latest.sequence > identity.sequence:
        identity = latest
    request: Identity = context.get(_REQUEST, NOBODY)  # type: ignore[assignment]  # likewise
    # Only where the application uses it: importing posthog costs more than all of this package.
    if (contexts := sys.modules.get(POSTHOG_CONTEXTS)) is not None:
        distinct_id, session_id = contexts.get_context_distinct_id(), contexts.get_context_session_id()
        if distinct_id is not None or session_id is not None:
            request = about(Identity(session_id=session_id, claimed_id=distinct_id), request)
    return identity if request is NOBODY else about(identity, request)


def noted_on(attributes: Mapping[str, Any] | None, surrounding: Identity) -> Identity:
    """Return who an event or a span is about: what its attributes say, and for the rest the surrounding identity.

    ``user.id`` and ``enduser.id`` are OpenTelemetry's conventions; they come last, after what was meant for PostHog.
    """
    if not attributes:
        return surrounding
    distinct_id = attributes.get(DISTINCT_ID)
    if distinct_id is None and surrounding.person is None:
        found = (attributes.get(name) for name in _OTHERS)
        distinct_id = next((other for other in found if other is not None), None)
    return about(Identity(distinct_id, attributes.get(SESSION_ID), attributes.get(TENANT)), surrounding)


def with_common(surrounding: Identity, properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return properties completed by the common ones of the surrounding identity."""
    if surrounding.platform is None and surrounding.user_tier is None:
        return properties
    common = {
        name: value
        for name, value in (("platform", surrounding.platform), ("user_tier", surrounding.user_tier))
        if value is not None and properties.get(name) is None
    }
    return {**properties, **common} if common else properties


def current(context: Context, span: Span | None = None) -> Identity:
    """Return who an event recorded now is about: what the current span notes, else what ``from_context`` says.

    Args:
        context: The current OpenTelemetry context.
        span: Its span, where the caller has it at hand.
    """
    if span is None:
        span = get_current_span(context)
    surrounding = from_context(context)
    if span.is_recording() and (attributes := getattr(span, "attributes", None)):
        return noted_on(attributes, surrounding)
    return surrounding
