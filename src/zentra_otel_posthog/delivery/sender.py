"""The sender: one thread that posts segments and removes them when PostHog has accepted them."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from zentra_otel_posthog import telemetry
from zentra_otel_posthog.delivery.spool import Segment, Spool
from zentra_otel_posthog.delivery.wire import Answer, Wire

_logger = logging.getLogger("zentra_otel_posthog")

_REQUEST_TIMEOUT: Final = 15.0  # seconds, as the official client
# Between two deliveries, unless somebody flushes. Under load the requests grow instead of multiplying: a decorated
# call in a tight loop took 29 µs with this pause and 43 µs without it.
_PACE: Final = 0.1  # seconds
_BACKOFF_FIRST: Final = 0.5  # seconds
_BACKOFF_MAX: Final = 60.0
_BACKOFF_DOUBLINGS: Final = 16  # the maximum is reached long before, and a float's exponent ends
_AGAIN: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_DIVIDE: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
# A wrong key, host or proxy: nothing is wrong with the captures, so they wait until the setting is corrected.
_MISCONFIGURED: Final = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
}
_SERVER_ERRORS: Final = 500


class _Outcome(Enum):
    DONE = auto()
    LATER = auto()


Counts = Counter[tuple[str, str]]
"""What became of a segment's captures: metric and attribute to their number."""


class Sender:
    """Delivers what a spool holds.

    Args:
        spool: Where the lines are.
        wire: Where they go.
        flush_at: Lines that wait before a delivery is due.
        flush_interval: Seconds after which one is due anyway.
        max_retries: Failed attempts in a row over which the pause between them grows.
    """

    def __init__(self, spool: Spool, wire: Wire, *, flush_at: int, flush_interval: float, max_retries: int) -> None:
        # Not at the top: it loads the propagators, ours among them, and would meet this package half imported. Nor in
        # the thread: a fork would leave the child an import that nobody finishes.
        from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: PLC0415

        self._suppress_instrumentation = suppress_instrumentation
        self._spool = spool
        self._wire = wire
        self._flush_at = flush_at
        self._flush_interval = flush_interval
        self._max_retries = max_retries
        self._misconfiguration_told = False
        self._reset()

    def _reset(self) -> None:
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._draining = threading.Lock()  # held while segments are being delivered
        self._due = False
        self._stopping = False
        self._requested = self._drained = 0  # numbers of flushes asked for and of those that emptied the spool
        self._failures = 0
        self._not_before = 0.0  # the server's Retry-After, which even a flush respects
        self._backoff_until = 0.0

    def start(self) -> None:
        """Start the thread, where it does not run. At interpreter exit none can be started; the spool keeps all."""
        with self._changed:
            if self._thread is not None or self._stopping:
                return
            thread = threading.Thread(target=self._run, name="zentra-posthog-sender", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return
            self._thread = thread

    def appended(self, waiting: int) -> None:
        """Hear that so many lines wait in the open segment."""
        if self._thread is None:
            self.start()
        if waiting == self._flush_at and not self._failures:
            with self._changed:
                self._due = True
                self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Deliver what is spooled. Return True where all of it was, within so many seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            thread = self._thread
            if thread is not None and thread.is_alive() and not self._stopping:
                self._requested += 1
                request = self._requested
                self._due = True
                self._changed.notify_all()
                return self._changed.wait_for(lambda: self._drained >= request, timeout)
        if not self._draining.acquire(timeout=max(timeout, 0)):
            return False
        try:
            return self._drain(deadline)
        finally:
            self._draining.release()

    def shutdown(self, timeout: float) -> bool:
        """Flush, then stop the thread without waiting for a server that does not answer."""
        flushed = self.flush(timeout)
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        return flushed

    def after_fork_in_child(self) -> None:
        """Forget the parent's thread and connections; the next append starts a thread of the child's own."""
        stopping = self._stopping
        self._reset()
        self._stopping = stopping

    def _run(self) -> None:
        while self._wait():
            request = self._requested
            try:
                with self._draining:
                    drained = self._drain(deadline=None)
            except Exception as error:
                # A thread that dies would stop all delivery; the next round tries again.
                drained = False
                self._back_off(None)
                telemetry.internal_error("sender", error)
            with self._changed:
                if drained:
                    self._drained = max(self._drained, request)
                self._changed.notify_all()

    def _wait(self) -> bool:
        """Wait until a delivery is due. Return False where the thread shall end."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, max(self._not_before - time.monotonic(), 0.0))
            if self._failures:
                patience = self._backoff_until - time.monotonic()
            else:
                self._changed.wait_for(lambda: self._stopping or self._requested > self._drained, _PACE)
                patience = self._flush_interval - _PACE
            self._changed.wait_for(lambda: self._stopping or self._due, max(patience, 0.0))
            self._due = False
            return not self._stopping

    def _drain(self, deadline: float | None) -> bool:
        """Deliver every segment that can be claimed. Return False at the first that must wait."""
        with self._suppress_instrumentation():
            for segment in self._spool.claim():
                if not self._deliver(segment, deadline):
                    return False
        if self._spool.waits_elsewhere():
            self._back_off(None)
            return False
        self._failures = 0
        return True

    def _deliver(self, segment: Segment, deadline: float | None) -> bool:
        outcome = _Outcome.LATER
        counts: Counts = Counter()
        try:
            lines = segment.lines()
            outcome = self._post(lines, deadline, counts) if lines else _Outcome.DONE
        finally:
            if outcome is _Outcome.DONE:
                segment.remove()
            else:
                segment.release()
        if outcome is _Outcome.LATER:
            return False
        # Only now: of a segment that is sent again, every part is counted again.
        for (metric, attribute), count in counts.items():
            if metric == telemetry.LOST:
                telemetry.lost(attribute, count)
            else:
                telemetry.add(metric, attribute, count=count)
        return True

    def _post(self, lines: Sequence[bytes], deadline: float | None, counts: Counts) -> _Outcome:
        timeout = _REQUEST_TIMEOUT
        if deadline is not None and (timeout := min(timeout, deadline - time.monotonic())) <= 0:
            return _Outcome.LATER
        try:
            answer = self._wire.post(lines, timeout)
        except OSError:
            self._back_off(None)
            return _Outcome.LATER
        return self._judge(answer, lines, deadline, counts)

    def _judge(self, answer: Answer, lines: Sequence[bytes], deadline: float | None, counts: Counts) -> _Outcome:
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            self._failures = 0
            counts[telemetry.CAPTURES, "delivered"] += len(lines)
            return _Outcome.DONE
        if answer.status in _DIVIDE:
            return self._divide(lines, answer.status, deadline, counts)
        if answer.status in _MISCONFIGURED or answer.status < HTTPStatus.BAD_REQUEST:
            self._tell_misconfigured(answer.status)
            self._back_off(None, slowly=True)
            return _Outcome.LATER
        if answer.status in _AGAIN or answer.status >= _SERVER_ERRORS:
            self._back_off(answer.retry_after)
            return _Outcome.LATER
        counts[telemetry.LOST, f"status_{answer.status}"] += len(lines)
        return _Outcome.DONE

    def _divide(self, lines: Sequence[bytes], status: int, deadline: float | None, counts: Counts) -> _Outcome:
        """Find the event that spoils its batch: one bad event gets all of them refused (capture V0)."""
        if len(lines) == 1:
            counts[telemetry.LOST, f"status_{status}"] += 1
            return _Outcome.DONE
        middle = len(lines) // 2
        for half in (lines[:middle], lines[middle:]):
            # A half that must wait keeps the whole segment; the uuids make the other half's second delivery harmless.
            if self._post(half, deadline, counts) is _Outcome.LATER:
                return _Outcome.LATER
        return _Outcome.DONE

    def _back_off(self, retry_after: float | None, *, slowly: bool = False) -> None:
        """Pause exponentially with jitter, so that a fleet does not knock in step, and as long as the server says."""
        self._failures += 1
        exponent = max(min(self._failures, self._max_retries, _BACKOFF_DOUBLINGS) - 1, 0)
        backoff = _BACKOFF_MAX if slowly else min(_BACKOFF_MAX, _BACKOFF_FIRST * 2.0**exponent)
        now = time.monotonic()
        self._backoff_until = now + backoff * random.uniform(0.5, 1.0)  # noqa: S311  jitter is no secret
        if retry_after is not None:
            self._not_before = now + retry_after

    def _tell_misconfigured(self, status: int) -> None:
        if not self._misconfiguration_told:
            self._misconfiguration_told = True
            _logger.error(
                "PostHog answered %d: check POSTHOG_API_KEY and POSTHOG_HOST; captures wait in the spool until then",
                status,
            )
