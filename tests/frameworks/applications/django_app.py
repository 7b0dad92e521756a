"""A minimal Django project: settings, one URL and a view, under WSGI and ASGI."""

from __future__ import annotations

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from work import respond

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["bank"], SECRET_KEY="invented", USE_TZ=True)
django.setup()


def pay(_: HttpRequest, identifier: str) -> HttpResponse:
    return HttpResponse(respond(identifier))


urlpatterns = [path("<str:identifier>", pay)]
wsgi = get_wsgi_application()
asgi = get_asgi_application()
