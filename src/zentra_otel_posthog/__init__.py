"""Annotate once, emit twice: OpenTelemetry spans and sanitized PostHog captures from one decorator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.decorators import auth, card, kyc, payment, signup, track, transfer
from zentra_otel_posthog.emit import capture
from zentra_otel_posthog.events import (
    CardIssued,
    Event,
    KycVerified,
    PaymentCompleted,
    PaymentFailed,
    PaymentPending,
    SessionAuthenticated,
    TransferCompleted,
    UserSignedUp,
)
from zentra_otel_posthog.identity import identify
from zentra_otel_posthog.processors import PostHogSpanProcessor
from zentra_otel_posthog.runtime import configure, flush, shutdown

if TYPE_CHECKING:
    from zentra_otel_posthog.instrumentor import ZentraInstrumentor
    from zentra_otel_posthog.log_processor import PostHogLogRecordProcessor

__all__ = [
    "CardIssued",
    "Event",
    "KycVerified",
    "PaymentCompleted",
    "PaymentFailed",
    "PaymentPending",
    "PostHogLogRecordProcessor",
    "PostHogSpanProcessor",
    "SessionAuthenticated",
    "Settings",
    "TransferCompleted",
    "UserSignedUp",
    "ZentraInstrumentor",
    "__version__",
    "auth",
    "capture",
    "card",
    "configure",
    "flush",
    "identify",
    "kyc",
    "payment",
    "shutdown",
    "signup",
    "track",
    "transfer",
]


def __getattr__(name: str) -> type[ZentraInstrumentor | PostHogLogRecordProcessor]:
    # opentelemetry.instrumentation loads the propagators as it is imported, and with OTEL_PROPAGATORS=posthog that
    # imports this package: nothing imported above may need it.
    if name == "ZentraInstrumentor":
        from zentra_otel_posthog.instrumentor import ZentraInstrumentor  # noqa: PLC0415

        return ZentraInstrumentor
    # With this one come the SDK's logs, 13 ms that most applications need not pay.
    if name == "PostHogLogRecordProcessor":
        from zentra_otel_posthog.log_processor import PostHogLogRecordProcessor  # noqa: PLC0415

        return PostHogLogRecordProcessor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
