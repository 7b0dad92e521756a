"""What a disk, a clock, another process or a foreign hand may do to a spool's folder: no line is lost or sent twice."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from zentra_otel_posthog.delivery import segments
from zentra_otel_posthog.delivery.memory import MemorySpool
from zentra_otel_posthog.delivery.spool import FileSpool, LineTooLong, Spool

MIB = 1 << 20
# The name of a segment that some process may have left.
NAME = "01700000000000000000-1-0123abcd-0123abcd.v0.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def files(folder: Path) -> FileSpool:
    return FileSpool(folder, 64 * MIB)


def take(spool: Spool) -> list[bytes]:
    taken = []
    for segment in spool.claim():
        taken += segment.lines()
        segment.remove()
    return taken


def die(spool: Spool) -> None:
    """Leave the open segment as a dead process does: its lock freed, nothing written."""
    spool.after_fork_in_child()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def script(source: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process; it ends by itself."""
    preamble = "import os, signal, sys\nfrom pathlib import Path\nfrom zentra_otel_posthog.delivery.spool import *\nsignal.alarm(30)\n"
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", preamble + source, *map(str, arguments)], stdin=pipe, stdout=pipe, text=True
    )


def folder_of_that_name(path: Path) -> None:
    path.mkdir()


def pipe_of_that_name(path: Path) -> None:
    os.mkfifo(path)


def link_to_another_segment(path: Path) -> None:
    target = path.parent.parent / NAME
    target.write_bytes(b"elsewhere\n")
    path.symlink_to(target)


def circle(path: Path) -> None:
    path.symlink_to(path)


def larger_than_any(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


class TestForeignEntries:
    @pytest.mark.timeout(10)
    @pytest.mark.parametrize(
        "make", [folder_of_that_name, pipe_of_that_name, link_to_another_segment, circle, larger_than_any]
    )
    def test_what_bears_a_segments_name_and_is_none(
        self, files: FileSpool, folder: Path, make: Callable[[Path], None]
    ) -> None:
        """It is neither followed, nor waited for, nor read, nor removed, and what is ours goes on."""
        make(folder / NAME)
        files.append(b"ours\n")

        assert take(files) == [b"ours"]
        assert os.path.lexists(folder / NAME)
        if make is link_to_another_segment:
            assert (folder / NAME).read_bytes() == b"elsewhere\n"
        assert FileSpool(folder, MIB).append(b"fits\n") == 1

    def test_other_versions_are_left_alone_and_told(
        self, files: FileSpool, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What a newer version of the package left stays for it, with one warning."""
        newer = folder / NAME.replace(".v0.", ".v1.")
        newer.write_bytes(b"newer\n")
        for _ in range(2):
            assert take(files) == []
        assert newer.read_bytes() == b"newer\n"
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "1 segments" in record.getMessage()

    def test_names_that_are_no_segments(self, files: FileSpool, folder: Path) -> None:
        """Whatever else lies in the folder is not touched."""
        names = ["0-1-a.v0.jsonl", f"x{NAME}", f"{NAME}~", "dead-letters.jsonl", NAME.upper()]
        for name in names:
            (folder / name).write_bytes(b"foreign\n")
        assert take(files) == []
        assert sorted(path.name for path in folder.iterdir()) == sorted(names)

    def test_an_empty_file_of_a_process_that_died_while_it_made_it(self, files: FileSpool, folder: Path) -> None:
        """A segment that was never locked is cleaned up."""
        (folder / NAME).touch()
        assert take(files) == []
        assert list(folder.iterdir()) == []


class TestMaking:
    def test_a_claimer_comes_between_opening_and_locking(
        self, files: FileSpool, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A claimer that takes a file in the making for a dead process's, and holds or removes it, costs no line."""
        flock, claimed = fcntl.flock, []
        another = FileSpool(folder, MIB)

        def late(descriptor: int, operation: int) -> None:
            monkeypatch.setattr(fcntl, "flock", flock)
            segment = next(another.claim())
            claimed.append(segment)
            if len(claimed) == 1:
                segment.remove()
                monkeypatch.setattr(fcntl, "flock", late)
            flock(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", late)
        files.append(b"line\n")
        claimed[1].remove()
        assert len(claimed) == 2
        assert take(files) == [b"line"]
        assert list(folder.iterdir()) == []

    def test_a_folder_that_vanished(self, files: FileSpool, folder: Path) -> None:
        """It is made anew, for its user only."""
        folder.rmdir()
        assert take(files) == []
        assert files.usage() == (0, None)
        files.append(b"line\n")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert take(files) == [b"line"]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root writes where nobody may")
    def test_a_read_only_folder(self, folder: Path) -> None:
        """A folder that cannot be written is refused at once; one that becomes so refuses lines and keeps the others."""
        files = FileSpool(folder, MIB)
        files.append(b"line\n")
        files.close()
        folder.chmod(0o500)
        try:
            with pytest.raises(PermissionError):
                FileSpool(folder, MIB)
            with pytest.raises(PermissionError):
                files.append(b"refused\n")
            assert [segment.lines() for segment in files.claim()] == [[b"line"]]
        finally:
            folder.chmod(0o700)

    @pytest.mark.parametrize("kind", ["without", "pretended"])
    def test_a_file_system_without_locks(self, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        """Where locks fail, or do not exclude, no spool is made: two processes would send each other's lines for ever."""

        def flock(*_: object) -> None:
            if kind == "without":
                raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", flock)
        with pytest.raises(OSError, match="ocks"):
            FileSpool(folder, MIB)
        assert list(folder.iterdir()) == []


class TestBounds:
    @pytest.mark.parametrize("kind", ["file", "memory"])
    def test_a_line_over_a_segment(self, folder: Path, kind: str) -> None:
        """What no request could carry is refused, and what comes after it is not."""
        spool: Spool = FileSpool(folder, 64 * MIB) if kind == "file" else MemorySpool(64 * MIB)
        spool.append(b"before\n")
        with pytest.raises(LineTooLong):
            spool.append(b"x" * segments.SEGMENT_BYTES + b"\n")
        spool.append(b"after\n")
        assert take(spool) == [b"before", b"after"]

    def test_hundreds_of_dead_segments_one_at_a_time(self, files: FileSpool, folder: Path) -> None:
        """A claim opens one segment after the other, also where each is given back."""
        for number in range(300):
            files.append(b"%d\n" % number)
            die(files)
        before = descriptors()
        seen = 0
        for segment in files.claim():
            assert descriptors() == before + 1
            assert segment.lines() == [b"%d" % seen]
            segment.release()
            seen += 1
        assert seen == 300

    def test_no_descriptor_left(self, folder: Path) -> None:
        """A process out of descriptors is told so, rather than that nothing waits."""
        source = """
import errno, resource
spool = FileSpool(Path(sys.argv[1]), 1 << 20)
spool.append(b"line\\n")
spool.close()
held, listing = [], segments.listing
found = listing(spool.directory)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True:
        held.append(os.dup(0))
except OSError:
    pass
for segments.listing in (listing, lambda directory: found):
    try:
        list(spool.claim())
    except OSError as error:
        print(error.errno == errno.EMFILE)
os.close(held.pop())
segments.listing = listing
print(*[segment.lines() for segment in spool.claim()])
"""
        with script(source, folder) as other:
            assert other.communicate()[0].splitlines() == ["True", "True", "[b'line']"]

    def test_usage(self, files: FileSpool) -> None:
        """Bytes and the age of the oldest are those of the whole folder."""
        assert files.usage() == (0, None)
        began = time.time()
        files.append(b"line\n")
        die(files)
        files.append(b"another\n")
        size, oldest = files.usage()
        assert size == len(b"line\nanother\n")
        assert oldest is not None
        assert began - 1 <= oldest <= time.time()
        take(files)
        assert files.usage() == (0, None)


class TestClock:
    @pytest.mark.parametrize("jump", [-3600, 3600])
    def test_it_jumps(self, files: FileSpool, folder: Path, monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
        """One process's segments keep their order, and none of them hides from the next claim."""
        monkeypatch.setattr(segments, "names", segments.Names())
        now = time.time_ns()
        for step in range(6):
            moment = now + (jump * 10**9 if step in {2, 3} else 0)
            monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment)
            files.append(b"%d\n" % step)
            files.close()
        held = next(FileSpool(folder, MIB).claim())
        assert held.lines() == [b"0"]

        assert take(files) == [b"1", b"2", b"3", b"4", b"5"]
        assert files.waits_elsewhere()
        held.release()
        assert take(files) == [b"0"]
        assert not files.waits_elsewhere()


class TestFork:
    def test_a_child_keeps_no_claimed_segment(self, files: FileSpool, folder: Path) -> None:
        """A process that dies in the middle of a request leaves its segment, though a child of its lives on."""
        source = """
spool = FileSpool(Path(sys.argv[1]), 1 << 20)
spool.append(b"claimed\\n")
spool.close()
spool.append(b"open\\n")
open_segment, spool._descriptor = spool._descriptor, -1
segment = next(spool.claim())
spool._descriptor = open_segment
spool.before_fork()
if os.fork() == 0:
    spool.after_fork_in_child()
    os.write(1, b"ready\\n")
    os.read(0, 1)
    os._exit(0)
signal.pause()
"""
        with script(source, folder) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            assert take(files) == []
            other.send_signal(signal.SIGKILL)
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
            taken = take(files)
            other.communicate("\n")
        assert sorted(taken) == [b"claimed", b"open"]
