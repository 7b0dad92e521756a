"""A program that ends in some way: ``exits.py SCENARIO``."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from work import work
from zentra_otel_posthog import shutdown


def note_threads() -> None:
    """Tell which of the package's threads go on, given time to end."""
    senders = [thread for thread in threading.enumerate() if thread.name.startswith("zentra")]
    for thread in senders:
        thread.join(5)
    sys.stdout.write(f"{[thread.name for thread in senders if thread.is_alive()]}\n")


def handlers() -> None:
    """Capture in exit handlers, registered before and after the first event."""
    atexit.register(work, "usr_early_handler")
    work("usr_main")
    atexit.register(work, "usr_late_handler")


def threads() -> None:
    """Leave the main thread while others go on; the interpreter waits for these."""
    first = threading.Event()

    def go_on() -> None:
        first.wait()
        for number in range(20):
            work(f"usr_{threading.current_thread().name}_{number}")

    for name in ("one", "two"):
        threading.Thread(target=go_on, name=name).start()
    pool = ThreadPoolExecutor(2)
    for number in range(20):
        pool.submit(work, f"usr_pool_{number}")
    work("usr_main")
    first.set()


def daemon_threads() -> None:
    """End while threads capture for which nobody waits."""
    begun = threading.Event()

    def for_ever(name: str) -> None:
        number = 0
        while True:
            work(f"usr_{name}_{number}")
            number += 1
            begun.set()

    for name in ("one", "two"):
        threading.Thread(target=for_ever, args=(name,), daemon=True).start()
    begun.wait()


def first_event_at_exit() -> None:
    """Capture for the first time when no thread is started any more: Python 3.12 refuses to."""
    atexit.register(work, "usr_first")


def explicit_shutdown() -> None:
    """End with all of it done."""
    work("usr_main")
    assert shutdown()
    assert shutdown()
    note_threads()


def sigterm() -> None:
    """Be killed by a signal without a handler."""
    work("usr_main")
    os.kill(os.getpid(), signal.SIGTERM)


def sigterm_handled() -> None:
    """Be asked to end, as the application's own handler takes it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    work("usr_main")
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait()


def exception() -> None:
    """End by an error of the application's own."""
    work("usr_main")
    sys.exit("an error of the application")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
