"""What ``doctor`` finds out about what is kept: the spool's folders, and the account of losses."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from zentra_otel_posthog import delivery, telemetry
from zentra_otel_posthog.cli._output import counted, shown_age, shown_bytes
from zentra_otel_posthog.cli.checks import Check, some
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.delivery import account, inventory
from zentra_otel_posthog.delivery.inventory import Inventory

_NEARLY_FULL: Final = 0.8  # of the spool's bound
_SAME_USER: Final = "Run this as the user of the service, or set ZENTRA_POSTHOG_SPOOL_DIR to a folder of its own."
_WAYS_OUT: Final = {
    "spool_full": "make ZENTRA_POSTHOG_SPOOL_MAX_BYTES larger, or see why nothing is delivered",
    "spool_write": "make room on the spool's disk",
    "spool_removed": "let nothing else delete files in the spool's folder",
    "too_long": "capture less with one event: 4 MiB is the limit",
    "corrupt": "see zentra-otel-posthog spool dead --full; the disk may fail",
    "sink": "see the application's log: its own sink raised",
    "client": "see the application's PostHog client: its queue is full, it is shut down, or its before_send drops",
    "unknown_tenant": "name a project for the tenant under [tenants.projects]; docs/tenants.md says who is unknown",
    "conversion": "see the application's log, and report it",
    "start_of_call": "see the application's log, and report it",
    "event_name": "name events noun.verb, with nothing of a customer in it",
    "span_event_limit": "make OTEL_SPAN_EVENT_COUNT_LIMIT larger",
    "purged": "nothing: somebody ran zentra-otel-posthog spool purge",
}
_REFUSED_BY_POSTHOG: Final = "see zentra-otel-posthog spool dead for what PostHog said"


def spool(settings: Settings) -> tuple[list[Check], list[Inventory]]:
    """Try the spool's folders, and tell what waits in them."""
    checks: list[Check] = []
    inventories: list[Inventory] = []
    refused: list[str] = []
    used: Path | None = None
    for folder in delivery.project_folders(settings):
        if used is None:
            if (reason := _why_unusable(settings, folder)) is None:
                used = folder
            else:
                refused.append(f"{folder.parent} ({reason})")
        try:
            inventories.append(inventory.take(folder))
        except OSError as error:
            checks.append(Check("spool", "warning", f"{folder} cannot be read ({error.strerror}).", _SAME_USER))
            continue
        if folder == used:
            checks.extend(_waiting(settings, inventories[-1]))
        elif inventories[-1].segments:
            checks.append(_left_behind(inventories[-1]))
        checks.extend(_odd(inventories[-1]))
    return [_folder(settings, used, refused), *checks], inventories


def _why_unusable(settings: Settings, folder: Path) -> str | None:
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        delivery.open_spool(settings, folder)
    except OSError as error:
        return error.strerror or type(error).__name__
    finally:
        # A folder that this user made might be closed to the service's.
        for path in made:
            with suppress(OSError):
                path.rmdir()
    return None


def _folder(settings: Settings, used: Path | None, refused: Sequence[str]) -> Check:
    if used is None:
        return Check(
            "spool",
            "warning",
            f"No folder can be written, tried {', '.join(refused)}: captures wait in memory, and a crash loses them.",
            _SAME_USER,
        )
    if refused:
        return Check("spool", "warning", f"{refused[0]} cannot be used; captures wait in {used}.", _SAME_USER)
    existing = next(path for path in (used, *used.parents) if path.exists())
    if (free := shutil.disk_usage(existing).free) < settings.spool_max_bytes:
        return Check(
            "spool",
            "warning",
            f"{used} can be written, but its disk has {shown_bytes(free)} free, less than spool_max_bytes.",
            "Make room, or set ZENTRA_POSTHOG_SPOOL_MAX_BYTES to what an outage may take.",
        )
    return Check("spool", "ok", f"{used} can be written.")


def _waiting(settings: Settings, found: Inventory) -> Iterator[Check]:
    if found.oldest is None:
        yield Check("waiting", "ok", "Nothing waits for delivery.")
        return
    held = sum(segment.held for segment in found.segments)
    says = (
        f"{counted(found.events, 'capture')} in {counted(len(found.segments), 'segment')}, {held} of them held by a "
        f"running process; {shown_bytes(found.bytes)} of {shown_bytes(settings.spool_max_bytes)}, the oldest "
        f"{shown_age(found.oldest)} old."
    )
    if found.bytes >= settings.spool_max_bytes * _NEARLY_FULL:
        yield Check("waiting", "warning", says, _WAYS_OUT["spool_full"].capitalize() + ".")
    elif held < len(found.segments):
        way_out = "A running service delivers them; without one, zentra-otel-posthog spool replay does."
        yield Check("waiting", "warning", says, way_out)
    else:
        yield Check("waiting", "ok", says)


def _left_behind(found: Inventory) -> Check:
    return Check(
        "waiting",
        "warning",
        f"{counted(found.events, 'capture')} wait in {found.folder}, where nobody looks while another can be used.",
        "Run zentra-otel-posthog spool replay.",
    )


def _odd(found: Inventory) -> Iterator[Check]:
    if found.dead_letters:
        by_reason = ", ".join(f"{reason} {count:,}" for reason, count in sorted(found.dead_letters.items()))
        yield Check(
            "dead letters",
            "warning",
            f"{counted(sum(found.dead_letters.values()), 'capture')} set aside, not to be sent again: {by_reason}.",
            "See zentra-otel-posthog spool dead; when the cause is gone, spool replay --dead.",
        )
    if found.newer_version:
        yield Check(
            "spool",
            "warning",
            f"{counted(len(found.newer_version), 'segment')} were written by a newer version of this package.",
            "Start that version, which alone can send them.",
        )
    if found.foreign:
        yield Check(
            "spool", "warning", f"{found.folder} holds what is not ours: {some(found.foreign)}.", "Keep it elsewhere."
        )


class Counts(msgspec.Struct, frozen=True):
    """What all processes of the project have counted.

    Args:
        captures: By outcome.
        lost: By reason.
        refused: Values that the sanitizer kept back, by rule.
        internal_errors: By step and type.
    """

    captures: dict[str, int]
    lost: dict[str, int]
    refused: dict[str, int]
    internal_errors: dict[str, int]


def counts(settings: Settings) -> Counts:
    """Sum up the accounts of the project's folders."""
    kept = [found for folder in delivery.project_folders(settings) if (found := account.read(folder)) is not None]

    def total(metric: str, part: slice) -> dict[str, int]:
        sums: Counter[str] = Counter()
        for one in kept:
            for attributes, count in one.of(metric).items():
                sums[" ".join(attributes[part])] += count
        return dict(sums)

    everything = slice(None)
    return Counts(
        total(telemetry.CAPTURES, everything),
        total(telemetry.LOST, everything),
        total(telemetry.REFUSED, slice(-1, None)),
        total(telemetry.INTERNAL_ERRORS, everything),
    )


def losses(found: Counts) -> Iterator[Check]:
    """Tell what was lost, refused, and went wrong inside."""
    if found.lost:
        total = counted(sum(found.lost.values()), "capture")
        ways_out = {_WAYS_OUT.get(reason, _REFUSED_BY_POSTHOG) for reason in found.lost}
        yield Check(
            "losses", "warning", f"{total} lost: {_each(found.lost)}.", f"{_sentence('; '.join(sorted(ways_out)))}"
        )
    else:
        yield Check("losses", "ok", f"No loss is on record; {found.captures.get('delivered', 0):,} were delivered.")
    if found.refused:
        total = counted(sum(found.refused.values()), "value")
        yield Check(
            "sanitizer",
            "ok",
            f"{total} kept back: {_each(found.refused)}.",
            "zentra-otel-posthog events --egress shows of which property.",
        )
    if found.internal_errors:
        yield Check(
            "errors",
            "warning",
            f"Errors inside the package: {_each(found.internal_errors)}.",
            "See the application's log, and report them.",
        )


def _each(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(numbers.items()))


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
