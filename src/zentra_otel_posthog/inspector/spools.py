"""What lies on this machine beside the inspector: the spools that wait, and what their applications kept back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from zentra_otel_posthog import delivery, telemetry
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.delivery import account, inventory


def kept_back(settings: Settings) -> dict[str, Any]:
    """Return what the sanitizer kept back and what was lost, over all projects of the settings' spool folder."""
    totals: dict[str, Counter[tuple[str, ...]]] = {
        metric: Counter() for metric in (telemetry.REFUSED, telemetry.UNDECLARED, telemetry.LOST)
    }
    for folder in delivery.all_project_folders(settings):
        if (found := account.read(folder)) is not None:
            for metric, total in totals.items():
                total.update(found.of(metric))
    return {
        "refused": [
            {"event": event, "property": name, "rule": rule, "count": count}
            for (event, name, rule), count in _most_first(totals[telemetry.REFUSED])
        ],
        "undeclared": [
            {"event": event, "property": name, "count": count}
            for (event, name), count in _most_first(totals[telemetry.UNDECLARED])
        ],
        "lost": [{"reason": reason, "count": count} for (reason,), count in _most_first(totals[telemetry.LOST])],
    }


def waiting(settings: Settings) -> list[dict[str, Any]]:
    """Return what waits in each project's folder."""
    return list(_waiting(settings))


def _waiting(settings: Settings) -> Iterator[dict[str, Any]]:
    for folder in delivery.all_project_folders(settings):
        with suppress(OSError):  # another user's
            found = inventory.take(folder)
            yield {
                "folder": found.folder,
                "tenant": found.tenant,
                "events": found.events,
                "bytes": found.bytes,
                "oldest_at": found.oldest,
                "held_by": sorted({segment.pid for segment in found.segments if segment.held}),
                "dead_letters": sum(found.dead_letters.values()),
            }


def _most_first(total: Counter[tuple[str, ...]]) -> list[tuple[tuple[str, ...], int]]:
    return sorted(total.items(), key=lambda row: (-row[1], row[0]))
