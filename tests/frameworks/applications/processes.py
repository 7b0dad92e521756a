"""Processes of multiprocessing and of concurrent.futures: ``processes.py SCENARIO METHOD COUNT END``."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from work import work
from zentra_otel_posthog import flush


def leave(identifier: str) -> None:
    work(identifier)
    os._exit(0)


def fork_while_delivering(identifier: str) -> None:
    for number in range(10):
        work(f"{identifier}_{number}")
        child = multiprocessing.Process(target=work, args=(f"{identifier}_child_{number}",))
        child.start()
        child.join()
        assert child.exitcode == 0
    assert flush()


def processes(target: Callable[[str], None], identifiers: list[str]) -> None:
    children = [multiprocessing.Process(target=target, args=(identifier,)) for identifier in identifiers]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert {child.exitcode for child in children} == {0}


def pool(end: str, identifiers: list[str]) -> None:
    workers = multiprocessing.Pool(2, maxtasksperchild=3)
    workers.map(work, identifiers, chunksize=1)
    getattr(workers, end)()
    workers.join()


def executor(identifiers: list[str]) -> None:
    with ProcessPoolExecutor(2) as workers:
        list(workers.map(work, identifiers))


def main(scenario: str, method: str, count: int, end: str) -> None:
    multiprocessing.set_start_method(method)
    identifiers = [f"usr_{number}" for number in range(count)]
    match scenario:
        case "pool-close" | "pool-terminate":
            pool(scenario.removeprefix("pool-"), identifiers)
        case "executor":
            executor(identifiers)
        case "process":
            processes(work, identifiers)
        case "os._exit":
            processes(leave, identifiers)
        case "fork-while-delivering":
            processes(fork_while_delivering, identifiers)
    if end == "os._exit":
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
