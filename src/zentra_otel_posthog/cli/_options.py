"""Options that several commands have."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from zentra_otel_posthog.config import SettingsError

_PERSONAL_KEY: Final = "POSTHOG_PERSONAL_API_KEY"
_PROJECT: Final = "POSTHOG_PROJECT_ID"


class MissingCredentials(Exception):
    """The environment names no personal key or no project.

    Args:
        names: The variables that are not set.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = " and ".join(names)
        super().__init__(
            f"{self.names} {'are' if ' and ' in self.names else 'is'} not set: a personal key (phx_...) is made in "
            "PostHog's settings, the project's number stands in its own"
        )


def private_api_credentials() -> tuple[str, str]:
    """Return the personal key and the project's number from the environment.

    Raises:
        MissingCredentials: Either is not set.
    """
    given = {name: os.environ.get(name, "").strip() for name in (_PERSONAL_KEY, _PROJECT)}
    if missing := [name for name, value in given.items() if not value]:
        raise MissingCredentials(missing)
    return given[_PERSONAL_KEY], given[_PROJECT]


def add_config(parser: argparse.ArgumentParser) -> None:
    """Declare ``--config``."""
    parser.add_argument("--config", metavar="FILE", help="instead of zentra-otel-posthog.toml or pyproject.toml")


def config_argument(options: argparse.Namespace) -> dict[str, object]:
    """Return what ``config.load`` is to be given of the options."""
    return {"config": options.config} if options.config else {}


def add_import(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare ``--import``.

    Args:
        parser: The command's.
        what: Modules it is meant for, in words.
    """
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help=f"import {what}; may be repeated",
    )


def import_modules(modules: Iterable[str], option: str = "--import") -> None:
    """Import what ``--import`` names.

    Args:
        modules: Their names.
        option: The option that names them, for messages.

    Raises:
        ImportError: One cannot be imported, or raises; the message names it, and quotes no other error's text, which
            may have anything in it.
    """
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)  # as ``python -m`` finds an application's modules
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ImportError(f"{option} {module}: {error}; run it where the application's modules are found") from None
        except SettingsError as error:
            raise ImportError(f"{option} {module}: {error}") from None
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            raise ImportError(
                f"{option} {module}: it raised {type(error).__qualname__} at {where.filename}:{where.lineno}"
            ) from None


def seconds(text: str) -> float:
    """Return a number of seconds, for ``add_argument(type=seconds)``.

    Raises:
        ArgumentTypeError: It is none, or not above 0 and within a day.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number <= 86_400:  # noqa: PLR2004  a day
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return number
