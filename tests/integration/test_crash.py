"""What ``capture`` returned for survives ``kill -9`` at any moment: nothing lost, nothing counted twice."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from zentra_otel_posthog.inspector import Answer, Receiver

# The parent stays free of threads and of any configuration, so each child starts as a new process does. A child logs
# an event only when ``capture`` has returned; the pipe outlives it.
PROCESSES = """
import os, random, signal, sys, threading
signal.alarm(240)
import requests  # at the first delivery it would take longer than most children live
from zentra_otel_posthog import capture, configure, flush
from zentra_otel_posthog.delivery import sender
sender._BACKOFF_FIRST, sender._PACE = 0.01, 0.001
host, spool_dir, *arguments = sys.argv[1:]

def start():
    settings = {"flush_at": 20, "flush_interval": 0.05, "max_retries": 1}
    configure(api_key="phc_invented", host=host, spool_dir=spool_dir, **settings)

def emit(log):
    os.write(log, f"{capture('checkout.completed', distinct_id='usr_1')}\\n".encode())

def child(work):
    output, log = os.pipe()
    if pid := os.fork():
        os.close(log)
        return pid, output
    signal.alarm(30)
    try:
        work(log)
    finally:
        os._exit(0)

def end(pid, output, kill_after):
    while kill_after > 0 and (entry := os.read(output, min(kill_after, 65536))):
        os.write(1, entry)
        kill_after -= len(entry)
    if kill_after == 0:
        os.kill(pid, signal.SIGKILL)
    while entry := os.read(output, 65536):
        os.write(1, entry)
    os.close(output)
    return os.waitpid(pid, 0)[1]

def deliver_the_rest():
    start()
    assert flush(60)
"""

AT_RANDOM = """
generator = random.Random(int(arguments[0]))

def work(log):
    start()
    def forever():
        while True:
            emit(log)
    for _ in range(3):
        threading.Thread(target=forever, daemon=True).start()
    threading.Event().wait()

for _ in range(int(arguments[1])):
    assert end(*child(work), kill_after=generator.randrange(37 * 1200)) == signal.SIGKILL
deliver_the_rest()
"""

AT_EVERY_STEP = """
import fcntl

def work(log, last_step, moment):
    steps, lock = iter(range(1_000_000)), threading.Lock()
    def dying(call):
        def wrapper(*arguments, **options):
            with lock:
                last = next(steps) == last_step
                if last and moment == "before":
                    os.kill(os.getpid(), signal.SIGKILL)
                try:
                    return call(*arguments, **options)
                finally:
                    if last:
                        os.kill(os.getpid(), signal.SIGKILL)
        return wrapper
    for module, names in ((os, "open close write rename unlink ftruncate"), (fcntl, "flock")):
        for name in names.split():
            setattr(module, name, dying(getattr(module, name)))
    start()
    for count in (3, 2):
        for _ in range(count):
            emit(log)
        flush(5)

step, status = 0, signal.SIGKILL
while status == signal.SIGKILL:
    status = end(*child(lambda log: work(log, step, arguments[0])), kill_after=-1)
    step += 1
assert status == 0
deliver_the_rest()
sys.stderr.write(str(step))
"""

DURING_A_REQUEST = """
def work(log):
    start()
    for _ in range(5):
        emit(log)
    flush(30)

pid, output = child(work)
input()
assert end(pid, output, 0) == signal.SIGKILL
deliver_the_rest()
"""


def run(source: str, receiver: Receiver, tmp_path: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROCESSES + source, receiver.url, tmp_path / "spool", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(list(map(str, command)), stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def check(process: subprocess.Popen[str], receiver: Receiver, tmp_path: Path) -> tuple[int, str]:
    """Wait for the end; all that was logged must have arrived, once. Returns how many events were sent again."""
    output, errors = process.communicate("\n")
    assert process.returncode == 0, errors
    logged = output.split()
    arrived = [event["uuid"] for event in receiver.events]
    assert len(logged) == len(set(logged)) > 0
    assert len(arrived) == len(set(arrived))
    assert set(logged) <= set(arrived)
    assert [path.name for path in (tmp_path / "spool").glob("*/*.jsonl")] == []
    return receiver.received - len(arrived), errors


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("server", ["well", "failing"])
def test_killed_at_random(receiver: Receiver, tmp_path: Path, rounds: int, server: str) -> None:
    """Threads that capture while the sender delivers, killed over and over, on one spool; also with a bad server."""
    seed = 20261123
    if server == "failing":
        generator = random.Random(seed)
        answers = [
            Answer(accept=True),
            Answer(429, {"Retry-After": "0"}),
            Answer(500),
            Answer(503, accept=True),
            Answer(connection="close"),
            Answer(accept=True, connection="close"),
        ]
        for answer in generator.choices(answers, k=4 * rounds):
            receiver.answer(answer)

    resent, _ = check(run(AT_RANDOM, receiver, tmp_path, seed, rounds), receiver, tmp_path)

    assert receiver.received > 10 * rounds
    assert resent > 0 or server == "well"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_every_step(receiver: Receiver, tmp_path: Path, moment: str) -> None:
    """Wherever the spool stands, between any two of its system calls, a kill loses nothing that was returned for."""
    _, steps = check(run(AT_EVERY_STEP, receiver, tmp_path, moment), receiver, tmp_path)
    assert int(steps) > 15


def test_killed_during_a_request(receiver: Receiver, tmp_path: Path) -> None:
    """A crash between PostHog's acceptance and our hearing of it resends that segment and no other."""
    receiver.answer(Answer(accept=True, connection="hang"))
    process = run(DURING_A_REQUEST, receiver, tmp_path)
    assert receiver.wait_for(1, timeout=20)
    sent_before = receiver.received

    assert check(process, receiver, tmp_path) == (sent_before, "")
    assert len(receiver.events) == 5
