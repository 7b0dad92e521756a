"""``zentra-otel-posthog spool``: on folders that real services left, one killed and one alive."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from zentra_otel_posthog import telemetry
from zentra_otel_posthog.cli import main
from zentra_otel_posthog.config import load
from zentra_otel_posthog.delivery import account, dead_letters, project_folders
from zentra_otel_posthog.delivery.dead_letters import DeadLetter, DeadLetterFile
from zentra_otel_posthog.inspector import Answer, Receiver

Command = Callable[..., tuple[int, Any]]
Service = Callable[[int], "subprocess.Popen[str]"]
Killed = Callable[[], None]

CAPTURE = (
    b'{"event":"basket.closed","distinct_id":"usr_1","uuid":"0197a9b1-0000-8000-8000-%012d",'
    b'"timestamp":"2026-11-02T10:00:00Z","properties":{"colour":"quick-silver-fox"}}'
)


def folder() -> Path:
    (found,) = project_folders(load())
    return found


def refuse(*numbers: int) -> None:
    """As a service whose captures PostHog refused."""
    folder().mkdir(parents=True, exist_ok=True)
    letters = [DeadLetter("status_400", 400, "no \x1b[31mcolour", CAPTURE % number) for number in numbers]
    DeadLetterFile(folder()).write(letters)


def lost(reason: str) -> int:
    found = account.read(folder())
    return 0 if found is None else found.of(telemetry.LOST).get((reason,), 0)


def test_status(command: Command, service: Service, killed: Killed) -> None:
    """What waits, since when, from which process, and whether that one lives; what was refused."""
    killed()
    living = service(2)
    refuse(1, 2)
    code, (one,) = command("spool", "status")
    left, held = one["content"]["segments"]
    assert code == 0
    assert one["this_project"]
    assert (one["events"], one["bytes"]) == (5, left["bytes"] + held["bytes"])
    assert (left["events"], left["held"]) == (3, False)
    assert (held["events"], held["held"], held["pid"]) == (2, True, living.pid)
    assert one["oldest"] == left["opened"]
    assert one["content"]["dead_letters"] == {"status_400": 2}


def test_other_projects(command: Command, monkeypatch: pytest.MonkeyPatch, killed: Killed) -> None:
    """Folders of other projects are shown after one's own, also where no key is set."""
    killed()
    monkeypatch.setenv("POSTHOG_API_KEY", "phc_another")
    killed()
    assert [(one["this_project"], one["events"]) for one in command("spool", "status")[1]] == [(True, 3), (False, 3)]
    monkeypatch.delenv("POSTHOG_API_KEY")
    assert [one["this_project"] for one in command("spool", "status")[1]] == [False, False]


def test_replay(command: Command, killed: Killed, receiver: Receiver) -> None:
    """Captures of a killed process are delivered, once, and counted in the account."""
    killed()
    code, outcome = command("spool", "replay")
    assert (code, outcome["delivered"], outcome["left"], outcome["trouble"]) == (0, 3, 0, None)
    assert len(receiver.events) == receiver.received == 3
    assert command("spool", "status")[1][0]["events"] == 0
    found = account.read(folder())
    assert found is not None
    assert found.of(telemetry.CAPTURES)["delivered",] >= 3


def test_replay_leaves_a_living_process_alone(
    command: Command, service: Service, killed: Killed, receiver: Receiver
) -> None:
    """What a running service holds stays with it; it is told, and no failure."""
    service(2)
    killed()
    code, outcome = command("spool", "replay")
    assert (code, outcome["delivered"], outcome["held"], outcome["left"]) == (0, 3, 2, 0)
    assert receiver.received == 3


@pytest.mark.parametrize(("status", "part"), [(401, "answered 401"), (503, "answered 503"), (None, "ConnectionError")])
def test_replay_that_cannot(
    command: Command, killed: Killed, receiver: Receiver, status: int | None, part: str
) -> None:
    """Where PostHog takes nothing the code is 1, and what is left is told, and lies there."""
    killed()
    if status is None:
        receiver.stop()
    else:
        receiver.answer(Answer(status=status))
    code, outcome = command("spool", "replay", "--timeout", "0.1")
    assert (code, outcome["delivered"], outcome["left"]) == (1, 0, 3)
    assert outcome["left_bytes"] > 0
    assert part in outcome["trouble"]
    assert command("spool", "status")[1][0]["content"]["segments"][0]["held"] is False


@pytest.mark.slow
def test_replay_that_is_interrupted(killed: Killed, receiver: Receiver) -> None:
    """Ctrl-C in the middle of a request ends it at once and leaves everything where it is."""
    killed()
    receiver.answer(Answer(connection="hang"))
    program = "import sys; from zentra_otel_posthog.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "spool", "replay", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert receiver.wait_for_requests(1, timeout=30)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    outcome = json.loads(out)
    assert (process.returncode, outcome["left"], outcome["trouble"], err) == (1, 3, "interrupted", "")


def test_replay_tries_again(command: Command, killed: Killed, receiver: Receiver) -> None:
    """A server that recovers in time gets everything within one call, each capture once."""
    killed()
    receiver.answer(Answer(status=503))
    code, outcome = command("spool", "replay")
    assert (code, outcome["delivered"], outcome["left"]) == (0, 3, 0)
    assert [request.status for request in receiver.requests] == [503, 200]


def test_replay_that_is_refused(command: Command, killed: Killed, receiver: Receiver) -> None:
    """A capture that PostHog refuses for good is a dead letter, and the code is 1."""
    killed()
    killed()
    receiver.answer(Answer(accept=True))  # a server that has accepted something is believed
    receiver.answer(Answer(status=422))
    code, outcome = command("spool", "replay")
    assert (code, outcome["delivered"], outcome["refused"], outcome["left"]) == (1, 3, {"status_422": 3}, 0)
    assert lost("status_422") >= 3


def test_dead_letters_once_more(command: Command, receiver: Receiver) -> None:
    """``--dead`` delivers what was refused before, as it was; what is no capture stays."""
    refuse(1, 2)
    DeadLetterFile(folder()).write([DeadLetter("corrupt", None, "", b"\xff\xfe")])
    code, outcome = command("spool", "replay", "--dead")
    assert (code, outcome["put_back"], outcome["delivered"]) == (0, 2, 2)
    assert {event["uuid"][-1] for event in receiver.events} == {"1", "2"}
    assert receiver.events[0]["properties"]["colour"] == "quick-silver-fox"
    assert [letter.reason for letter in dead_letters.read(folder())] == ["corrupt"]


def test_replay_without_dead_leaves_them(command: Command, receiver: Receiver) -> None:
    """Refused captures are not sent again by themselves."""
    refuse(1)
    assert command("spool", "replay")[0] == 0
    assert receiver.requests == []
    assert len(list(dead_letters.read(folder()))) == 1


def test_dead(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """Event, uuid, time and answer of each; properties only with ``--full``; no power over the terminal."""
    refuse(7)
    code, (one,) = command("spool", "dead")
    assert (code, one["event"], one["status"], one["reason"]) == (0, "basket.closed", 400, "status_400")
    assert one["uuid"].endswith("7")
    assert datetime.fromisoformat(one["time"]).tzinfo is not None
    assert "capture" not in one
    assert command("spool", "dead", "--full")[1][0]["capture"]["properties"] == {"colour": "quick-silver-fox"}
    assert main(["spool", "dead"]) == 0
    page = capsys.readouterr().out
    assert "basket.closed" in page
    assert "colour" in page
    assert "quick-silver-fox" not in page
    assert "\x1b" not in page
    assert main(["spool", "dead", "--full"]) == 0
    assert "quick-silver-fox" in capsys.readouterr().out


def test_purge_everything(command: Command, service: Service, killed: Killed) -> None:
    """All is deleted but what a living process holds; waiting captures are counted as lost, refused ones were before."""
    killed()
    service(2)
    refuse(1)
    before = telemetry.totals(telemetry.LOST).get(("purged",), 0)  # by tests in this process
    code, done = command("spool", "purge", "--yes")
    assert (code, done) == (0, {"captures": 3, "dead_letters": 1, "held": 2})
    assert lost("purged") - before == 3
    (left,) = command("spool", "status")[1]
    assert (left["events"], left["content"]["dead_letters"]) == (2, {})


def test_purge_dead_letters_only(command: Command, killed: Killed) -> None:
    """``--dead`` leaves alone what waits."""
    killed()
    refuse(1, 2)
    assert command("spool", "purge", "--dead", "--yes")[1] == {"captures": 0, "dead_letters": 2, "held": 0}
    assert command("spool", "status")[1][0]["events"] == 3


def test_purge_by_age(command: Command, killed: Killed) -> None:
    """Only what is older goes: segments, or with ``--dead`` dead letters."""
    killed()
    killed()
    old, _ = sorted(folder().glob("*.v0.jsonl"))
    long_ago = f"{int((datetime.now(UTC) - timedelta(days=8)).timestamp() * 1e9):020d}"
    old.rename(old.with_name(f"{long_ago}{old.name[20:]}"))
    refuse(1)
    assert command("spool", "purge", "--older-than", "9d", "--yes")[1]["captures"] == 0
    assert command("spool", "purge", "--older-than", "7d", "--yes")[1] == {"captures": 3, "dead_letters": 0, "held": 0}
    assert command("spool", "purge", "--dead", "--older-than", "1h", "--yes")[1]["dead_letters"] == 0
    (left,) = command("spool", "status")[1]
    assert (left["events"], left["content"]["dead_letters"]) == (3, {"status_400": 1})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 3), ("\n", 1, 3), ("", 1, 3)])
def test_purge_asks(
    command: Command,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    killed: Killed,
    answer: str,
    code: int,
    left: int,
) -> None:
    """On a terminal it says how much and deletes on a yes only."""
    killed()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert main(["spool", "purge"]) == code
    assert "Delete 3 captures for good? [y/N]" in capsys.readouterr().err
    assert command("spool", "status")[1][0]["events"] == left


def test_purge_asks_nobody(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, killed: Killed) -> None:
    """Without a terminal it deletes nothing unless ``--yes`` says so."""
    killed()
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(SystemExit) as ended:
        main(["spool", "purge"])
    assert ended.value.code == 2
    assert "--yes" in capsys.readouterr().err
    assert len(list(folder().glob("*.v0.jsonl"))) == 1


@pytest.mark.parametrize("rich", [True, False])
def test_for_people(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    service: Service,
    killed: Killed,
    rich: bool,
) -> None:
    """Everything can be read in 80 columns, with the extra ``tools`` or without it; no key is printed."""
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.box", None)
    monkeypatch.setenv("COLUMNS", "80")
    killed()
    service(2)
    refuse(1)
    assert main(["spool", "status"]) == 0
    page = capsys.readouterr().out
    assert "5 captures in 2 segments" in page
    assert "a running process" in page
    assert not rich or max(map(len, page.splitlines())) <= 80
    assert main(["spool", "replay"]) == 0
    told = capsys.readouterr()
    assert "3 captures delivered.\n2 captures held by running processes" in told.out
    assert told.err == ""
    assert "invented" not in page + told.out


def test_nothing_there(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing was ever spooled each command says so, makes nothing, and succeeds."""
    assert command("spool", "status") == (0, [])
    assert command("spool", "dead") == (0, [])
    assert command("spool", "replay")[0] == 0
    assert command("spool", "purge", "--yes") == (0, {"captures": 0, "dead_letters": 0, "held": 0})
    assert not Path("spool").exists()
    assert main(["spool", "status"]) == 0
    assert "Nothing was ever spooled" in capsys.readouterr().out


@pytest.mark.parametrize("command_", ["replay", "dead", "purge"])
def test_without_a_key(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command_: str) -> None:
    """Which folder is meant depends on the key, so it has to be there."""
    monkeypatch.delenv("POSTHOG_API_KEY")
    assert main(["spool", command_]) == 2
    assert "POSTHOG_API_KEY" in capsys.readouterr().err


TENANTS = """
tenants.projects.acme.api_key = "phc_acmeInventedProjectKey01"
tenants.projects.globex.api_key = "phc_globexInventedProjectKey"
"""

# As a service that captured for its tenants and was killed.
TENANTS_SERVICE = """
import os, signal
from zentra_otel_posthog import capture, configure
configure(flush_interval=60, flush_at=1000)
for tenant in ("acme", "acme", "globex", None):
    capture("basket.closed", distinct_id="usr_1", tenant=tenant)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def of_tenants(tmp_path: Path) -> None:
    (tmp_path / "zentra-otel-posthog.toml").write_text(TENANTS)
    subprocess.run([sys.executable, "-c", TENANTS_SERVICE], check=False, cwd=tmp_path)


@pytest.mark.usefixtures("of_tenants")
def test_a_tenant(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """Status names whose project a folder is; ``--tenant`` delivers a tenant's captures with its key, and no other's."""
    found = [(one["this_project"], one["content"]["tenant"], one["events"]) for one in command("spool", "status")[1]]
    assert found[0] == (True, None, 1)
    assert sorted(found[1:]) == [(False, "acme", 2), (False, "globex", 1)]
    monkeypatch.delenv("POSTHOG_API_KEY")
    assert command("spool", "replay", "--tenant", "acme")[1]["delivered"] == 2
    assert len(receiver.events_of("phc_acmeInventedProjectKey01")) == receiver.received == 2
    assert command("spool", "purge", "--yes", "--tenant", "globex")[1]["captures"] == 1
    assert main(["spool", "status"]) == 0
    page = capsys.readouterr().out
    assert "Tenant 'acme'" in page
    assert "Invented" not in page


@pytest.mark.usefixtures("of_tenants")
@pytest.mark.parametrize("command_", ["replay", "dead", "purge"])
def test_no_such_tenant(capsys: pytest.CaptureFixture[str], receiver: Receiver, command_: str) -> None:
    """A mistyped tenant is told the nearest one, and nothing is touched."""
    assert main(["spool", command_, "--tenant", "acmee"]) == 2
    assert capsys.readouterr().err == "no tenant 'acmee' in [tenants.projects]; did you mean 'acme'?\n"
    assert receiver.received == 0
