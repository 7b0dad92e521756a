"""``zentra-otel-posthog doctor``: each finding with a real cause, no secret in any of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from zentra_otel_posthog import telemetry
from zentra_otel_posthog.cli import main
from zentra_otel_posthog.config import load
from zentra_otel_posthog.delivery import project_folders
from zentra_otel_posthog.delivery.account import Account
from zentra_otel_posthog.inspector import Answer, Receiver

Command = Callable[..., tuple[int, Any]]

API_KEY = "phc_inventedProjectKey0123456789"
PERSONAL_KEY = "phx_inventedPersonalKey0123456789"
PSEUDONYM_KEY = "an-invented-pseudonym-key-of-32-bytes-or-more"


def check(report: Any, name: str) -> dict[str, Any]:
    """The finding about something, which there is one of."""
    (found,) = (one for one in report["checks"] if one["name"] == name)
    return dict(found)


def states(report: Any) -> dict[str, str]:
    return {one["name"]: one["state"] for one in report["checks"]}


def test_all_is_well(command: Command, receiver: Receiver, tmp_path: Path) -> None:
    """With a server that answers, everything is ok; nothing was captured, and no folder is left behind."""
    code, report = command("doctor")
    assert (code, report["state"]) == (0, "ok")
    assert states(report) == {
        "settings": "ok",
        "tracing": "not checked",
        "spool": "ok",
        "waiting": "ok",
        "host": "ok",
        "key": "ok",
        "losses": "ok",
    }
    assert receiver.received == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["v0", "v1"])
@pytest.mark.parametrize(
    ("answer", "name", "state", "part"),
    [
        (None, "host", "ok", "takes capture"),
        (Answer(status=401), "key", "failed", "401"),
        (Answer(status=404), "host", "failed", "has no capture"),
        (Answer(status=301), "host", "failed", "301"),
        (Answer(status=407), "host", "failed", "proxy"),
        (Answer(status=503), "host", "warning", "503"),
        (Answer(status=418), "host", "failed", "418"),
        (Answer(connection="close"), "host", "failed", "no answer"),
        (Answer(connection="hang"), "host", "failed", "within 0.3 s"),
    ],
)
def test_what_the_host_answers(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    receiver: Receiver,
    mode: str,
    answer: Answer | None,
    name: str,
    state: str,
    part: str,
) -> None:
    """Each answer, and none, is told for what it means, on both wires."""
    monkeypatch.setenv("POSTHOG_CAPTURE_MODE", mode)
    if answer is not None:
        receiver.answer(answer)
    code, report = command("doctor", "--timeout", "0.3" if answer and answer.connection == "hang" else "10")
    found = check(report, name)
    assert found["state"] == state
    assert part in found["says"]
    assert code == (state == "failed")
    assert found["state"] == "ok" or found["way_out"]


def test_a_host_that_is_down(command: Command, receiver: Receiver) -> None:
    """Where nothing listens, that is what it says."""
    receiver.stop()
    code, report = command("doctor")
    assert code == 1
    assert "nothing listens there" in check(report, "host")["says"]


def test_a_name_that_does_not_resolve(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that no resolver knows is told from one that is down."""
    monkeypatch.setenv("POSTHOG_HOST", "https://posthog.invalid")
    assert "cannot be resolved" in check(command("doctor")[1], "host")["says"]


def test_tls_that_is_none(command: Command, monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    """An https address of a plain port is a matter of TLS."""
    monkeypatch.setenv("POSTHOG_HOST", receiver.url.replace("http:", "https:"))
    assert "TLS failed" in check(command("doctor")[1], "host")["says"]


def test_a_proxy_is_named_without_its_password(
    command: Command, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """What stands between is named, and so is what to look at where it is down."""
    monkeypatch.setenv("POSTHOG_HOST", "http://posthog.example")
    monkeypatch.setenv("HTTP_PROXY", receiver.url.replace("//", "//teller:hunter2hunter2@"))
    receiver.stop()
    found = check(command("doctor")[1], "host")
    assert receiver.url.removeprefix("http://") in found["says"]
    assert "HTTP_PROXY" in found["way_out"]
    assert "hunter2" not in str(found)


def test_a_server_without_v1(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """V1 where the server has not enabled it leads back to V0."""
    with Receiver(v1=False) as older:
        monkeypatch.setenv("POSTHOG_HOST", older.url)
        monkeypatch.setenv("POSTHOG_CAPTURE_MODE", "v1")
        found = check(command("doctor")[1], "host")
    assert found["state"] == "failed"
    assert "POSTHOG_CAPTURE_MODE to v0" in found["way_out"]


def test_where_settings_come_from(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flag, environment, file, default: each setting tells its own."""
    Path("zentra-otel-posthog.toml").write_text("flush_at = 7\nflush_interval = 3\n", encoding="utf-8")
    monkeypatch.setenv("ZENTRA_POSTHOG_FLUSH_INTERVAL", "4")
    monkeypatch.setenv("OTEL_PYTHON_ZENTRA_POSTHOG_MAX_RETRIES", "2")
    monkeypatch.setenv("ZENTRA_POSTHOG_MAX_RETRIES", "1")
    settings = {one["name"]: (one["value"], one["origin"]) for one in command("doctor")[1]["settings"]}
    assert settings["flush_at"] == ("7", "zentra-otel-posthog.toml")
    assert settings["flush_interval"] == ("4.0", "ZENTRA_POSTHOG_FLUSH_INTERVAL")
    assert settings["max_retries"] == ("2", "OTEL_PYTHON_ZENTRA_POSTHOG_MAX_RETRIES")
    assert settings["compression"] == ("'gzip'", "default")
    assert settings["api_key"] == ("'phc_…'", "POSTHOG_API_KEY")


def test_what_code_configured(
    command: Command, monkeypatch: pytest.MonkeyPatch, receiver: Receiver, tmp_path: Path
) -> None:
    """What the application's own ``configure`` says is what is checked, and so named."""
    monkeypatch.setenv("POSTHOG_HOST", "http://127.0.0.1:9")
    source = f"from zentra_otel_posthog import configure\nconfigure(host={receiver.url!r})\n"
    (tmp_path / "configuring.py").write_text(source, encoding="utf-8")
    _, report = command("doctor", "--import", "configuring")
    settings = {one["name"]: one["origin"] for one in report["settings"]}
    assert settings["host"] == "configure()"
    assert settings["api_key"] == "POSTHOG_API_KEY"
    assert check(report, "host")["state"] == "ok"


def test_an_application_with_its_own_sink(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where captures go elsewhere, neither key nor host is asked for."""
    monkeypatch.delenv("POSTHOG_API_KEY")
    source = "from zentra_otel_posthog import configure, delivery\nconfigure(sink=delivery.MemorySink())\n"
    (tmp_path / "sinking.py").write_text(source, encoding="utf-8")
    code, report = command("doctor", "--import", "sinking")
    assert (code, check(report, "captures")["state"]) == (0, "ok")
    assert "MemorySink" in check(report, "captures")["says"]
    assert "host" not in states(report)


def test_tenants(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Projects of tenants are told by their number; without a project for others nothing else is checked."""
    key = "phc_tenant5ecret"
    (tmp_path / "zentra-otel-posthog.toml").write_text(f'[tenants.projects]\nacme = "{key}"\n')
    code, report = command("doctor")
    assert {"host", "key", "spool"} < {one["name"] for one in report["checks"]}
    assert {one["name"]: one["value"] for one in report["settings"]}["tenants"] == "1 project"
    monkeypatch.delenv("POSTHOG_API_KEY")
    code, report = command("doctor")
    assert code == 0
    (check,) = (one for one in report["checks"] if one["name"] == "captures")
    assert (check["state"], "tenants" in check["says"]) == ("ok", True)
    assert key not in str(report)


@pytest.mark.parametrize(
    ("variable", "value", "name", "state"),
    [
        ("ZENTRA_POSTHOG_FLUSH_AT", "many", "settings", "failed"),
        ("ZENTRA_POSTHOG_FLUHS_AT", "5", "log", "warning"),
        ("ZENTRA_POSTHOG_DISABLED", "true", "captures", "warning"),
        ("ZENTRA_POSTHOG_SINK", "console", "captures", "warning"),
        ("POSTHOG_API_KEY", "", "captures", "failed"),
        ("POSTHOG_API_KEY", "pk_invented", "key", "warning"),
        ("ZENTRA_POSTHOG_SPOOL_MAX_BYTES", str(1 << 60), "spool", "warning"),
        ("OTEL_SDK_DISABLED", "true", "tracing", "warning"),
    ],
)
def test_settings_that_do_harm(
    command: Command, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, name: str, state: str
) -> None:
    """A wrong, unknown or switched-off setting is a finding that names the variable or the way out."""
    monkeypatch.setenv(variable, value)
    code, report = command("doctor")
    found = [one for one in report["checks"] if one["name"] == name and one["state"] == state]
    assert len(found) == 1
    assert code == (state == "failed")
    assert "did you mean" in found[0]["says"] or found[0]["way_out"]


RULES = """
presets = ["flask-login"]
[[instrument]]
target = "till_of_ours:charge"
event = "payment"
[[instrument]]
target = "till_of_ours:chrage"
event = "payment"
[[instrument]]
target = "till_of_ours:refund"
event = "payment"
distinct_id = "customer.ident"
[[instrument]]
target = "{missing}:charge"
event = "payment"
[[instrument]]
target = "lazy_of_ours:charge"
event = "payment"
"""
TILL = "def charge(customer_id, amount_minor): ...\ndef refund(customer_id): ...\n"


def test_rules(command: Command, tmp_path: Path) -> None:
    """Of each rule one learns whether it works, waits, or never will and why; the functions stay as they are."""
    Path("zentra-otel-posthog.toml").write_text(RULES.format(missing="no_module_of_ours"), encoding="utf-8")
    (tmp_path / "till_of_ours.py").write_text(TILL, encoding="utf-8")
    (tmp_path / "lazy_of_ours.py").write_text(TILL, encoding="utf-8")
    code, report = command("doctor", "--import", "till_of_ours")
    charge, misspelt, wrong_path, missing, lazy, preset = report["rules"]
    assert code == 1
    assert charge["state"] == "wrapped"
    assert (misspelt["state"], "did you mean 'charge'" in misspelt["reason"]) == ("not wrapped", True)
    assert (wrong_path["state"], "customer_id" in wrong_path["reason"]) == ("not wrapped", True)
    assert "there is no module 'no_module_of_ours'" in missing["reason"]
    assert (lazy["state"], lazy["reason"]) == ("pending import", None)
    assert preset["state"] in {"pending import", "connected"}  # other tests may have imported Flask-Login
    assert [one["state"] for one in report["checks"] if one["name"] == "rules"] == ["failed", "warning", "ok"]
    assert not [one for one in report["checks"] if one["name"] == "log"]
    assert not hasattr(sys.modules["till_of_ours"].charge, "__wrapped__")


def test_rules_without_imports(command: Command, tmp_path: Path) -> None:
    """Without ``--import`` nothing of the application is imported, and the rules are not judged."""
    Path("zentra-otel-posthog.toml").write_text(
        '[[instrument]]\ntarget = "idle_of_ours:charge"\nevent = "payment"\n', encoding="utf-8"
    )
    (tmp_path / "idle_of_ours.py").write_text(TILL, encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    try:
        code, report = command("doctor")
    finally:
        sys.path.remove(str(tmp_path))
    assert (code, check(report, "rules")["state"]) == (0, "not checked")
    assert "idle_of_ours" not in sys.modules


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("import no_such_module_of_ours", "no_such_module_of_ours"),
        ("raise RuntimeError('ada.obi@example.com')", "it raised RuntimeError at "),
        ("from zentra_otel_posthog import configure\nconfigure(flush_at='many')", "flush_at"),
    ],
)
def test_an_import_that_fails(command: Command, tmp_path: Path, source: str, part: str) -> None:
    """A module that cannot be imported is a failure; what an error of somebody else's quotes is not repeated."""
    name = f"broken_of_ours_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    code, report = command("doctor", "--import", name)
    assert code == 1
    assert part in check(report, "imports")["says"]
    assert "ada.obi" not in str(report)


def test_the_tracer_provider(command: Command, provider: TracerProvider) -> None:
    """The provider of this process is told with its processors, ours among them, and its sampler."""
    _, report = command("doctor")
    assert "SimpleSpanProcessor, PostHogSpanProcessor" in check(report, "tracing")["says"]
    assert check(report, "sampler")["state"] == "ok"


def test_a_sampler_that_drops(command: Command, install: Callable[[trace.TracerProvider | None], None]) -> None:
    """A sampler that hides spans from analytics is a warning with the sampler that does not."""
    install(TracerProvider(sampler=TraceIdRatioBased(0.1), shutdown_on_exit=False))
    code, report = command("doctor")
    found = check(report, "sampler")
    assert (code, found["state"]) == (0, "warning")
    assert "OTEL_TRACES_SAMPLER=zentra_posthog" in found["way_out"]


def test_an_import_that_sets_no_tracing_up(command: Command, tmp_path: Path) -> None:
    """Who names the set-up of tracing learns when it sets up none."""
    (tmp_path / "idle_set_up.py").write_text("", encoding="utf-8")
    assert check(command("doctor", "--import", "idle_set_up")[1], "tracing")["state"] == "warning"


def test_what_a_killed_process_left(command: Command, killed: Callable[[], None]) -> None:
    """Captures that nobody holds are a warning with the way to deliver them; they stay where they are."""
    killed()
    code, report = command("doctor")
    found = check(report, "waiting")
    assert (code, found["state"]) == (0, "warning")
    assert found["says"].startswith("3 captures in 1 segment, 0 of them held by a running process; ")
    assert "spool replay" in found["way_out"]
    assert report["spool"][0]["segments"][0]["events"] == 3


def test_what_a_living_process_holds(command: Command, service: Callable[[int], object]) -> None:
    """What a running service holds is in good hands."""
    service(2)
    found = check(command("doctor")[1], "waiting")
    assert found["state"] == "ok"
    assert "1 of them held by a running process" in found["says"]


def test_a_folder_that_cannot_be_written(command: Command) -> None:
    """Where no folder can be used, captures would wait in memory."""
    Path("spool").write_text("", encoding="utf-8")
    found = check(command("doctor")[1], "spool")
    assert found["state"] == "warning"
    assert "memory" in found["says"]


def test_what_does_not_belong_into_the_folder(command: Command) -> None:
    """Foreign files and segments of a newer version are named."""
    (folder,) = project_folders(load())
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("", encoding="utf-8")
    (folder / f"{1:020d}-1-{'a' * 8}-{'b' * 8}.v9.jsonl").write_text("", encoding="utf-8")
    says = [one["says"] for one in command("doctor")[1]["checks"] if one["name"] == "spool"]
    assert any("notes.txt" in one for one in says)
    assert any("newer version" in one for one in says)


def test_losses_of_all_processes(command: Command) -> None:
    """Losses, refusals and internal errors come from the account beside the spool, with a way out."""
    (folder,) = project_folders(load())
    folder.mkdir(parents=True)
    telemetry.add(telemetry.LOST, "spool_full", count=12)
    telemetry.add(telemetry.REFUSED, "payment.completed", "method", "long_number")
    telemetry.add(telemetry.INTERNAL_ERRORS, "sink", "KeyError")
    Account(folder).save()
    report = command("doctor")[1]
    assert report["counts"]["lost"]["spool_full"] >= 12
    assert "SPOOL_MAX_BYTES" in check(report, "losses")["way_out"]
    assert "long_number" in check(report, "sanitizer")["says"]
    assert "sink KeyError" in check(report, "errors")["says"]


class PostHog(BaseHTTPRequestHandler):
    """A self-hosted PostHog: takes captures in and answers queries; ``status`` and ``forgets`` make it worse."""

    status = 200
    forgets = False
    queries: list[tuple[str | None, str]]
    arrived: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/batch/":
            self.arrived.extend(event["uuid"] for event in msgspec.json.decode(body)["batch"])
            return self.reply(200 if b'"batch":[{' in body else 400, {})
        assert self.path == "/api/projects/42/query/"
        values = msgspec.json.decode(body)["query"]["values"]
        self.queries.append((self.headers["Authorization"], values["uuid"]))
        there = not self.forgets and values["uuid"] in self.arrived
        return self.reply(self.status, {"results": [[values["attempt"], int(there)]]})

    def reply(self, status: int, document: object) -> None:
        body = msgspec.json.encode(document)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def posthog(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[PostHog]]:
    """A self-hosted PostHog with an app, and the personal key to ask it."""
    handler = type("Handler", (PostHog,), {"queries": [], "arrived": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("POSTHOG_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("ZENTRA_POSTHOG_COMPRESSION", "none")
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", PERSONAL_KEY)
    monkeypatch.setenv("POSTHOG_PROJECT_ID", "42")
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_a_canary_without_a_personal_key(
    command: Command, monkeypatch: pytest.MonkeyPatch, receiver: Receiver, mode: str
) -> None:
    """``--send`` sends one event about nobody; that it arrived is not claimed."""
    monkeypatch.setenv("POSTHOG_CAPTURE_MODE", mode)
    code, report = command("doctor", "--send")
    (event,) = receiver.events_of(API_KEY)
    assert event["event"] == "doctor.checked"
    assert event["properties"]["$process_person_profile"] is False
    assert check(report, "canary")["state"] == "ok"
    assert (code, check(report, "arrival")["state"]) == (0, "not checked")
    assert "POSTHOG_PERSONAL_API_KEY and POSTHOG_PROJECT_ID" in check(report, "arrival")["way_out"]


def test_a_canary_that_arrives(command: Command, posthog: type[PostHog]) -> None:
    """With a personal key the app is asked for that one event, with that key."""
    code, report = command("doctor", "--send")
    assert (code, check(report, "arrival")["state"]) == (0, "ok")
    assert posthog.queries == [(f"Bearer {PERSONAL_KEY}", posthog.arrived[0])]


def test_a_canary_that_does_not_arrive(command: Command, posthog: type[PostHog]) -> None:
    """What was accepted and is not there when the time is over is a failure."""
    posthog.forgets = True
    code, report = command("doctor", "--send", "--wait", "0.1")
    assert (code, check(report, "arrival")["state"]) == (1, "failed")
    assert check(report, "canary")["state"] == "ok"


@pytest.mark.parametrize(("status", "part"), [(401, "personal key"), (403, "query:read"), (404, "POSTHOG_PROJECT_ID")])
def test_an_app_that_refuses(command: Command, posthog: type[PostHog], status: int, part: str) -> None:
    """A wrong personal key, scope or project is told at once."""
    posthog.status = status
    code, report = command("doctor", "--send")
    found = check(report, "arrival")
    assert (code, found["state"]) == (1, "failed")
    assert part in f"{found['says']} {found['way_out']}"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("POSTHOG_PERSONAL_API_KEY", "phx_\u2026"),
        ("POSTHOG_PERSONAL_API_KEY", API_KEY),
        ("POSTHOG_PROJECT_ID", "../42"),
    ],
)
def test_what_no_request_can_carry(
    command: Command, monkeypatch: pytest.MonkeyPatch, posthog: type[PostHog], variable: str, value: str
) -> None:
    """A personal key or project that is none is a finding, and nothing is asked."""
    monkeypatch.setenv(variable, value)
    found = check(command("doctor", "--send")[1], "arrival")
    assert (found["state"], variable in found["way_out"]) == ("failed", True)
    assert posthog.queries == []


@pytest.mark.parametrize("answer", [Answer(status=401), Answer(status=400), Answer(status=500), Answer(status=302)])
def test_a_canary_that_is_refused(command: Command, receiver: Receiver, answer: Answer) -> None:
    """A canary that was not taken is a failure, and nobody looks for it."""
    receiver.answer(Answer(status=400))
    receiver.answer(answer)
    code, report = command("doctor", "--send")
    assert (code, check(report, "canary")["state"]) == (1, "failed")
    assert "arrival" not in states(report)


def test_a_result_that_is_no_acceptance(command: Command, monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    """V1 may answer 200 and drop the event."""
    monkeypatch.setenv("POSTHOG_CAPTURE_MODE", "v1")
    receiver.answer(Answer(status=400))
    receiver.answer(Answer(status=200, body=b"this is no JSON"))
    assert check(command("doctor", "--send")[1], "canary")["state"] == "failed"


@pytest.mark.parametrize("form", [["--json"], []])
@pytest.mark.parametrize("rich", [True, False])
def test_never_a_secret(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    receiver: Receiver,
    form: list[str],
    rich: bool,
) -> None:
    """No key is printed in any form, not even by a server that quotes it."""
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.box", None)
    monkeypatch.setenv("ZENTRA_POSTHOG_PSEUDONYM_KEY", PSEUDONYM_KEY)
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", PERSONAL_KEY)
    receiver.answer(Answer(status=418, body=f"who is {API_KEY}?".encode()), times=2)
    assert main(["doctor", "--send", *form]) == 1
    captured = capsys.readouterr()
    assert "418" in captured.out
    assert captured.err == ""
    for secret in (API_KEY, PERSONAL_KEY, PSEUDONYM_KEY):
        assert secret[5:] not in captured.out


def test_eighty_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """For people everything fits a terminal of 80 columns, and nothing is cut."""
    monkeypatch.setenv("COLUMNS", "80")
    Path("zentra-otel-posthog.toml").write_text(RULES.format(missing="no_module_of_ours"), encoding="utf-8")
    assert main(["doctor"]) == 1
    page = capsys.readouterr().out
    assert max(map(len, page.splitlines())) <= 80
    assert "no_module_of_ours" in page
    assert page.rstrip().splitlines()[-1].startswith("1 failed")
