"""Children of fork, spawn and forkserver: nothing lost, nothing doubled, no deadlock, whichever way they end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zentra_otel_posthog.inspector import Answer, Receiver

# Every process ends by itself, a deadlock included: an alarm kills it. A captured event is written to the standard
# output in one piece, which all processes share. Settings come from the environment, as spawned children need it.
PREAMBLE = """
import multiprocessing, os, signal, sys, threading
signal.alarm(40)
from zentra_otel_posthog import capture, configure, flush, shutdown

def emit(count):
    for _ in range(count):
        os.write(1, f"{capture('checkout.completed', distinct_id='usr_1')}\\n".encode())

def fork(body):
    if pid := os.fork():
        return pid
    signal.alarm(20)
    status = 1
    try:
        body()
        status = 0
    finally:
        os._exit(status)

def ended_well(pid):
    status = os.waitpid(pid, 0)[1]
    assert status == 0, f"the child ended with {status}"
"""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Receiver]:
    """A receiver that the environment names; only a flush is ever due."""
    with Receiver() as running:
        monkeypatch.setenv("POSTHOG_API_KEY", "phc_invented")
        monkeypatch.setenv("POSTHOG_HOST", running.url)
        monkeypatch.setenv("ZENTRA_POSTHOG_SPOOL_DIR", str(tmp_path / "spool"))
        monkeypatch.setenv("ZENTRA_POSTHOG_FLUSH_INTERVAL", "3600")
        monkeypatch.setenv("ZENTRA_POSTHOG_FLUSH_AT", "100000")
        yield running


def launch(source: str, tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    # A file, because spawned children import it.
    path = tmp_path / "program.py"
    path.write_text(PREAMBLE + source)
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, path, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def check(process: subprocess.Popen[str], receiver: Receiver, *, count: int, before: str = "") -> None:
    """Wait for the end: everything captured has arrived, each once and sent once."""
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    captured = (before + output).split()
    assert len(captured) == len(set(captured)) == count
    assert sorted(event["uuid"] for event in receiver.events) == sorted(captured)
    assert receiver.received == count


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
@pytest.mark.parametrize("generations", [1, 2])
def test_children_of_fork(receiver: Receiver, tmp_path: Path, generations: int, end: str) -> None:
    """Parent, children and grandchildren capture before and after each fork, and the children end in any way."""
    source = f"""
def descend(generations):
    emit(2)
    if generations:
        if (pid := os.fork()) == 0:
            signal.alarm(20)
            descend(generations - 1)
            {end}
        os.waitpid(pid, 0)
    emit(1)

descend({generations})
assert flush(10)
"""
    check(launch(source, tmp_path), receiver, count=3 * (generations + 1))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(receiver: Receiver, tmp_path: Path, method: str) -> None:
    """Children of every start method have their events delivered, though they end without the exit hooks."""
    source = """
if __name__ == "__main__":
    emit(2)
    method = multiprocessing.get_context(sys.argv[1])
    children = [method.Process(target=emit, args=(3,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    emit(1)
    assert flush(10)
"""
    check(launch(source, tmp_path, method), receiver, count=12)


def test_a_childs_sender_is_its_own(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child delivers by itself and leaves the segment alone that its living parent still writes."""
    monkeypatch.setenv("ZENTRA_POSTHOG_FLUSH_AT", "2")
    source = """
emit(1)
asked, ask = os.pipe()

def child():
    os.close(ask)
    emit(2)
    os.read(asked, 1)
    assert flush(10)  # hears the end of what its sender began

pid = fork(child)
input()
os.close(ask)
ended_well(pid)
assert flush(10)
"""
    process = launch(source, tmp_path)
    assert process.stdout is not None
    output = [process.stdout.readline() for _ in range(3)]

    assert receiver.wait_for(2, timeout=10)
    assert sorted(event["uuid"] for event in receiver.events) == sorted(line.strip() for line in output[1:])
    assert process.stdin is not None
    process.stdin.write("\n")
    check(process, receiver, count=3, before="".join(output))


def test_fork_at_any_moment(receiver: Receiver, tmp_path: Path) -> None:
    """Forks while threads hold the spool's lock and the sender is at work: no child hangs and nothing is lost."""
    source = """
from zentra_otel_posthog.delivery import sender
sender._PACE = 0.001
configure(flush_at=3)

def child():
    emit(2)
    assert flush(10)

for _ in range(60):
    threads = [threading.Thread(target=emit, args=(20,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    ended_well(fork(child))
    for thread in threads:
        thread.join()
assert flush(10)
"""
    check(launch(source, tmp_path), receiver, count=60 * (3 * 20 + 2))


@pytest.mark.parametrize("call", ["close", "open"])
def test_fork_while_a_segment_is_changed(receiver: Receiver, tmp_path: Path, call: str) -> None:
    """A fork in the middle of opening or closing a segment leaves the child a spool that works, and no lock."""
    source = f"""
changing, forked = threading.Event(), threading.Event()

def slow(*arguments, call=os.{call}):
    returned = call(*arguments)
    if threading.current_thread() is not threading.main_thread() and not changing.is_set():
        changing.set()
        forked.wait(1)
    return returned

asked, ask = os.pipe()

def child():
    os.close(ask)
    emit(3)
    assert flush(10)
    os.read(asked, 1)

configure()
emit(1)
if "{call}" == "open":
    flush(10)
thread = threading.Thread(target=lambda: emit(1) if "{call}" == "open" else flush(10))
os.{call} = slow
thread.start()
assert changing.wait(10)
pid = fork(child)
forked.set()
thread.join()
assert flush(10)
os._exit(0)  # the child is alive until now, and no exit hook may help
"""
    check(launch(source, tmp_path), receiver, count=5 if call == "open" else 4)


def test_workers_of_a_preloaded_application(receiver: Receiver, tmp_path: Path) -> None:
    """A master that captures, forks workers and never flushes: what killed workers leave, the next process sends."""
    source = """
emit(2)
workers = [fork(lambda: (emit(5), os.kill(os.getpid(), signal.SIGTERM))) for _ in range(4)]
for pid in workers:
    assert os.waitpid(pid, 0)[1] == signal.SIGTERM
os._exit(0)
"""
    process = launch(source, tmp_path)
    captured = process.communicate()[0]
    assert receiver.requests == []

    check(launch("assert flush(10) or True; emit(1); assert flush(10)", tmp_path), receiver, count=23, before=captured)


def test_fork_during_a_request(receiver: Receiver, tmp_path: Path) -> None:
    """A child that lives on does not keep the parent from sending again what the server refused meanwhile."""
    receiver.answer(Answer(503, connection="hang"))
    source = """
emit(2)
assert not flush(0.5)
asked, ask = os.pipe()

def child():
    os.close(ask)
    os.read(asked, 1)

pid = fork(child)
os.write(1, b"forked\\n")
assert flush(10)
input()
os.close(ask)
ended_well(pid)
"""
    process = launch(source, tmp_path)
    assert process.stdout is not None
    output = [process.stdout.readline() for _ in range(3)]
    assert output.pop() == "forked\n"
    receiver.release()

    arrived = receiver.wait_for(2, timeout=5)
    process.communicate("\n")
    assert arrived
    assert [event["uuid"] for event in receiver.events] == "".join(output).split()


SLOW_IMPORT = """
import importlib.machinery
importing = threading.Event()

class Slow(importlib.machinery.SourceFileLoader):
    def exec_module(self, module):
        importing.set()
        released.wait(1)
        super().exec_module(module)

class Finder:
    @staticmethod
    def find_spec(name, path, target=None):
        if name != slow:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        spec.loader = Slow(name, spec.origin)
        return spec

released = threading.Event()
sys.meta_path.insert(0, Finder)
"""


def test_fork_while_the_sender_imports(receiver: Receiver, tmp_path: Path) -> None:
    """The sender imports its HTTP client late; a child forked meanwhile can import it too."""
    source = (
        SLOW_IMPORT
        + """
slow = "requests.sessions"
configure(flush_at=1)
emit(1)
assert importing.wait(10)

def child():
    signal.alarm(4)
    import requests
    requests.Session()
    emit(1)
    assert flush(10)

ended_well(fork(child))
assert flush(10)
"""
    )
    check(launch(source, tmp_path), receiver, count=2)


def test_fork_while_the_first_event_loads_the_delivery(receiver: Receiver, tmp_path: Path) -> None:
    """A child forked while another thread's first capture imports what delivers can import it too, and deliver."""
    source = (
        SLOW_IMPORT
        + """
slow = "zentra_otel_posthog.delivery.spool"
thread = threading.Thread(target=emit, args=(1,))
thread.start()
assert importing.wait(10)

def child():
    signal.alarm(4)
    emit(1)
    assert flush(10)

ended_well(fork(child))
thread.join()
assert flush(10)
"""
    )
    check(launch(source, tmp_path), receiver, count=2)
