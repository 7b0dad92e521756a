"""Logins of Django and Flask-Login, through their own test clients."""

from __future__ import annotations

import asyncio
import importlib
import sys
import uuid
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import flask
import flask_login
import pytest
from flask_login.signals import user_logged_in

from zentra_otel_posthog import ZentraInstrumentor
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.testing import captured_events


@pytest.fixture
def presets() -> Iterator[ZentraInstrumentor]:
    """Connect both presets, and disconnect them at the end."""
    instrumentor = ZentraInstrumentor()
    instrumentor.instrument(presets=["django-auth", "flask-login"])
    yield instrumentor
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


@pytest.fixture
def captures(presets: ZentraInstrumentor) -> Iterator[list[Capture]]:
    """Collect what is captured with the presets connected."""
    with captured_events() as captured:
        yield captured


@pytest.fixture(scope="module")
def site() -> ModuleType:
    """Django, set up once a process, with one user."""
    site = importlib.import_module("django_site")
    site.make_users()
    return site


class TestDjango:
    def test_a_login(self, site: ModuleType, captures: list[Capture]) -> None:
        """The form's login is recorded with the user's primary key; the wrong password is not, and no name leaves."""
        assert site.log_in("wrong horse") == 200
        assert captures == []
        assert site.log_in("correct horse") == 302
        (capture,) = captures
        assert (capture.event, capture.distinct_id) == ("session.authenticated", "4711")
        assert capture.properties["method"] == "password"
        assert "ngozi" not in repr(capture)

    def test_another_backend(self, site: ModuleType, captures: list[Capture]) -> None:
        """The method is the backend's name."""
        user = site.User.objects.get()
        site.Client().force_login(user, backend="django_site.StaffLDAPBackend")
        assert [capture.properties["method"] for capture in captures] == ["staff_ldap"]

    def test_an_asynchronous_login(self, site: ModuleType, captures: list[Capture]) -> None:
        """``alogin`` is recorded like ``login``."""
        user = site.User.objects.get()
        asyncio.run(site.AsyncClient().aforce_login(user, backend="django.contrib.auth.backends.ModelBackend"))
        assert [(capture.distinct_id, capture.properties["method"]) for capture in captures] == [("4711", "password")]

    def test_disconnected(self, site: ModuleType, presets: ZentraInstrumentor) -> None:
        """Taken back, Django's signal has the receivers that it had."""
        connected = len(site.user_logged_in.receivers)
        presets.uninstrument()
        assert len(site.user_logged_in.receivers) == connected - 1
        with captured_events() as captured:
            site.log_in("correct horse")
        assert captured == []


class User(flask_login.UserMixin):  # type: ignore[misc]  # it carries no types
    """A user whose ``get_id`` is a token by which sessions are ended, as Flask-Login recommends."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)

    def get_id(self) -> str:
        return "a-session-token"


def flask_app(user: User) -> flask.Flask:
    app = flask.Flask(__name__)
    app.secret_key = "invented"
    flask_login.LoginManager(app).user_loader(lambda _: user)

    @app.post("/login")
    def login() -> str:
        flask_login.login_user(user)
        return ""

    @app.get("/")
    def home() -> str:
        return str(flask_login.current_user.is_authenticated)

    return app


class TestFlaskLogin:
    @pytest.mark.parametrize("id_", [4711, "usr_1", uuid.UUID(int=1 << 100 | 7)])
    def test_a_login(self, captures: list[Capture], id_: object) -> None:
        """A login is recorded with the user's ``id``; a session that goes on is not a login."""
        client = flask_app(User(id=id_)).test_client()
        assert client.post("/login").status_code == 200
        assert client.get("/").text == "True"
        assert [(capture.event, capture.distinct_id) for capture in captures] == [("session.authenticated", str(id_))]
        assert "method" not in captures[0].properties

    def test_a_user_without_id(self, captures: list[Capture]) -> None:
        """The session's token is not the person: the login is recorded without one."""
        flask_app(User(name="Ngozi")).test_client().post("/login")
        (capture,) = captures
        assert "a-session-token" not in repr(capture)
        assert capture.properties["$process_person_profile"] is False

    def test_disconnected(self, presets: ZentraInstrumentor) -> None:
        """Taken back, nothing listens."""
        assert len(user_logged_in.receivers) == 1
        presets.uninstrument()
        assert len(user_logged_in.receivers) == 0


@pytest.mark.usefixtures("site")
def test_states(presets: ZentraInstrumentor) -> None:
    """A preset whose library is there is connected."""
    assert [(one.name, one.event, one.state) for one in presets.states()] == [
        ("django-auth", "session.authenticated", "connected"),
        ("flask-login", "session.authenticated", "connected"),
    ]


def test_a_library_that_is_not_there() -> None:
    """A preset waits for its library and imports nothing by itself."""
    before = sys.modules.pop("flask_login.signals")
    try:
        ZentraInstrumentor().instrument(presets=["flask-login"])
        assert [one.state for one in ZentraInstrumentor().states()] == ["pending import"]
        assert "flask_login.signals" not in sys.modules
    finally:
        ZentraInstrumentor().uninstrument()
        sys.modules["flask_login.signals"] = before
