"""What may leave: declared properties within their kind, everything else through detectors of personal data."""

from zentra_otel_posthog.sanitize.detectors import clean_value

__all__ = ["clean_value"]
