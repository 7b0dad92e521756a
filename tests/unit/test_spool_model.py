"""The spools are queues: any sequence of what senders and crashes do, against a list."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from zentra_otel_posthog.delivery import segments
from zentra_otel_posthog.delivery.memory import MemorySpool
from zentra_otel_posthog.delivery.spool import FileSpool, Spool

_MAX_BYTES = 1 << 20
_SEGMENT_BYTES = 64


class SpoolMachine(RuleBasedStateMachine):
    """A memory spool beside the queue that it has to be."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = count()
        self.queue: list[bytes] = []
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(segments, "SEGMENT_BYTES", _SEGMENT_BYTES)
        self.spool = self.make()

    def make(self) -> Spool:
        return MemorySpool(_MAX_BYTES)

    @rule(sizes=st.lists(st.integers(0, 55), min_size=1, max_size=6))
    def append(self, sizes: list[int]) -> None:
        for size in sizes:
            line = b"%d" % next(self.numbers) + b"x" * size
            self.spool.append(line + b"\n")
            self.queue.append(line)

    @rule(delivered=st.integers(0, 4))
    def deliver(self, delivered: int) -> None:
        """As the sender: remove what the server takes, give the first back that it does not take, and stop."""
        for position, segment in enumerate(self.spool.claim()):
            lines = segment.lines()
            assert lines == self.queue[: len(lines)]
            if position == delivered:
                segment.release()
                return
            segment.remove()
            del self.queue[: len(lines)]

    @precondition(lambda self: isinstance(self.spool, FileSpool))
    @rule()
    def crash(self) -> None:
        # The lock is freed and nothing is written, as the kernel does when a process dies.
        self.spool.after_fork_in_child()
        self.spool = self.make()

    @invariant()
    def everything_is_kept(self) -> None:
        held = list(self.spool.claim())
        assert [line for segment in held for line in segment.lines()] == self.queue
        assert all(sum(map(len, segment.lines())) <= _SEGMENT_BYTES for segment in held)
        for segment in reversed(held):
            segment.release()

    def teardown(self) -> None:
        self.patch.undo()


class FileSpoolMachine(SpoolMachine):
    def make(self) -> Spool:
        if not hasattr(self, "folder"):
            self.folder = TemporaryDirectory()
        return FileSpool(Path(self.folder.name), _MAX_BYTES)

    def teardown(self) -> None:
        self.spool.after_fork_in_child()
        self.folder.cleanup()
        super().teardown()


@pytest.mark.parametrize("machine", [SpoolMachine, FileSpoolMachine], ids=["memory", "file"])
def test_a_spool_is_a_queue(machine: type[SpoolMachine]) -> None:
    """Both spools keep what a list keeps, in its order; the file spool through crashes as well."""
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=20, deadline=None))
