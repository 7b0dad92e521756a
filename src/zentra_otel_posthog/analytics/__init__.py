"""Metrics of a tenant, or of all, asked from PostHog over HogQL."""

from zentra_otel_posthog.analytics.metrics import (
    ActiveUsers,
    Analytics,
    FailureReason,
    MethodFunnel,
    Retention,
    SuccessRate,
    Volume,
)
from zentra_otel_posthog.analytics.query_api import AnalyticsError

__all__ = [
    "ActiveUsers",
    "Analytics",
    "AnalyticsError",
    "FailureReason",
    "MethodFunnel",
    "Retention",
    "SuccessRate",
    "Volume",
]
