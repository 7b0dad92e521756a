"""``zentra-otel-posthog``: the command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.cli import demo, events


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Instead of the process's own.

    Returns:
        The exit code: 0 for success, 1 where the command found something wrong, 2 for wrong usage.
    """
    parser = argparse.ArgumentParser(prog="zentra-otel-posthog", description="Annotate once, emit twice.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    demo.add_parser(commands)
    events.add_parser(commands)
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "demo":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return int(options.run(options, rest))
    except BrokenPipeError:  # whoever read has seen enough, as in "... | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails again
        return 0


if __name__ == "__main__":
    sys.exit(main())
