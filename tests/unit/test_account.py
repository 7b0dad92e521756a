"""The account adds up over processes and saves, survives what may lie in its folder, and holds no value."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from collections import Counter
from pathlib import Path

import pytest

from zentra_otel_posthog import capture, configure, flush, telemetry
from zentra_otel_posthog.delivery import account
from zentra_otel_posthog.delivery.account import Account
from zentra_otel_posthog.inspector import Receiver
from zentra_otel_posthog.testing import captured_events


def test_only_what_is_new_is_added(tmp_path: Path) -> None:
    """Saving twice adds what was counted in between, once."""
    kept = Account(tmp_path)
    kept.save()
    start = account.read(tmp_path)
    before = Counter[tuple[str, ...]](start.of(telemetry.LOST) if start else {})
    for _ in range(2):
        telemetry.add(telemetry.LOST, "test_account")
        kept.save()
        kept.save()
    found = account.read(tmp_path)
    assert found is not None
    assert Counter(found.of(telemetry.LOST)) - before == {("test_account",): 2}
    assert found.since <= found.until


def _count(folder: Path, times: int) -> None:
    kept = Account(folder)
    for _ in range(times):
        telemetry.add(telemetry.LOST, "test_account_process")
        kept.save()


def test_processes_add_up(tmp_path: Path) -> None:
    """Processes that save at once lose nothing of each other."""
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_count, args=(tmp_path, 50)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = account.read(tmp_path)
    assert found is not None
    assert found.of(telemetry.LOST) == {("test_account_process",): 150}


def test_a_forked_child_counts_from_nothing(tmp_path: Path) -> None:
    """What the parent has counted and saved is not added a second time by its child."""
    kept = Account(tmp_path)
    telemetry.add(telemetry.LOST, "test_account_fork")
    kept.save()
    child = multiprocessing.get_context("fork").Process(target=kept.save)
    child.start()
    child.join()
    found = account.read(tmp_path)
    assert found is not None
    assert found.of(telemetry.LOST)["test_account_fork",] == 1


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"since": 1}'])
def test_a_file_that_says_nothing(tmp_path: Path, content: bytes) -> None:
    """A file that is no account is as none, and is written anew."""
    (tmp_path / "account.json").write_bytes(content)
    assert account.read(tmp_path) is None
    telemetry.add(telemetry.LOST, "test_account_anew")
    Account(tmp_path).save()
    assert account.read(tmp_path) is not None


def test_names_past_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file stays bounded: further names are summed under ``(other)``."""
    monkeypatch.setattr(account, "_ROWS_MAX", 0)
    telemetry.add(telemetry.UNDECLARED, "a.b", "c")
    Account(tmp_path).save()
    found = account.read(tmp_path)
    assert found is not None
    assert found.of(telemetry.UNDECLARED).keys() == {("(other)", "(other)")}


def test_no_value_in_it(tmp_path: Path) -> None:
    """What was refused and what left are told by name alone."""
    with captured_events():
        capture("basket.paid", properties={"contact": "ada.obi@example.com", "plan": "platinum-xyz"})
    Account(tmp_path).save()
    written = (tmp_path / "account.json").read_text(encoding="utf-8")
    assert '"contact"' in written
    assert '"plan"' in written
    assert "ada.obi" not in written
    assert "platinum-xyz" not in written


def test_a_process_saves_when_it_flushes(tmp_path: Path) -> None:
    """Also one that lives for a moment only, and one whose account another process holds."""
    with Receiver() as receiver:
        configure(api_key="phc_invented", host=receiver.url, spool_dir=tmp_path / "spool", flush_interval=3600)
        capture("basket.paid", distinct_id="usr_1")
        assert flush(5)
        (folder,) = (tmp_path / "spool").iterdir()
        before = account.read(folder)
        assert before is not None
        assert before.of(telemetry.CAPTURES)["delivered",] >= 1
        descriptor = os.open(folder / "account.lock", os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        capture("basket.paid", distinct_id="usr_1")
        assert flush(10)
        os.close(descriptor)
        assert flush(5)
        after = account.read(folder)
        assert after is not None
        assert after.of(telemetry.CAPTURES)["delivered",] - before.of(telemetry.CAPTURES)["delivered",] == 1
