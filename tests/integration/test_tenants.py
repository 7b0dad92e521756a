"""Tenants' captures reach projects of their own, over real sockets, and no tenant's trouble is another's."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import TracerProvider

from zentra_otel_posthog import Settings, capture, configure, flush, identify, payment, runtime, shutdown, telemetry
from zentra_otel_posthog.delivery import SpoolSink, sender, spool_directories, tenants
from zentra_otel_posthog.inspector import Answer, Receiver
from zentra_otel_posthog.propagation import PostHogPropagator

Start = Callable[..., None]
DESCRIPTORS = Path("/proc/self/fd")
KEYS = {"acme": "phc_acme_5ecret", "globex": "phc_globex_5ecret", "default": "phc_default_5ecret"}


@pytest.fixture
def receivers() -> Iterator[dict[str, Receiver]]:
    """A stand-in for PostHog for each project."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(Receiver()) for name in KEYS}


@pytest.fixture
def projects(receivers: dict[str, Receiver]) -> dict[str, Any]:
    """The tenants' projects, as ``[tenants.projects]`` has them."""
    return {name: {"api_key": KEYS[name], "host": receivers[name].url} for name in ("acme", "globex")}


@pytest.fixture
def start(receivers: dict[str, Receiver], projects: dict[str, Any], tmp_path: Path) -> Start:
    """Configures two tenants and a default project; only a flush is ever due, unless settings say otherwise."""

    def configured(*, default: bool = True, **settings: Any) -> None:
        if default:
            settings = {"api_key": KEYS["default"], "host": receivers["default"].url, **settings}
        settings = {"tenants": {"projects": projects}, "flush_at": 10_000, "flush_interval": 3600, **settings}
        configure(spool_dir=tmp_path / "spool", **settings)

    return configured


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes backoff a hundredth of a second."""
    monkeypatch.setattr(sender, "_BACKOFF_FIRST", 0.01)


@pytest.fixture
def lost() -> Callable[[], dict[str, int]]:
    """What was lost since the test began, by reason."""
    before = Counter(telemetry.totals(telemetry.LOST))
    return lambda: {reason: count for (reason,), count in (Counter(telemetry.totals(telemetry.LOST)) - before).items()}


def emit(tenant: object, count: int = 1) -> list[str]:
    return [str(capture("basket.paid", distinct_id="usr_1", tenant=tenant)) for _ in range(count)]


def uuids(receiver: Receiver) -> list[str]:
    return [event["uuid"] for event in receiver.events]


def folders(tmp_path: Path) -> dict[str, Path]:
    """The tenants' folders by what they say whose they are."""
    return {file.read_text(): file.parent for file in (tmp_path / "spool").glob("*/tenant")}


def threads() -> Counter[str]:
    return Counter(thread.name for thread in threading.enumerate() if thread.name.startswith("zentra-posthog"))


class TestRouting:
    def test_each_way_to_name_a_tenant(
        self, receivers: dict[str, Receiver], start: Start, provider: TracerProvider
    ) -> None:
        """A decorator's tenant, ``capture``'s, ``identify``'s and a span's: each capture in its project, no other."""

        @payment(tenant="bank")
        def charge(bank: str, amount_minor: int, currency: str) -> None:
            pass

        start()
        charge("acme", 5, "NGN")
        with identify(tenant="acme"):
            emit(None)
        with provider.get_tracer("app").start_as_current_span("request", attributes={"posthog.tenant": "acme"}) as span:
            emit(None)
            span.add_event("payment.completed", {"amount_minor": 1, "currency": "NGN"})
        emit("acme")
        emit("globex", 2)
        emit(None, 3)
        assert flush(5)
        assert {name: len(receiver.events) for name, receiver in receivers.items()} == {
            "acme": 6, "globex": 2, "default": 3,
        }  # fmt: skip
        for name, receiver in receivers.items():
            assert receiver.events_of(KEYS[name]) == receiver.events
            groups = {event["properties"].get("$groups", {}).get("tenant", "default") for event in receiver.events}
            assert groups == {name}

    @pytest.mark.parametrize("unknown", ["default", "refuse"])
    def test_an_unknown_tenant(
        self,
        receivers: dict[str, Receiver],
        projects: dict[str, Any],
        start: Start,
        unknown: str,
        lost: Callable[[], Any],
    ) -> None:
        """It goes to the default project, or is counted as lost; what names no tenant goes to the default either way."""
        start(tenants={"projects": projects, "unknown": unknown})
        elsewhere, nowhere = emit("initech"), emit(None)
        assert flush(5)
        assert uuids(receivers["default"]) == (elsewhere + nowhere if unknown == "default" else nowhere)
        assert lost() == ({} if unknown == "default" else {"unknown_tenant": 1})

    def test_tenants_alone(self, receivers: dict[str, Receiver], start: Start, lost: Callable[[], Any]) -> None:
        """Without a key of its own the application keeps its tenants' captures and no others."""
        start(default=False)
        kept = emit("acme")
        emit("initech")
        emit(None)
        assert flush(5)
        assert uuids(receivers["acme"]) == kept
        assert lost() == {"unknown_tenant": 2}

    @pytest.mark.parametrize("route_claimed", [False, True])
    def test_a_tenant_that_a_request_claims(
        self, receivers: dict[str, Receiver], projects: dict[str, Any], start: Start, *, route_claimed: bool
    ) -> None:
        """A header alone chooses no project, unless the settings trust it; it is the event's group either way."""
        start(tenants={"projects": projects, "route_claimed": route_claimed})
        token = otel_context.attach(PostHogPropagator().extract({"x-zentra-posthog-tenant": "acme"}))
        try:
            claimed = emit(None)
            with identify(tenant="globex"):
                named = emit(None)
        finally:
            otel_context.detach(token)
        assert flush(5)
        receiver = receivers["acme" if route_claimed else "default"]
        assert uuids(receiver) == claimed
        assert receiver.events[0]["properties"]["$groups"] == {"tenant": "acme"}
        assert uuids(receivers["globex"]) == named

    def test_a_personal_tenant(self, receivers: dict[str, Receiver], projects: dict[str, Any], start: Start) -> None:
        """A sole trader's e-mail as the tenant's name is a pseudonym in captures, and still finds its project."""
        named = {"projects": {"ada@example.com": projects["acme"]}, "unknown": "refuse"}
        start(tenants=named, pseudonym_key="k" * 32)
        sent = emit("ada@example.com")
        assert flush(5)
        assert uuids(receivers["acme"]) == sent
        assert b"ada@" not in receivers["acme"].requests[0].body

    def test_tenants_that_share_a_project(
        self, receivers: dict[str, Receiver], projects: dict[str, Any], start: Start
    ) -> None:
        """One project is one spool and one sender, also where it is the default's."""
        same = {"api_key": KEYS["default"], "host": receivers["default"].url}
        start(tenants={"projects": {"acme": same, "globex": same}})
        sent = emit("acme") + emit("globex") + emit(None)
        assert flush(5)
        assert uuids(receivers["default"]) == sent
        assert len(receivers["default"].requests) == 1

    def test_without_tenants(self, receivers: dict[str, Receiver], start: Start) -> None:
        """Where none is configured captures take the one way that there was before."""
        start(tenants={})
        assert type(runtime.current().sink) is SpoolSink


class TestIsolation:
    def test_an_outage(self, receivers: dict[str, Receiver], start: Start) -> None:
        """While one project's host is down the others' captures arrive; afterwards its own do. ``flush`` tells."""
        start()
        receivers["acme"].stop()
        held_up, sent = emit("acme", 3), emit("globex", 3)
        assert not flush(0.1)
        assert receivers["globex"].wait_for(3)
        assert uuids(receivers["globex"]) == sent
        receivers["acme"].start()
        assert flush(10)
        assert uuids(receivers["acme"]) == held_up

    def test_a_host_that_hangs(self, receivers: dict[str, Receiver], start: Start) -> None:
        """A flush that one project holds up until its deadline has delivered the others' captures meanwhile."""
        start()
        receivers["acme"].answer(Answer(connection="hang"))
        emit("acme")
        sent = emit("globex") + emit(None)
        assert not flush(0.1)
        assert receivers["globex"].wait_for(1)
        assert receivers["default"].wait_for(1)
        assert uuids(receivers["globex"]) + uuids(receivers["default"]) == sent
        receivers["acme"].release()

    def test_a_bad_key(self, receivers: dict[str, Receiver], start: Start, caplog: pytest.LogCaptureFixture) -> None:
        """401 for one tenant is said once, with its name; its captures wait, the others go on."""
        start()
        receivers["acme"].answer(Answer(401), times=100)
        emit("acme")
        sent = emit("globex", 2)
        assert not flush(0.1)
        assert receivers["globex"].wait_for(2)
        assert receivers["acme"].wait_for_requests(1)
        assert uuids(receivers["globex"]) == sent
        assert not flush(0.1)
        (message,) = (record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR)
        assert "for tenant 'acme', answered 401: check the tenant's key" in message

    @pytest.mark.slow
    def test_a_full_bound(self, receivers: dict[str, Receiver], start: Start, lost: Callable[[], Any]) -> None:
        """Each project has the bound to itself: what one must refuse, another keeps."""
        start(spool_max_bytes=1 << 20)
        receivers["acme"].stop()
        while not lost():
            capture("basket.paid", distinct_id="usr_1", tenant="acme", properties={"note": "many words " * 400})
        assert set(lost()) == {"spool_full"}
        before = lost()
        sent = emit("globex", 3)
        assert not flush(0.1)
        assert receivers["globex"].wait_for(3)
        assert uuids(receivers["globex"]) == sent
        assert lost() == before


class TestLookup:
    def test_its_answers(self, receivers: dict[str, Receiver], projects: dict[str, Any], start: Start) -> None:
        """A function is asked once for each tenant, and what the settings name goes before it."""
        asked: list[str] = []

        def project_of(tenant: str) -> object:
            asked.append(tenant)
            return {"globex": projects["globex"], "spaced": KEYS["default"]}.get(tenant)

        start(tenants={"lookup": project_of, "projects": {"acme": projects["acme"]}, "unknown": "refuse"})
        for _ in range(3):
            for tenant in ("acme", "globex", "spaced", "initech"):
                emit(tenant)
        assert flush(5)
        assert sorted(asked) == ["globex", "initech", "spaced"]
        assert [len(receivers[name].events) for name in KEYS] == [3, 3, 3]

    def test_one_that_fails(
        self,
        receivers: dict[str, Receiver],
        projects: dict[str, Any],
        start: Start,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """What it raises or returns amiss reaches nobody: the tenant is unknown, and asked for again after a while."""
        telemetry.raise_internal_errors(enabled=False)
        answers: list[Any] = [ConnectionError(KEYS["acme"]), "phx_" + KEYS["acme"], None, 5, projects["acme"]]

        def project_of(_: str) -> Any:
            if isinstance(answer := answers.pop(0), Exception):
                raise answer
            return answer

        start(tenants=project_of)
        elsewhere: list[str] = []
        while len(answers) > 1:
            elsewhere += emit("acme", 2)  # the second one is not asked for
            _later()
        sent = emit("acme", 2)
        assert flush(5)
        assert uuids(receivers["default"]) == elsewhere
        assert len(elsewhere) == 8
        assert uuids(receivers["acme"]) == sent
        assert "lookup returned for 'acme' is wrong: this is a personal key" in caplog.text
        assert KEYS["acme"] not in caplog.text

    def test_one_that_blocks(self, receivers: dict[str, Receiver], projects: dict[str, Any], start: Start) -> None:
        """It holds up the one call that asks, and neither other tenants nor a flush of theirs."""
        asked, goes_on = threading.Event(), threading.Event()

        def project_of(tenant: str) -> object:
            if tenant == "acme":
                asked.set()
                goes_on.wait(30)
            return projects[tenant]

        start(tenants=project_of)
        caller = threading.Thread(target=emit, args=("acme",))
        caller.start()
        assert asked.wait(5)
        sent = emit("globex", 2)
        assert flush(5)
        assert uuids(receivers["globex"]) == sent
        goes_on.set()
        caller.join()
        assert flush(5)
        assert len(receivers["acme"].events) == 1

    def test_one_that_captures(self, receivers: dict[str, Receiver], projects: dict[str, Any], start: Start) -> None:
        """A capture on the way of a look-up does not ask again."""
        asked: list[str] = []

        def project_of(tenant: str) -> object:
            asked.append(tenant)
            emit(tenant)
            return projects["acme"]

        start(tenants=project_of)
        sent = emit("acme")
        assert flush(5)
        assert asked == ["acme"]
        assert uuids(receivers["acme"]) == sent
        assert len(receivers["default"].events) == 1


def _later() -> None:
    """Let the time pass after which tenants are asked for again."""
    sink = runtime.current().sink
    assert isinstance(sink, tenants.TenantSink)
    sink._ask_again = dict.fromkeys(sink._ask_again, 0.0)


PROGRAM = """
import os, signal, sys
from zentra_otel_posthog import capture, configure
url, spool, way, ending = sys.argv[1:]
projects = {{name: {{"api_key": f"phc_{{name}}", "host": url}} for name in ("acme", "globex")}}
configure(tenants=projects.get if way == "lookup" else {{"projects": projects}}, spool_dir=spool, flush_interval=3600)
print(*(capture("basket.paid", tenant=name) for name in ("acme", "globex")), flush=True)
{end}
"""


@pytest.mark.parametrize("way", ["projects", "lookup"])
def test_a_restart_adopts(receiver: Receiver, tmp_path: Path, way: str) -> None:
    """What a killed process left in its tenants' folders is delivered by the next, though nobody captures again."""
    program = PROGRAM.format(end="os.kill(os.getpid(), signal.SIGKILL)")
    spool = str(tmp_path / "spool")
    killed = subprocess.run(
        [sys.executable, "-c", program, receiver.url, spool, way, ""], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -9
    assert receiver.events == []
    projects = {name: {"api_key": f"phc_{name}", "host": receiver.url} for name in ("acme", "globex")}
    configure(tenants=projects.get if way == "lookup" else {"projects": projects}, spool_dir=spool)
    assert flush(10)
    assert sorted(uuids(receiver)) == sorted(killed.stdout.split())
    assert [len(receiver.events_of(f"phc_{name}")) for name in projects] == [1, 1]


def test_a_project_that_is_no_longer_the_tenants(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Captures meant for one project are not sent to another that the tenant has now; that is said."""
    program = PROGRAM.format(end="os._exit(0)")
    spool = str(tmp_path / "spool")
    subprocess.run([sys.executable, "-c", program, receiver.url, spool, "lookup", ""], capture_output=True, check=True)
    configure(tenants={"acme": {"api_key": "phc_new", "host": receiver.url}}.get, spool_dir=spool)
    assert flush(10)
    assert receiver.events == []
    assert "'acme'" in caplog.text
    assert "no longer the tenant's" in caplog.text


@pytest.mark.slow
def test_what_another_process_leaves_later(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running process finds what others leave, without a flush."""
    monkeypatch.setattr(tenants, "_LOOK_INTERVAL", 0.05)
    spool = str(tmp_path / "spool")
    projects = {name: {"api_key": f"phc_{name}", "host": receiver.url} for name in ("acme", "globex")}
    configure(tenants={"projects": projects}, spool_dir=spool, flush_interval=0.1)
    program = PROGRAM.format(end="os.kill(os.getpid(), signal.SIGKILL)")
    subprocess.run(
        [sys.executable, "-c", program, receiver.url, spool, "projects", ""], capture_output=True, check=False
    )
    assert receiver.wait_for(2, timeout=10)


@pytest.mark.parametrize(
    "end",
    [
        "os._exit(0)",
        *(pytest.param(end, marks=pytest.mark.slow) for end in ("sys.exit(0)", "os.kill(os.getpid(), signal.SIGKILL)")),
    ],
)
def test_fork(receiver: Receiver, tmp_path: Path, end: str) -> None:
    """Parent and child capture for the same tenants before and after a fork: each capture arrives once."""
    program = PROGRAM.format(
        end=f"""
from zentra_otel_posthog import flush
if (pid := os.fork()) == 0:
    signal.alarm(20)
    print(*(capture("basket.paid", tenant=name) for name in ("acme", "globex")), flush=True)
    {end}
os.waitpid(pid, 0)
print(capture("basket.paid", tenant="acme"))
assert flush(10)
"""
    )
    done = subprocess.run(
        [sys.executable, "-c", program, receiver.url, str(tmp_path / "spool"), "projects", ""],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    captured = done.stdout.split()
    assert len(captured) == 5
    assert sorted(uuids(receiver)) == sorted(captured)
    assert receiver.received == 5


def test_what_is_captured_after_shutdown(receivers: dict[str, Receiver], start: Start, tmp_path: Path) -> None:
    """It waits in its tenant's spool for the next process, also that of a tenant met for the first time."""
    start()
    sent = emit("acme")
    assert shutdown(5)
    assert uuids(receivers["acme"]) == sent
    left = emit("acme") + emit("globex")
    assert set(folders(tmp_path)) == {"acme", "globex"}
    assert receivers["globex"].requests == []
    start()
    assert flush(5)
    assert [*uuids(receivers["acme"]), *uuids(receivers["globex"])] == sent + left


def test_idle_tenants_cost_no_threads(
    receivers: dict[str, Receiver], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant's thread and connection end after a while without captures, and come back with the next one."""
    monkeypatch.setattr(tenants, "_IDLE", 0.05)
    start(default=False, flush_interval=0.05)
    sent = []
    for _ in range(2):
        sent += emit("acme", 3)
        assert receivers["acme"].wait_for(len(sent))
        while threads()["zentra-posthog-sender"]:
            threading.Event().wait(0.01)
        assert receivers["acme"]._connections == {} or _closed(receivers["acme"])
    assert uuids(receivers["acme"]) == sent
    assert flush(5)
    assert not threads()["zentra-posthog-sender"]  # nothing waits, so nothing is started


@pytest.mark.slow
def test_no_capture_is_left_by_a_thread_that_ends(
    receivers: dict[str, Receiver], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A capture at the very moment in which a tenant's thread ends is delivered all the same, by another."""
    monkeypatch.setattr(tenants, "_IDLE", 0.0)
    monkeypatch.setattr(sender, "_PACE", 0.0)
    start(default=False, flush_at=1, flush_interval=0.001)
    chance = random.Random(5)
    for number in range(1, 301):
        emit("acme")
        assert receivers["acme"].wait_for(number)
        threading.Event().wait(chance.uniform(0, 0.003))


@pytest.mark.slow
@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="descriptors are counted by Linux's /proc")
def test_two_hundred_tenants(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all have captured and rest, no thread, connection or file of theirs is left."""
    monkeypatch.setattr(tenants, "_IDLE", 0.5)
    names = [f"tenant_{number}" for number in range(200)]
    projects = {name: {"api_key": f"phc_{name}", "host": receiver.url} for name in names}
    configure(tenants=projects.get, spool_dir=tmp_path / "spool", flush_interval=0.1)
    before = len(list(DESCRIPTORS.iterdir()))
    sent = [uuid for _ in range(3) for name in names for uuid in emit(name)]
    assert flush(30)
    assert sorted(uuids(receiver)) == sorted(sent)
    while threads() != {"zentra-posthog-tenants": 1}:
        threading.Event().wait(0.05)
    assert _closed(receiver)
    assert len(list(DESCRIPTORS.iterdir())) <= before  # fewer, where one that an earlier test left was collected


def _closed(receiver: Receiver) -> bool:
    while receiver._connections:
        threading.Event().wait(0.01)
    return True


def test_no_key_is_on_disk_or_in_the_log(
    receivers: dict[str, Receiver],
    projects: dict[str, Any],
    start: Start,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every file of the spool and every record, at debug, of outages, refusals and success: none has a key."""
    caplog.set_level(logging.DEBUG)
    start(tenants={"lookup": projects.get})
    for receiver in receivers.values():
        receiver.answer(Answer(401, body=" ".join(KEYS.values()).encode()), times=2)
    for tenant in ("acme", "globex", "initech", None):
        emit(tenant)
    flush(0.3)
    files = [path.read_bytes() for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    names = [str(path) for path in (tmp_path / "spool").rglob("*")]
    assert len(files) >= 5
    assert not [
        key for key in KEYS.values() if key.encode() in b"".join(files) or key in caplog.text or key in str(names)
    ]
    assert all(path.stat().st_mode & 0o077 == 0 for path in folders(tmp_path).values())


def test_other_users_folders_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that belongs to somebody else is not looked into."""
    folder = tmp_path / "spool" / ("0" * 16)
    folder.mkdir(parents=True)
    (folder / "tenant").write_text("mallory")
    (folder / f"{1:020d}-1-00000000-00000000.v0.jsonl").write_bytes(b"{}\n")
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    settings = Settings(spool_dir=str(tmp_path / "spool"))
    assert spool_directories(settings) == [tmp_path / "spool"]
    assert list(tenants._folders_in_which_captures_wait(settings, 1e12)) == []
    monkeypatch.undo()
    assert list(tenants._folders_in_which_captures_wait(settings, 1e12)) == [folder]
