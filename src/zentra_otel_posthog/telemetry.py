"""The package's own metrics: what was captured, what was refused, what was lost and why. Never a value.

Counting is a dictionary entry; OpenTelemetry reads the totals when it collects, so the hot path pays no instrument.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from zentra_otel_posthog._version import __version__

_logger = logging.getLogger("zentra_otel_posthog")

CAPTURES: Final = "zentra.posthog.captures"
REFUSED: Final = "zentra.posthog.refused"
UNDECLARED: Final = "zentra.posthog.undeclared"
LOST: Final = "zentra.posthog.lost"
INTERNAL_ERRORS: Final = "zentra.posthog.internal_errors"
SPOOL_SIZE: Final = "zentra.posthog.spool.size"
SPOOL_AGE: Final = "zentra.posthog.spool.age"
DELIVERY_DURATION: Final = "zentra.posthog.delivery.duration"
REQUEST_DURATION: Final = "zentra.posthog.request.duration"
SPOOL_IN_MEMORY: Final = "zentra.posthog.spool_in_memory"

# Metric: its unit, its description, the names of its attributes.
_METRICS: Final = {
    CAPTURES: ("{event}", "Captures by outcome: spooled, delivered.", ("outcome",)),
    REFUSED: ("{value}", "Values that the sanitizer kept back.", ("event", "property", "rule")),
    UNDECLARED: (
        "{value}",
        "Undeclared properties in which no detector found anything.",
        ("event", "property"),
    ),
    LOST: ("{event}", "Captures that could not be kept or delivered.", ("reason",)),
    SPOOL_IN_MEMORY: ("{spool}", "Spools that live in memory because no folder can be written.", ()),
    INTERNAL_ERRORS: ("{error}", "Errors inside the package that were kept from the caller.", ("step", "error.type")),
}

# Histograms are recorded by the sender's thread, once a segment or a request.
_HISTOGRAMS: Final = {
    DELIVERY_DURATION: "From a segment's first capture to PostHog's acceptance of all of it.",
    REQUEST_DURATION: "Requests to PostHog by http.response.status_code, or by error.type where there was no answer.",
}
_GAUGES: Final = {
    SPOOL_SIZE: ("By", "What waits in the spools' folders, whichever process wrote it."),
    SPOOL_AGE: ("s", "How long the oldest of it has waited."),
}

_SERIES_MAX: Final = 2000  # of one metric, as OpenTelemetry's SDKs bound it; names may come from an application's data
# What an application itself does amiss; a wrong name is not told, since it may have been made of a customer's data.
_EXPLAINED: Final = {
    "event_name": "a name is not noun.verb, as in checkout.completed, or tells of a customer",
    "unknown_tenant": "a tenant has no project",
}
OTHER: Final = "(other)"
"""Stands for the names past that bound."""

_lock = threading.RLock()  # a signal handler may count while its thread counts
_totals: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in _METRICS}
_raise_internal_errors = False
_instruments: list[object] = []
_histograms: dict[str, metrics.Histogram] = {}


class Measured(Protocol):
    """A spool whose size and age are told."""

    def usage(self) -> tuple[int, float | None]:
        """Return its bytes, and when the oldest came, in seconds since the epoch."""


_spools: weakref.WeakSet[Measured] = weakref.WeakSet()


def add(metric: str, *attributes: str, count: int = 1) -> None:
    """Count.

    Args:
        metric: One of this module's metric names.
        attributes: The values of the metric's attributes, in the order of its definition.
        count: How many.
    """
    with _lock:
        total = _totals[metric]
        if attributes not in total and len(total) >= _SERIES_MAX:
            attributes = (OTHER,) * len(attributes)
        total[attributes] += count


def totals(metric: str) -> dict[tuple[str, ...], int]:
    """Return a copy of a metric's totals since the process started, by attribute values."""
    with _lock:
        return dict(_totals[metric])


def refused(event: str, property_name: str, rule: str) -> None:
    """Count a value that was kept back: the event's name, the property's name, the rule; never the value."""
    add(REFUSED, event, property_name, rule)


def lost(reason: str, count: int = 1) -> None:
    """Count captures that are lost; the first of each reason is also logged."""
    with contextlib.suppress(Exception):  # as in internal_error
        first = (reason,) not in totals(LOST)
        add(LOST, reason, count=count)
        if first:
            explained = f", {_EXPLAINED[reason]}" if reason in _EXPLAINED else ""
            _logger.warning("captures are being lost: %s%s (metric %s goes on counting)", reason, explained, LOST)


def internal_error(step: str, error: Exception) -> None:
    """Keep an error of the package's own from the caller: count it, and log the first of its sort.

    Only the error's type is told: a message may quote a customer's data.

    Args:
        step: Where it happened.
        error: What was raised.

    Raises:
        Exception: The error itself, where tests have asked for it (``raise_internal_errors``).
    """
    if _raise_internal_errors:
        raise error
    # The application's log handlers may raise too.
    with contextlib.suppress(Exception):
        error_type = type(error).__qualname__
        first = (step, error_type) not in totals(INTERNAL_ERRORS)
        add(INTERNAL_ERRORS, step, error_type)
        if first:
            _logger.error(
                "%s failed with %s; the application is not affected (metric %s goes on counting)",
                step,
                error_type,
                INTERNAL_ERRORS,
            )


def raise_internal_errors(*, enabled: bool) -> bool:
    """Choose whether internal errors are raised, as tests want it. Return what was chosen before."""
    global _raise_internal_errors
    before, _raise_internal_errors = _raise_internal_errors, enabled
    return before


def delivered(count: int, seconds: float) -> None:
    """Count captures of one segment that PostHog has accepted.

    Args:
        count: How many.
        seconds: Since the segment was opened; a clock that was set back makes it nothing.
    """
    if count:
        add(CAPTURES, "delivered", count=count)
        if (histogram := _histograms.get(DELIVERY_DURATION)) is not None:
            histogram.record(max(seconds, 0.0))


def request(seconds: float, *, status: int | None = None, error_type: str | None = None) -> None:
    """Record a request to PostHog.

    Args:
        seconds: How long it took.
        status: Of the answer.
        error_type: Where there was none.
    """
    if (histogram := _histograms.get(REQUEST_DURATION)) is not None:
        attributes = {"http.response.status_code": status, "error.type": error_type}
        histogram.record(seconds, {name: value for name, value in attributes.items() if value is not None})


def measure(spool: Measured) -> None:
    """Tell a spool's size and age from now on, until nobody uses it any more."""
    _spools.add(spool)


def measure_no_longer(spool: Measured) -> None:
    """Leave a spool out from now on."""
    _spools.discard(spool)


def register() -> None:
    """Make the totals visible to OpenTelemetry, once a process. A meter provider may be installed later."""
    with _lock:
        if _instruments:
            return
        meter = metrics.get_meter("zentra_otel_posthog", __version__)
        for name, (unit, description, attribute_names) in _METRICS.items():
            _instruments.append(
                meter.create_observable_counter(
                    name, callbacks=[_observer(name, attribute_names)], unit=unit, description=description
                )
            )
        for name, (unit, description) in _GAUGES.items():
            _instruments.append(
                meter.create_observable_gauge(name, callbacks=[_gauge(name)], unit=unit, description=description)
            )
        for name, description in _HISTOGRAMS.items():
            _histograms[name] = meter.create_histogram(name, unit="s", description=description)


def _gauge(metric: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        usages = []
        for spool in list(_spools):
            with contextlib.suppress(OSError):  # a folder that cannot be read now
                usages.append(spool.usage())
        if metric == SPOOL_SIZE:
            return [Observation(sum(size for size, _ in usages))] if usages else []
        moments = [oldest for _, oldest in usages if oldest is not None]
        return [Observation(max(time.time() - min(moments), 0.0) if moments else 0.0)] if usages else []

    return observe


def _observer(metric: str, attribute_names: tuple[str, ...]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(count, dict(zip(attribute_names, attributes, strict=True)))
            for attributes, count in totals(metric).items()
        ]

    return observe


def _after_fork_in_child() -> None:
    # The parent may have held the lock, and its totals are its own to report.
    global _lock  # noqa: PLW0603  a lock cannot be repaired, only replaced
    _lock = threading.RLock()
    for total in _totals.values():
        total.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
