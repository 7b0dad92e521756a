"""Rules of auto-instrumentation, as ``[[instrument]]`` in TOML: which function records which event."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import msgspec

from zentra_otel_posthog import events
from zentra_otel_posthog._binding import is_path
from zentra_otel_posthog.events import EventSchema, nearest

_TARGET: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_OPTIONS: Final = ("distinct_id", "tenant", "properties", "span_name", "outcome")  # a decorator's
_PATHS: Final = ("distinct_id", "tenant", "outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A function that is to be decorated when its module is imported.

    Args:
        target: ``module:qualified.name``.
        event: A family (``payment``, ``transfer``, ...), or the name of a declared event.
        pending: As for ``track``, for a declared event: emitted when the call starts.
        failed: Likewise, when it has failed.
        distinct_id: As for a decorator; a path.
        tenant: Likewise.
        properties: Likewise; event property to path.
        span_name: Likewise.
        outcome: Likewise; a path.
        origin: The file that it stands in, for messages.
    """

    target: str
    event: str
    pending: str | None = None
    failed: str | None = None
    distinct_id: str | None = None
    tenant: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    span_name: str | None = None
    outcome: str | None = None
    origin: str = field(default="", compare=False)

    @classmethod
    def read(cls, declaration: object, origin: str) -> Self:
        """Return the rule that a table describes.

        Args:
            declaration: The table.
            origin: The file, for messages.

        Raises:
            ValueError: A key or a value is wrong; the message names file, target and key, and the way out.
        """
        if not isinstance(declaration, Mapping):
            raise ValueError(  # noqa: TRY004  a wrong setting, like the others
                f"[[instrument]] in {origin} is {declaration!r}: write a table with target and event"
            )
        target = declaration.get("target")
        if not isinstance(target, str) or not _TARGET.fullmatch(target):
            raise ValueError(
                f"[[instrument]] in {origin} has target {target!r}: name a function by its module and its name in "
                "there, as in 'bank.payments:PaymentService.charge'"
            )
        label = _label(target, origin)
        known = [one.name for one in dataclasses.fields(cls) if one.name != "origin"]
        for key in declaration:
            if key not in known:
                raise ValueError(f"{label} has an unknown key {key!r}; {nearest(str(key), known)}")
        if "event" not in declaration:
            raise ValueError(f"{label} has no event: name one of {', '.join(events.FAMILIES)}, or a declared event")
        try:
            rule = msgspec.convert({**declaration, "origin": origin}, cls)
        except msgspec.ValidationError as error:
            raise ValueError(f"{label}: {error}") from None
        _check_shape(rule)
        return rule

    @property
    def module(self) -> str:
        """The module whose import wraps the function."""
        return self.target.partition(":")[0]

    @property
    def qualified_name(self) -> str:
        """The function's name in there."""
        return self.target.partition(":")[2]

    @property
    def label(self) -> str:
        """The rule's name in messages."""
        return _label(self.target, self.origin)

    def options(self) -> dict[str, Any]:
        """Return the options of the decorator that the rule stands for."""
        return {name: value for name in _OPTIONS if (value := getattr(self, name))}

    def check(self) -> None:
        """Check the rule against the declared events.

        Raises:
            ValueError: An event or a property is none; the message names file, target and key, and the nearest.
        """
        kinds = {name for schema in self._schemas() for name in schema.kinds}
        for name in self.properties:
            if name not in kinds:
                raise ValueError(f"{self.label} has an unknown property {name!r}; {nearest(name, sorted(kinds))}")

    def _schemas(self) -> Iterator[EventSchema]:
        if self.event in events.FAMILIES:
            yield from (event.event_schema for event in events.FAMILIES[self.event] if event is not None)
            return
        for key in ("event", "pending", "failed"):
            if (name := getattr(self, key)) is None:
                continue
            if (schema := events.schema_of(name)) is None:
                known = [schema.name for schema in events.schemas()]
                names = [*events.FAMILIES, *known] if key == "event" else known
                raise ValueError(
                    f"{self.label} has an unknown {key} {name!r}; {nearest(name, names)} (a new one is declared as "
                    "[[event]]: a class in a module that is not imported yet is not known at start-up)"
                )
            yield schema


def _label(target: str, origin: str) -> str:
    return f"[[instrument]] {target!r} in {origin}"


def _check_shape(rule: Rule) -> None:
    if rule.event in events.FAMILIES:
        for key in ("pending", "failed"):
            if getattr(rule, key) is not None:
                raise ValueError(
                    f"{rule.label} has {key} = {getattr(rule, key)!r}, but {rule.event!r} brings its own events: "
                    f"leave {key} out, or name a single event as in 'payment.completed'"
                )
    paths = {key: getattr(rule, key) for key in _PATHS if getattr(rule, key) is not None}
    for key, path in (paths | {f"properties.{name}": path for name, path in rule.properties.items()}).items():
        if not is_path(path):
            raise ValueError(f"{rule.label} has {key} = {path!r}: a path is names joined by dots")
