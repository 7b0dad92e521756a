"""What only a demonstration may do: turn the clock, and end with whoever started it."""

import os
import signal
import threading
import time
from datetime import datetime

import time_machine

from bank.messages import Clock

_LOOK_INTERVAL = 1.0


class MovableClock:
    """The process's wall clock. It goes on ticking; monotonic time is untouched."""

    def __init__(self) -> None:
        self._traveller: time_machine.Traveller | None = None
        self._travel: time_machine.travel | None = None

    def move(self, clock: Clock) -> datetime:
        """Set the clock."""
        if self._traveller is None:
            self._travel = time_machine.travel(clock.now, tick=True)
            self._traveller = self._travel.start()
        else:
            self._traveller.move_to(clock.now)
        return clock.now

    def restore(self) -> None:
        """Return to the real time."""
        if self._travel is not None:
            self._travel.stop()
            self._travel = self._traveller = None


def end_with_parent() -> None:
    """Stop the server when the process that started it is gone, however it went."""
    threading.Thread(target=_watch, args=(os.getppid(),), name="end-with-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_INTERVAL)
    os.kill(os.getpid(), signal.SIGTERM)
