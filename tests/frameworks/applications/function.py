"""A serverless function: a runtime that hands events to a handler and tells its caller when it has returned."""

from __future__ import annotations

import os
import sys

from work import work
from zentra_otel_posthog import flush


def handler(event: str) -> str:
    try:
        work(event)
    finally:
        if "FLUSH" in os.environ:
            assert flush(timeout=5)
    return event


for line in sys.stdin:
    sys.stdout.write(f"{handler(line.strip())}\n")
    sys.stdout.flush()
