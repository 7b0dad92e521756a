"""What every application here does for a request or task."""

from __future__ import annotations

import os
from typing import Final

from zentra_otel_posthog import capture, configure, payment

_log: Final = os.open(os.environ["SIDE_LOG"], os.O_WRONLY | os.O_APPEND)

if "CONFIGURE" in os.environ:
    configure()


@payment
def charge(customer_id: str, amount_minor: int, currency: str, method: str) -> str:
    return f"rcpt_{customer_id}"


def work(identifier: str) -> None:
    """Charge, check out, and only then note the identifier in the side log, in one piece."""
    charge(identifier, amount_minor=125_000, currency="NGN", method="card")
    capture("checkout.completed", distinct_id=identifier)
    os.write(_log, f"{identifier}\n".encode())


def respond(identifier: str) -> str:
    """Answer a request with the worker's process id."""
    if identifier != "ready":
        work(identifier)
    return str(os.getpid())


if "CAPTURE_AT_IMPORT" in os.environ:
    work(f"usr_import{os.getpid()}")
