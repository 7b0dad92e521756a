"""What a process has once: settings, sink and identifier gate, wired together."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Mapping
from typing import Final

from zentra_otel_posthog import _worker_exits, config, events, telemetry
from zentra_otel_posthog.config import Settings, SettingsError
from zentra_otel_posthog.delivery.capture import Capture
from zentra_otel_posthog.delivery.sink import NotKept, Sink
from zentra_otel_posthog.events import EventSchema
from zentra_otel_posthog.sanitize import policy
from zentra_otel_posthog.sanitize.identifiers import IdentifierGate

_logger = logging.getLogger("zentra_otel_posthog")

_EXIT_TIMEOUT: Final = 2.0  # seconds; what is not delivered by then stays in the spool for the next process
_DECLARED_IN_SETTINGS: Final = "the settings"


class Runtime:
    """The package's state in one process.

    Args:
        settings: Validated settings.
        sink: Where captures go; None: nowhere.
    """

    def __init__(self, settings: Settings, sink: Sink | None) -> None:
        self.settings = settings
        self.sink = sink
        self.gate = IdentifierGate(settings.pseudonym_key)

    def append(self, capture: Capture) -> None:
        """Hand a capture to the sink. What cannot be kept is counted by reason; nothing is raised."""
        if self.sink is None:
            return
        try:
            self.sink.append(capture)
        except NotKept as refusal:
            telemetry.lost(refusal.reason)
        except OSError:
            telemetry.lost("spool_write")
        except Exception as error:
            telemetry.lost("sink")
            telemetry.internal_error("sink", error)

    def flush(self, timeout: float) -> bool:
        """Deliver what was appended, within so many seconds. Return whether all of it was."""
        try:
            return self.sink is None or self.sink.flush(timeout)
        except Exception as error:
            telemetry.internal_error("flush", error)
            return False

    def shutdown(self, timeout: float) -> bool:
        """Flush and stop working in the background. Return as ``flush``."""
        try:
            return self.sink is None or self.sink.shutdown(timeout)
        except Exception as error:
            telemetry.internal_error("shutdown", error)
            return False


_lock = threading.RLock()
_configuring = threading.RLock()  # over imports: a child would wait for ever for one that its parent had begun
_runtime: Runtime | None = None
_replaceable = True  # nothing is configured, or nobody asked for what is, or it is shut down
_hooks_installed = False
_forking: Sink | None = None  # the sink that a fork under way found


def current() -> Runtime:
    """Return the process's runtime; where ``configure`` was never called, the environment and the file decide.

    A wrong setting found this way is logged once and switches analytics off: a request is no place to crash.
    """
    if _runtime is not None:
        return _runtime
    with _lock:
        return _runtime or _configured_by_default()


def configured() -> Runtime | None:
    """Return the process's runtime, None where nothing has set the package up so far."""
    return _runtime


def configure(*, client: object = None, sink: object = None, **settings: object) -> None:
    """Set the package up, once a process.

    Without it the first event does so from the environment and the file; calling it at start-up finds a wrong setting
    before the first request, and attaches the span processor before the first span.

    Args:
        client: An application's own ``posthog.Posthog`` that sends, with its queue, its transport and its
            ``before_send``, instead of the spool.
        sink: Where captures go instead: any object with the methods of ``delivery.Sink``, or what the setting of this
            name may say.
        settings: The fields of ``Settings``, and ``config``, the path of a TOML file. Arguments win over the
            environment, the environment over the file.

    Raises:
        SettingsError: A setting is unknown, its value is wrong, or two exclude each other.
        RuntimeError: ``configure`` was called before, without a ``shutdown`` since.
    """
    global _replaceable  # noqa: PLW0603  one runtime a process
    with _lock:
        if not _replaceable:
            raise RuntimeError("configure() was called before: call it once at start-up, or shutdown() first")
        if isinstance(sink, str):
            settings["sink"], sink = sink, None
        _configure(settings, client, sink)
        _replaceable = False


def flush(timeout: float = 10.0) -> bool:
    """Deliver everything captured so far, and what processes that are gone have left in the same spool.

    Args:
        timeout: Seconds to wait at most.

    Returns:
        True where PostHog has accepted all of it. Otherwise the rest stays in the spool and is sent later.
    """
    return current().flush(timeout)


def shutdown(timeout: float = 10.0) -> bool:
    """Flush and stop working in the background. What is captured afterwards is spooled for the next process.

    Args:
        timeout: Seconds to wait at most.

    Returns:
        As ``flush``.
    """
    global _replaceable  # noqa: PLW0603  one runtime a process
    with _lock:
        _replaceable = True
        return _runtime is None or _runtime.shutdown(timeout)


def replace(runtime: Runtime | None) -> Runtime | None:
    """Make a runtime the process's own. Return the one before."""
    # The provider's processors convert with what is set up here, so their module imports this one.
    from zentra_otel_posthog import _provider  # noqa: PLC0415

    global _runtime
    with _lock:
        before, _runtime = _runtime, runtime
        settings = Settings() if runtime is None else runtime.settings
        policy.use(settings.sanitize, settings.pseudonym_key)
        _provider.attach()
        return before


def schema(name: str) -> EventSchema:
    """Return an event's schema, looking into the settings' file where nothing imported so far declares it.

    Raises:
        UnknownEvent: Nothing declares it.
        SettingsError: The file is wrong.
    """
    if (known := events.schema_of(name)) is None and _runtime is None:
        declare_events(config.load())
        known = events.schema_of(name)
    return known or events.require(name)


def _configured_by_default() -> Runtime:
    try:
        return _configure({})
    except SettingsError as error:
        _logger.error("analytics is off: %s", error)  # noqa: TRY400  the message says it all
        off = Runtime(Settings(disabled=True), None)
        replace(off)
        return off


def _configure(arguments: Mapping[str, object], client: object = None, sink: object = None) -> Runtime:
    with _configuring:
        # Only now: a process that captures nothing need not pay for it, a quarter of the package's import.
        from zentra_otel_posthog.delivery import sinks  # noqa: PLC0415

        own_sink = sinks.own(client, sink, arguments)
        settings = config.load(arguments)
        declare_events(settings)
        _check_rules(settings)
        _install_hooks()
        runtime = Runtime(settings, None if settings.disabled else own_sink or sinks.by_settings(settings))
    # In this order, so that there is a sink at every moment.
    if (before := replace(runtime)) is not None:
        before.shutdown(0)
    return runtime


def declare_events(settings: Settings) -> None:
    """Add the events that the settings declare, in place of those of settings before.

    Raises:
        SettingsError: A declaration is wrong.
    """
    events.forget(_DECLARED_IN_SETTINGS)
    declared: set[str] = set()
    for declaration in settings.event:
        try:
            name = events.declare_from_mapping(declaration, origin=_DECLARED_IN_SETTINGS).name
        except ValueError as error:
            raise SettingsError(str(error)) from None
        if name in declared:
            raise SettingsError(f"event {name!r} is declared twice in {_DECLARED_IN_SETTINGS}: merge the two")
        declared.add(name)


def _check_rules(settings: Settings) -> None:
    for rule in settings.instrument:
        try:
            rule.check()
        except ValueError as error:
            raise SettingsError(str(error)) from None


def _install_hooks() -> None:
    global _hooks_installed  # noqa: PLW0603  once a process
    if _hooks_installed:
        return
    _hooks_installed = True
    telemetry.register()
    _worker_exits.register(_at_exit)


def _at_exit() -> None:
    try:
        shutdown(_EXIT_TIMEOUT)
    except Exception as error:
        telemetry.internal_error("exit", error)


# Exit handlers run in reverse order: this early, those that the application registers can still capture.
atexit.register(_at_exit)


def _before_fork() -> None:
    global _forking  # noqa: PLW0603  another thread may replace the runtime before the fork is over
    _configuring.acquire()
    _forking = None if _runtime is None else _runtime.sink
    _at_fork("before_fork")


def _after_fork_in_parent() -> None:
    _at_fork("after_fork_in_parent")
    _configuring.release()


def _after_fork_in_child() -> None:
    global _lock, _configuring
    _lock, _configuring = threading.RLock(), threading.RLock()
    if _hooks_installed:
        _worker_exits.register(_at_exit)
    _at_fork("after_fork_in_child")


def _at_fork(step: str) -> None:
    # A custom sink need not know of forks.
    if (handler := getattr(_forking, step, None)) is not None:
        handler()


# Not with the other hooks: a fork may come while those are being installed.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
