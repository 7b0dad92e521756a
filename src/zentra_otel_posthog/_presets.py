"""Logins of well-known libraries as ``session.authenticated``, by the signals that they offer for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, NamedTuple

from zentra_otel_posthog import telemetry
from zentra_otel_posthog._targets import Instrumented, State
from zentra_otel_posthog.emit import capture
from zentra_otel_posthog.events import SessionAuthenticated
from zentra_otel_posthog.kinds import Refused, slug_of_class_name

_EVENT: Final = SessionAuthenticated.event_schema.name
_UID: Final = "zentra-otel-posthog"
# Django's own backends that say something else than their class name.
_DJANGO_METHODS: Final = {"ModelBackend": "password", "AllowAllUsersModelBackend": "password"}


def _django_logged_in(sender: object, *, request: Any = None, user: Any = None, **_: object) -> None:  # noqa: ARG001  the signal's contract
    try:
        backend = getattr(user, "backend", None) or request.session.get("_auth_user_backend")
        capture(_EVENT, distinct_id=user.pk, properties={"method": _django_method(backend)})
    except Exception as error:
        telemetry.internal_error("django-auth", error)


def _django_method(backend: object) -> str | None:
    if not isinstance(backend, str):
        return None
    name = backend.rpartition(".")[2]
    try:
        return _DJANGO_METHODS.get(name) or slug_of_class_name(name.removesuffix("Backend"))
    except Refused:
        return None


def _flask_logged_in(sender: object, *, user: Any = None, **_: object) -> None:  # noqa: ARG001  likewise
    try:
        # Not get_id(): it may be a session token, by which sessions are ended. How somebody logged in is not known.
        capture(_EVENT, distinct_id=getattr(user, "id", None))
    except Exception as error:
        telemetry.internal_error("flask-login", error)


class _Signal(NamedTuple):
    module: str
    connect: Callable[[Any], object]
    disconnect: Callable[[Any], object]


# Both libraries call it ``user_logged_in`` and mean a login, not a session that is taken up again.
_SIGNALS: Final[Mapping[str, _Signal]] = {
    "django-auth": _Signal(
        "django.contrib.auth.signals",
        lambda signal: signal.connect(_django_logged_in, weak=False, dispatch_uid=_UID),
        lambda signal: signal.disconnect(dispatch_uid=_UID),
    ),
    "flask-login": _Signal(
        "flask_login.signals",
        lambda signal: signal.connect(_flask_logged_in, weak=False),
        lambda signal: signal.disconnect(_flask_logged_in),
    ),
}


class Preset:
    """A preset, connected when its library is imported.

    Args:
        name: One of ``config.PRESETS``.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._signal = _SIGNALS[name]
        self.module = self._signal.module
        self._connected: list[Any] = []
        self._state: State = "pending import"

    def state(self) -> Instrumented:
        """Return what became of the preset."""
        return Instrumented(self._name, _EVENT, self._state)

    def look_ahead(self) -> None:
        """Do nothing: a preset for a library that is not installed does no harm."""

    def attach(self, module: ModuleType) -> None:
        """Connect to the library's signal. Nothing is raised: this runs in the user's import."""
        try:
            self._signal.connect(module.user_logged_in)
            self._connected.append(module.user_logged_in)
            self._state = "connected"
        except Exception as error:
            self._state = "not wrapped"
            telemetry.internal_error(self._name, error)

    def detach(self) -> None:
        """Disconnect."""
        for signal in self._connected:
            try:
                self._signal.disconnect(signal)
            except Exception as error:
                telemetry.internal_error(self._name, error)
        self._connected.clear()
