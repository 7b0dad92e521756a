"""A stand-in for PostHog's ingestion on loopback, for demos, tests and benchmarks.

Example:
    >>> import posthog
    >>> with Receiver() as receiver:
    ...     client = posthog.Posthog("phc_demo", host=receiver.url)
    ...     _ = client.capture("payment.completed", distinct_id="usr_1")
    ...     client.shutdown()
    ...     [event["event"] for event in receiver.events]
    ['payment.completed']
"""

from zentra_otel_posthog.inspector.connection import Answer
from zentra_otel_posthog.inspector.private_api import PrivateApi
from zentra_otel_posthog.inspector.receiver import Receiver, Request

__all__ = ["Answer", "PrivateApi", "Receiver", "Request"]
