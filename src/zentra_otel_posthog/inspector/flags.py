"""Feature flags that are switched by hand, for a test: what ``/flags`` answers everybody."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from zentra_otel_posthog.inspector.store import Store

_FLAGS_MAX: Final = 1_000
_KEY_LENGTH: Final = 400  # of a key or a variant, as PostHog's
_WITH_DETAILS: Final = 2  # the version of the answer from which a flag is an object


class FlagError(ValueError):
    """A key or variant that PostHog would not take."""


class Flag(msgspec.Struct):
    """A flag.

    Args:
        key: Its name.
        enabled: Whether it is on.
        variant: Which of its variants; None for a flag that is only on or off.
        asked: In how many requests it was asked for.
        last_answer_at: When it was last answered.
    """

    key: str
    enabled: bool = False
    variant: str | None = None
    asked: int = 0
    last_answer_at: datetime | None = None


class Flags:
    """The flags, kept in the store.

    Args:
        store: Where.
        changed: Called when one is switched, or asked for the first time.
    """

    def __init__(self, store: Store, changed: Callable[[], None]) -> None:
        self._store = store
        self._changed = changed
        self._lock = threading.Lock()
        rows = store.read("select key, enabled, variant, asked, last_answer_at from flags order by key")
        self._flags = {row["key"]: Flag(**row) for row in rows}

    def all(self) -> list[Flag]:
        """Return all of them by name."""
        with self._lock:
            return [self._flags[key] for key in sorted(self._flags)]

    def put(self, key: str, *, enabled: bool, variant: str | None) -> Flag:
        """Switch a flag, or add one; it is on disk when this returns.

        Raises:
            FlagError: The key or the variant is empty or too long, or there are too many flags.
        """
        for name, text in (("key", key), ("variant", variant)):
            if text is not None and not 0 < len(text) <= _KEY_LENGTH:
                raise FlagError(f"a flag's {name} has 1 to {_KEY_LENGTH} characters")
        with self._lock:
            if key not in self._flags and len(self._flags) >= _FLAGS_MAX:
                raise FlagError(f"there are {_FLAGS_MAX} flags already; delete one")
            flag = self._flags.setdefault(key, Flag(key))
            flag.enabled, flag.variant = enabled, variant
            saved = self._save([flag])
        saved.result()
        self._changed()
        return flag

    def delete(self, key: str) -> bool:
        """Forget a flag; return whether there was one."""
        with self._lock:
            if self._flags.pop(key, None) is None:
                return False
            deleted = self._store.execute(("delete from flags where key = ?", (key,)))
        deleted.result()
        self._changed()
        return True

    def met(self, keys: Iterable[str]) -> None:
        """Add flags that an application asks for and that nobody has switched yet: off."""
        with self._lock:
            new = [key for key in keys if key not in self._flags and 0 < len(key) <= _KEY_LENGTH]
            added = [Flag(key) for key in new[: _FLAGS_MAX - len(self._flags)]]
            self._flags.update((flag.key, flag) for flag in added)
        if added:
            self._save(added)
            self._changed()

    def answer(self, asked: list[str] | None, version: int) -> dict[str, Any]:
        """Return what ``/flags`` answers.

        Args:
            asked: The keys that the request names, None for all.
            version: Of the answer: from 2 on each flag is an object, before a value.
        """
        if asked is not None:
            self.met(asked)
        with self._lock:
            flags = [flag for key, flag in sorted(self._flags.items()) if asked is None or key in asked]
            now = datetime.now(UTC)
            for flag in flags:
                flag.asked += 1
                flag.last_answer_at = now
            if flags:
                self._save(flags)
            answer: dict[str, Any] = {"errorsWhileComputingFlags": False, "requestId": str(uuid.uuid4())}
            answer["evaluatedAt"] = int(now.timestamp() * 1000)
            if version >= _WITH_DETAILS:
                return answer | {"flags": {flag.key: _details(flag, number) for number, flag in enumerate(flags, 1)}}
            values = {flag.key: flag.variant or True for flag in flags if flag.enabled}
            return answer | {"featureFlags": values, "featureFlagPayloads": {}}

    def _save(self, flags: Iterable[Flag]) -> Future[None]:
        statement = "insert or replace into flags values (?, ?, ?, ?, ?)"
        return self._store.execute(
            *((statement, (one.key, one.enabled, one.variant, one.asked, _naive(one.last_answer_at))) for one in flags)
        )


def _details(flag: Flag, number: int) -> dict[str, Any]:
    matched = {"code": "condition_match", "condition_index": 0, "description": "Switched on in the inspector"}
    unmatched = {"code": "no_condition_match", "condition_index": None, "description": "Switched off in the inspector"}
    return {
        "key": flag.key,
        "enabled": flag.enabled,
        "variant": flag.variant if flag.enabled else None,
        "reason": matched if flag.enabled else unmatched,
        "metadata": {"id": number, "version": 1, "description": None, "payload": None},
    }


def _naive(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=None)
