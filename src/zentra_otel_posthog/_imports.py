"""Calling back when a module has been executed.

``wrapt.when_imported`` calls once and cannot be taken back. This one also calls when a module is reloaded, or imported
anew after it left ``sys.modules``, and is gone when it is removed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import pkgutil
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import cast

import wrapt

from zentra_otel_posthog.events import nearest

Executed = Callable[[str, ModuleType], None]


class ModuleHooks(MetaPathFinder):
    """Calls back at each execution of some modules, from when it is installed until it is removed.

    Args:
        modules: The modules' names.
        executed: Called with a module's name and the module. Runs inside the import and must not raise.
    """

    def __init__(self, modules: Collection[str], executed: Executed) -> None:
        self._modules = frozenset(modules)
        self._executed = executed
        self._searching = threading.local()

    def install(self) -> None:
        """Listen from now on. Modules that are imported already are told at their next execution only."""
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Stop listening."""
        with contextlib.suppress(ValueError):  # whoever tidies the import system may have been faster
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Let the other finders find a module, and listen to its execution."""
        # Finders that search the whole path again, as wrapt's does, come back here.
        if fullname not in self._modules or getattr(self._searching, "name", None) == fullname:
            return None
        self._searching.name = fullname
        try:
            spec = self._search(fullname, path, target)
        finally:
            self._searching.name = None
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = cast("Loader", _Loader(spec.loader, self._executed))
        return spec

    def _search(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            if (spec := finder.find_spec(fullname, path, target)) is not None:
                return spec
        return None


class _Loader(wrapt.ObjectProxy):  # type: ignore[type-arg]  # of any loader
    """A loader that tells when it has executed its module."""

    def __init__(self, loader: object, executed: Executed) -> None:
        super().__init__(loader)
        self._self_executed = executed

    def exec_module(self, module: ModuleType) -> None:
        loader, spec = self.__wrapped__, module.__spec__
        # The module's own loader is the true one, as if nobody had listened.
        with contextlib.suppress(AttributeError):
            module.__loader__ = loader
        if spec is not None:
            spec.loader = loader
        loader.exec_module(module)
        name = spec.name if spec is not None else module.__name__
        # A module may have put something else in its place.
        self._self_executed(name, sys.modules.get(name, module))


def with_packages(module: str) -> list[str]:
    """Return the names of the packages that a module is in, the outermost first, and its own."""
    parts = module.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def why_missing(module: str) -> str | None:
    """Return why a module cannot be imported, as far as can be told without importing anything, or None."""
    for name in with_packages(module):
        if name in sys.modules:
            continue
        package, _, last = name.rpartition(".")
        try:
            if importlib.util.find_spec(name) is not None:
                return None
        except (ImportError, ValueError):  # what it is to be in is no package
            pass
        path = getattr(sys.modules.get(package), "__path__", ()) if package else sys.path[:1]
        siblings = [sibling.name for sibling in pkgutil.iter_modules(path)]
        return f"there is no module {name!r}" + (f"; {nearest(last, siblings)}" if siblings else "")
    return None
