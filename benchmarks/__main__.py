"""Run the benchmarks, print the table and write it to RESULTS.md.

``python -m benchmarks`` runs all of them. ``python -m benchmarks calls tail`` runs those of some modules and writes
nothing.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.harness import Row, measure

MEASURES = {
    "calls": (
        "decorated",
        "asynchronous",
        "dropped",
        "beside_the_client",
        "capture_alone",
        "beside_logfire",
        "beside_langfuse",
    ),
    "spans": ("others",),
    "delivery": ("processor_time", "processor_time_of_the_exporter", "throughput", "throughput_with_spans"),
    "tail": ("while_delivering", "while_down"),
    "spool": ("append",),
    "memory": ("million",),
    "imports": ("package",),
    "sanitizer": ("values", "declared"),
}
_PACKAGES = (
    "opentelemetry-sdk", "posthog", "posthog-otel-exporter", "logfire", "langfuse", "presidio-analyzer", "spacy",
)  # fmt: skip
_HEADINGS = ("measure", "against", "unit", "ours", "theirs", "ratio", "of processor time", "target", "")
_RESULTS = Path(__file__).with_name("RESULTS.md")


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def _cells(row: Row) -> tuple[str, ...]:
    target = ""
    if row.at_most is not None:
        target = f"≤ {_figure(row.at_most)}"
    elif row.at_least is not None:
        target = f"≥ {_figure(row.at_least)}"
    verdict = {None: "", True: "met", False: "missed"}[row.met]
    figures = (row.ours, row.theirs, row.ratio, row.processor)
    return (row.measure, row.against, row.unit, *map(_figure, figures), target, verdict)


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores{model and f' ({model})'}"


def _notes() -> str:
    """Return what people have written below the table: everything from the second heading on."""
    before = _RESULTS.read_text(encoding="utf-8") if _RESULTS.exists() else ""
    _, heading, notes = before.partition("\n## ")
    return heading + notes


def _document(rows: list[Row], seconds: float) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (_HEADINGS, ("---",) * len(_HEADINGS), *map(_cells, rows))]
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        "# Results\n\n"
        f"`make bench` ({seconds:.0f} s), {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, "
        f"{_machine()}; {packages}.\n\n"
        "Each ratio is ours by theirs in one run: the rounds interleaved, and of the rounds' ratios the median. The\n"
        "second ratio is that of the calling thread's processor time. Compare ratios, not microseconds.\n\n"
        + "\n".join(lines)
        + "\n"
        + _notes()
    )


def main(chosen: list[str]) -> int:
    """Measure, print and write."""
    began = time.monotonic()
    rows: list[Row] = []
    table = Table(title="Ours against theirs")
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading in {"measure", "against", "unit", ""} else "right")
    # Each measure has a process of its own: what one imports or leaves running is not the next one's to bear.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        for module, functions in MEASURES.items():
            if chosen and module not in chosen:
                continue
            for function in functions:
                found = processes.submit(measure, module, function).result()
                rows += found
                for row in found:
                    table.add_row(*_cells(row))
                sys.stderr.write(f"{time.monotonic() - began:4.0f} s  {module}.{function}\n")
    Console(width=170).print(table)
    if not chosen:
        _RESULTS.write_text(_document(rows, time.monotonic() - began), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
