"""Django, its settings and its one view; the last of the services."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from shop import MIDDLEWARE as POSTHOG_MIDDLEWARE
from shop import listening, pay
from werkzeug.serving import make_server

from zentra_otel_posthog import identify

SECRET_KEY = "invented"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "django_service"
MIDDLEWARE = ["posthog.integrations.django.PosthogContextMiddleware"] if POSTHOG_MIDDLEWARE else []


def pay_basket(request: HttpRequest, number: int) -> HttpResponse:
    with identify(request.GET.get("django")):
        pay(number, "django")
    return HttpResponse("paid")


urlpatterns = [path("pay/<int:number>", pay_basket)]

if __name__ == "__main__":
    from django.core.wsgi import get_wsgi_application

    listener = listening()
    make_server("127.0.0.1", 0, get_wsgi_application(), threaded=True, fd=listener.fileno()).serve_forever()
