"""Tenants' captures in projects of their own: each with its spool, sender and wire, so that none holds up another.

Routing goes by the tenant that a capture names, which has passed the sanitizer: a personal name is a pseudonym by then,
for the settings' names as for those that ``lookup`` is asked for.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from zentra_otel_posthog import telemetry
from zentra_otel_posthog._projects import Lookup, Project
from zentra_otel_posthog.config import Settings, SettingsError
from zentra_otel_posthog.delivery import segments
from zentra_otel_posthog.delivery.capture import GROUP_TYPE, Capture, ClaimedTenantCapture
from zentra_otel_posthog.delivery.project import SpoolSink, project_folders, spool_directories, tenant_of
from zentra_otel_posthog.delivery.sink import NotKept
from zentra_otel_posthog.events import nearest
from zentra_otel_posthog.sanitize.identifiers import IdentifierGate

_logger = logging.getLogger("zentra_otel_posthog")

# Hundreds of tenants are not to mean hundreds of threads and connections for ever.
_IDLE: Final = 30.0  # seconds without a capture, after which a tenant's thread and connection end
_LOOK_INTERVAL: Final = 60.0  # seconds between two looks for what other processes left
_ASK_AGAIN: Final = 60.0  # seconds, for a tenant for which ``lookup`` returned no project, or failed
_UNKNOWN_MAX: Final = 10_000  # such tenants at once; their names may come from outside

_CLAIMED: Final = object()  # in the place of a tenant, where the word of a request is not enough


class UnknownTenant(NotKept):
    """A capture's tenant has no project, and no other is to have the capture."""

    reason = "unknown_tenant"


class TenantSink:
    """Sends each tenant's captures to its project.

    Args:
        settings: With tenants. Where ``api_key`` is set, its project gets the captures that name no tenant, and those
            of unknown tenants unless they are to be refused.

    Raises:
        SettingsError: Captures could never name one of the tenants.
    """

    def __init__(self, settings: Settings) -> None:
        tenants = settings.tenants
        self._settings = settings
        self._lookup = tenants.lookup
        self._route_claimed = tenants.route_claimed
        self._projects = _by_group_key(settings)
        self._lock = threading.RLock()
        self._sinks: dict[tuple[str, str | None], SpoolSink] = {}
        self._folders: dict[Path, tuple[str, Project]] = {}
        for tenant, project in self._projects.items():
            self._remember_folders(tenant, project)
        self._ask_again: dict[str, float] = {}
        self._left_alone: set[Path] = set()
        self._stopping = False
        self._default = None if settings.api_key is None else SpoolSink(settings)
        if self._default is not None:
            self._sinks[settings.host, settings.api_key] = self._default
        self._unknown = self._default if tenants.unknown == "default" else None
        self._reset()
        self._start_watcher()

    def _reset(self) -> None:
        # By tenant, or what stands in its place; a thread's first look-up fills it.
        self._routes: dict[object, SpoolSink] = {}
        if self._default is not None:
            self._routes[None] = self._default
        self._asking = threading.local()
        self._changed = threading.Condition()
        self._watcher: threading.Thread | None = None
        self._requested, self._looked = 1, 0  # looks asked for, and taken

    def append(self, capture: Capture) -> None:
        """Write a capture to its tenant's spool.

        Raises:
            UnknownTenant: There is no project for it.
        """
        groups = capture.properties.get("$groups")
        tenant: object = None if groups is None else groups[GROUP_TYPE]
        if type(capture) is ClaimedTenantCapture and not self._route_claimed:
            tenant = _CLAIMED
        sink = self._routes.get(tenant)
        if sink is None:
            sink = self._route(tenant)
        sink.append(capture)

    def flush(self, timeout: float) -> bool:
        """Deliver what is spooled for all projects, at the same time, within so many seconds."""
        if timeout <= 0:
            with self._lock:
                sinks = list(self._sinks.values())
            empty = [sink.flush(timeout) for sink in sinks]  # each is told
            return all(empty)
        deadline = time.monotonic() + timeout
        delivered: dict[SpoolSink, Callable[[float], bool]] = {}
        with ExitStack() as flushing:
            self._begin(delivered, flushing)
            looked = self._look_now(deadline)
            self._begin(delivered, flushing)  # for what was found
            all_delivered = [wait(max(deadline - time.monotonic(), 0.0)) for wait in delivered.values()]
        return looked and all(all_delivered)

    def shutdown(self, timeout: float) -> bool:
        """Flush and stop all senders; what is left may be claimed by whoever comes next."""
        flushed = self.flush(timeout)
        with self._lock:
            self._stopping = True
            sinks = list(self._sinks.values())
        with self._changed:
            self._changed.notify_all()
        for sink in sinks:
            sink.stop()
        return flushed

    def before_fork(self) -> None:
        """Let no other thread be in the middle of something while the process forks."""
        self._lock.acquire()
        for sink in self._sinks.values():
            sink.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        for sink in self._sinks.values():
            sink.after_fork_in_parent()
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Start afresh in a forked child: a tenant's first capture in it starts what runs in the background."""
        self._lock = threading.RLock()
        self._reset()
        for sink in self._sinks.values():
            sink.after_fork_in_child()

    def _begin(self, delivered: dict[SpoolSink, Callable[[float], bool]], flushing: ExitStack) -> None:
        """Have every project's captures delivered, but start no thread where nothing waits."""
        with self._lock:
            sinks = list(self._sinks.values())
        for sink in sinks:
            if sink not in delivered and sink.waits():
                delivered[sink] = flushing.enter_context(sink.flushing())

    def _route(self, tenant: object) -> SpoolSink:
        self._start_watcher()
        project = self._project_of(tenant) if isinstance(tenant, str) else None
        if project is None:
            if self._unknown is None:
                raise UnknownTenant
            return self._unknown
        sink = self._routes[tenant] = self._sink_of(str(tenant), project)
        return sink

    def _sink_of(self, tenant: str, project: Project) -> SpoolSink:
        settings = _of_project(self._settings, project)
        with self._lock:
            # Tenants may share a project.
            sink = self._sinks.get((settings.host, settings.api_key))
            if sink is None:
                sink = SpoolSink(settings, tenant=tenant, idle_after=_IDLE)
                self._sinks[settings.host, settings.api_key] = sink
                self._remember_folders(tenant, project)
                if self._stopping:
                    sink.stop()
            return sink

    def _remember_folders(self, tenant: str, project: Project) -> None:
        for folder in project_folders(_of_project(self._settings, project)):
            self._folders[folder] = tenant, project

    def _project_of(self, tenant: str) -> Project | None:
        if (project := self._projects.get(tenant)) is not None:
            return project
        # What ``lookup`` itself captures on its way is not asked for again.
        if self._lookup is None or getattr(self._asking, "now", False):
            return None
        if self._ask_again.get(tenant, 0.0) > time.monotonic():
            return None
        self._asking.now = True
        try:
            project = _asked(self._lookup, tenant)
        finally:
            self._asking.now = False
        if project is None:
            if len(self._ask_again) >= _UNKNOWN_MAX:
                self._ask_again.clear()
            self._ask_again[tenant] = time.monotonic() + _ASK_AGAIN
        return project

    def _start_watcher(self) -> None:
        """Start the thread that looks for what dead processes left, where it does not run."""
        with self._changed:
            if self._watcher is not None or self._stopping:
                return
            self._watcher = watcher = threading.Thread(target=self._watch, name="zentra-posthog-tenants", daemon=True)
        try:
            watcher.start()
        except RuntimeError:  # at interpreter exit
            with self._changed:
                self._watcher = None

    def _watch(self) -> None:
        while True:
            request = self._requested
            try:
                # Between flushes only what lies there for long: other processes send their own.
                self._look(opened_before=time.time() - (_LOOK_INTERVAL if request == self._looked else 0.0))
            except Exception as error:
                telemetry.internal_error("tenants", error)
            with self._changed:
                self._looked = request
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stopping or self._requested > self._looked, _LOOK_INTERVAL)
                if self._stopping and self._requested == self._looked:
                    self._watcher = None
                    return

    def _look_now(self, deadline: float) -> bool:
        """Have the thread look, and wait for it. Return False where it did not in time, as ``lookup`` may block."""
        self._start_watcher()
        with self._changed:
            if self._watcher is None:
                return True
            self._requested += 1
            request = self._requested
            self._changed.notify_all()
            timeout = min(deadline - time.monotonic(), threading.TIMEOUT_MAX)
            return self._changed.wait_for(lambda: self._looked >= request, timeout)

    def _look(self, opened_before: float) -> None:
        unknown = []
        for folder in _folders_in_which_captures_wait(self._settings, opened_before):
            if (found := self._folders.get(folder)) is not None:
                self._sink_of(*found).start()
            else:
                unknown.append(folder)
        if self._lookup is not None:
            for folder in unknown:
                self._adopt(folder)

    def _adopt(self, folder: Path) -> None:
        tenant = tenant_of(folder)
        if tenant is None or (project := self._project_of(tenant)) is None:
            return
        if folder in project_folders(_of_project(self._settings, project)):
            self._sink_of(tenant, project).start()
        elif folder not in self._left_alone:
            self._left_alone.add(folder)
            _logger.warning(
                "captures of tenant %r in %s were meant for a project that is no longer the tenant's: they stay there",
                tenant,
                folder,
            )


def settings_of_tenant(settings: Settings, tenant: str) -> Settings:
    """Return the settings with which a tenant's captures are delivered: with its own project's key and host.

    Args:
        settings: With tenants.
        tenant: One of ``[tenants.projects]``, by its name there or as captures have it.

    Raises:
        SettingsError: The settings name no such tenant; the message names the nearest.
    """
    projects = settings.tenants.projects
    if (project := projects.get(tenant) or _by_group_key(settings).get(tenant)) is None:
        raise SettingsError(f"no tenant {tenant!r} in [tenants.projects]; {nearest(tenant, projects)}")
    return _of_project(settings, project)


def _of_project(settings: Settings, project: Project) -> Settings:
    return msgspec.structs.replace(settings, api_key=project.api_key, host=project.host or settings.host)


def _asked(lookup: Lookup, tenant: str) -> Project | None:
    try:
        answer = lookup(tenant)
    except Exception as error:
        telemetry.internal_error("tenant look-up", error)
        return None
    try:
        return None if answer is None else Project.read(answer, os.environ)
    except ValueError as error:
        _logger.error("tenants: the project that lookup returned for %r is wrong: %s", tenant, error)  # noqa: TRY400  the message says it all
        return None


def _by_group_key(settings: Settings) -> dict[str, Project]:
    """Return the settings' projects by the names that captures have for the tenants."""
    gate = IdentifierGate(settings.pseudonym_key)
    projects: dict[str, Project] = {}
    for position, (tenant, project) in enumerate(settings.tenants.projects.items(), start=1):
        group, rule = (tenant, None) if tenant in settings.sanitize.allowed_values else gate.group_key_of(tenant)
        if group is None:
            raise SettingsError(
                f"tenants.projects: the name at place {position} is refused as {rule}, so no capture could ever name "
                "it: choose another, or have it as a pseudonym by ZENTRA_POSTHOG_PSEUDONYM_KEY"
            )
        projects[group] = project
    return projects


def _folders_in_which_captures_wait(settings: Settings, opened_before: float) -> Iterator[Path]:
    for directory in spool_directories(settings):
        try:
            with os.scandir(directory) as entries:
                folders = [
                    Path(entry.path)
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False) and entry.stat().st_uid == os.geteuid()
                ]
        except OSError:  # there is none, or it cannot be read now
            continue
        for folder in folders:
            try:
                sizes = segments.listing(folder).sizes
            except OSError:
                continue
            if any(size and segments.moment_of(name) < opened_before for name, size in sizes.items()):
                yield folder
