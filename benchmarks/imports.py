"""What importing the package costs beyond the OpenTelemetry SDK, each time in a fresh interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.harness import Row

_ROUNDS = 15
_PROGRAM = """
import sys, time
import opentelemetry.trace, opentelemetry.sdk.trace
wall, processor = time.perf_counter(), time.process_time()
import {module}
print((time.perf_counter() - wall) * 1e3, (time.process_time() - processor) * 1e3, "posthog" in sys.modules)
"""


def _import(module: str) -> tuple[float, float, bool]:
    program = _PROGRAM.format(module=module)
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    return float(output[0]), float(output[1]), output[2] == "True"


def package() -> list[Row]:
    """Against the official client."""
    ours: list[tuple[float, float, bool]] = []
    client: list[tuple[float, float, bool]] = []
    for _ in range(_ROUNDS):
        ours.append(_import("zentra_otel_posthog"))
        client.append(_import("posthog"))
    assert not any(loaded for *_, loaded in ours)
    one, other = (statistics.median(wall for wall, _, _ in taken) for taken in (ours, client))
    return [
        Row(
            measure="import beyond the SDK",
            against="import posthog",
            unit="ms",
            ours=one,
            theirs=other,
            ratio=one / other,
            processor=statistics.median(a[1] / b[1] for a, b in zip(ours, client, strict=True)),
        ),
        Row(
            measure="import beyond the SDK, processor time",
            unit="ms",
            ours=statistics.median(processor for _, processor, _ in ours),
            at_most=40,
        ),
    ]
