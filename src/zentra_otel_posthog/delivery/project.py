"""Delivery to one project: its folder, its spool, its wire and its sender, as one sink."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import stat
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

from zentra_otel_posthog import telemetry
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.delivery.account import Account
from zentra_otel_posthog.delivery.capture import Capture, encode_line
from zentra_otel_posthog.delivery.dead_letters import DeadLetterFile, DeadLetters, NoDeadLetters
from zentra_otel_posthog.delivery.memory import MemorySpool
from zentra_otel_posthog.delivery.segments import DIRECTORY_MODE
from zentra_otel_posthog.delivery.sender import Sender
from zentra_otel_posthog.delivery.spool import FileSpool, Spool
from zentra_otel_posthog.delivery.wire import Wire
from zentra_otel_posthog.delivery.wire_v0 import WireV0
from zentra_otel_posthog.delivery.wire_v1 import WireV1

TENANT_FILE: Final = "tenant"
"""Beside a tenant's segments: its name, as the captures have it."""

_logger = logging.getLogger("zentra_otel_posthog")

_PROJECT_FOLDER: Final = re.compile(r"[0-9a-f]{16}")


class SpoolSink:
    """Spools captures of one project and delivers them in the background.

    Args:
        settings: With a project key.
        tenant: Whose project it is, as its captures name it; None for that of the setting ``api_key``. A tenant's
            sender starts with the first capture.
        idle_after: As for ``Sender``.
    """

    def __init__(self, settings: Settings, *, tenant: str | None = None, idle_after: float | None = None) -> None:
        self._flush_at = settings.flush_at
        self._spool, dead_letters = _spool(settings)
        self._wire = project_wire(settings)
        self._sender = Sender(
            self._spool,
            self._wire,
            dead_letters,
            flush_at=settings.flush_at,
            flush_interval=settings.flush_interval,
            max_retries=settings.max_retries,
            # It counts for the whole process, so one project's folder has it.
            save_account=_account(self._spool) if tenant is None else lambda: None,
            tenant=tenant,
            idle_after=idle_after,
        )
        if tenant is None:
            self._sender.start()
        elif isinstance(self._spool, FileSpool):
            _note(tenant, self._spool.directory)
        telemetry.measure(self._spool)

    def append(self, capture: Capture) -> None:
        """Write a capture to the spool: it survives from here."""
        waiting = self._spool.append(encode_line(capture))
        # The first of a segment finds out whether the sender runs at all: after a fork it does not.
        if waiting in (1, self._flush_at):
            self._sender.appended(waiting)

    def flush(self, timeout: float) -> bool:
        """Deliver what is spooled, within so many seconds."""
        return self._sender.flush(timeout)

    def shutdown(self, timeout: float) -> bool:
        """Flush and stop the sender; what is left may be claimed by whoever comes next."""
        flushed = self._sender.shutdown(timeout)
        self._close()
        return flushed

    def start(self) -> None:
        """Deliver what waits, whoever spooled it."""
        self._sender.start()

    def waits(self) -> bool:
        """Return whether anything waits, or may."""
        try:
            return self._spool.usage().oldest is not None
        except OSError:
            return True

    def flushing(self) -> AbstractContextManager[Callable[[float], bool]]:
        """Have what is spooled delivered; see ``Sender.flushing``."""
        return self._sender.flushing()

    def stop(self) -> None:
        """Stop the sender without a flush."""
        self._sender.stop()
        self._close()

    def _close(self) -> None:
        self._spool.close()
        telemetry.measure_no_longer(self._spool)

    def before_fork(self) -> None:
        """Let no other thread be in the middle of something while the process forks."""
        self._wire.before_fork()
        self._spool.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._spool.after_fork_in_parent()
        self._wire.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Start afresh in a forked child."""
        self._spool.after_fork_in_child()
        self._wire.after_fork_in_child()
        self._sender.after_fork_in_child()


def project_wire(settings: Settings) -> Wire:
    """Return the wire to the settings' project. They need a project key."""
    assert settings.api_key is not None
    version = WireV1 if settings.capture_mode == "v1" else WireV0
    return version(settings.api_key, settings.host, settings.compression)


def _spool(settings: Settings) -> tuple[Spool, DeadLetters]:
    failures: list[str] = []
    for folder in project_folders(settings):
        try:
            return open_spool(settings, folder), DeadLetterFile(folder)
        except OSError as error:
            failures.append(f"{folder.parent} ({error.strerror})")
    telemetry.add(telemetry.SPOOL_IN_MEMORY)
    _logger.warning(
        "no spool folder can be used, tried %s: captures wait in memory and a crash loses them. "
        "Set ZENTRA_POSTHOG_SPOOL_DIR to a writable folder",
        ", ".join(failures),
    )
    return MemorySpool(settings.spool_max_bytes), NoDeadLetters()


def open_spool(settings: Settings, folder: Path) -> FileSpool:
    """Open the spool in a project's folder.

    Args:
        settings: Its bound, and whether the folder was chosen by anybody.
        folder: One of ``project_folders``; made if need be.

    Raises:
        OSError: The folder cannot be used.
    """
    if settings.spool_dir is None and folder.is_relative_to(tempfile.gettempdir()):
        _take_possession(folder.parent)
    return FileSpool(folder, settings.spool_max_bytes)


def _account(spool: Spool) -> Callable[[], None]:
    if isinstance(spool, FileSpool):
        return Account(spool.directory).save
    return lambda: None


def project_folders(settings: Settings) -> list[Path]:
    """Return where the captures of the settings' project may wait; the first that can be written is used.

    One folder a project: events must never reach the project of another application that shares the machine. The
    digest cannot be turned back into the key, which is never on disk.
    """
    project = hashlib.sha256(f"{settings.host} {settings.api_key}".encode()).hexdigest()[:16]
    return [parent / project for parent in spool_directories(settings)]


def all_project_folders(settings: Settings) -> list[Path]:
    """Return the folders that exist of any project, where those of the settings' project may be."""
    return sorted(
        folder
        for parent in spool_directories(settings)
        if parent.is_dir()
        for folder in parent.iterdir()
        if _PROJECT_FOLDER.fullmatch(folder.name) and folder.is_dir()
    )


def spool_directories(settings: Settings) -> list[Path]:
    """Return the folders in which projects' folders may lie."""
    if settings.spool_dir is not None:
        return [Path(settings.spool_dir)]
    state = os.environ.get("XDG_STATE_HOME")
    # A container's home is often read-only; its temporary folder still survives the process.
    return [
        (Path(state) if state else _home() / ".local" / "state") / "zentra-otel-posthog",
        Path(tempfile.gettempdir()) / f"zentra-otel-posthog-{os.geteuid()}",
    ]


def _note(tenant: str, folder: Path) -> None:
    """Write down whose captures a folder holds, for a process that has to ask for the tenant's project."""
    with suppress(OSError):  # then they wait for the tenant's next capture
        (folder / TENANT_FILE).write_text(tenant, encoding="utf-8")


def tenant_of(folder: Path) -> str | None:
    """Return whose captures a project's folder holds, None where it is not written there."""
    try:
        return (folder / TENANT_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _take_possession(folder: Path) -> None:
    """Make a folder where everybody may make some, or refuse one that somebody else may have put there.

    Raises:
        OSError: It is not this user's alone.
    """
    folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, "is not this user's alone", str(folder))


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a container's user without an entry in the password file
        return Path("/")
