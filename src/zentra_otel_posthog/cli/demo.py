"""``zentra-otel-posthog demo``: a small bank and its customers, and what PostHog would get."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# In a wheel the examples lie inside the package, in a checkout beside src.
_EXAMPLES = (Path(__file__).parents[1] / "_examples", Path(__file__).parents[3] / "examples")


def add_parser(commands: Any) -> None:
    """Declare the command and its help."""
    parser = commands.add_parser(
        "demo",
        help="run a small bank with seeded customers and show what is delivered",
        description="Run a small bank with seeded customers and show what is delivered. "
        "With POSTHOG_API_KEY set it sends to that project.",
        add_help=False,
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace, rest: Sequence[str]) -> int:
    """Run the demo with the arguments that are its own."""
    examples = next((folder for folder in _EXAMPLES if (folder / "bank").is_dir()), None)
    if examples is None:
        sys.stderr.write("the demo's files are missing: install the package from its wheel, or run it in a checkout\n")
        return 2
    sys.path.insert(0, str(examples))
    from bank.demo import main  # noqa: PLC0415  found in a folder that is known only now

    return int(main(rest))
