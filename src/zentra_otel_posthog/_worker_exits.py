"""The ends of worker processes that skip the interpreter's exit handlers.

Children of multiprocessing and of Celery's worker end by ``os._exit``. Each of the two has a hook for what is to be
done before, used here where its module is imported already. Signals are left to the application: what a process that
one kills leaves in the spool, the next process delivers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

# After the application's own finalizers and those of queues, when the process's own children have ended.
_LAST: Final = -100

_registered = False


def register(deliver: Callable[[], None]) -> None:
    """Have a function called before a worker process ends, by those frameworks that are imported by now.

    To be called again in a forked child, before whose fork more may have been imported.

    Args:
        deliver: A function of a module, the same at every call.
    """
    if "multiprocessing.util" in sys.modules:
        _register_with_multiprocessing(deliver)
    signals: Any = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(lambda **_: deliver(), weak=False, dispatch_uid=__name__)


def _register_with_multiprocessing(deliver: Callable[[], None]) -> None:
    global _registered  # noqa: PLW0603  the registration is the process's, and its forked children inherit it
    from multiprocessing import parent_process, util  # noqa: PLC0415  imported only where it is used already

    if _registered:
        return
    _registered = True
    # Every child, however it was started, begins with no finalizers and with these calls.
    util.register_after_fork(deliver, _finalize)
    if parent_process() is not None:  # a child that has begun already
        _finalize(deliver)


def _finalize(deliver: Callable[[], None]) -> None:
    from multiprocessing import util  # noqa: PLC0415  likewise

    util.Finalize(None, deliver, exitpriority=_LAST)
