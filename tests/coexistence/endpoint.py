"""What stands in for every tracing product's server: takes its wire format in and keeps the spans of each."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span as a product's server gets it. What a product's wire does not know is empty."""

    trace: str
    identifier: str
    parent: str
    name: str
    scope: str = ""
    kind: str = ""
    status: tuple[str, str] = ("", "")
    start: int = 0
    end: int = 0
    attributes: Attributes = field(default_factory=dict)
    events: tuple[tuple[str, int, Attributes], ...] = ()


class Endpoint:
    """A server on loopback. Use it as a context manager."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: dict[str, list[Span]] = defaultdict(list)
        self._undecoded: list[str] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content_type, answer = endpoint._take(self.path, self._body())
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_POST  # noqa: N815  the base class finds them by these names

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b"".join(iter(self._chunk, b""))
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                match self.headers.get("Content-Encoding"):
                    case "gzip":
                        return gzip.decompress(body)
                    case "deflate":
                        return zlib.decompress(body)
                return body

            def _chunk(self) -> bytes:
                chunk = self.rfile.read(int(self.rfile.readline(), 16))
                self.rfile.readline()
                return chunk

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="endpoint", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> dict[str, list[Span]]:
        """Spans in order of arrival, by the path that they came to."""
        with self._lock:
            assert not self._undecoded, self._undecoded
            return {path: list(spans) for path, spans in self._spans.items()}

    def _take(self, path: str, body: bytes) -> tuple[str, bytes]:
        for ending, (decode, content_type, answer) in _WIRES.items():
            if path.rstrip("/").endswith(ending):
                try:
                    spans = list(decode(body))
                except Exception as error:
                    with self._lock:
                        self._undecoded.append(f"{path}: {error!r}")
                    return content_type, answer
                with self._lock:
                    self._spans[path].extend(spans)
                return content_type, answer
        return "application/json", b"{}"


def _from_otlp(body: bytes) -> Iterator[Span]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    trace=span.trace_id.hex(),
                    identifier=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    name=span.name,
                    scope=scope.scope.name,
                    kind=str(span.kind),
                    status=(str(span.status.code), span.status.message),
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    attributes={each.key: _plain(each.value) for each in span.attributes},
                    events=tuple(
                        (
                            event.name,
                            event.time_unix_nano,
                            {each.key: _plain(each.value) for each in event.attributes},
                        )
                        for event in span.events
                    ),
                )


def _plain(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_plain(each) for each in value.array_value.values]
        case "kvlist_value":
            return {each.key: _plain(each.value) for each in value.kvlist_value.values}
        case kind:
            return getattr(value, kind)


def _from_sentry_envelope(body: bytes) -> Iterator[Span]:
    """Decode an envelope: a line of JSON, then a line of JSON about each item and the item. An error becomes a span."""
    rest = body.partition(b"\n")[2]
    while rest:
        line, _, rest = rest.partition(b"\n")
        header = json.loads(line)
        length = header.get("length", rest.find(b"\n"))
        item, rest = rest[:length], rest[length:].removeprefix(b"\n")
        if header["type"] == "event":
            for error in json.loads(item)["exception"]["values"]:
                yield Span(trace="", identifier="", parent="", name=f"{error['type']}: {error['value']}", kind="error")
        if header["type"] == "transaction":
            transaction = json.loads(item)
            trace = transaction["contexts"]["trace"]
            attributes = {**transaction["contexts"].get("otel", {}).get("attributes", {}), **trace.get("data", {})}
            yield _sentry_span(trace, transaction["transaction"], attributes)
            for span in transaction["spans"]:
                yield _sentry_span(span, span["description"], span.get("data", {}))


def _sentry_span(span: Mapping[str, Any], name: str, attributes: Attributes) -> Span:
    return Span(
        trace=span["trace_id"],
        identifier=span["span_id"],
        parent=span.get("parent_span_id") or "",
        name=name,
        kind=str(span.get("op")),
        status=(str(span.get("status")), ""),
        attributes=attributes,
    )


def _from_datadog(body: bytes) -> Iterator[Span]:
    """Decode version 0.4 of the agent's interface: a list of traces, each a list of spans."""
    for trace in msgspec.msgpack.decode(body):
        for span in trace:
            meta = dict(span.get("meta", {}))
            events = json.loads(meta.pop("events", "[]"))
            yield Span(
                trace=str(span["trace_id"]),
                identifier=str(span["span_id"]),
                parent=str(span.get("parent_id") or ""),
                name=span["resource"],
                kind=span["name"],
                status=(str(span.get("error", 0)), ""),
                start=span["start"],
                end=span["start"] + span["duration"],
                attributes={**meta, **span.get("metrics", {})},
                events=tuple((event["name"], event["time_unix_nano"], event.get("attributes", {})) for event in events),
            )


_Decode = Callable[[bytes], Iterator[Span]]
_AGENT = json.dumps({"version": "7.70.0", "endpoints": ["/v0.4/traces"]}).encode()
# How a path ends: what decodes its bodies, and the answer.
_WIRES: dict[str, tuple[_Decode, str, bytes]] = {
    "/v1/traces": (_from_otlp, "application/x-protobuf", b""),
    "/envelope": (_from_sentry_envelope, "application/json", b"{}"),
    "/v0.4/traces": (_from_datadog, "application/json", b'{"rate_by_service":{}}'),
    "/info": (lambda _: iter(()), "application/json", _AGENT),
}
