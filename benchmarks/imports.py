"""What importing the package costs beyond the OpenTelemetry SDK, and all that comes until the first event is kept.

Each time in a fresh interpreter, which finds compiled modules, as an installation has them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from typing import NamedTuple

from benchmarks.harness import Row, free_port

_ROUNDS = 15
_PROGRAM = """
import os, sys, time
import opentelemetry.trace, opentelemetry.sdk.trace
wall, processor = time.perf_counter(), time.thread_time()
{body}
wall, processor = time.perf_counter() - wall, time.thread_time() - processor
print(wall * 1e3, processor * 1e3, "posthog" in sys.modules, flush=True)
os._exit(0)
"""
_FIRST_EVENT = """
from zentra_otel_posthog import card, configure
configure(api_key="phc_benchmark", host="{host}", spool_dir="{folder}")

@card(properties={{"cardType": "card_type"}})
def issue(customer_id, card_type, tier): ...

issue("usr_1", "virtual", "gold")
"""
_FIRST_EVENT_OF_THE_CLIENT = """
from posthog import Posthog
client = Posthog("phc_benchmark", host="{host}")
client.capture("card.issued", distinct_id="usr_1", properties={{"cardType": "virtual", "tier": "gold"}})
"""


class _Taken(NamedTuple):
    """Milliseconds.

    Args:
        wall: Elapsed.
        processor: Of the main thread.
        posthog: Whether PostHog's client was loaded.
    """

    wall: float
    processor: float
    posthog: bool


def _run(body: str) -> _Taken:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    program = _PROGRAM.format(body=body)
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
    return _Taken(float(output[0]), float(output[1]), output[2] == "True")


def _row(measure: str, ours: list[_Taken], against: str, theirs: list[_Taken]) -> Row:
    return Row(
        measure=measure,
        against=against,
        unit="ms",
        ours=statistics.median(one.wall for one in ours),
        theirs=statistics.median(other.wall for other in theirs),
        ratio=statistics.median(one.wall / other.wall for one, other in zip(ours, theirs, strict=True)),
        processor=statistics.median(one.processor / other.processor for one, other in zip(ours, theirs, strict=True)),
    )


def package() -> list[Row]:
    """Against the official client."""
    host = f"http://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        bodies = {
            "ours": "import zentra_otel_posthog",
            "client": "import posthog",
            "our event": _FIRST_EVENT.format(host=host, folder=folder),
            "the client's event": _FIRST_EVENT_OF_THE_CLIENT.format(host=host),
        }
        taken: dict[str, list[_Taken]] = {name: [] for name in bodies}
        for body in bodies.values():
            _run(body)  # compiles
        for _ in range(_ROUNDS):
            for name, body in bodies.items():
                taken[name].append(_run(body))
    assert not any(one.posthog for one in taken["our event"])
    return [
        Row(
            measure="import beyond the SDK, processor time",
            unit="ms",
            ours=statistics.median(one.processor for one in taken["ours"]),
            at_most=40,
        ),
        _row("import beyond the SDK", taken["ours"], "import posthog", taken["client"]),
        _row(
            "import, settings, a decorator and its first event",
            taken["our event"],
            "import posthog, a client and its first event",
            taken["the client's event"],
        ),
    ]
