"""A tracing backend on loopback: takes OTLP over HTTP, counts spans, keeps the latest of every metric."""

import gzip
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Attributes = tuple[tuple[str, str], ...]


class TracingBackend:
    """Spans and metrics as they come in. Use it as a context manager."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: Counter[str] = Counter()
        self._traces: set[bytes] = set()
        self._counters: dict[tuple[str, Attributes], int] = {}
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                backend._take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="tracing-backend", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """For ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> Counter[str]:
        """How many spans came, by name."""
        with self._lock:
            return Counter(self._spans)

    @property
    def traces(self) -> int:
        """How many traces the spans belong to."""
        with self._lock:
            return len(self._traces)

    def counter(self, name: str) -> dict[Attributes, int]:
        """Return a counter's latest values by attributes."""
        with self._lock:
            return {attributes: value for (metric, attributes), value in self._counters.items() if metric == name}

    def _take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            spans = [
                span for resource in traces.resource_spans for scope in resource.scope_spans for span in scope.spans
            ]
            self._take_spans(spans)
        elif path == "/v1/metrics":
            metrics = ExportMetricsServiceRequest.FromString(body)
            for resource in metrics.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        self._take_points(metric.name, list(metric.sum.data_points))

    def _take_spans(self, spans: list[Span]) -> None:
        with self._lock:
            self._spans.update(span.name for span in spans)
            self._traces.update(span.trace_id for span in spans)

    def _take_points(self, name: str, points: list[NumberDataPoint]) -> None:
        with self._lock:
            for point in points:
                attributes = tuple((each.key, each.value.string_value) for each in point.attributes)
                self._counters[name, attributes] = point.as_int
