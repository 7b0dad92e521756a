"""An application's own PostHog client as the sink: its queue, its transport, its ``before_send``."""

from __future__ import annotations

import inspect
import threading
from typing import Any, Protocol

from zentra_otel_posthog.delivery.capture import Capture
from zentra_otel_posthog.delivery.sink import NotKept


class ClientRefused(NotKept):
    """The client took no capture: it is disabled, shut down or full, it failed, or its ``before_send`` dropped it."""

    reason = "client"


class Client(Protocol):
    """What is used of ``posthog.Posthog``; the module ``posthog`` has it too."""

    def capture(self, event: str, **arguments: Any) -> str | None:
        """Queue an event. Return its uuid, None where it was not taken."""

    def flush(self) -> None:
        """Send what is queued. Newer versions take ``timeout_seconds``; older ones wait for as long as it takes."""


def is_client(candidate: object) -> bool:
    """Return whether an object can be a ``ClientSink``'s client. ``posthog.AsyncPosthog`` cannot."""
    capture, flush = (getattr(candidate, name, None) for name in ("capture", "flush"))
    return callable(capture) and callable(flush) and not inspect.iscoroutinefunction(flush)


class ClientSink:
    """Hands captures to an application's own client.

    From there on its guarantees hold: what waits is in memory, and lost when the process dies.

    Args:
        client: A ``posthog.Posthog``. It stays the application's: nobody here shuts it down.
    """

    def __init__(self, client: Client) -> None:
        # It costs more than all of this package, and whoever has a client has it already.
        from posthog import contexts  # noqa: PLC0415

        self._new_context = contexts.new_context
        self._client = client
        self._flushing: threading.Thread | None = None

    def append(self, capture: Capture) -> None:
        """Queue a capture.

        Raises:
            ClientRefused: The client did not take it.
        """
        properties = dict(capture.properties)
        groups = properties.pop("$groups", None)
        # Of the application's context the client would add tags, which PostHog's Django middleware makes of the user's
        # e-mail address among others, and nothing of them has passed the sanitizer.
        with self._new_context(fresh=True, capture_exceptions=False):
            uuid = self._client.capture(
                capture.event,
                distinct_id=capture.distinct_id,
                properties=properties,
                timestamp=capture.timestamp,
                uuid=capture.uuid,
                groups=groups,
            )
        if uuid is None:
            raise ClientRefused

    def flush(self, timeout: float) -> bool:
        """Have the client send what it has.

        Whatever it does, it does to a thread, since its flush may take longer than it is told to.

        Args:
            timeout: Seconds to wait.

        Returns:
            True where the client's queue was empty in time. It does not tell whether PostHog has accepted the events.
        """
        if self._flushing is None or not self._flushing.is_alive():
            thread = threading.Thread(
                target=self._flush, args=(timeout,), name="zentra-posthog-client-flush", daemon=True
            )
            main = threading.main_thread()
            try:
                if threading.current_thread() is main and not main.is_alive():
                    raise RuntimeError  # noqa: TRY301  as from Python 3.12 on
                thread.start()
            except RuntimeError:
                return self._flush_at_exit(timeout)
            self._flushing = thread
        self._flushing.join(min(max(timeout, 0.0), threading.TIMEOUT_MAX))
        return not self._flushing.is_alive() and self._is_empty()

    def shutdown(self, timeout: float) -> bool:
        """Flush. The client goes on, and the application shuts it down."""
        return self.flush(timeout)

    def _flush(self, timeout: float) -> None:
        if self._takes_timeout():
            self._client.flush(timeout_seconds=timeout)  # type: ignore[call-arg]  # as just found out
        else:
            self._client.flush()

    def _flush_at_exit(self, timeout: float) -> bool:
        """Flush where no thread can be started any more. A client without a deadline has an exit handler of its own."""
        if self._takes_timeout():
            self._flush(timeout)
        return self._is_empty()

    def _takes_timeout(self) -> bool:
        try:
            return "timeout_seconds" in inspect.signature(self._client.flush).parameters
        except ValueError:  # of an extension
            return False

    def _is_empty(self) -> bool:
        queue = getattr(self._client, "queue", None)
        return not getattr(queue, "unfinished_tasks", 0)
