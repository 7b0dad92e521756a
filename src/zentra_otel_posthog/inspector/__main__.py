"""Run a receiver in the foreground until SIGINT or SIGTERM: `python -m zentra_otel_posthog.inspector`.

It only counts; `GET /stats` answers with the counts.
"""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING

from zentra_otel_posthog.inspector.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, print one line with the URL, and serve until a signal arrives."""
    parser = argparse.ArgumentParser(prog="python -m zentra_otel_posthog.inspector", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--quiet", action="store_true", help="print the URL and no counts at the end")
    options = parser.parse_args(arguments)
    signals = {signal.SIGINT, signal.SIGTERM}
    # Blocked before the threads start, which inherit it, so that only sigwait sees them.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    receiver = Receiver(options.port, keep=False)
    try:
        receiver.start()
    except OSError as error:
        parser.error(f"port {options.port}: {error.strerror}")
    with receiver:
        sys.stdout.write(f"{receiver.url}\n")
        sys.stdout.flush()
        signal.sigwait(signals)
    if not options.quiet:
        counts = receiver.stats()
        sys.stdout.write(f"{counts['received']} received, {counts['events']} events\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
