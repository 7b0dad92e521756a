"""A rule's function, wrapped where it is defined and put back as it was."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, Literal

import wrapt

from zentra_otel_posthog import decorators, events, telemetry
from zentra_otel_posthog._functions import Switch, records
from zentra_otel_posthog._imports import why_missing
from zentra_otel_posthog._rules import Rule
from zentra_otel_posthog.decorators import Decorator
from zentra_otel_posthog.events import nearest

_logger = logging.getLogger("zentra_otel_posthog")

State = Literal["pending import", "wrapped", "decorated already", "not wrapped", "connected"]


@dataclass(frozen=True, slots=True)
class Instrumented:
    """What became of a rule or a preset.

    Args:
        name: The rule's target, or the preset.
        event: What it records.
        state: ``pending import`` until its module is imported.
        reason: Why it is not wrapped, or never will be.
    """

    name: str
    event: str
    state: State
    reason: str | None = None


class Target:
    """A rule, carried out when its module is executed.

    Args:
        rule: The rule, checked.
    """

    def __init__(self, rule: Rule) -> None:
        self.module = rule.module
        self._rule = rule
        self._decorator = _decorator_of(rule)
        self._switch = _switch_of(rule)
        self._switch.on = True
        self._sites: list[tuple[Any, str, Any]] = []
        self._state: State = "pending import"
        self._reason: str | None = None

    def state(self) -> Instrumented:
        """Return what became of the rule."""
        reason = why_missing(self.module) if self._state == "pending import" else self._reason
        return Instrumented(self._rule.target, self._rule.event, self._state, reason)

    def look_ahead(self) -> None:
        """Tell where the module cannot be imported, now that a package that it is to be in has been."""
        if (reason := why_missing(self.module)) is not None:
            self._tell("not wrapped", reason)

    def attach(self, module: ModuleType) -> None:
        """Wrap the function in a module that has been executed. Nothing is raised: this runs in the user's import."""
        try:
            self._wrap(module)
        except (LookupError, TypeError, ValueError) as error:
            self._tell("not wrapped", str(error))
        except Exception as error:
            # The application's own attributes, or a module that takes none.
            self._tell("not wrapped", f"it raised {type(error).__qualname__}")

    def detach(self) -> None:
        """Put back what was there. What keeps a reference to the wrapped function calls straight through it."""
        self._switch.on = False
        for owner, name, handle in reversed(self._sites):
            try:
                wrapt.unwrap_object(owner, name, handle, missing_ok=True)
            except (wrapt.WrapperNotOutermostError, wrapt.WrapperChainTooDeepError):
                _logger.debug(
                    "%s stays wrapped, but records nothing: other code has wrapped it since", self._rule.target
                )
            except Exception as error:
                telemetry.internal_error("uninstrumenting", error)
        self._sites.clear()

    def _wrap(self, module: ModuleType) -> None:
        owner, name, found = _resolve(module, self._rule.qualified_name)
        if any(handle is found for _, _, handle in self._sites):
            return  # told twice of one execution
        if records(found):
            self._tell("decorated already", "it carries a decorator or another rule: its events are recorded once")
            return
        handle = self._decorator.wrap(found, self._switch)
        for site_owner, site_name in _sites_of(owner, name, found):
            # The stub has the factory called otherwise than wrapt does.
            wrapt.wrap_object(site_owner, site_name, lambda _: handle)  # type: ignore[arg-type, misc]
            self._sites.append((site_owner, site_name, handle))
        self._state, self._reason = "wrapped", None

    def _tell(self, state: State, reason: str) -> None:
        if (self._state, self._reason) != (state, reason):
            level = logging.INFO if state == "decorated already" else logging.WARNING
            _logger.log(level, "%s is %s: %s", self._rule.label, state, reason)
        self._state, self._reason = state, reason


# One switch for a rule however often it is carried out: a name that was imported while it was on works again when the
# rule is.
_switches: Final[list[tuple[Rule, Switch]]] = []


def _switch_of(rule: Rule) -> Switch:
    for known, switch in _switches:
        if known == rule:
            return switch
    _switches.append((rule, Switch()))
    return _switches[-1][1]


def _decorator_of(rule: Rule) -> Decorator:
    if rule.event in events.FAMILIES:
        return decorators.family(rule.event)(**rule.options())
    return decorators.track(rule.event, pending=rule.pending, failed=rule.failed, **rule.options())


def _resolve(module: ModuleType, qualified_name: str) -> tuple[Any, str, Any]:
    """Return a name's owner, its last part, and what it names: of a class, what stands in the class, unbound.

    Raises:
        LookupError: There is none; the message names the nearest.
    """
    owner: Any = None
    found: Any = module
    path = module.__name__
    for name in qualified_name.split("."):
        owner = found
        try:
            found = wrapt.resolve_path(owner, name)[2]
        except wrapt.PathResolutionError:
            raise LookupError(f"{path} has no {name!r}; {nearest(name, _names(owner))}") from None
        path = f"{path}.{name}"
    return owner, name, found


def _sites_of(owner: Any, name: str, found: Any) -> list[tuple[Any, str]]:
    """Return where to wrap: the name itself and, where it is a re-export of a function, its definition."""
    sites = [(owner, name)]
    if isinstance(owner, ModuleType):
        definition = sys.modules.get(str(getattr(found, "__module__", "")))
        try:
            defining, own_name, defined = _resolve(definition, found.__qualname__) if definition else (None, "", None)
        except (AttributeError, LookupError):
            return sites
        if defined is found and (defining, own_name) != (owner, name):
            sites.append((defining, own_name))
    return sites


def _names(owner: Any) -> list[str]:
    """Return the public names of what might have been meant: functions and classes, a module's own ones."""
    own = getattr(owner, "__name__", None) if isinstance(owner, ModuleType) else None
    return [
        name
        for name, value in sorted(vars(owner).items() if hasattr(owner, "__dict__") else ())
        if not name.startswith("_")
        and (callable(value) or isinstance(value, (classmethod, staticmethod)))
        and (own is None or getattr(value, "__module__", None) == own)
    ]
