"""Auto-instrumentation: ``opentelemetry-instrument`` finds this by its entry point and calls ``instrument()``."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Collection, Sequence
from types import ModuleType
from typing import Any, ClassVar

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # it carries no types

from zentra_otel_posthog import runtime, telemetry
from zentra_otel_posthog._imports import ModuleHooks, with_packages
from zentra_otel_posthog._presets import Preset
from zentra_otel_posthog._targets import Instrumented, Target
from zentra_otel_posthog.config import Settings


class ZentraInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # likewise
    """Configures the package, attaches its span processor to the tracer provider, and carries out the settings' rules.

    ``instrument()`` takes the arguments of ``configure``; without any, the environment and the file decide, and a
    wrong setting is logged and switches analytics off. The functions that ``[[instrument]]`` rules name are decorated
    when their modules are imported, or at once where they are; ``uninstrument()`` puts back what was there.
    """

    configuration: ClassVar[type] = dataclasses.make_dataclass(
        "ZentraConfiguration", [(name, Any, None) for name in (*Settings.__struct_fields__, "config")]
    )
    """What ``instrumentation/development: python: zentra_posthog:`` of an ``OTEL_CONFIG_FILE`` may say."""

    _instrumented: Sequence[Target | Preset] = ()
    _hooks: ModuleHooks | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: it instruments the application, not a library."""
        return ()

    def states(self) -> list[Instrumented]:
        """Return what became of each rule and preset so far."""
        return [one.state() for one in self._instrumented]

    def _instrument(self, **kwargs: Any) -> None:
        if kwargs:
            runtime.configure(**kwargs)
        settings = runtime.current().settings
        self._instrumented = [*map(Target, settings.instrument), *map(Preset, settings.presets)]
        if not self._instrumented:
            return
        modules = {name for one in self._instrumented for name in with_packages(one.module)}
        self._hooks = ModuleHooks(modules, self._executed)
        self._hooks.install()
        for name in modules:
            if (module := sys.modules.get(name)) is not None:
                self._executed(name, module)

    def _uninstrument(self, **_: Any) -> None:
        if self._hooks is not None:
            self._hooks.remove()
            self._hooks = None
        instrumented, self._instrumented = self._instrumented, ()
        # The last one first: one may have wrapped what another had wrapped.
        for one in reversed(instrumented):
            one.detach()
        runtime.shutdown()

    def _executed(self, name: str, module: ModuleType) -> None:
        try:
            for one in self._instrumented:
                if one.module == name:
                    one.attach(module)
                elif one.module.startswith(f"{name}."):
                    one.look_ahead()
        except Exception as error:
            telemetry.internal_error("instrumenting a module", error)
