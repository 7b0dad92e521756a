"""Which sink captures go to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final, cast

from zentra_otel_posthog.config import Settings, SettingsError
from zentra_otel_posthog.delivery.client import Client, ClientSink, is_client
from zentra_otel_posthog.delivery.console import ConsoleSink
from zentra_otel_posthog.delivery.project import SpoolSink
from zentra_otel_posthog.delivery.sink import Sink
from zentra_otel_posthog.delivery.tenants import TenantSink

_logger = logging.getLogger("zentra_otel_posthog")

# What an application's own client or sink decides instead. Only as an argument beside it is it a mistake: a
# deployment's environment and file may be shared by programs without one.
_OF_DELIVERY: Final = (
    "api_key", "host", "capture_mode", "spool_dir", "spool_max_bytes", "flush_at", "flush_interval", "max_retries",
    "compression", "tenants",
)  # fmt: skip


def own(client: object, sink: object, settings: Mapping[str, object]) -> Sink | None:
    """Return the sink that ``configure`` is given, None where it is given none.

    Args:
        client: As for ``configure``.
        sink: Likewise.
        settings: The other arguments.

    Raises:
        SettingsError: They exclude each other, or it is none.
    """
    name, given = ("sink", sink) if client is None else ("client", client)
    if given is None:
        return None
    if client is not None and (sink is not None or "sink" in settings):
        raise SettingsError("configure() has client and sink: captures go to one of the two, so leave the other out")
    if superfluous := [setting for setting in _OF_DELIVERY if setting in settings]:
        raise SettingsError(
            f"configure() has {name} and {', '.join(superfluous)}: how captures are sent is the {name}'s affair, so "
            f"leave out {name} or all the others"
        )
    if client is not None:
        if not is_client(client):
            raise SettingsError(
                f"client is a {type(client).__name__}, which has no capture and flush to be called: pass a "
                "posthog.Posthog, not an AsyncPosthog"
            )
        return ClientSink(cast("Client", client))
    if missing := [method for method in ("append", "flush", "shutdown") if not callable(getattr(sink, method, None))]:
        raise SettingsError(
            f"sink is a {type(sink).__name__} without {', '.join(missing)}: it needs the methods of "
            "zentra_otel_posthog.delivery.Sink, as in sink=ConsoleSink()"
        )
    return cast("Sink", sink)


def by_settings(settings: Settings) -> Sink | None:
    """Return the sink that the settings ask for, None where captures go nowhere."""
    if settings.sink == "console":
        return ConsoleSink()
    if settings.tenants:
        return TenantSink(settings)
    if settings.api_key is None:
        _logger.warning("POSTHOG_API_KEY is not set: events go to tracing only, nothing is captured")
        return None
    return SpoolSink(settings)
