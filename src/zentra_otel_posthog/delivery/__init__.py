"""Delivery: from a capture to PostHog's acceptance, over a spool that survives crashes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from zentra_otel_posthog.delivery.capture import Capture
from zentra_otel_posthog.delivery.sink import MemorySink, Sink

if TYPE_CHECKING:
    from zentra_otel_posthog.delivery.client import ClientSink
    from zentra_otel_posthog.delivery.console import ConsoleSink
    from zentra_otel_posthog.delivery.project import (
        SpoolSink,
        all_project_folders,
        open_spool,
        project_folders,
        project_wire,
        spool_directories,
    )

__all__ = [
    "Capture",
    "ClientSink",
    "ConsoleSink",
    "MemorySink",
    "Sink",
    "SpoolSink",
    "all_project_folders",
    "open_spool",
    "project_folders",
    "project_wire",
    "spool_directories",
]

_ELSEWHERE: Final = {"ClientSink": "client", "ConsoleSink": "console"}


def __getattr__(name: str) -> Any:
    # Whoever converts an event needs captures; what delivers them, 12 ms, is needed once something is to be delivered.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'project')}"), name)
