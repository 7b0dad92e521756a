"""The spool keeps every line that it took, gives each to one claimer, and stays within its bound and its folder."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from zentra_otel_posthog.delivery import segments
from zentra_otel_posthog.delivery.memory import MemorySpool
from zentra_otel_posthog.delivery.segments import SEGMENT_BYTES
from zentra_otel_posthog.delivery.spool import FileSpool, Spool, SpoolFull

MIB = 1 << 20
LINES = [b'{"n":1}', b"2", b'{"text":"\xc3\xa9"}', b"{}"]

Make = Callable[[int], Spool]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture(params=[FileSpool, MemorySpool], ids=["file", "memory"])
def make(request: pytest.FixtureRequest, folder: Path) -> Make:
    if request.param is MemorySpool:
        return MemorySpool
    return lambda max_bytes: FileSpool(folder, max_bytes)


@pytest.fixture
def files(folder: Path) -> FileSpool:
    return FileSpool(folder, 64 * MIB)


def fill(spool: Spool, lines: list[bytes] = LINES) -> list[int]:
    return [spool.append(line + b"\n") for line in lines]


def take_segments(spool: Spool) -> list[list[bytes]]:
    """Every claimable segment's lines; the segments are removed."""
    taken = []
    for segment in spool.claim():
        taken.append(segment.lines())
        segment.remove()
    return taken


def take(spool: Spool) -> list[bytes]:
    """As ``take_segments``, the lines in one list."""
    return [line for lines in take_segments(spool) for line in lines]


def die(spool: Spool) -> None:
    """Leave the open segment as a dead process does: its lock freed, nothing written."""
    spool.after_fork_in_child()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def script(source: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process; it ends by itself."""
    preamble = "import os, signal, sys\nfrom pathlib import Path\nfrom zentra_otel_posthog.delivery.spool import *\nsignal.alarm(30)\n"
    return subprocess.Popen(
        [sys.executable, "-c", preamble + source, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class TestKeeping:
    def test_lines_come_back_in_order(self, make: Make) -> None:
        """What is appended is claimed byte for byte and in order, and each append tells how many lines wait."""
        spool = make(MIB)

        assert fill(spool) == [1, 2, 3, 4]
        assert take(spool) == LINES
        assert take(spool) == []
        assert fill(spool, [b"5"]) == [1]

    def test_a_released_segment_comes_back_and_a_removed_one_does_not(self, make: Make) -> None:
        """Release keeps a segment for the next claim, before what was appended meanwhile."""
        spool = make(MIB)
        fill(spool)
        held = next(iter(spool.claim()))
        fill(spool, [b"later"])

        assert held.lines() == LINES
        held.release()
        assert take(spool) == [*LINES, b"later"]

    def test_a_held_segment_is_nobody_elses(self, make: Make) -> None:
        """While one claimer holds a segment, another claim does not see it."""
        spool = make(MIB)
        fill(spool)
        claimed = spool.claim()
        held = next(claimed)

        assert take(spool) == []
        held.remove()
        assert list(claimed) == []

    def test_a_full_segment_is_followed_by_another(self, make: Make) -> None:
        """A segment never outgrows a request, and nothing is lost between two of them."""
        spool = make(64 * MIB)
        lines = [bytes([65 + number]) * MIB for number in range(9)]
        fill(spool, lines)

        segments = take_segments(spool)

        assert [line for segment in segments for line in segment] == lines
        assert [sum(map(len, segment)) <= SEGMENT_BYTES for segment in segments] == [True] * 3

    def test_a_child_of_fork_leaves_the_parents_lines_alone(self, make: Make) -> None:
        """After the fork hook the spool counts from one: what the parent appended is the parent's to send."""
        spool = make(MIB)
        fill(spool)
        spool.after_fork_in_child()

        assert fill(spool, [b"own"]) == [1]

    def test_no_descriptor_is_left_open(self, files: FileSpool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Appending, rotating, claiming (also in vain), releasing, removing and forgetting close what they open."""
        monkeypatch.setattr(segments, "SEGMENT_BYTES", 100)
        other = FileSpool(folder, MIB)
        fill(other)
        before = descriptors()
        for _ in range(20):
            fill(files, [b"x" * 60] * 5)
            for segment in files.claim():
                segment.lines()
                segment.release()
            next(iter(files.claim())).remove()
            fill(files)
            die(files)
        take(files)
        assert descriptors() == before


class TestTornLines:
    def test_cut_at_every_byte(self, files: FileSpool, folder: Path) -> None:
        """Whatever byte a crash ends a segment at, the complete lines before it survive and nothing else appears."""
        whole = b"".join(line + b"\n" for line in LINES)
        for cut in range(len(whole) + 1):
            fill(files)
            die(files)
            (segment,) = folder.iterdir()
            assert segment.read_bytes() == whole
            os.truncate(segment, cut)

            assert take(files) == whole[:cut].split(b"\n")[:-1]
            assert list(folder.iterdir()) == []

    @pytest.mark.parametrize("written", [0, 1, 5])
    def test_a_short_write_leaves_no_half_line(
        self, files: FileSpool, monkeypatch: pytest.MonkeyPatch, written: int
    ) -> None:
        """A disk that fills up within a line refuses that line only; those before and after it are whole."""
        fill(files)
        write = os.write
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:written]))
            with pytest.raises(OSError, match="full"):
                files.append(b"refused\n")
        fill(files)

        assert take(files) == LINES + LINES

    def test_a_short_write_that_cannot_be_undone(self, files: FileSpool, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the half line cannot be cut off either, the lines after it still begin on a line of their own."""
        write = os.write

        def fail(*_: object) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
            patch.setattr(os, "ftruncate", fail)
            with pytest.raises(OSError):  # noqa: PT011  which of the two is told does not matter
                files.append(b"refused\n")
        fill(files)

        assert take(files) == LINES

    def test_a_file_size_limit(self, folder: Path) -> None:
        """A real limit of the kernel: what append took is there, what it refused is not, in whole lines."""
        source = """
import resource
spool, taken = FileSpool(Path(sys.argv[1]), 1 << 20), 0
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for _ in range(200):
    try:
        spool.append(b"x" * 29 + b"\\n")
    except OSError:
        break
    taken += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.append(b"last\\n")
print(taken)
"""
        output, _ = script(source, folder).communicate()

        assert 0 < int(output) < 200
        assert take(FileSpool(folder, MIB)) == [b"x" * 29] * int(output) + [b"last"]


class TestProcesses:
    HOLD = 'spool = FileSpool(Path(sys.argv[1]), 1 << 20); spool.append(b"its\\n"); print("ready", flush=True); input()'

    @pytest.mark.parametrize("end", ["killed", "exited"])
    def test_a_dead_processs_segment_is_adopted_and_a_live_ones_is_not(
        self, files: FileSpool, folder: Path, end: str
    ) -> None:
        """An open segment belongs to its process while that lives, and to whoever finds it first afterwards."""
        with script(self.HOLD, folder) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            fill(files, [b"ours"])

            assert take(files) == [b"ours"]
            if end == "killed":
                other.send_signal(signal.SIGKILL)
            other.communicate("\n")
        assert take(files) == [b"its"]

    def test_processes_that_race_never_share_a_segment(self, files: FileSpool, folder: Path) -> None:
        """Several processes that claim at once get every line once, and every line is got."""
        for number in range(300):
            fill(files, [b"%d" % number])
            die(files)
        source = """
spool = FileSpool(Path(sys.argv[1]), 1 << 20)
print("ready", flush=True); input()
for segment in spool.claim():
    print(segment.lines()[0].decode())
    segment.remove()
"""
        others = [script(source, folder) for _ in range(3)]
        for other in others:
            assert other.stdout is not None
            other.stdout.readline()
        for other in others:
            assert other.stdin is not None
            other.stdin.write("\n")
            other.stdin.flush()
        got = Counter(line for other in others for line in other.communicate()[0].split())

        assert got == Counter(str(number) for number in range(300))

    def test_a_signal_handler_may_count(self) -> None:
        """A handler that captures while the same thread counts does not hang it either."""
        source = """
from zentra_otel_posthog import telemetry
signal.alarm(3)
class Total(telemetry.Counter):
    def __setitem__(self, key, value):
        signal.signal(signal.SIGUSR1, lambda *_: handled.append(telemetry.totals(telemetry.LOST)))
        if not handled:
            signal.raise_signal(signal.SIGUSR1)
        super().__setitem__(key, value)
handled = []
telemetry._totals[telemetry.LOST] = Total()
telemetry.lost("spool_full")
assert handled
"""
        with script(source) as other:
            assert other.wait() == 0

    def test_a_signal_handler_may_append(self, folder: Path) -> None:
        """A handler that captures while the same thread appends (SIGTERM, a garbage collection) does not hang it."""
        source = """
signal.alarm(3)
spool, write = FileSpool(Path(sys.argv[1]), 1 << 20), os.write
def interrupted(descriptor, data):
    os.write = write
    signal.raise_signal(signal.SIGUSR1)
    return write(descriptor, data)
os.write = interrupted
signal.signal(signal.SIGUSR1, lambda *_: spool.append(b"handler\\n"))
spool.append(b"line\\n")
"""
        with script(source, folder) as other:
            assert other.wait() == 0
        assert sorted(take(FileSpool(folder, MIB))) == [b"handler", b"line"]


class TestBound:
    def test_the_newest_is_refused(self, make: Make) -> None:
        """At the bound append refuses, what is kept stays whole, and the bound is used to the last line."""
        spool = make(1000)
        for number in range(10):
            spool.append(b"%099d\n" % number)

        with pytest.raises(SpoolFull):
            spool.append(b"!\n")
        assert take(spool) == [b"%099d" % number for number in range(10)]

    def test_it_counts_what_was_there_before(self, files: FileSpool, folder: Path) -> None:
        """Segments that other processes left count towards the bound."""
        fill(files, [b"x" * 899])
        with pytest.raises(SpoolFull):
            fill(FileSpool(folder, 1000), [b"y" * 100])

    def test_it_takes_again_at_once(self, make: Make) -> None:
        """Removed segments no longer count: nothing is refused while the disk has room."""
        spool = make(1000)
        fill(spool, [b"x" * 999])
        take(spool)

        assert fill(spool, [b"y" * 999]) == [1]


class TestFolder:
    def test_only_its_user_may_read(self, folder: Path) -> None:
        """The folder is 0700 and a segment 0600, even where the process masks nothing."""
        before = os.umask(0)
        try:
            fill(FileSpool(folder, MIB))
        finally:
            os.umask(before)
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())]
        assert modes == [0o700, 0o600]

    def test_foreign_files_are_left_alone(self, files: FileSpool, folder: Path) -> None:
        """Only segments of this wire are sent and removed; a segment that is not locked yet is none."""
        names = ["README", "0-1-a.v1.jsonl", "0-1-a.open", "notes.jsonl", ".v0.jsonl.swp"]
        for name in names:
            (folder / name).write_text("foreign\n")
        fill(files)

        assert take(files) == LINES
        assert sorted(path.name for path in folder.iterdir()) == sorted(names)

    @pytest.mark.parametrize("kind", ["folder", "circle", "dangling link"])
    def test_what_cannot_be_opened_does_not_stop_the_rest(self, files: FileSpool, folder: Path, kind: str) -> None:
        """One entry that bears a segment's name and is none must not keep every later segment from being sent."""
        odd = folder / "0-1-a.v0.jsonl"
        if kind == "folder":
            odd.mkdir()
        else:
            odd.symlink_to(odd if kind == "circle" else folder / "gone")
        fill(files)

        assert take(files) == LINES
        assert odd.is_symlink() or odd.is_dir()

    def test_a_segment_that_vanishes_meanwhile(self, files: FileSpool, folder: Path) -> None:
        """Segments that other processes remove between listing and opening are skipped, by a new spool too."""
        for line in LINES:
            fill(files, [line])
            die(files)
        claimed = files.claim()
        next(claimed).remove()
        paths = sorted(folder.iterdir())
        paths[0].unlink()
        (folder / "0-0-a.v0.jsonl").symlink_to(folder / "gone")

        assert [segment.lines() for segment in claimed] == [[line] for line in LINES[2:]]
        FileSpool(folder, MIB)

    @pytest.mark.parametrize("obstacle", ["a file", "another user"])
    def test_a_folder_that_is_no_good(self, folder: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str) -> None:
        """A folder that cannot be made or is not ours is refused before anything is written."""
        if obstacle == "a file":
            folder.write_text("")
        else:
            folder.mkdir()
            monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
        with pytest.raises(OSError):  # noqa: PT011  which one depends on the obstacle
            FileSpool(folder, MIB)
