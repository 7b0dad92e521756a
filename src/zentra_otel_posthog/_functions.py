"""What a decorated function becomes. Imported with the first: wrapt costs as much as the rest of the package."""

from __future__ import annotations

import copy
import importlib
import operator
from typing import TYPE_CHECKING, Any, Self, cast

import wrapt

from zentra_otel_posthog._call import Plan
from zentra_otel_posthog._wrapping import wrapper_of

if TYPE_CHECKING:
    from zentra_otel_posthog.decorators import Decorator


def _find(module: str, qualified_name: str) -> Any:
    return operator.attrgetter(qualified_name)(importlib.import_module(module))


class _BoundFunction(wrapt.BoundFunctionWrapper[..., Any]):
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a method does: by its object and its name, or by its module where it belongs to no object."""
        owner = getattr(self.__wrapped__, "__self__", None)
        if owner is not None:
            return getattr, (owner, self.__name__)
        return _find, (self.__module__, self.__qualname__)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return self.__reduce__()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy as a method does: bound to a copy of its object."""
        owner = getattr(self.__wrapped__, "__self__", None)
        return self if owner is None else getattr(copy.deepcopy(owner, memo), self.__name__)


class Switch:
    """Turns what was decorated with it on and off, wherever it is referred to by now."""

    __slots__ = ("on",)

    def __init__(self) -> None:
        self.on: bool = True

    def __bool__(self) -> bool:
        """Return whether it is on, as wrapt asks at each call."""
        return self.on


class Function(wrapt.FunctionWrapper[..., Any]):
    __bound_function_wrapper__ = _BoundFunction

    def __init__(self, wrapped: Any, decorator: Decorator, plan: Plan, function: object, switch: Switch | None) -> None:
        # Each call asks the switch (0.1 µs); None is not asked.
        super().__init__(wrapped, wrapper_of(plan, function), switch)
        self._self_decorator = decorator

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickle as a function does: by its name. A partial or a callable object has none and is decorated anew."""
        if (name := getattr(self, "__qualname__", None)) is not None:
            return str(name)
        return self._self_decorator, (self.__wrapped__,)

    def __reduce_ex__(self, protocol: object) -> str | tuple[Any, ...]:
        return self.__reduce__()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def records(function: object) -> bool:
    """Return whether calls of a function record an event already: whether it is decorated, under whatever else.

    Raises:
        wrapt.WrapperChainTooDeepError: It cannot be told.
    """
    return wrapt.is_wrapped_by(function, predicate=_is_on)


def _is_on(wrapper: object) -> bool:
    # By its type: as a proxy, a wrapper claims the class of what it wraps.
    if not issubclass(type(wrapper), (Function, _BoundFunction)):
        return False
    enabled = cast("Function", wrapper)._self_enabled  # noqa: SLF001  wrapt's documented prefix for a wrapper's own state
    return enabled is None or bool(enabled)
