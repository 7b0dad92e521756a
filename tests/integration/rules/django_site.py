"""A Django site with users, sessions and a login form, in memory. Importing it sets Django up."""

from __future__ import annotations

import django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    SECRET_KEY="invented",
    ALLOWED_HOSTS=["testserver"],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:django_site?mode=memory&cache=shared"}
    },
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    AUTHENTICATION_BACKENDS=[
        "django.contrib.auth.backends.ModelBackend",
        "django_site.StaffLDAPBackend",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [("django.template.loaders.locmem.Loader", {"registration/login.html": "{{ form }}"})]
            },
        }
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF=__name__,
    LOGIN_REDIRECT_URL="/",
)
django.setup()

from django.contrib.auth.backends import ModelBackend  # noqa: E402  after the set-up
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.signals import user_logged_in  # noqa: E402, F401  for the tests
from django.contrib.auth.views import LoginView  # noqa: E402
from django.test import AsyncClient, Client  # noqa: E402, F401  AsyncClient for the tests
from django.urls import path  # noqa: E402

urlpatterns = [path("login", LoginView.as_view())]


class StaffLDAPBackend(ModelBackend):  # type: ignore[misc]  # it carries no types
    """Stands for one of another method."""


def make_users() -> None:
    """Make the tables and one user."""
    call_command("migrate", verbosity=0)
    User.objects.create_user("ngozi", "ngozi@bank.example", "correct horse", pk=4711)


def log_in(password: str) -> int:
    """Log in over HTTP. Return the answer's status."""
    return int(Client().post("/login", {"username": "ngozi", "password": password}).status_code)
