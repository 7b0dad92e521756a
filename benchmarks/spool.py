"""A durable append: the spool against an outbox in SQLite, as a developer would write one."""

from __future__ import annotations

import sqlite3
import tempfile
import uuid
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.harness import Row, interleave, row, times
from zentra_otel_posthog.delivery.capture import Capture, encode_line
from zentra_otel_posthog.delivery.spool import FileSpool

_ROUNDS = 31
_APPENDS = 1000  # a round


def append() -> list[Row]:
    """Both survive the process, neither waits for the disk: WAL mode, synchronous = NORMAL."""
    capture = Capture(
        "card.issued",
        "usr_1",
        str(uuid.uuid4()),
        datetime.now(UTC),
        {"cardType": "virtual", "tier": "gold", "$lib": "zentra-otel-posthog", "$trace_id": uuid.uuid4().hex},
    )
    line = encode_line(capture)
    with tempfile.TemporaryDirectory() as folder:
        spool = FileSpool(Path(folder) / "spool", 1 << 30)
        outbox = sqlite3.connect(Path(folder) / "outbox.db", isolation_level=None)
        outbox.execute("PRAGMA journal_mode = WAL")
        outbox.execute("PRAGMA synchronous = NORMAL")
        outbox.execute("CREATE TABLE outbox (id INTEGER PRIMARY KEY, line BLOB NOT NULL)")
        costs = interleave(
            {
                "spool": times(partial(spool.append, line)),
                "outbox": times(partial(outbox.execute, "INSERT INTO outbox (line) VALUES (?)", (line,))),
            },
            rounds=_ROUNDS,
            count=_APPENDS,
        )
        outbox.close()
        spool.close()
    return [row("spool append", costs["spool"], "SQLite commit", costs["outbox"])]
