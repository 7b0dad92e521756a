"""``zentra-otel-posthog inspect``: a local stand-in for PostHog with a live page."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from zentra_otel_posthog import config, delivery
from zentra_otel_posthog.cli._options import add_config, config_argument

_PORT: Final = 8765
_PORT_MAX: Final = 65_535
_FOLDER: Final = "inspector"
_OWN_FILES: Final = 0o077  # what may not be read by others: it holds whatever is sent to it


def add_parser(commands: Any) -> None:
    """Declare the command and its help."""
    parser = commands.add_parser(
        "inspect",
        help="run a local stand-in for PostHog with a live page",
        description="Run a local stand-in for PostHog: point applications, PostHog's clients and posthog-js at it, and "
        "look at what they send. It listens on this machine alone. Ctrl-C ends it.",
    )
    parser.add_argument("--port", type=_port, default=_PORT, help="0 takes any free one (default: %(default)d)")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--data", type=Path, metavar="FOLDER", help="where events are kept (default: the state folder)")
    kept.add_argument("--memory", action="store_true", help="keep nothing after the end")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    add_config(parser)
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace, _: Sequence[str]) -> int:
    """Serve until Ctrl-C."""
    try:
        from zentra_otel_posthog.inspector import server, store  # noqa: PLC0415  an extra, imported when used
    except ImportError as error:
        options.parser.error(f"{error}; the inspector needs packages: pip install 'zentra-otel-posthog[tools]'")
    if options.config and not Path(options.config).is_file():
        options.parser.error(f"--config {options.config}: there is no such file")
    try:
        settings = config.load(config_argument(options))
    except config.SettingsError as error:
        options.parser.error(str(error))
    os.umask(_OWN_FILES)
    folder = None if options.memory else options.data or delivery.spool_directories(settings)[0] / _FOLDER
    try:
        listener = server.listen(options.port)
    except OSError as error:
        taken = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror
        options.parser.error(f"--port {options.port}: {taken}; name another, or --port 0 for any free one")
    url = f"http://{server.HOST}:{listener.getsockname()[1]}"

    def started() -> None:
        sys.stdout.write(
            f"The inspector is at {url}\n"
            f"{'Nothing is kept after its end' if folder is None else f'Events are kept in {folder}'}; Ctrl-C ends it."
            f"\n\nFor the application that you want to look at:\n\n"
            f"POSTHOG_HOST={url}\nPOSTHOG_API_KEY=phc_local\n"
        )
        sys.stdout.flush()
        if options.open:
            # A browser of the terminal is waited for.
            threading.Thread(target=webbrowser.open, args=(url,), name="inspector-browser", daemon=True).start()

    with listener:
        try:
            server.serve(listener, settings, folder, started)
        except store.StoreError as error:
            options.parser.error(str(error))
    return 0


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= _PORT_MAX):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: choose a number from 0 to {_PORT_MAX}")
    return int(text)
