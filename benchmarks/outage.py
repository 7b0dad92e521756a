"""An outage of an hour and a million events: memory while it lasts, time to deliver everything afterwards.

Run with ``python -m benchmarks.outage``. The sender's clock runs 60 times as fast, so the hour takes a minute; the
events and the files are real, and so is what is measured.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import types
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zentra_otel_posthog import capture, configure, flush, shutdown, telemetry
from zentra_otel_posthog.delivery import sender

_EVENTS = int(os.environ.get("EVENTS", "1000000"))
_SPEED = 60.0
_HOUR = 3600 / _SPEED  # seconds of ours
_DRAIN = 900.0  # seconds


def resident() -> float:
    """Return this process's memory in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def receiver(port: int) -> Iterator[None]:
    """Run a receiver in another process, so that its work and memory are not ours."""
    command = [sys.executable, "-m", "zentra_otel_posthog.inspector", "--quiet", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.terminate()


def stats(host: str) -> dict[str, int]:
    """Return what the receiver counted."""
    with urllib.request.urlopen(f"{host}/stats") as answer:  # loopback
        counted: dict[str, int] = json.load(answer)
    return counted


def hasten() -> None:
    """Let the sender's pauses pass 60 times as fast."""
    for name in ("_BACKOFF_FIRST", "_BACKOFF_MAX", "_REST", "_PACE"):
        setattr(sender, name, getattr(sender, name) / _SPEED)


def emit(memory: list[float]) -> float:
    """Capture the events evenly over the hour. Return the seconds it took."""
    began = time.monotonic()
    for number in range(_EVENTS):
        capture("checkout.completed", distinct_id=f"usr_{number}")
        if number % (_EVENTS // 20 or 1) == 0:
            memory.append(resident())
            pause = began + number / _EVENTS * _HOUR - time.monotonic()
            if pause > 0:
                time.sleep(pause)
    return time.monotonic() - began


def main() -> int:
    """Measure and print."""
    hasten()
    port = free_port()
    host = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as spool:
        configure(
            api_key="phc_benchmark", host=host, spool_dir=spool, spool_max_bytes=4 << 30, flush_interval=5 / _SPEED
        )
        for number in range(1000):
            capture("checkout.completed", distinct_id=f"usr_{number}")
        assert not flush(0.5)
        memory = [resident()]
        seconds = emit(memory)
        segments = list(Path(spool).glob("*/*.v0.jsonl"))
        size = sum(path.stat().st_size for path in segments)
        half, during = (max(part) - memory[0] for part in (memory[: len(memory) // 2], memory))
        with receiver(port):
            began, processor = time.monotonic(), time.process_time()
            assert flush(_DRAIN)
            drained, processor = time.monotonic() - began, time.process_time() - processor
            counted = types.SimpleNamespace(**stats(host))
        after = resident() - memory[0]
        shutdown(1)
    lost = telemetry.totals(telemetry.LOST)
    sys.stdout.write(
        f"{_EVENTS + 1000} events in {seconds:.0f} s, {_HOUR * _SPEED / 60:.0f} minutes of the sender's clock\n"
        f"spool: {size / 2**20:.0f} MiB in {len(segments)} segments\n"
        f"memory: {memory[0]:.0f} MiB before, at most +{half:.1f} MiB in the first half of the outage, "
        f"+{during:.1f} MiB in all of it, +{after:.1f} MiB after the delivery\n"
        f"delivered in {drained:.1f} s ({counted.events / drained:.0f} events/s), {processor:.1f} s of processor time\n"
        f"received {counted.received}, distinct {counted.events}, lost {sum(lost.values())}\n"
    )
    return 0 if counted.events == _EVENTS + 1000 and not lost else 1


if __name__ == "__main__":
    sys.exit(main())
