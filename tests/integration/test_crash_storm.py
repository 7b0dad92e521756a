"""Kills, forks, every kind of answer and a full disk at once: what is logged as captured arrives, once, or is counted."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from zentra_otel_posthog.delivery import dead_letters
from zentra_otel_posthog.inspector import Answer, Receiver

SEED = 20261125

# Each round is a process group of its own. A process logs an event only when ``capture`` has returned; the pipe outlives
# it, and ends when the last process of the round has ended.
STORM = """
import os, random, signal, sys, threading
signal.alarm(600)
import requests  # at the first delivery it would take longer than most children live
from zentra_otel_posthog import capture, configure, flush
from zentra_otel_posthog.delivery import attempt, sender
sender._BACKOFF_FIRST, sender._BACKOFF_MAX, sender._PACE, sender._REST = 0.01, 0.02, 0.001, 0.05
host, spool_dir, mode, forks, seed, rounds = sys.argv[1:]
generator = random.Random(int(seed))

def start():
    configure(api_key="phc_invented", host=host, spool_dir=spool_dir, capture_mode=mode,
              flush_at=20, flush_interval=0.05, max_retries=1)

pause = threading.Event()

def emit(log):
    while not pause.wait(0.0005):  # so that a round lasts long enough for requests to be under way
        os.write(log, f"{capture('checkout.completed', distinct_id='usr_1')}\\n".encode())

def work(log):
    start()
    for _ in range(2):
        threading.Thread(target=emit, args=(log,), daemon=True).start()
    for _ in range(int(forks)):
        if os.fork() == 0:
            for _ in range(2):
                threading.Thread(target=emit, args=(log,), daemon=True).start()
            break
    threading.Event().wait()

for _ in range(int(rounds)):
    output, log = os.pipe()
    if (pid := os.fork()) == 0:
        os.setpgid(0, 0)
        signal.alarm(60)
        try:
            work(log)
        finally:
            os._exit(1)
    os.close(log)
    left = generator.randrange(1, 37 * 1200)
    while left > 0 and (entry := os.read(output, min(left, 65536))):
        os.write(1, entry)
        left -= len(entry)
    os.killpg(pid, signal.SIGKILL)
    while entry := os.read(output, 65536):
        os.write(1, entry)
    os.close(output)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
sys.stderr.write("done\\n")
"""

DELIVER = """
import signal, sys
signal.alarm(120)
from zentra_otel_posthog import configure, flush
from zentra_otel_posthog.delivery import sender
sender._BACKOFF_FIRST, sender._REST = 0.01, 0.05
host, spool_dir, mode = sys.argv[1:]
configure(api_key="phc_invented", host=host, spool_dir=spool_dir, capture_mode=mode, max_retries=1)
assert flush(100)
"""

# Every row of the table of answers; ``accept`` is an answer that is lost on the way.
ANSWERS = [
    *(
        Answer(status)
        for status in (301, 400, 401, 402, 403, 404, 405, 407, 408, 410, 413, 415, 422, 500, 502, 503, 504)
    ),
    Answer(429, {"Retry-After": "0"}),
    Answer(503, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}),
    Answer(500, accept=True),
    Answer(accept=True, connection="close"),
    Answer(connection="close"),
    Answer(200, body=b"{}", accept=True),
]


def run(source: str, *arguments: object) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", source, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=700
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def set_aside(spool_dir: Path) -> list[str]:
    """The uuids of dead letters. A kill may tear the last line of a write, whose captures then come again."""
    return [
        json.loads(bytes(letter.capture))["uuid"]
        for folder in spool_dir.iterdir()
        for letter in dead_letters.read(folder)
    ]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["v0", "v1"])
@pytest.mark.parametrize("forks", [0, 2])
@pytest.mark.parametrize(
    ("answers", "rounds"),
    [("well", 4), ("everything", 4), pytest.param("everything", 200, marks=pytest.mark.slow)],
)
def test_storm(receiver: Receiver, tmp_path: Path, mode: str, answers: str, forks: int, rounds: int) -> None:
    """Killed at random moments, over and over, on one spool: nothing lost, nothing counted twice."""
    if answers == "everything":
        chosen = random.Random(SEED).choices([*ANSWERS, *[None] * 8], k=12 * rounds)
        for answer in chosen:
            receiver.answer(answer or Answer(body=b'{"results":{}}', accept=True))
    spool_dir = tmp_path / "spool"
    logged = run(STORM, receiver.url, spool_dir, mode, forks, SEED, rounds)[0].split()
    answered = len(receiver.requests)
    receiver._answers.clear()
    run(DELIVER, receiver.url, spool_dir, mode)

    arrived = [event["uuid"] for event in receiver.events]
    refused = set(set_aside(spool_dir))
    assert len(logged) == len(set(logged)) > rounds
    assert len(arrived) == len(set(arrived))
    assert set(logged) - set(arrived) - refused == set()
    assert refused == set() or answers == "everything"
    assert list(spool_dir.glob("*/*.v0.jsonl")) == []
    sys.stdout.write(
        f"\n{mode}, {answers}, {forks} forks: {rounds} kills, {len(logged)} logged, {len(set(logged) - set(arrived))} "
        f"set aside, 0 lost, {receiver.received} received, {receiver.received - len(arrived)} sent again, "
        f"{answered} requests\n"
    )


FILL = """
import collections, os, resource, signal, sys
signal.alarm(100)
from zentra_otel_posthog import capture, configure, flush, telemetry
host, spool_dir, limit = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
configure(api_key="phc_invented", host=host, spool_dir=spool_dir, flush_interval=3600, flush_at=10**9)
for count in range(3000):
    print(capture("checkout.completed", distinct_id="usr_1"))
    if count == 2000:
        flush(10)
assert flush(20)
sys.stderr.write(str(sum(telemetry.totals(telemetry.LOST).values())))
assert set(telemetry.totals(telemetry.LOST)) == {("spool_write",)}
"""


@contextmanager
def small_disk(path: Path) -> Iterator[None]:
    """A file system of 256 KiB."""
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system takes root")
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


@pytest.mark.parametrize("limit", ["file size", "disk"])
def test_a_disk_that_fills_up(receiver: Receiver, tmp_path: Path, limit: str) -> None:
    """What a full disk does not take is counted, all else arrives, and when there is room again all does."""
    spool_dir = tmp_path / "spool"
    if limit == "disk" and not Path("/bin/mount").exists():
        pytest.skip("no mount")
    if limit == "file size":
        logged, lost = run(FILL, receiver.url, spool_dir, 20_000)
    else:
        with small_disk(spool_dir):
            logged, lost = run(FILL, receiver.url, spool_dir, 0)
    arrived = {event["uuid"] for event in receiver.events}
    assert arrived <= set(logged.split())
    count = int(lost.splitlines()[-1])
    assert 0 < count < 3000
    assert len(arrived) + count == 3000
