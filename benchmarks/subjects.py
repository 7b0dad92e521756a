"""What is measured: functions decorated, and the same written by hand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

import zentra_otel_posthog
from benchmarks.harness import receiver
from zentra_otel_posthog import card, payment


@card(properties={"cardType": "card_type"})
def issue(customer_id: str, card_type: str, tier: str) -> None:
    """Record one event."""


@card(properties={"cardType": "card_type"})
async def issue_later(customer_id: str, card_type: str, tier: str) -> None:
    """Record one event."""


@payment
def charge(customer_id: str, amount_minor: int, currency: str, method: str) -> None:
    """Record two events, payment.pending and payment.completed."""


class ByHand:
    """The same as a developer would have written it.

    Args:
        tracer: No processor sits on its provider, so it is the limit.
    """

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def issue(self, customer_id: str, card_type: str, tier: str) -> None:  # noqa: ARG002  as issue
        """Record one event on a span."""
        with self._tracer.start_as_current_span("issue") as span:
            span.add_event("card.issued", {"cardType": card_type, "tier": tier})

    async def issue_later(self, customer_id: str, card_type: str, tier: str) -> None:  # noqa: ARG002  likewise
        """Record one event on a span."""
        with self._tracer.start_as_current_span("issue") as span:
            span.add_event("card.issued", {"cardType": card_type, "tier": tier})

    def charge(self, customer_id: str, amount_minor: int, currency: str, method: str) -> None:  # noqa: ARG002  likewise
        """Record two events on a span."""
        with self._tracer.start_as_current_span("charge") as span:
            span.add_event("payment.pending", {"amount_minor": amount_minor, "currency": currency, "method": method})
            span.add_event("payment.completed", {"amount_minor": amount_minor, "currency": currency, "method": method})


CARD = ("usr_1", "virtual", "gold")
PAYMENT = ("usr_1", 125_000, "NGN", "card")


@contextmanager
def configured(host: str, sampler: Sampler | None = ALWAYS_ON) -> Iterator[ByHand]:
    """Set up the package with its default settings, so that the sender delivers as it does for users.

    Args:
        host: Where PostHog is.
        sampler: Of the application's provider and of the bare one. None: the application has no tracing.

    Yields:
        What is written by hand.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as spool:
        if sampler is not None:
            trace.set_tracer_provider(TracerProvider(sampler=sampler))
        zentra_otel_posthog.configure(api_key="phc_benchmark", host=host, spool_dir=spool)
        yield ByHand(TracerProvider(sampler=sampler).get_tracer("by hand"))
        zentra_otel_posthog.shutdown(10)


@contextmanager
def running(sampler: Sampler | None = ALWAYS_ON) -> Iterator[tuple[str, ByHand]]:
    """Set the package up against a receiver. Yield its address, and what is written by hand."""
    with receiver() as host, configured(host, sampler) as by_hand:
        yield host, by_hand
