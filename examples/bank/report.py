"""What the demonstration prints: tables that fit 80 columns."""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bank.personal import Search
from bank.tracing_backend import Attributes

Event = Mapping[str, Any]

_FUNNEL = ("payment.pending", "payment.completed", "payment.failed")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def deliveries(console: Console, expected: Counter[str], delivered: Counter[str]) -> bool:
    """Print what the driver counted against what arrived, and return whether it is the same."""
    table = _table(
        "Events: counted by the driver, delivered to PostHog", "event", "expected", "delivered", "difference"
    )
    for name in sorted(expected | delivered):
        difference = delivered[name] - expected[name]
        shown = f"[red]{difference:+,}[/]" if difference else "0"
        table.add_row(name, f"{expected[name]:,}", f"{delivered[name]:,}", shown)
    table.add_section()
    table.add_row("all", f"{expected.total():,}", f"{delivered.total():,}", f"{delivered.total() - expected.total():,}")
    console.print(table)
    return expected == delivered


def persons(console: Console, events: Sequence[Event], customer_ids: Container[str]) -> bool:
    """Print where events are about nobody, and return whether there are none such."""
    nobody = Counter(event["event"] for event in events if event["distinct_id"] not in customer_ids)
    for name, count in sorted(nobody.items()):
        console.print(f"[red]{count:,} {name} are about no customer of the bank.[/]")
    return not nobody


def total(console: Console, expected: Counter[str], delivered: int) -> bool:
    """Print the same where only the number of delivered events is known, and return whether it is the same."""
    table = _table("Events: counted by the driver", "event", "expected")
    for name, count in sorted(expected.items()):
        table.add_row(name, f"{count:,}")
    console.print(table)
    console.print(f"PostHog accepted {delivered:,} of {expected.total():,}.\n")
    return delivered == expected.total()


def funnel(console: Console, events: Sequence[Event]) -> None:
    """Print the payment funnel by method."""
    table = _table("Payment funnel by method", "method", "pending", "completed", "failed", "open", "conversion")
    counts = Counter((event["properties"].get("method", "?"), event["event"]) for event in events)
    for method in sorted({method for method, name in counts if name in _FUNNEL}):
        pending, completed, failed = (counts[method, name] for name in _FUNNEL)
        share = f"{completed / pending:.1%}" if pending else "-"
        table.add_row(
            method, f"{pending:,}", f"{completed:,}", f"{failed:,}", f"{pending - completed - failed:,}", share
        )
    console.print(table)


def reasons(console: Console, events: Sequence[Event]) -> None:
    """Print why payments failed."""
    counts = Counter(
        event["properties"].get("reason", "(none)") for event in events if event["event"] == "payment.failed"
    )
    shown = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
    console.print("[bold]Payments failed for[/]", f"{shown}.\n")


def retention(console: Console, events: Sequence[Event], weeks: int) -> None:
    """Print week-over-week retention: who signed up in a week and completed a payment in it and the weeks after."""
    cohorts: dict[date, set[str]] = {}
    active: dict[date, set[str]] = {}
    for event in events:
        by_week = {"user.signed_up": cohorts, "payment.completed": active}.get(event["event"])
        if by_week is not None:
            by_week.setdefault(_monday(event["timestamp"]), set()).add(event["distinct_id"])
    later = (f"week {number}" for number in range(weeks))
    table = _table("Retention: signed up in a week, completed a payment in", "signed up", "size", *later)
    for monday, people in sorted(cohorts.items()):
        shares = (
            f"{len(people & active.get(week, set())) / len(people):.0%}"
            for week in (monday + timedelta(weeks=number) for number in range(weeks))
            if week <= max(cohorts)
        )
        year, week, _ = monday.isocalendar()
        table.add_row(f"{year}-W{week:02}", f"{len(people):,}", *shares)
    console.print(table)


def _monday(timestamp: str) -> date:
    day = datetime.fromisoformat(timestamp).date()
    return day - timedelta(days=day.weekday())


def refusals(console: Console, refused: Mapping[Attributes, int]) -> None:
    """Print what the sanitizer kept back, from the bank's own metrics."""
    table = _table("Kept back by the sanitizer", "event", "property", "rule", "values")
    for attributes, count in sorted(refused.items()):
        named = dict(attributes)
        table.add_row(named.get("event"), named.get("property"), named.get("rule"), f"{count:,}")
    console.print(table if refused else "The sanitizer had nothing to keep back.\n")


def losses(console: Console, lost: Mapping[Attributes, int]) -> None:
    """Print what could not be kept or delivered, where there is any."""
    for attributes, count in sorted(lost.items()):
        console.print(f"[red]Lost: {count:,} captures, {dict(attributes).get('reason')}.[/]")


def sampling(
    console: Console, ratio: float, *, spans: int, traces: int, requests: int, captures: int, expected: int
) -> None:
    """Print what tracing got by sampling against what analytics got without."""
    console.print(
        f"[bold]Sampling[/] of {ratio:.0%}: tracing got {traces:,} of {requests:,} requests ({spans:,} spans), "
        f"PostHog got {captures:,} of {expected:,} events.\n"
    )


def search(console: Console, searched: Search) -> bool:
    """Print whether anything personal got out, and return whether nothing did."""
    values = ", ".join(f"{count:,} {kind}" for kind, count in searched.values.items())
    console.print(
        f"[bold]Personal data[/]: looked for {searched.values.total():,} values ({values}) "
        f"in {searched.size / 1e6:.1f} MB received."
    )
    if searched.found:
        found = ", ".join(f"{count:,} {kind}" for kind, count in searched.found.items())
        console.print(f"[red]Found: {found}.[/]\n")
        return False
    console.print("[green]Found none.[/]\n")
    return True
