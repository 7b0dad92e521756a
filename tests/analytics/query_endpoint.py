"""A stand-in for PostHog's query endpoint: it runs the posted HogQL on ClickHouse's own engine (chDB).

What of PostHog's translation of HogQL is done here, the way its sources do it in November 2026: values become bound
constants; ``properties.a.b`` reads the JSON text as a nullable string; three functions get their ClickHouse names. Its
types of properties, its time zone of a project, its merging of persons and its permissions are not here.

A process of its own, since chDB starts threads that a test's fork would not survive. It reads events as JSON lines from
its input, prints its port, and ends when the input does.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from chdb.session import Session

_PROPERTY: Final = re.compile(r"\bproperties((?:\.\$?\w+)+)")
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
# HogQL's function, PostHog's ClickHouse for it.
_FUNCTIONS: Final = {
    r"toInt\(": r"accurateCastOrNull(\g<argument>, 'Int64')",
    r"parseDateTimeBestEffort\(": r"parseDateTime64BestEffortOrNull(\g<argument>, 6, 'UTC')",
}
_TABLE: Final = """
create table events (
    uuid UUID, event String, distinct_id String, timestamp DateTime64(6, 'UTC'), properties String,
    person_id String alias distinct_id
) engine = MergeTree order by timestamp
"""


def to_clickhouse(hogql: str) -> str:
    """Translate what of HogQL the metrics use."""

    def property_(found: re.Match[str]) -> str:
        path = ", ".join(f"'{key}'" for key in found[1].strip(".").split("."))
        raw = f"nullIf(nullIf(JSONExtractRaw(properties, {path}), ''), 'null')"
        return f"replaceRegexpAll({raw}, '^\"|\"$', '')"

    text = hogql
    for function, translation in _FUNCTIONS.items():
        text = re.sub(rf"{function}(?P<argument>[^()]*)\)", translation, text)
    return _PLACEHOLDER.sub(r"{\1:String}", _PROPERTY.sub(property_, text))


class Engine:
    """The events, in ClickHouse."""

    def __init__(self, lines: list[str]) -> None:
        self._session = Session()
        self._lock = threading.Lock()
        self._session.query(_TABLE)
        rows = "\n".join(lines)
        if rows:
            self._session.query(f"insert into events format JSONEachRow {rows}")

    def run(self, hogql: str, values: dict[str, str]) -> dict[str, Any]:
        with self._lock:
            bound = {name: _escaped(value) for name, value in values.items()}
            answer = json.loads(str(self._session.query(to_clickhouse(hogql), "JSONCompact", params=bound)))
        # As PostHog answers: 64-bit integers are numbers, not the strings that ClickHouse makes of them.
        numeric = [column["type"] in {"UInt64", "Int64", "Nullable(Int64)"} for column in answer["meta"]]
        rows = [
            [int(cell) if number and cell is not None else cell for cell, number in zip(row, numeric, strict=True)]
            for row in answer["data"]
        ]
        return {"results": rows, "columns": [column["name"] for column in answer["meta"]], "hasMore": None}


def _escaped(value: str) -> str:
    """Spell a value as ClickHouse reads a parameter; PostHog's driver does it for its own."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


class Handler(BaseHTTPRequestHandler):
    engine: Engine

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        query = body["query"]
        try:
            status, answer = 200, self.engine.run(query["query"], query["values"])
        except RuntimeError as error:
            status, answer = 400, {"type": "validation_error", "detail": str(error)}
        encoded = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *arguments: object) -> None: ...


def main() -> None:
    lines: list[str] = []
    while (line := sys.stdin.readline().strip()) and line != "end":
        lines.append(line)
    Handler.engine = Engine(lines)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)  # noqa: T201  the test reads it
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
