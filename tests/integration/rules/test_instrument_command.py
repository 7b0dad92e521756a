"""Under the real ``opentelemetry-instrument``: rules, flags, and the demo bank with and without its decorators."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from zentra_otel_posthog.inspector import Receiver

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[3] / "examples"
BANK = EXAMPLES / "bank"
COMMAND = Path(sys.executable).with_name("opentelemetry-instrument")
DECORATED = "import play_bank"
BARE = "import undecorated, play_bank"
QUIET = {
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    # OpenTelemetry's own for Django would configure its settings before the program does.
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "django",
}


def instrumented(*arguments: str, **environment: str) -> str:
    """Run a program under the command. Return what it wrote to stderr."""
    done = subprocess.run(
        [str(COMMAND), *arguments],
        env={**os.environ, **QUIET, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def played(program: str, config: str, folder: Path) -> list[dict[str, Any]]:
    with Receiver() as receiver:
        told = instrumented(
            sys.executable,
            "-c",
            program,
            POSTHOG_API_KEY="phc_invented",
            POSTHOG_HOST=receiver.url,
            ZENTRA_POSTHOG_SPOOL_DIR=str(folder / f"spool-{receiver.url[-5:]}"),
            ZENTRA_POSTHOG_CONFIG=config,
            PYTHONPATH=f"{EXAMPLES}{os.pathsep}{Path(__file__).parent}",
        )
        assert told == ""
        return [comparable(event) for event in receiver.events]


def comparable(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event without what differs between two runs: its ids and its time."""
    properties = {name: value for name, value in event["properties"].items() if name not in {"$trace_id", "$span_id"}}
    assert {"uuid", "timestamp"} <= event.keys()
    assert {"$trace_id", "$span_id"} <= event["properties"].keys()
    return {name: value for name, value in event.items() if name not in {"uuid", "timestamp"}} | {
        "properties": properties
    }


def test_one_file_in_place_of_the_decorators(tmp_path: Path) -> None:
    """The bank without decorators and with one file of rules sends what the decorated bank sends."""
    decorated = played(DECORATED, str(BANK / "zentra-otel-posthog.toml"), tmp_path)
    by_rules = played(BARE, str(BANK / "zentra-otel-posthog.rules.toml"), tmp_path)

    assert by_rules == decorated
    assert set(Counter(event["event"] for event in decorated)) == {
        "payment.pending", "payment.completed", "payment.failed", "transfer.completed", "card.issued",
        "kyc.verified", "user.signed_up", "session.authenticated", "checkout.completed",
    }  # fmt: skip


def test_without_rules_the_bare_bank_sends_its_own_captures_only(tmp_path: Path) -> None:
    """The comparison above compares something: the decorators of the bare bank do nothing."""
    events = played(BARE, str(BANK / "zentra-otel-posthog.toml"), tmp_path)
    assert {event["event"] for event in events} == {"checkout.completed"}


def test_rules_by_hand_wrap_what_is_imported_already(tmp_path: Path) -> None:
    """``ZentraInstrumentor().instrument()`` after the import does what the command does before it."""
    program = """
import shop
from zentra_otel_posthog import ZentraInstrumentor, shutdown
ZentraInstrumentor().instrument()
shop.charge("usr_1", 5)
raise SystemExit(not shutdown(30))
"""
    (tmp_path / "shop.py").write_text("def charge(customer_id, amount_minor): ...\n")
    (tmp_path / "zentra-otel-posthog.toml").write_text('[[instrument]]\ntarget = "shop:charge"\nevent = "payment"\n')
    with Receiver() as receiver:
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "POSTHOG_API_KEY": "phc_invented", "POSTHOG_HOST": receiver.url},
            cwd=tmp_path,
            check=True,
            timeout=50,
        )
        assert [event["event"] for event in receiver.events] == ["payment.pending", "payment.completed"]


def test_settings_are_flags_of_the_command(tmp_path: Path) -> None:
    """Each variable is a flag, which wins over the variable."""
    (tmp_path / "shop.py").write_text("def charge(customer_id, amount_minor): ...\n")
    (tmp_path / "rules.toml").write_text('[[instrument]]\ntarget = "shop:charge"\nevent = "payment"\n')
    with Receiver() as receiver:
        told = instrumented(
            "--posthog_api_key", "phc_flag",
            "--posthog_host", receiver.url,
            "--zentra_posthog_config", "rules.toml",
            "--zentra_posthog_spool_dir", str(tmp_path / "spool"),
            sys.executable, "-c", "import shop; shop.charge('usr_1', 5)",
            POSTHOG_API_KEY="phc_variable",
            PYTHONPATH=str(tmp_path),
        )  # fmt: skip
        assert told == ""
        assert [event["event"] for event in receiver.events_of("phc_flag")] == ["payment.pending", "payment.completed"]
    assert (tmp_path / "spool").is_dir()


def test_a_preset_from_the_environment(tmp_path: Path) -> None:
    """``ZENTRA_POSTHOG_PRESETS`` connects to a library when the program imports it."""
    with Receiver() as receiver:
        told = instrumented(
            sys.executable,
            "-c",
            "import django_site as site; site.make_users(); site.log_in('correct horse')",
            PYTHONPATH=str(Path(__file__).parent),
            ZENTRA_POSTHOG_PRESETS="django-auth",
            POSTHOG_API_KEY="phc_invented",
            POSTHOG_HOST=receiver.url,
        )
        assert told == ""
        assert [(event["event"], event["distinct_id"]) for event in receiver.events] == [
            ("session.authenticated", "4711")
        ]


def test_a_wrong_rule_is_told_and_starves_nobody(tmp_path: Path) -> None:
    """Under the command a wrong file is one line that names file, target and key; the program runs."""
    (tmp_path / "zentra-otel-posthog.toml").write_text('[[instrument]]\ntarget = "shop:charge"\nevnt = "payment"\n')
    told = instrumented(sys.executable, "-c", "pass")
    (line,) = told.splitlines()
    assert "[[instrument]] 'shop:charge' in zentra-otel-posthog.toml has an unknown key 'evnt'" in line


def test_a_section_of_the_configuration_file(tmp_path: Path) -> None:
    """``OTEL_CONFIG_FILE`` configures the instrumentor, rules included, like any other."""
    (tmp_path / "shop.py").write_text("def charge(customer_id, amount_minor): ...\n")
    with Receiver() as receiver:
        (tmp_path / "otel.yaml").write_text(f"""
file_format: "1.0"
tracer_provider:
  processors:
    - simple: {{ exporter: {{ console: }} }}
instrumentation/development:
  python:
    zentra_posthog:
      api_key: phc_invented
      host: {receiver.url}
      instrument:
        - target: shop:charge
          event: payment
""")
        told = instrumented(
            sys.executable, "-c", "import shop; shop.charge('usr_1', 5)",
            OTEL_CONFIG_FILE="otel.yaml", PYTHONPATH=str(tmp_path),
        )  # fmt: skip
        assert "Traceback" not in told
        assert [event["event"] for event in receiver.events] == ["payment.pending", "payment.completed"]
