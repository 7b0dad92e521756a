"""Argument and result paths, compiled once when a function is decorated: no signature is bound at call time."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from zentra_otel_posthog.events import nearest

RESULT: Final = "result"
"""The root of a path that starts at what the function returned."""

Source = str | Callable[..., Any]
"""Where a value comes from: a path (``"request.amount.minor"``, ``"result.tier"``) or a callable whose parameters
are named like the function's, or ``result``."""

Read = Callable[[tuple[Any, ...], Mapping[str, Any], Any], Any]
"""Reads a value from positional arguments, keyword arguments and the result."""

_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")


class Bound(msgspec.Struct, frozen=True):
    """A compiled source.

    Args:
        read: Reads the value; None where there is none.
        needs_result: It can be read only when the function has returned.
    """

    read: Read
    needs_result: bool


class Parameters:
    """The parameters of a function that is being decorated.

    Args:
        function: The plain function, bound method, partial or callable object.
        label: Its name in messages.

    Raises:
        TypeError: Its signature cannot be read.
    """

    def __init__(self, function: Callable[..., Any], label: str) -> None:
        self._label = label
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError) as error:
            raise TypeError(f"{label} cannot be decorated: its signature cannot be read ({error})") from None
        self._hints = _hints(function)
        self._readers: dict[str, Read] = {}
        self._open = False
        position = 0
        for name, parameter in parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                self._open = True
                self._readers[name] = _keywords
            elif parameter.kind is parameter.VAR_POSITIONAL:
                self._readers[name] = _rest(position)
            else:
                default = None if parameter.default is parameter.empty else parameter.default
                if parameter.kind is parameter.KEYWORD_ONLY:
                    self._readers[name] = _keyword(name, default)
                    continue
                keyword = name if parameter.kind is parameter.POSITIONAL_OR_KEYWORD else None
                self._readers[name] = _positional(position, keyword, default)
                position += 1

    def find(self, *names: str) -> Bound | None:
        """Return the first parameter that bears one of the names, also in snake case, or None.

        A function that takes any keyword is asked for them at each call.
        """
        spellings = [spelling for name in names for spelling in dict.fromkeys((name, _snake(name)))]
        for spelling in spellings:
            if spelling in self._readers:
                return Bound(self._readers[spelling], needs_result=False)
        if not self._open:
            return None
        return Bound(lambda _args, kwargs, _result: next((kwargs[s] for s in spellings if s in kwargs), None), False)  # noqa: FBT003  a record's field

    def compile(self, option: str, source: Source) -> Bound:
        """Compile a source.

        Args:
            option: The option that it was given for, for messages.
            source: A path or a callable.

        Raises:
            ValueError: The path cannot exist.
            TypeError: It is neither a path nor a callable, or its parameters are not the function's.
        """
        if isinstance(source, str):
            return self._compile_path(option, source)
        if callable(source):
            return self._compile_callable(option, source)
        raise TypeError(f"{option} of {self._label} is {source!r}: give a path as in 'request.amount' or a callable")

    def _compile_path(self, option: str, path: str) -> Bound:
        if not is_path(path):
            raise ValueError(f"{option} of {self._label} is {path!r}: a path is names joined by dots")
        root, *steps = path.split(".")
        bound = self._root(option, path, root)
        self._check_steps(option, path, root, steps)
        if not steps:
            return bound
        read, names = bound.read, tuple(steps)

        def follow(args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> Any:
            value = read(args, kwargs, result)
            for name in names:
                if value is None:
                    return None
                value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
            return value

        return Bound(follow, bound.needs_result)

    def _compile_callable(self, option: str, source: Callable[..., Any]) -> Bound:
        try:
            parameters = inspect.signature(source).parameters.values()
        except (TypeError, ValueError):
            raise TypeError(
                f"{option} of {self._label}: the parameters of {source!r} cannot be read; wrap it in a lambda whose "
                f"parameters are named like the function's, or {RESULT!r}"
            ) from None
        needed = {
            parameter: self._root(option, parameter.name, parameter.name)
            for parameter in parameters
            if parameter.default is parameter.empty
            and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
        }
        by_name = {p.name: bound.read for p, bound in needed.items() if p.kind is p.KEYWORD_ONLY}
        by_position = tuple(bound.read for p, bound in needed.items() if p.name not in by_name)

        def call(args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> Any:
            return source(
                *(read(args, kwargs, result) for read in by_position),
                **{name: read(args, kwargs, result) for name, read in by_name.items()},
            )

        return Bound(call, any(bound.needs_result for bound in needed.values()))

    def _root(self, option: str, path: str, root: str) -> Bound:
        if root in self._readers:
            return Bound(self._readers[root], needs_result=False)
        if root == RESULT:
            return Bound(_result, needs_result=True)
        if self._open:
            return Bound(_keyword(root, None), needs_result=False)
        names = (*self._readers, RESULT)
        raise ValueError(
            f"{option} of {self._label} is {path!r}, but there is no parameter {root!r}; {nearest(root, names)}"
        )

    def _check_steps(self, option: str, path: str, root: str, steps: Sequence[str]) -> None:
        hint = self._hints.get("return" if root == RESULT and root not in self._readers else root)
        for step in steps:
            known = _members(hint)
            if known is None:
                return
            if step not in known:
                shown = sorted(name for name in known if not name.startswith("_"))
                raise ValueError(
                    f"{option} of {self._label} is {path!r}, but there is no {step!r}; {nearest(step, shown)}"
                )
            hint = known[step]


def is_path(text: str) -> bool:
    """Return whether a text is names joined by dots."""
    return all(step.isidentifier() for step in text.split("."))


def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda match: "_" + match[1].lower(), name)


def _positional(position: int, name: str | None, default: Any) -> Read:
    def read(args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> Any:  # noqa: ARG001  the shape of Read
        if len(args) > position:
            return args[position]
        return kwargs.get(name, default) if name is not None else default

    return read


def _keyword(name: str, default: Any) -> Read:
    return lambda _args, kwargs, _result: kwargs.get(name, default)


def _rest(position: int) -> Read:
    return lambda args, _kwargs, _result: args[position:]


def _keywords(_args: tuple[Any, ...], kwargs: Mapping[str, Any], _result: Any) -> Any:
    return kwargs


def _result(_args: tuple[Any, ...], _kwargs: Mapping[str, Any], result: Any) -> Any:
    return result


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return what can be known of the types; a hint that does not resolve yet checks nothing."""
    try:
        return typing.get_type_hints(function)
    except Exception:
        return {}


def _members(hint: Any) -> dict[str, Any] | None:
    """Return the attributes of a closed class and their types, or None where any name might exist."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        alternatives = [alternative for alternative in typing.get_args(hint) if alternative is not type(None)]
        hint = alternatives[0] if len(alternatives) == 1 else None
    if not isinstance(hint, type):
        return None
    if typing.is_typeddict(hint):
        return _resolved(hint)
    closed = dataclasses.is_dataclass(hint) or any(
        hasattr(hint, mark) for mark in ("_fields", "__struct_fields__", "__pydantic_fields__", "__attrs_attrs__")
    )
    if not closed or hasattr(hint, "__getattr__"):
        return None
    return dict.fromkeys(dir(hint)) | _resolved(hint)


def _resolved(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except Exception:
        return dict.fromkeys(inspect.get_annotations(cls))
