"""Runs of the bank beside one product, each in a process and with servers of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from endpoint import Endpoint, Span
from peers import Run
from zentra_otel_posthog.inspector import Receiver

_PROGRAM = Path(__file__).with_name("bank_process.py")
_DATADOG = {
    "DD_TRACE_OTEL_ENABLED": "true",
    "OTEL_PYTHON_CONTEXT": "ddcontextvars_context",  # as Datadog sets it where it is imported first
    "DD_TRACE_API_VERSION": "v0.4",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
}


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Args:
        sampled: For each request, whether its trace is.
        traces: Each request's trace id.
        spans: What the products' servers got, by path.
        captures: What PostHog has.
        received: How many captures it was sent, those that came twice included.
        bodies: All that it was sent.
    """

    sampled: list[bool]
    traces: list[str]
    spans: dict[str, list[Span]]
    captures: list[dict[str, Any]]
    received: int
    bodies: str


def run_both(
    folder: Path,
    peer: str,
    order: str,
    rate: float = 1.0,
    requests: int = 3,
    *,
    baseline: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> tuple[Outcome, Outcome]:
    """Run the bank without us and with us, at the same time.

    Args:
        folder: An empty one.
        peer: See ``Run``, as for the next three.
        order: See there.
        rate: See there.
        requests: See there.
        baseline: Environment of the run without us.
        settings: Environment of the run with us.
    """

    def outcome(*, ours: bool) -> Outcome:
        own = folder / ("with" if ours else "without")
        own.mkdir()
        with Endpoint() as endpoint, Receiver() as receiver:
            run = Run(
                peer=peer,
                order=order,
                ours=ours,
                rate=rate,
                requests=requests,
                endpoint=endpoint.url,
                posthog=receiver.url,
            )
            served = _run(run, own, (settings if ours else baseline) or {})
            return Outcome(
                [sampled for _, sampled in served],
                [trace for trace, _ in served],
                endpoint.spans,
                list(receiver.events),
                receiver.received,
                json.dumps([request.decoded for request in receiver.requests]),
            )

    with ThreadPoolExecutor(2) as pool:
        without, with_us = pool.submit(outcome, ours=False), pool.submit(outcome, ours=True)
        return without.result(), with_us.result()


def _run(run: Run, folder: Path, settings: Mapping[str, str]) -> list[tuple[str, bool]]:
    environment = {
        **os.environ,
        "POSTHOG_API_KEY": "phc_invented",
        "POSTHOG_HOST": run.posthog,
        "ZENTRA_POSTHOG_SPOOL_DIR": str(folder / "spool"),
        **settings,
    }
    launcher = None
    if run.peer == "datadog":
        rules = json.dumps([{"sample_rate": run.rate}])
        environment |= {**_DATADOG, "DD_TRACE_AGENT_URL": run.endpoint, "DD_TRACE_SAMPLING_RULES": rules}
        launcher = "ddtrace-run"
    elif run.order == "auto":
        environment |= {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": run.endpoint,
            # Of all that tests install, ours alone: spans of a product's own requests would come when they like.
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(
                entry.name
                for entry in entry_points(group="opentelemetry_instrumentor")
                if entry.name != "zentra_posthog" or not run.ours
            ),
        }
        launcher = "opentelemetry-instrument"
    command = [sys.executable, str(_PROGRAM), json.dumps(asdict(run))]
    if launcher is not None and run.order == "auto":
        command = [str(Path(sys.executable).with_name(launcher)), *command]
    program = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert program.returncode == 0, program.stderr
    served: list[tuple[str, bool]] = json.loads(program.stdout.splitlines()[-1])
    return served
