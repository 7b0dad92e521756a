"""A dashboard as a file: everything that would be sent as JSON, or what PostHog's Terraform provider covers."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from zentra_otel_posthog.insights import payloads
from zentra_otel_posthog.insights.models import Alert, Dashboard

_PROVIDER: Final = {"posthog": {"source": "PostHog/posthog", "version": "~> 1.0"}}


def as_json(dashboard: Dashboard) -> dict[str, Any]:
    """Return what is sent for each part, by its key; references stand as the keys that they mean."""
    return {
        "dashboard": {**payloads.of_dashboard(dashboard), "layouts": dashboard.layouts()},
        "insights": {one.key: payloads.of_insight(one, dashboard.key) for one in dashboard.insights},
        "cohorts": {one.key: payloads.of_cohort(one) for one in dashboard.cohorts},
        "alerts": {one.key: payloads.of_alert(one, one.insight) for one in dashboard.alerts},
    }


def as_terraform(dashboard: Dashboard) -> tuple[dict[str, Any], list[str]]:
    """Return Terraform's JSON syntax for the official provider, and what it does not cover.

    The provider (1.0) has insights, dashboards, layouts and threshold alerts; no cohorts and no detectors. What
    Terraform makes bears no tags of ours: two owners of one object would undo each other's work.
    """
    board = _name(dashboard.key)
    tiles = [
        {
            "insight_id": f"${{posthog_insight.{_name(key)}.id}}",
            "layouts_json": _literal(msgspec.json.encode({"sm": layout}).decode()),
        }
        for key, layout in dashboard.layouts().items()
    ]
    resources: dict[str, dict[str, Any]] = {
        "posthog_dashboard": {
            board: {"name": _literal(dashboard.name), "description": _literal(dashboard.description)}
        },
        "posthog_insight": {
            _name(insight.key): {
                "name": _literal(insight.name),
                "description": _literal(insight.description),
                "query_json": _literal(msgspec.json.encode(insight.query()).decode()),
                "dashboard_ids": [f"${{posthog_dashboard.{board}.id}}"],
            }
            for insight in dashboard.insights
        },
        "posthog_dashboard_layout": {board: {"dashboard_id": f"${{posthog_dashboard.{board}.id}}", "tiles": tiles}},
        "posthog_alert": {_name(alert.key): _alert(alert) for alert in dashboard.alerts if alert.detector is None},
    }
    left_out = [
        *(f"cohort {cohort.key!r}" for cohort in dashboard.cohorts),
        *(f"alert {alert.name!r}, which a detector decides" for alert in dashboard.alerts if alert.detector),
    ]
    document = {
        "terraform": {"required_providers": _PROVIDER},
        "resource": {name: made for name, made in resources.items() if made},
    }
    return document, left_out


def _alert(alert: Alert) -> dict[str, Any]:
    bounds = {"threshold_lower": alert.lower, "threshold_upper": alert.upper}
    return {
        "name": _literal(alert.name),
        "insight": f"${{posthog_insight.{_name(alert.insight)}.id}}",
        "enabled": alert.enabled,
        "condition_type": alert.condition,
        "threshold_type": alert.threshold_type,
        **{name: bound for name, bound in bounds.items() if bound is not None},
        "series_index": alert.series_index,
        "check_ongoing_interval": alert.check_ongoing_interval,
        "calculation_interval": alert.calculation_interval,
        "subscribed_users": list(alert.subscribed_users),
    }


def _name(key: str) -> str:
    """Return a resource's name: letters, digits and underscores."""
    return "".join(sign if sign.isalnum() and sign.isascii() else "_" for sign in key.lower())


def _literal(text: str) -> str:
    """Return a text in which Terraform sees no template."""
    return text.replace("${", "$${").replace("%{", "%%{")
