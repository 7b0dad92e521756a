"""The inspector's memory: events, persons and flags in DuckDB, an analytical database in one file.

One thread writes: it takes what waits, commits it, and only then are the senders told. What was acknowledged survives a
kill. Readers have cursors of their own, each a snapshot.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec

from zentra_otel_posthog.delivery.segments import DIRECTORY_MODE
from zentra_otel_posthog.inspector.arrivals import Arrival
from zentra_otel_posthog.inspector.capture_v0 import Event
from zentra_otel_posthog.inspector.persons import Id, Person, Persons, ids_of

FILE: Final = "inspector.v1.duckdb"
"""The database's name in its folder; a version with other tables has another."""

_COMMIT_INTERVAL: Final = 0.05  # seconds; a commit is an fsync
_COMMIT_EVENTS: Final = 5_000
_INSERT_BYTES: Final = 8 << 20  # of one statement's parameter
_MEMORY: Final = "512MB"
_CONFIGURATION: Final[dict[str, str | bool | int | float | list[str]]] = {
    "memory_limit": _MEMORY,
    "threads": 2,
    # It reads its own file, and neither fetches nor loads anything.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "enable_external_access": False,
}
# PostHog keeps a person's id on the event and moves the events when persons merge; here an event keeps its distinct id
# alone, and the view says whose it is by now.
_SCHEMA: Final = """
create table if not exists events (
    seq bigint, key uuid, project varchar, uuid varchar, event varchar, distinct_id varchar, "timestamp" timestamp,
    received_at timestamp, lib varchar, session_id varchar, trace_id varchar, span_id varchar, properties varchar,
    own varchar, "set" varchar, set_once varchar, "groups" varchar, resent bigint
);
create table if not exists distinct_ids (project varchar, distinct_id varchar, person varchar);
create table if not exists persons (project varchar, person varchar, properties varchar, identified boolean);
create table if not exists flags (
    key varchar primary key, enabled boolean, variant varchar, asked bigint, last_answer_at timestamp
);
create or replace view facts as
    select events.*, coalesce(distinct_ids.person, events.distinct_id) as person
    from events left join distinct_ids using (project, distinct_id);
"""
_ROW: Final = msgspec.json.encode(
    {
        **dict.fromkeys(Arrival.__struct_fields__, "VARCHAR"),
        "key": "UUID",
        "timestamp": "TIMESTAMP",
        "received_at": "TIMESTAMP",
        "resent": "BIGINT",
        "seq": "BIGINT",
    }
).decode()
_COLUMNS: Final = ", ".join(f'"{name}"' for name in Arrival.__struct_fields__)
# As one parameter of JSON: row by row, DuckDB takes 0.3 ms for each.
_INSERT: Final = f"""
insert into events ({_COLUMNS})
select {_COLUMNS} from (select unnest(from_json(?::json, '[{_ROW}]'), recursive := true))
"""  # noqa: S608  column names of ours

Rows = list[dict[str, Any]]


class StoreError(Exception):
    """The store cannot be opened; the message says why and what to do."""


class _Batch(msgspec.Struct):
    arrivals: list[tuple[Arrival, Event]]
    done: Future[None]


class _Statements(msgspec.Struct):
    statements: Sequence[tuple[str, Sequence[Any]]]
    done: Future[None]


class Store:
    """Events, persons and flags.

    Args:
        folder: Where the file is; made if need be. None: nothing is kept after ``close``.
        stored: Called in the writer's thread after a commit, with the newest ``seq`` and how many events came by name.

    Raises:
        StoreError: Another process has it open, or the folder cannot be used.
    """

    def __init__(self, folder: Path | None, stored: Callable[[int, Counter[str]], None] | None = None) -> None:
        self._connection = _connect(folder)
        self._connection.execute(_SCHEMA)
        self._lock = threading.Lock()
        self._stored = stored
        self._waiting: queue.SimpleQueue[_Batch | _Statements | None] = queue.SimpleQueue()
        self._seq: int = self.read("select coalesce(max(seq), 0) as seq from events")[0]["seq"]
        self._writer = threading.Thread(target=self._write, name="inspector-store", daemon=True)
        self._writer.start()

    def add(self, arrivals: list[tuple[Arrival, Event]]) -> Future[None]:
        """Store accepted events; the future is done when they are on disk."""
        batch = _Batch(arrivals, Future())
        if arrivals:
            self._waiting.put(batch)
        else:
            batch.done.set_result(None)
        return batch.done

    def execute(self, *statements: tuple[str, Sequence[Any]]) -> Future[None]:
        """Run statements in one transaction, in turn with the events."""
        waiting = _Statements(statements, Future())
        self._waiting.put(waiting)
        return waiting.done

    def clear(self) -> Future[None]:
        """Forget events and persons; flags stay as they are switched."""
        # Deleted rows would go on taking their memory; new tables are empty.
        tables = ("drop view facts", "drop table events", "drop table distinct_ids", "drop table persons", _SCHEMA)
        return self.execute(*((statement, ()) for statement in tables))

    def read(self, query: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> Rows:
        """Return a query's rows by column, times in UTC."""
        with self._lock:
            cursor = self._connection.cursor()
        try:
            cursor.execute(query, parameters)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, map(_aware, row), strict=True)) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def close(self) -> None:
        """Store what waits, and close the file."""
        self._waiting.put(None)
        self._writer.join()
        self._connection.close()

    def _write(self) -> None:
        last = 0.0
        closed = False
        while not closed:
            taken = [self._waiting.get()]
            # The first of a quiet moment is committed at once, others together.
            time.sleep(max(last + _COMMIT_INTERVAL - time.monotonic(), 0.0))
            events = 0
            with suppress(queue.Empty):
                while taken[-1] is not None and events < _COMMIT_EVENTS:
                    events += len(taken[-1].arrivals) if isinstance(taken[-1], _Batch) else 0
                    taken.append(self._waiting.get_nowait())
            closed = taken[-1] is None
            self._commit([one for one in taken if one is not None])
            last = time.monotonic()

    def _commit(self, taken: list[_Batch | _Statements]) -> None:
        # Whoever no longer waits at the end of the server has no acknowledgement either.
        taken = [one for one in taken if one.done.set_running_or_notify_cancel()]
        fresh: list[tuple[Arrival, Event]] = []
        seq = self._seq
        try:
            self._connection.execute("begin")
            together: list[tuple[Arrival, Event]] = []
            for one in taken:
                if isinstance(one, _Batch):
                    together.extend(one.arrivals)
                    continue
                fresh.extend(self._take(together))
                together = []
                for statement, parameters in one.statements:
                    self._connection.execute(statement, parameters)
            fresh.extend(self._take(together))
            self._connection.execute("commit")
        except Exception as error:  # a full disk, or memory past its bound: the senders come again
            self._seq = seq
            with suppress(duckdb.Error):
                self._connection.execute("rollback")
            for one in taken:
                one.done.set_exception(error)
            return
        for one in taken:
            one.done.set_result(None)
        if fresh and self._stored is not None:
            self._stored(self._seq, Counter(arrival.event for arrival, _ in fresh))

    def _take(self, arrivals: list[tuple[Arrival, Event]]) -> list[tuple[Arrival, Event]]:
        if not arrivals:
            return []
        by_key: dict[str, tuple[Arrival, Event]] = {}
        for arrival, event in arrivals:
            if (first := by_key.get(arrival.key)) is not None:
                first[0].resent += 1
            else:
                by_key[arrival.key] = arrival, event
        again = self._known(by_key)
        for key in again:
            self._connection.execute(
                "update events set resent = resent + ? where key = ?", (by_key.pop(key)[0].resent + 1, key)
            )
        fresh = list(by_key.values())
        for arrival, _ in fresh:
            self._seq += 1
            arrival.seq = self._seq
        self._insert([arrival for arrival, _ in fresh])
        self._change_persons(fresh)
        return fresh

    def _known(self, keys: Mapping[str, object]) -> list[str]:
        query = "select key from events where key in (select unnest(from_json(?::json, '[\"UUID\"]')))"
        self._connection.execute(query, [msgspec.json.encode(list(keys)).decode()])
        return [key.hex for (key,) in self._connection.fetchall()]

    def _insert(self, arrivals: list[Arrival]) -> None:
        rows: list[bytes] = []
        size = 0
        for arrival in arrivals:
            rows.append(msgspec.json.encode(arrival))
            size += len(rows[-1])
            if size >= _INSERT_BYTES:
                self._insert_rows(rows)
                rows, size = [], 0
        if rows:
            self._insert_rows(rows)

    def _insert_rows(self, rows: list[bytes]) -> None:
        self._connection.execute(_INSERT, [f"[{b','.join(rows).decode()}]"])

    def _change_persons(self, fresh: list[tuple[Arrival, Event]]) -> None:
        persons = Persons(self._persons({one for arrival, event in fresh for one in ids_of(arrival.project, event)}))
        for arrival, event in fresh:
            persons.apply(arrival.project, event)
        for project, other, into in persons.merged:
            self._connection.execute(
                "update distinct_ids set person = ? where project = ? and person = ?", (into, project, other)
            )
            self._connection.execute("delete from persons where project = ? and person = ?", (project, other))
        self._replace(
            "distinct_ids",
            ("project", "distinct_id", "person"),
            [(*one, persons.by_id[one].name) for one in persons.touched],
        )
        self._replace(
            "persons",
            ("project", "person", "properties", "identified"),
            [
                (person.project, person.name, msgspec.json.encode(person.properties).decode(), person.identified)
                for person in persons.changed.values()
            ],
        )

    def _persons(self, ids: set[Id]) -> dict[Id, Person]:
        rows = self._connection.execute(
            """
            select ids.project, ids.distinct_id, ids.person, persons.properties, persons.identified
            from (select unnest(from_json(?::json, '[{"project": "VARCHAR", "distinct_id": "VARCHAR"}]'),
                                recursive := true)) as asked
            join distinct_ids as ids using (project, distinct_id)
            join persons using (project, person)
            """,
            [msgspec.json.encode([{"project": project, "distinct_id": one} for project, one in ids]).decode()],
        ).fetchall()
        persons: dict[Id, Person] = {}
        found: dict[Id, Person] = {}
        for project, distinct_id, name, properties, identified in rows:
            person = Person(project, name, msgspec.json.decode(properties), identified)
            found[project, distinct_id] = persons.setdefault((project, name), person)
        return found

    def _replace(self, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        """Put rows in the place of those that agree in the first two columns."""
        if not rows:
            return
        shape = msgspec.json.encode(dict.fromkeys(columns, "VARCHAR")).decode()
        new = f"(select unnest(from_json(?::json, '[{shape}]'), recursive := true))"
        text = msgspec.json.encode([dict(zip(columns, row, strict=True)) for row in rows]).decode()
        key = f"({columns[0]}, {columns[1]})"
        # Table and columns are ours, values are parameters.
        self._connection.execute(f"delete from {table} where {key} in (select {key} from {new})", [text])  # noqa: S608
        self._connection.execute(f"insert into {table} select * from {new}", [text])  # noqa: S608


def _connect(folder: Path | None) -> duckdb.DuckDBPyConnection:
    if folder is None:
        return duckdb.connect(":memory:", config={**_CONFIGURATION, "temp_directory": ""})
    try:
        folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        connection = duckdb.connect(str(folder / FILE), config=_CONFIGURATION)
    except OSError as error:
        raise StoreError(f"--data {folder}: {error.strerror}; name another folder") from None
    except duckdb.IOException as error:
        if "lock" in str(error):
            raise StoreError(
                f"--data {folder}: another inspector has it open; end that one, or name another folder"
            ) from None
        raise StoreError(f"--data {folder}: it cannot be opened ({error})") from None
    except duckdb.Error as error:
        raise StoreError(f"--data {folder}: {FILE} is no database of the inspector ({error}); move it away") from None
    return connection


def reason_of(error: Exception) -> str:
    """Return why the store could not, in a sentence."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return f"it takes more than the store's {_MEMORY} of memory: ask for less, clear it, or leave out --memory"
    return f"the store failed: {str(error).partition(chr(10))[0]}"


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
