"""``zentra-otel-posthog doctor``: whether everything works, and what to do where it does not."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
from opentelemetry.instrumentation.utils import suppress_instrumentation

from zentra_otel_posthog import config, runtime
from zentra_otel_posthog._targets import Instrumented
from zentra_otel_posthog._version import __version__
from zentra_otel_posthog.cli import checks, probe, spool_checks
from zentra_otel_posthog.cli._log import log_taken
from zentra_otel_posthog.cli._options import add_config, add_import, config_argument, import_modules, seconds
from zentra_otel_posthog.cli._output import Section, counted, print_json, print_table
from zentra_otel_posthog.cli.checks import Check, Setting, State
from zentra_otel_posthog.cli.spool_checks import Counts
from zentra_otel_posthog.config import Settings, SettingsError
from zentra_otel_posthog.delivery.inventory import Inventory

_SEVERITY: Final[tuple[State, ...]] = ("failed", "warning")


class Report(msgspec.Struct, kw_only=True):
    """Everything that was found.

    Args:
        version: Of this package.
        state: That of the worst check; what was not checked leaves it ok.
        settings: Those in force.
        checks: In the order in which they were made.
        rules: What becomes of each rule and preset.
        spool: What lies in the project's folders.
        counts: What all processes of the project have counted.
    """

    version: str = __version__
    state: State = "ok"
    settings: list[Setting] = []
    checks: list[Check] = []
    rules: list[Instrumented] = []
    spool: list[Inventory] = []
    counts: Counts | None = None


def add_parser(commands: Any) -> None:
    """Declare the command and its help."""
    parser = commands.add_parser(
        "doctor",
        help="check settings, tracing, rules, spool and PostHog, and say what to do",
        description="Check settings, tracing, rules, spool and PostHog. Exit code 0: all is well, 1: something failed.",
    )
    add_config(parser)
    add_import(parser, "the application's set-up, so that its tracing and rules can be checked, as in bank.wsgi")
    parser.add_argument("--send", action="store_true", help=f"send one event, {probe.CANARY}, and see that it arrives")
    parser.add_argument(
        "--wait", type=seconds, default=60.0, metavar="SECONDS", help="for its arrival (default: %(default)g)"
    )
    parser.add_argument(
        "--timeout", type=seconds, default=10.0, metavar="SECONDS", help="for an answer (default: %(default)g)"
    )
    parser.add_argument("--json", action="store_true", help="print for machines")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace, _: Sequence[str]) -> int:
    """Check, print the findings, and return 1 where one of them is a failure."""
    if options.config and not Path(options.config).is_file():
        options.parser.error(f"--config {options.config}: there is no such file")
    report = Report()
    with log_taken(lambda message: report.checks.append(Check("log", "warning", message))):
        _examine(report, options)
    found = {check.state for check in report.checks}
    report.state = next((state for state in _SEVERITY if state in found), "ok")
    if options.json:
        print_json(report)
    else:
        print_table(_sections(report))
    return int(report.state == "failed")


def _examine(report: Report, options: argparse.Namespace) -> None:
    try:
        loaded, origins = config.load_with_origins(config_argument(options))
        runtime.declare_events(loaded)
    except SettingsError as error:
        report.checks.append(Check("settings", "failed", str(error), "Correct it; nothing else was checked."))
        return
    try:
        import_modules(options.modules)
    except ImportError as error:
        report.checks.append(Check("imports", "failed", str(error), "See that it can be imported here."))
    configured = runtime.configured()
    settings = loaded if configured is None else configured.settings
    report.settings = checks.shown_settings(settings, loaded, origins)
    given = sum(one.origin != "default" for one in report.settings)
    report.checks.append(
        Check("settings", "ok", f"{given} of {len(report.settings)} are set; the others are defaults.")
    )
    if (elsewhere := checks.captures(settings, configured and configured.sink)) is not None:
        report.checks.append(elsewhere)
    report.checks.extend(checks.tracing(settings, options.modules))
    report.rules = checks.instrumented(settings)
    report.checks.extend(checks.rules(report.rules, options.modules))
    if elsewhere is not None:
        return
    found, report.spool = spool_checks.spool(settings)
    report.checks.extend(found)
    with suppress_instrumentation():  # under opentelemetry-instrument these requests would be traced
        report.checks.extend(probe.host(settings, options.timeout))
        if options.send:
            report.checks.extend(_sent(settings, options))
    report.counts = spool_checks.counts(settings)
    report.checks.extend(spool_checks.losses(report.counts))


def _sent(settings: Settings, options: argparse.Namespace) -> Iterator[Check]:
    check, sent = probe.canary(settings, options.timeout)
    yield check
    if sent is not None:
        yield probe.arrival(settings, sent, options.wait)


def _sections(report: Report) -> Iterator[Section]:
    packages = ", ".join(f"{package} {version(package)}" for package in ("opentelemetry-sdk", "posthog"))
    yield Section(f"zentra-otel-posthog {report.version}", [f"Python {platform.python_version()}, {packages}"])
    if report.settings:
        rows = [(one.name, one.value, one.origin) for one in report.settings]
        yield Section("Settings", (), ("setting", "value", "from"), rows)
    if report.rules:
        rules = [(one.state, _with(one.name, one.reason), one.event) for one in report.rules]
        yield Section("Rules", (), ("state", "function or preset", "event"), rules)
    rows = [(one.state, one.name, _with(one.says, one.way_out)) for one in report.checks]
    yield Section("Checks", (), ("state", "check", "finding"), rows)
    failed, warned = (sum(one.state == state for one in report.checks) for state in _SEVERITY)
    summary = f"{failed} failed, {counted(warned, 'warning')}." if failed or warned else "All is well."
    yield Section(summary)


def _with(text: str, more: str | None) -> str:
    return text if more is None else f"{text}\n→ {more}"
