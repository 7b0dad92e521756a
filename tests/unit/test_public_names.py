"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import zentra_otel_posthog
from zentra_otel_posthog import sanitize, testing

PUBLIC = {
    "payment", "transfer", "card", "auth", "kyc", "signup", "track",
    "capture", "identify",
    "Event", "PaymentPending", "PaymentCompleted", "PaymentFailed", "TransferCompleted", "CardIssued", "KycVerified",
    "UserSignedUp", "SessionAuthenticated",
    "configure", "flush", "shutdown", "Settings",
    "PostHogSpanProcessor", "PostHogLogRecordProcessor", "ZentraInstrumentor",
    "__version__",
}  # fmt: skip


def test_the_public_names() -> None:
    """A name that is added or removed is a decision, not an accident."""
    assert set(zentra_otel_posthog.__all__) == PUBLIC
    assert sorted(zentra_otel_posthog.__all__) == list(zentra_otel_posthog.__all__)
    assert all(hasattr(zentra_otel_posthog, name) for name in PUBLIC)


def test_public_objects_are_documented() -> None:
    """Each public name explains itself, and its methods do."""
    for name in PUBLIC - {"__version__"}:
        thing = getattr(zentra_otel_posthog, name)
        assert thing.__doc__, name
        for attribute, member in vars(thing).items() if isinstance(thing, type) else ():
            assert attribute.startswith("_") or not callable(member) or member.__doc__, f"{name}.{attribute}"


def test_names_of_the_modules() -> None:
    """The documented names outside the package's own module."""
    assert callable(sanitize.clean_value)
    assert callable(testing.captured_events)
    assert testing.MemorySink().flush(0)


HEAVY = (
    "posthog",
    "requests",
    "urllib3",
    "fastapi",
    "starlette",
    "flask",
    "django",
    "aiohttp",
    "httpx",
    "rich",
    "uvicorn",
    "opentelemetry.exporter",
)


@pytest.mark.parametrize(
    "program",
    [
        "import zentra_otel_posthog",
        "from zentra_otel_posthog import *",
        "from zentra_otel_posthog import payment; payment(lambda amount_minor: None)(5)",
        "import zentra_otel_posthog.testing",
    ],
)
def test_importing_stays_light(program: str) -> None:
    """Neither the import nor the first event loads PostHog's client, an HTTP client or a web framework."""
    code = f"{program}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = done.stdout.split()
    assert "zentra_otel_posthog" in loaded
    assert [name for name in loaded if name.startswith(HEAVY)] == []


def test_what_is_not_used_is_not_loaded() -> None:
    """The import alone loads neither what decorates a function, nor what reads a file, nor what delivers."""
    code = "import zentra_otel_posthog, sys\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    used_later = {"wrapt", "asyncio", "tomllib", "zentra_otel_posthog.delivery.project"}
    assert not used_later.intersection(loaded)
