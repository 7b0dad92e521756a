"""The tracking plan: events as classes, their schemas, and the registry that designates events by name."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, NamedTuple, dataclass_transform

import msgspec

from zentra_otel_posthog.kinds import KINDS, Currency, Kind, MinorUnits, Partner, Platform, Slug, SlugList

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", re.ASCII)
_PROPERTY_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_NAME_LENGTH: Final = 200  # PostHog cuts longer event names (capture V0)
_COMMON_SET: Final = {"platform": "platform", "user_tier": "user_tier"}


class UnknownEvent(LookupError):
    """An event name that nothing declares."""


class EventSchema(msgspec.Struct, frozen=True, kw_only=True):
    """What one event may carry.

    Args:
        name: The event's name, ``noun.verb``.
        kinds: The kind of each property, common ones included.
        person_set: Person property to event property: the latest value wins (PostHog's ``$set``).
        person_set_once: Likewise, the first value wins (PostHog's ``$set_once``).
        origin: Who declared it, for messages.
        person_sources: The event properties that person properties come from; derived.
    """

    name: str
    kinds: Mapping[str, Kind]
    person_set: Mapping[str, str]
    person_set_once: Mapping[str, str]
    origin: str
    person_sources: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Derive what conversion looks up for every event."""
        sources = frozenset((*self.person_set.values(), *self.person_set_once.values()))
        msgspec.structs.force_setattr(self, "person_sources", sources)


_registry: dict[str, EventSchema] = {}


def schema_of(name: str) -> EventSchema | None:
    """Return the schema of a designated event, or None where nothing declares it."""
    return _registry.get(name)


def undeclared(name: str) -> EventSchema:
    """Return the schema of an event that nothing declares: the common properties."""
    return EventSchema(name=name, kinds=_COMMON_KINDS, person_set=_COMMON_SET, person_set_once={}, origin="capture")


def schemas() -> list[EventSchema]:
    """Return every declared event in the order of declaration."""
    return list(_registry.values())


def check_name(name: object) -> str:
    """Return an event's name where it is ``noun.verb``.

    Args:
        name: The name; two lower-case words of letters, digits and underscores, joined by one dot.

    Raises:
        ValueError: It is not; the message says what it should look like.
    """
    if isinstance(name, str) and len(name) <= _NAME_LENGTH and _NAME.fullmatch(name):
        return name
    raise ValueError(f"event name {name!r} is not of the form noun.verb, as in 'checkout.completed'")


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the clause that names the nearest right spelling, for error messages."""
    import difflib  # noqa: PLC0415  mistakes alone need it

    names = list(names)
    if close := difflib.get_close_matches(name, names, n=1, cutoff=0.5):
        return f"did you mean {close[0]!r}?"
    return f"there are: {', '.join(names)}" if names else "there are none"


def require(name: str) -> EventSchema:
    """Return the schema of an event that must be declared.

    Raises:
        UnknownEvent: Nothing declares it; the message names the nearest event.
    """
    if (schema := _registry.get(name)) is not None:
        return schema
    raise UnknownEvent(
        f"no event {name!r} in the tracking plan; {nearest(name, _registry)} "
        "(a new one is declared as a subclass of Event or as [[event]] in zentra-otel-posthog.toml)"
    )


def declare(
    name: str,
    kinds: Mapping[str, Kind],
    *,
    person_set: Mapping[str, str] | None = None,
    person_set_once: Mapping[str, str] | None = None,
    origin: str,
) -> EventSchema:
    """Add an event to the tracking plan.

    Args:
        name: The event's name, ``noun.verb``.
        kinds: The kind of each of its own properties; the common ones come by themselves.
        person_set: Person property to event property, for ``$set``.
        person_set_once: Person property to event property, for ``$set_once``.
        origin: Who declares it. The same origin may declare again (a module or a file that is loaded anew).

    Raises:
        ValueError: A name is malformed or taken, or a person property comes from a property that is not declared.
    """
    check_name(name)
    schema = EventSchema(
        name=name,
        kinds={**{property_name: kind.of(property_name) for property_name, kind in kinds.items()}, **_COMMON_KINDS},
        person_set={**_COMMON_SET, **(person_set or {})},
        person_set_once=dict(person_set_once or {}),
        origin=origin,
    )
    for source in (*schema.person_set.values(), *schema.person_set_once.values()):
        if source not in schema.kinds:
            raise ValueError(f"event {name!r} has no property {source!r}; {nearest(source, schema.kinds)}")
    for property_name in (*kinds, *schema.person_set, *schema.person_set_once):
        if not _PROPERTY_NAME.fullmatch(property_name):
            raise ValueError(
                f"property {property_name!r} of event {name!r} has no usable name: letters, digits and underscores, "
                "at most 100, as in 'amount_minor'"
            )
    known = _registry.get(name)
    if known is not None and known.origin != origin:
        if msgspec.structs.replace(known, origin=origin) == schema:
            return known
        raise ValueError(f"event {name!r} is declared twice, by {known.origin} and by {origin}: rename one of them")
    _registry[name] = schema
    return schema


class _Declaration(msgspec.Struct):
    name: str
    properties: dict[str, str] = {}
    set: dict[str, str] = {}
    set_once: dict[str, str] = {}


def declare_from_mapping(declaration: Mapping[str, Any], *, origin: str) -> EventSchema:
    """Add an event that a TOML ``[[event]]`` table describes.

    Args:
        declaration: ``name``, ``properties`` (name to kind), optionally ``set`` and ``set_once``.
        origin: The file, for messages.

    Raises:
        ValueError: A key, a kind or the name is wrong; the message names it and the nearest right one.
    """
    known_keys = _Declaration.__struct_fields__
    for key in declaration:
        if key not in known_keys:
            raise ValueError(f"[[event]] in {origin} has an unknown key {key!r}; {nearest(key, known_keys)}")
    name = check_name(declaration.get("name"))
    try:
        declared = msgspec.convert(declaration, _Declaration)
    except msgspec.ValidationError as error:
        raise ValueError(f"event {name!r} in {origin}: {error}") from None
    for property_name, kind_name in declared.properties.items():
        if kind_name not in KINDS:
            raise ValueError(
                f"property {property_name!r} of event {name!r} in {origin} has an unknown kind {kind_name!r}; "
                f"{nearest(kind_name, KINDS)}"
            )
    kinds = {property_name: KINDS[kind_name] for property_name, kind_name in declared.properties.items()}
    return declare(name, kinds, person_set=declared.set, person_set_once=declared.set_once, origin=origin)


def forget(origin: str) -> None:
    """Remove what an origin declared: a configuration that is replaced takes its events with it."""
    for name in [name for name, schema in _registry.items() if schema.origin == origin]:
        del _registry[name]


@dataclass_transform(kw_only_default=True, frozen_default=True)
class _Dataclass:
    # Apart from Event, because a type checker takes no fields from the class that bears dataclass_transform (PEP 681).
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)


class Event(_Dataclass):
    """A business event. Subclass it to declare one.

    A property is an annotation with a kind of ``zentra_otel_posthog.kinds``; give it a default where it may be absent::

        class CheckoutCompleted(Event, name="checkout.completed"):
            amount_minor: MinorUnits
            currency: Currency
            items: Count | None = None

    An instance holds raw values. They are normalised or refused when the event is emitted, never by the constructor.

    Args:
        platform: ``ios``, ``android`` or ``web``.
        user_tier: The customer's tier at the tenant, a code.
    """

    event_schema: ClassVar[EventSchema]

    platform: Platform | None = None
    user_tier: Slug | None = None

    def __init_subclass__(
        cls,
        *,
        name: str,
        set: Mapping[str, str] | None = None,  # noqa: A002  PostHog's name for it
        set_once: Mapping[str, str] | None = None,
    ) -> None:
        """Declare the event.

        Args:
            name: The event's name, ``noun.verb``.
            set: Person property to event property, for PostHog's ``$set``.
            set_once: Person property to event property, for PostHog's ``$set_once``.

        Raises:
            ValueError: The name is malformed or taken.
            TypeError: A property has no kind.
        """
        super().__init_subclass__()
        kinds = {
            property_name: _kind_of(cls, property_name, hint)
            for property_name, hint in typing.get_type_hints(cls, include_extras=True).items()
            if property_name not in {"event_schema", *_COMMON_KINDS}
        }
        origin = f"{cls.__module__}.{cls.__qualname__}"
        cls.event_schema = declare(name, kinds, person_set=set, person_set_once=set_once, origin=origin)


def _kind_of(cls: type, property_name: str, hint: object) -> Kind:
    alternatives = typing.get_args(hint) if typing.get_origin(hint) in {typing.Union, types.UnionType} else (hint,)
    for alternative in alternatives:
        for annotation in getattr(alternative, "__metadata__", ()):
            if isinstance(annotation, Kind):
                return annotation
    raise TypeError(
        f"property {property_name!r} of {cls.__qualname__} has no kind: annotate it with one of "
        "zentra_otel_posthog.kinds (MinorUnits, Currency, Slug, SlugList, Partner, Count, Flag, Country, Platform, "
        "Text, Identifier, Pseudonym, LastFour)"
    )


_COMMON_KINDS: Final[Mapping[str, Kind]] = {"platform": KINDS["platform"], "user_tier": KINDS["slug"]}


class PaymentPending(Event, name="payment.pending"):
    """A payment was initiated."""

    amount_minor: MinorUnits
    currency: Currency
    method: Slug


class PaymentCompleted(Event, name="payment.completed"):
    """A payment succeeded."""

    amount_minor: MinorUnits
    currency: Currency
    method: Slug


class PaymentFailed(Event, name="payment.failed"):
    """A payment failed."""

    reason: Slug
    amount_minor: MinorUnits
    currency: Currency | None = None
    method: Slug | None = None


class TransferCompleted(Event, name="transfer.completed"):
    """A bank transfer completed. ``destination`` is a kind of destination or a bank's code, never an account."""

    amount_minor: MinorUnits
    destination: Partner
    currency: Currency | None = None


class CardIssued(Event, name="card.issued"):
    """A card was created."""

    cardType: Slug  # noqa: N815  the tracking plan's spelling
    tier: Slug


class KycVerified(Event, name="kyc.verified", set={"kyc_tier": "tier"}):
    """A KYC verification passed. ``documents`` are kinds of documents, never their numbers."""

    tier: Slug
    documents: SlugList


class UserSignedUp(Event, name="user.signed_up", set_once={"signup_channel": "channel"}):
    """A user registered."""

    channel: Slug
    referral: Partner | None = None


class SessionAuthenticated(Event, name="session.authenticated"):
    """A user logged in."""

    method: Slug
    deviceType: Slug | None = None  # noqa: N815  the tracking plan's spelling


class Family(NamedTuple):
    """The events of one sort of function.

    Args:
        completed: Emitted when a call has succeeded.
        pending: Emitted when it starts.
        failed: Emitted when it has failed.
    """

    completed: type[Event]
    pending: type[Event] | None = None
    failed: type[Event] | None = None


FAMILIES: Final[Mapping[str, Family]] = {
    "payment": Family(PaymentCompleted, PaymentPending, PaymentFailed),
    "transfer": Family(TransferCompleted),
    "card": Family(CardIssued),
    "auth": Family(SessionAuthenticated),
    "kyc": Family(KycVerified),
    "signup": Family(UserSignedUp),
}
"""The families by the name that a decorator and a TOML ``[[instrument]]`` rule give them."""
