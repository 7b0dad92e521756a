"""The sender: one thread that posts segments and removes them when PostHog has accepted them."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from typing import Final

from zentra_otel_posthog import telemetry
from zentra_otel_posthog.delivery.attempt import Attempt, Disbelieved, Misconfigured, Postponed, Progress
from zentra_otel_posthog.delivery.dead_letters import DeadLetters
from zentra_otel_posthog.delivery.spool import Segment, Spool
from zentra_otel_posthog.delivery.wire import Wire

_logger = logging.getLogger("zentra_otel_posthog")

# Between two deliveries, unless somebody flushes. Under load the requests grow instead of multiplying: a decorated
# call in a tight loop took 29 µs with this pause and 43 µs without it.
_PACE: Final = 0.1  # seconds
_BACKOFF_FIRST: Final = 0.5  # seconds
_BACKOFF_MAX: Final = 60.0
_BACKOFF_DOUBLINGS: Final = 16  # the maximum is reached long before, and a float's exponent ends
_SAVE_INTERVAL: Final = 60.0  # seconds
_REST: Final = 300.0  # seconds, for a segment that failed too often


class Sender:
    """Delivers what a spool holds.

    Args:
        spool: Where the lines are.
        wire: Where they go.
        dead_letters: Where those go that are refused for good.
        flush_at: Lines that wait before a delivery is due.
        flush_interval: Seconds after which one is due anyway.
        max_retries: Failed attempts in a row over which the pause between them grows; after them a segment rests and
            those behind it are tried.
        save_account: Keeps what was counted; called once a minute, and after a flush.
        tenant: Whose project it is, for the log; None for that of ``api_key``.
        idle_after: Seconds after which the thread ends where nothing was delivered and nothing waits; the next append
            starts another. None: it stays, and delivers what other processes leave.
    """

    def __init__(
        self,
        spool: Spool,
        wire: Wire,
        dead_letters: DeadLetters,
        *,
        flush_at: int,
        flush_interval: float,
        max_retries: int,
        save_account: Callable[[], None],
        tenant: str | None = None,
        idle_after: float | None = None,
    ) -> None:
        # Not at the top: it loads the propagators, ours among them, and would meet this package half imported. Nor in
        # the thread: a fork would leave the child an import that nobody finishes.
        from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: PLC0415

        self._suppress_instrumentation = suppress_instrumentation
        self._spool = spool
        self._wire = wire
        self._dead_letters = dead_letters
        self._flush_at = flush_at
        self._flush_interval = flush_interval
        self._max_retries = max_retries
        self._save_account = save_account
        self._save_at = 0.0
        self._project = "PostHog" if tenant is None else f"PostHog, for tenant {tenant!r},"
        self._key = "POSTHOG_API_KEY" if tenant is None else "the tenant's key"
        self._idle_after = idle_after
        self._stopping = False
        self._trouble_told: set[type[Exception]] = set()
        self._reset()

    def _reset(self) -> None:
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._due = False
        self._flushing = 0  # calls of flush that wait
        self._requested = self._drained = 0  # numbers of flushes asked for and of those that emptied the spool
        self._failures = 0
        self._not_before = 0.0  # the server's Retry-After, which even a flush respects
        self._backoff_until = 0.0
        self._believed = False  # the server has accepted captures, so its refusals count
        self._progress: dict[str, Progress] = {}  # of segments that an attempt did not finish
        self._active_at = time.monotonic()  # when the thread began, or a segment was last at hand

    def start(self) -> bool:
        """Start the thread, where it does not run. Return whether it runs: at interpreter exit none is started.

        To be called without the lock: under gevent another greenlet may run in here, and a lock from before its
        monkey-patching, as a preloaded application's is, takes all greenlets for one thread.
        """
        main = threading.main_thread()
        at_exit = threading.current_thread() is main and not main.is_alive()
        with self._changed:
            if self._thread is not None:
                return True
            if at_exit or self._ending():
                return False
            self._active_at = time.monotonic()
            self._thread = thread = threading.Thread(target=self._run, name="zentra-posthog-sender", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            with self._changed:
                self._thread = None
            return False
        return True

    def appended(self, waiting: int) -> None:
        """Hear that so many lines wait in the open segment."""
        if self._thread is None:
            self.start()
        if waiting == self._flush_at and not self._failures:
            with self._changed:
                self._due = True
                self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Have the thread deliver what is spooled.

        Args:
            timeout: Seconds to wait; whatever a server does, it does to the thread.

        Returns:
            True where all of it was delivered in time.
        """
        return self._flush(timeout, stopping=False)

    def shutdown(self, timeout: float) -> bool:
        """Flush, then let the thread end when it has its last answer."""
        return self._flush(timeout, stopping=True)

    def stop(self) -> None:
        """Let the thread end when it has its last answer, without a flush."""
        self._tell(stopping=True)

    def _flush(self, timeout: float, *, stopping: bool) -> bool:
        if timeout > 0:
            with self.flushing(stopping=stopping) as delivered:
                return delivered(timeout)
        # Nobody waits, so no thread is started: one that is to stop might begin a request.
        self._tell(stopping=stopping)
        return self._spool.usage().oldest is None

    def _tell(self, *, stopping: bool) -> None:
        with self._changed:
            self._due = True
            self._stopping |= stopping
            self._changed.notify_all()

    @contextmanager
    def flushing(self, *, stopping: bool = False) -> Iterator[Callable[[float], bool]]:
        """Have the thread deliver what is spooled; several senders can be told before any is waited for.

        Args:
            stopping: Let the thread end at the end of the block.

        Yields:
            What waits, up to so many seconds, and returns as ``flush``.
        """
        with self._changed:
            self._flushing += 1
            self._stopping |= stopping
        runs = self.start()
        with self._changed:
            self._due = True
            self._requested += 1
            request = self._requested
            self._changed.notify_all()

        def delivered(timeout: float) -> bool:
            with self._changed:
                if not runs:
                    return self._spool.usage().oldest is None
                return self._changed.wait_for(lambda: self._drained >= request, min(timeout, threading.TIMEOUT_MAX))

        try:
            yield delivered
        finally:
            with self._changed:
                self._flushing -= 1
                self._changed.notify_all()

    def after_fork_in_child(self) -> None:
        """Forget the parent's thread; the next append starts one of the child's own."""
        self._reset()

    def _ending(self) -> bool:
        return self._stopping and not self._flushing

    def _run(self) -> None:
        try:
            while self._wait():
                request = self._requested
                flushing = self._flushing > 0
                drained = self._round(flushing=flushing)
                self._save(at_once=flushing)  # before the flush returns, for the process may end then
                with self._changed:
                    if drained:
                        self._drained = max(self._drained, request)
                    self._changed.notify_all()
                if drained and self._ends_idle():
                    return
        finally:
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _ends_idle(self) -> bool:
        if self._idle_after is None or time.monotonic() < self._active_at + self._idle_after:
            return False
        self._wire.disconnect()
        with self._changed:
            if self._flushing:
                return False
            # Before the look: whoever appends and still sees a thread has its line in there by then.
            thread, self._thread = self._thread, None
            try:
                idle = self._spool.usage().oldest is None
            except OSError:
                idle = False
            if not idle:
                self._thread = thread
            return idle

    def _save(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if at_once or now >= self._save_at:
            self._save_at = now + _SAVE_INTERVAL
            try:
                self._save_account()
            except OSError:
                pass  # the next one adds what this one could not
            except Exception as error:
                telemetry.internal_error("account", error)

    def _round(self, *, flushing: bool) -> bool:
        """Deliver. Return whether the spool is empty."""
        try:
            with self._suppress_instrumentation():
                return self._drain(flushing=flushing)
        except OSError as error:
            # The folder cannot be read now, or the process is out of descriptors.
            self._postpone(Postponed(f"the spool: {type(error).__name__}"))
        except Exception as error:
            # A thread that dies would stop all delivery; the next round tries again.
            self._back_off(None)
            telemetry.internal_error("sender", error)
        return False

    def _wait(self) -> bool:
        """Wait until a delivery is due. Return False where the thread shall end."""
        with self._changed:
            self._changed.wait_for(self._ending, max(self._not_before - time.monotonic(), 0.0))
            now = time.monotonic()
            if self._failures:
                patience = self._backoff_until - now
            else:
                self._changed.wait_for(lambda: self._ending() or self._requested > self._drained, _PACE)
                rests = [progress.rests_until - now for progress in self._progress.values()]
                idle_after = self._flush_interval if self._idle_after is None else self._idle_after
                patience = min([self._flush_interval, idle_after, *rests]) - _PACE
            self._changed.wait_for(lambda: self._ending() or self._due, max(patience, 0.0))
            self._due = False
            if self._ending():
                self._thread = None  # whoever flushes from now on starts another
                return False
            return True

    def _drain(self, *, flushing: bool) -> bool:
        """Deliver every segment that can be claimed, those that rested last. Return False where some must wait."""
        now = time.monotonic()
        rested = {name for name, progress in self._progress.items() if progress.rests_until}
        resting = set() if flushing else {name for name in rested if self._progress[name].rests_until > now}
        if not self._deliver_all(passing_over=rested):
            return False
        if rested - resting and not self._deliver_all(passing_over=resting):
            return False
        # What is neither delivered nor at rest was claimed by somebody else.
        self._progress = {name: progress for name, progress in self._progress.items() if name in resting}
        if self._spool.waits_elsewhere():
            self._back_off(None)
            return False
        self._failures = 0
        return not resting

    def _deliver_all(self, passing_over: Container[str]) -> bool:
        for segment in self._spool.claim(passing_over):
            try:
                self.deliver(segment)
            except Postponed as postponed:
                self._postpone(postponed)
                if not isinstance(postponed, Misconfigured):
                    self._let_rest(segment.name, at_once=isinstance(postponed, Disbelieved))
                return False
            except Exception:
                self._let_rest(segment.name, at_once=True)  # an error of our own is no reason to hold up the others
                raise
        return True

    def deliver(self, segment: Segment) -> None:
        """Deliver a segment in the calling thread: post it, set aside what is refused, remove it, count.

        Raises:
            Postponed: Some of it must wait; it is released.
        """
        self._active_at = time.monotonic()
        progress = self._progress.setdefault(segment.name, Progress())
        accepted_before = progress.accepted
        try:
            Attempt(self._wire, segment, progress, believed=self._believed).run()
            if progress.refused:
                self._dead_letters.write(list(progress.refused.values()))
            segment.remove()
        except OSError as error:
            # A sector that cannot be read, a folder that became read-only, a full disk: this segment's affair.
            segment.release()
            raise Postponed(f"the spool: {type(error).__name__}") from None
        except BaseException:
            segment.release()
            raise
        finally:
            if progress.accepted > accepted_before:
                self._failures = 0
                self._believed = True
                self._trouble_told.clear()
        del self._progress[segment.name]
        if not progress.accepted and any(letter.status is not None for letter in progress.refused.values()):
            self._believed = False  # the server may be another than the one that accepted before
        # Only now, so that nothing is counted twice.
        telemetry.delivered(progress.accepted, time.time() - segment.opened)
        for reason, count in Counter(letter.reason for letter in progress.refused.values()).items():
            telemetry.lost(reason, count)

    def _let_rest(self, name: str, *, at_once: bool) -> None:
        """Keep a segment that fails again and again from holding up those behind it."""
        progress = self._progress[name]
        progress.failures += 1
        if at_once or progress.failures > self._max_retries:
            progress.rests_until = time.monotonic() + _REST

    def _postpone(self, postponed: Postponed) -> None:
        self._back_off(postponed.retry_after, slowly=isinstance(postponed, (Misconfigured, Disbelieved)))
        if type(postponed) in self._trouble_told:
            return
        self._trouble_told.add(type(postponed))
        if isinstance(postponed, (Misconfigured, Disbelieved)):
            _logger.error(
                "%s %s: check %s, POSTHOG_HOST and POSTHOG_CAPTURE_MODE; captures wait in the spool until then",
                self._project,
                postponed.why,
                self._key,
            )
        else:
            _logger.warning("delivery to %s is held up (%s); captures wait in the spool", self._project, postponed.why)

    def _back_off(self, retry_after: float | None, *, slowly: bool = False) -> None:
        """Pause exponentially with jitter, so that a fleet does not knock in step, and as long as the server says."""
        self._failures += 1
        exponent = max(min(self._failures, self._max_retries, _BACKOFF_DOUBLINGS) - 1, 0)
        backoff = _BACKOFF_MAX if slowly else min(_BACKOFF_MAX, _BACKOFF_FIRST * 2.0**exponent)
        now = time.monotonic()
        self._backoff_until = now + backoff * random.uniform(0.5, 1.0)  # noqa: S311  jitter is no secret
        if retry_after is not None:
            self._not_before = now + retry_after
