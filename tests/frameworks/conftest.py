"""A deployment for each test, and one table of what became of the events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import Deployment, Row
from zentra_otel_posthog.inspector import Receiver

_PROPERTY = "what became of the events"


@pytest.fixture
def deployment(
    request: pytest.FixtureRequest, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Iterator[Deployment]:
    """A receiver, a spool and a side log; the processes started with them end with the test."""

    def record(row: Row) -> None:
        before_exit = "yes" if row.before_exit else "no"
        line = f"{request.node.name:70} {row.events:6} {row.lost:4} {row.duplicated:10} {row.resent:6}  {before_exit}"
        record_property(_PROPERTY, line)

    with Receiver() as receiver:
        deployed = Deployment(receiver, tmp_path, record)
        yield deployed
        deployed.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    rows = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in report.user_properties
        if name == _PROPERTY
    ]
    if rows:
        terminalreporter.section(_PROPERTY)
        terminalreporter.line(f"{'scenario':70} events lost duplicated resent  before exit")
        for row in sorted(rows):
            terminalreporter.line(row)
