"""What is sent to make each object; references are given, since only PostHog knows the numbers."""

from __future__ import annotations

from typing import Any

from zentra_otel_posthog.insights import ownership
from zentra_otel_posthog.insights.models import Alert, Cohort, Dashboard, Insight

Reference = int | str | None
Payload = dict[str, Any]


def of_dashboard(dashboard: Dashboard) -> Payload:
    """Return a dashboard's; its insights attach themselves."""
    return {
        "name": dashboard.name,
        "description": dashboard.description,
        "tags": ownership.tags(dashboard.key),
    }


def of_insight(insight: Insight, dashboard: Reference) -> Payload:
    """Return an insight's.

    Args:
        insight: The insight.
        dashboard: The number of the dashboard that it is on.
    """
    return {
        "name": insight.name,
        "description": insight.description,
        "saved": True,
        "tags": ownership.tags(insight.key),
        "query": insight.query(),
        "dashboards": [dashboard],
    }


def of_cohort(cohort: Cohort) -> Payload:
    """Return a cohort's."""
    return {
        "name": cohort.name,
        "description": ownership.marked(cohort.description, cohort.key),
        "filters": cohort.filters(),
    }


def of_alert(alert: Alert, insight: Reference) -> Payload:
    """Return an alert's.

    Args:
        alert: The alert.
        insight: The number of the trend that it watches.
    """
    return {
        "name": ownership.alert_name(alert.name),
        "insight": insight,
        "subscribed_users": list(alert.subscribed_users),
        **alert.payload(),
    }
