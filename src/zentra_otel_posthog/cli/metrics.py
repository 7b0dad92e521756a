"""``zentra-otel-posthog metrics``: a tenant's metrics as a table, a chart, a picture, JSON or CSV."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from zentra_otel_posthog import config
from zentra_otel_posthog.analytics import Analytics, AnalyticsError
from zentra_otel_posthog.analytics.metrics import INTERVALS
from zentra_otel_posthog.cli._options import MissingCredentials, add_config, config_argument, private_api_credentials
from zentra_otel_posthog.cli._output import print_json
from zentra_otel_posthog.cli.charts import print_chart, print_table, save_picture

_DAYS: Final = 30


class _Metric(NamedTuple):
    """A metric of the command.

    Args:
        ask: Asks for it.
        drawn: The field that a chart shows.
        by_interval: Whether it takes an interval.
    """

    ask: Callable[..., list[Any]]
    drawn: str
    by_interval: bool = False


_METRICS: Final = {
    "payment-success-rate": _Metric(Analytics.payment_success_rate, "rate", by_interval=True),
    "payment-funnel": _Metric(Analytics.payment_funnel, "conversion"),
    "payment-volume": _Metric(Analytics.payment_volume, "volume_minor", by_interval=True),
    "active-users": _Metric(Analytics.active_users, "users", by_interval=True),
    "retention": _Metric(Analytics.retention, "rate"),
    "failure-reasons": _Metric(Analytics.failure_reasons, "payments"),
}


def add_parser(commands: Any) -> None:
    """Declare the command and its help."""
    parser = commands.add_parser(
        "metrics",
        help="ask PostHog for a tenant's metrics",
        description="Ask PostHog for a tenant's metrics. The environment gives POSTHOG_PERSONAL_API_KEY (scope "
        "query:read) and POSTHOG_PROJECT_ID, and POSTHOG_HOST as for captures.",
    )
    parser.add_argument("metric", choices=tuple(_METRICS))
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--tenant", metavar="KEY", help="the tenant, as identify(tenant=...) names it")
    whose.add_argument("--all-tenants", action="store_true", help="all tenants together")
    parser.add_argument(
        "--since",
        type=_time,
        metavar="TIME",
        help=f"date or time (UTC), included; default: {_DAYS} days before --until",
    )
    parser.add_argument("--until", type=_time, metavar="TIME", help="likewise, not included; default: now")
    parser.add_argument("--interval", choices=INTERVALS, help="of a metric by time; default: day")
    parser.add_argument("--format", choices=("table", "chart", "json", "csv", "png"), default="table")
    parser.add_argument("--output", metavar="FILE", help="where the png goes")
    add_config(parser)
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace, _: Sequence[str]) -> int:
    """Ask for the metric and print it."""
    try:
        metric = _METRICS[options.metric]
        asked = _asked(options, metric)
        _write(options, metric, metric.ask(_analytics(options), **asked))
    except (config.SettingsError, MissingCredentials, AnalyticsError, ImportError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1 if isinstance(error, OSError) else 2
    return 0


def _time(text: str) -> date:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, as in 2026-11-01 or 2026-11-01T12:00") from None


def _analytics(options: argparse.Namespace) -> Analytics:
    settings = config.load(config_argument(options))
    personal_key, project = private_api_credentials()
    return Analytics(
        personal_key=personal_key, project_id=project, host=settings.host, pseudonym_key=settings.pseudonym_key
    )


def _asked(options: argparse.Namespace, metric: _Metric) -> dict[str, Any]:
    if (options.format == "png") is not (options.output is not None):
        raise AnalyticsError("--format png goes into a file: name it with --output, which no other format takes")
    until = options.until or datetime.now(UTC)
    asked = {
        "tenant": options.tenant,
        "all_tenants": options.all_tenants,
        "until": until,
        "since": options.since or until - timedelta(days=_DAYS),
    }
    if metric.by_interval:
        asked["interval"] = options.interval or "day"
    elif options.interval is not None:
        raise AnalyticsError(f"{options.metric} has no --interval: leave it out")
    return asked


def _write(options: argparse.Namespace, metric: _Metric, rows: list[Any]) -> None:
    plain: list[dict[str, Any]] = msgspec.to_builtins(rows)
    match options.format:
        case "json":
            print_json(plain)
        case "csv":
            if plain:
                writer = csv.DictWriter(sys.stdout, list(plain[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(plain)
        case "png":
            save_picture(options.metric, plain, metric.drawn, options.output)
        case "chart":
            print_chart(plain, metric.drawn)
        case _:
            print_table(plain)
