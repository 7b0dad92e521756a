"""``zentra-otel-posthog``: the command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.cli import demo, doctor, events, insights, inspect, metrics, spool
from zentra_otel_posthog.events import nearest


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, with the nearest right spelling."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Say that there is no such option or argument."""
        known = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
        wrong = unknown[0].partition("=")[0]
        sort = "option" if wrong.startswith("-") else "argument"
        self.error(f"there is no {sort} {wrong!r}; {nearest(wrong, known)}")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            name = "command" if action.nargs == argparse.PARSER else (action.option_strings or ["argument"])[0]
            raise argparse.ArgumentError(
                None, f"there is no {name} {value!r}; {nearest(str(value), map(str, action.choices))}"
            )


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    whole = _Parser(prog="zentra-otel-posthog", description="Annotate once, emit twice.")
    whole.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = whole.add_subparsers(title="commands", dest="command", required=True)
    for command in (demo, inspect, events, doctor, spool, metrics, insights):
        command.add_parser(commands)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Instead of the process's own.

    Returns:
        The exit code: 0 for success, 1 where the command found something wrong, 2 for wrong usage.
    """
    options, rest = parser().parse_known_args(arguments)
    if rest and options.command != "demo":
        options.parser.refuse(rest)
    try:
        return int(options.run(options, rest))
    except BrokenPipeError:  # whoever read has seen enough, as in "... | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails again
        return 0


if __name__ == "__main__":
    sys.exit(main())
