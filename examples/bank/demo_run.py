"""Runs the demonstration: starts everything, plays, stops the bank, waits for delivery, reports."""

import json
import os
import secrets
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from bank import personal, report
from bank.bank_process import BankFailed, BankProcess
from bank.driver import Driver
from bank.tracing_backend import TracingBackend
from bank.watching import Watching
from zentra_otel_posthog.inspector import Receiver, Request

_WEEKS: Final = 5
_SAMPLED: Final = 0.1
_WIDTH: Final = 80
_DELIVERY_TIMEOUT: Final = 10.0  # seconds, after the bank has stopped
_SPOOL: Final = "spool"
_CONFIG: Final = Path(__file__).with_name("zentra-otel-posthog.toml")


@dataclass(frozen=True, slots=True)
class _Played:
    """What is known once the bank has stopped."""

    driver: Driver
    requests: int
    tracing: TracingBackend
    receiver: Receiver | None
    database: Path
    spool: Path
    printed: str


def run(*, seed: int, customers: int, inspect: bool) -> int:
    """Run the demonstration.

    Args:
        seed: The same seed plays the same customers.
        customers: How many sign up.
        inspect: Show it in the inspector, and leave that up until Ctrl-C.

    Returns:
        0 where everything expected was delivered and nothing personal was found, else 1.
    """
    console = Console(highlight=False)
    console.width = min(console.width, _WIDTH)
    started = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zentra-demo-")))
        tracing = stack.enter_context(TracingBackend())
        live = bool(os.environ.get("POSTHOG_API_KEY"))
        receiver = None if live else stack.enter_context(Receiver())
        watching = None
        if inspect and receiver is not None:
            watching = stack.enter_context(Watching(receiver, folder / _SPOOL))
            console.print(f"Watch it live: {watching.url}\n")
        try:
            played = _play(console, folder, tracing, receiver, seed=seed, customers=customers)
        except (BankFailed, httpx.HTTPError) as error:
            console.print(f"[red]The demo stopped:[/] {escape(str(error))}")
            return 1
        right = _report(console, played)
        took = time.monotonic() - started
        if right:
            console.print(f"[green]All events that the bank emitted were delivered.[/] ({took:.0f} s)")
        else:
            console.print(f"[red]Something differs: see above.[/] ({took:.0f} s)")
        if watching is not None:
            watching.finish()
            console.print(f"All of it is in the inspector at {watching.url} until Ctrl-C.")
            watching.stay()
        elif not live:
            console.print("To look at it on a page: zentra-otel-posthog demo --inspect")
    return 0 if right else 1


def _play(
    console: Console, folder: Path, tracing: TracingBackend, receiver: Receiver | None, *, seed: int, customers: int
) -> _Played:
    database, spool = folder / "bank.sqlite3", folder / _SPOOL
    rail_secret = secrets.token_hex(16)
    # Nothing that the user has set for other programs may change what is shown.
    foreign = ("OTEL_", "ZENTRA_POSTHOG_", "POSTHOG_") if receiver is not None else ("OTEL_", "ZENTRA_POSTHOG_")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        **_telemetry(tracing),
        "ZENTRA_POSTHOG_CONFIG": str(_CONFIG),
        "ZENTRA_POSTHOG_SPOOL_DIR": str(spool),
        "BANK_DATABASE": str(database),
        "BANK_RAIL_SECRET": rail_secret,
        "BANK_SEED": str(seed),
        "BANK_DEMO": "1",
    }
    if receiver is not None:
        environment |= {"POSTHOG_API_KEY": f"phc_demo{secrets.token_hex(16)}", "POSTHOG_HOST": receiver.url}
    start = _monday_weeks_ago()
    columns = (TextColumn("{task.description:<34}"), BarColumn(20), TaskProgressColumn(), TimeElapsedColumn())
    requests = 0
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting the bank", total=_WEEKS * 7)
        with BankProcess(environment, folder / "bank.log") as bank:

            def count(_: httpx.Response) -> None:
                nonlocal requests
                requests += 1

            with httpx.Client(base_url=bank.url, trust_env=False, event_hooks={"response": [count]}) as client:
                driver = Driver(client, rail_secret, seed=seed, start=start, weeks=_WEEKS, sign_ups=customers)
                try:
                    for now in driver.play():
                        days = (now - start) / timedelta(days=1)
                        progress.update(task, completed=days, description=f"playing {now:%a %d %b %Y}")
                except httpx.HTTPError:
                    bank.check()
                    raise
            progress.update(task, completed=_WEEKS * 7, description="stopping the bank, delivering")
            if not bank.stop():
                raise BankFailed("the bank did not stop when asked to")
        if receiver is not None:
            receiver.wait_for(driver.tally.events.total(), timeout=_DELIVERY_TIMEOUT)
        progress.update(task, description=f"played {_WEEKS} weeks")
    return _Played(driver, requests, tracing, receiver, database, spool, bank.printed())


def _telemetry(tracing: TracingBackend) -> dict[str, str]:
    return {
        "OTEL_SERVICE_NAME": "bank",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(_SAMPLED),
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": tracing.url,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        # The machine's proxy has no business with loopback.
        "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1"))),
    }


def _monday_weeks_ago() -> datetime:
    """Return the Monday from which the weeks played are all over by now: PostHog takes no event from the future."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(weeks=_WEEKS, days=today.weekday())


def _report(console: Console, played: _Played) -> bool:
    console.print()
    expected = played.driver.tally.events
    if played.receiver is not None:
        events = played.receiver.events
        captures = len(events)
        right = report.deliveries(console, expected, Counter(event["event"] for event in events))
        right &= report.persons(console, events, personal.customer_ids(played.database))
        report.funnel(console, events)
        report.reasons(console, events)
        report.retention(console, events, _WEEKS)
    else:
        captures = played.tracing.counter("zentra.posthog.captures").get((("outcome", "delivered"),), 0)
        right = report.total(console, expected, captures)
    report.refusals(console, played.tracing.counter("zentra.posthog.refused"))
    report.losses(console, played.tracing.counter("zentra.posthog.lost"))
    report.sampling(
        console,
        _SAMPLED,
        spans=played.tracing.spans.total(),
        traces=played.tracing.traces,
        requests=played.requests,
        captures=captures,
        expected=expected.total(),
    )
    if played.receiver is not None:
        received = [_as_received(request) for request in played.receiver.requests]
        right &= report.search(console, personal.look_for(played.database, received))
    if waiting := sum(path.stat().st_size for path in played.spool.rglob("*.jsonl")):
        console.print(f"[red]{waiting:,} bytes of captures were still in the spool, undelivered.[/]")
    if played.printed:
        console.print("The bank printed:", played.printed, sep="\n", markup=False)
    return right


def _as_received(request: Request) -> bytes:
    headers = json.dumps(request.headers.items()).encode()
    return b"\n".join((request.path.encode(), headers, personal.decompressed(request.body)))
