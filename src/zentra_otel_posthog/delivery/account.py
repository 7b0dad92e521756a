"""The account: what was refused, lost and delivered, summed over processes, in a file beside the spool.

Metrics end with their process and need a backend; a compliance review and ``doctor`` ask later, from another process.
The file has names and numbers, never a value. The sender's thread saves once a minute and after each flush; a process
that is killed takes along what it counted since.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from zentra_otel_posthog import telemetry
from zentra_otel_posthog.delivery.file_lock import locked

_FILE: Final = "account.json"
_LOCK: Final = "account.lock"
FILES: Final = frozenset({_FILE, _LOCK, f"{_FILE}.new"})
"""The files' names."""
_KEPT: Final = (
    telemetry.REFUSED,
    telemetry.UNDECLARED,
    telemetry.LOST,
    telemetry.CAPTURES,
    telemetry.INTERNAL_ERRORS,
)
_ROWS_MAX: Final = 10_000  # of one metric; past it new names are summed under "(other)", as in a process

Row = tuple[tuple[str, ...], int]


class Totals(msgspec.Struct, frozen=True):
    """What an account says.

    Args:
        since: When its first count was saved.
        until: When its last one was.
        rows: By metric, the values of its attributes with their count.
    """

    since: datetime
    until: datetime
    rows: dict[str, list[Row]]

    def of(self, metric: str) -> dict[tuple[str, ...], int]:
        """Return a metric's counts by the values of its attributes."""
        return dict(self.rows.get(metric, ()))


class Account:
    """Adds what this process counts to a folder's account.

    Args:
        directory: The spool's folder.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process = os.getpid()
        self._saved: dict[str, Counter[tuple[str, ...]]] = {}

    def save(self) -> None:
        """Add what was counted since the last save.

        Raises:
            OSError: The folder cannot be written; the counts are added by the next save.
        """
        if self._process != os.getpid():  # a forked child counts from nothing
            self._process, self._saved = os.getpid(), {}
        counted = {metric: Counter(telemetry.totals(metric)) for metric in _KEPT}
        fresh = {metric: counts - self._saved.get(metric, Counter()) for metric, counts in counted.items()}
        if not any(fresh.values()):
            return
        with locked(self._directory / _LOCK):
            _write(self._directory, _sum(read(self._directory), fresh))
        self._saved = counted


def read(directory: Path) -> Totals | None:
    """Return a folder's account, None where it has none that can be read."""
    try:
        return msgspec.json.decode((directory / _FILE).read_bytes(), type=Totals)
    except (OSError, msgspec.DecodeError):
        return None


def _sum(before: Totals | None, fresh: dict[str, Counter[tuple[str, ...]]]) -> Totals:
    now = datetime.now(UTC)
    rows = {}
    for metric, counts in fresh.items():
        total = Counter(before.of(metric)) if before is not None else Counter[tuple[str, ...]]()
        for attributes, count in counts.items():
            known = attributes in total or len(total) < _ROWS_MAX
            total[attributes if known else (telemetry.OTHER,) * len(attributes)] += count
        rows[metric] = sorted(total.items())
    return Totals(now if before is None else before.since, now, rows)


def _write(directory: Path, totals: Totals) -> None:
    # Renamed over the old one, so that a crash leaves one or the other.
    new = directory / f"{_FILE}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(totals), indent=1))
    new.replace(directory / _FILE)
