"""The demonstration: five weeks of a bank's customers in seconds, and a check that every event arrived.

``python -m bank.demo`` starts a PostHog stand-in, a tracing backend and the bank, plays customers, and compares what
was delivered with what the bank's HTTP answers say it must have emitted. With ``POSTHOG_API_KEY`` set, the events go
to that project instead (``POSTHOG_HOST`` respected).
"""

import argparse
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

_NEEDED: Final = (
    "duckdb",
    "fastapi",
    "httpx",
    "opentelemetry.distro",
    "opentelemetry.proto",
    "rich",
    "time_machine",
    "uvicorn",
)
_INTERRUPTED: Final = 130  # what a shell reports for a program that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration.

    Args:
        arguments: Of the command line; None for the process's own.

    Returns:
        0 where everything expected was delivered and nothing personal was found; 1 where not; 2 where it cannot run.
    """
    parser = argparse.ArgumentParser(prog="bank.demo", description="Five weeks of a bank's customers in seconds.")
    parser.add_argument("--seed", type=int, default=1, help="plays other customers (default: 1)")
    parser.add_argument("--customers", type=_customers, default=250, help="how many sign up (1 to 999, default: 250)")
    parser.add_argument(
        "--inspect", action="store_true", help="show it live on the inspector's page, which stays up until Ctrl-C"
    )
    options = parser.parse_args(arguments)
    if options.inspect and os.environ.get("POSTHOG_API_KEY"):
        parser.error("--inspect: POSTHOG_API_KEY is set, so the events go to PostHog; unset it to look at them here")
    if missing := [name for name in _NEEDED if not _is_there(name)]:
        print(
            f'The demo needs {", ".join(missing)}: install it with pip install "zentra-otel-posthog[demo]".',
            file=sys.stderr,
        )
        return 2
    from bank.demo_run import run  # noqa: PLC0415  needs what was just looked for

    # A terminated demonstration stops its bank too.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return run(seed=options.seed, customers=options.customers, inspect=options.inspect)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return _INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _customers(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 999):
        raise argparse.ArgumentTypeError("choose a number from 1 to 999")
    return int(text)


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main())
