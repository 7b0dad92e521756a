"""What the services share: one event, and how they say which port they took."""

from __future__ import annotations

import os
import socket

from zentra_otel_posthog import Event, track
from zentra_otel_posthog.kinds import Count, Slug

NEXT = os.environ.get("NEXT_SERVICE")
# PostHog's own middlewares beside ours; with a project key they also note the person on spans.
MIDDLEWARE = os.environ.get("POSTHOG_MIDDLEWARE") == "1"
if MIDDLEWARE:
    import posthog

    posthog.api_key = os.environ["POSTHOG_API_KEY"]
    posthog.host = os.environ["POSTHOG_HOST"]


class BasketPaid(Event, name="basket.paid"):
    number: Count
    service: Slug


@track(BasketPaid)
def pay(number: int, service: str) -> None: ...


def listening() -> socket.socket:
    """Return a listening socket, its port printed for whoever started this service."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)  # noqa: T201  a service's first words
    return listener
