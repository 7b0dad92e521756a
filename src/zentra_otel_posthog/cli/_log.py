"""What the package logs while a command runs: told in the command's own way, not among its output."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def log_taken(take: Callable[[str], object]) -> Iterator[None]:
    """Hand the messages of warnings and errors to a function instead of the application's handlers."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: take(record.getMessage())  # type: ignore[method-assign, assignment]
    logger = logging.getLogger("zentra_otel_posthog")
    handlers, logger.handlers = logger.handlers, [handler]
    propagate, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate


@contextmanager
def log_unheard() -> Iterator[None]:
    """Leave out what the command tells itself."""
    with log_taken(lambda _: None):
        yield
