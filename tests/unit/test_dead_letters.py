"""Refused captures are kept beside the spool with what the server said, within a bound."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from zentra_otel_posthog.delivery import dead_letters
from zentra_otel_posthog.delivery.dead_letters import DeadLetter, DeadLetterFile, KeptLetter
from zentra_otel_posthog.delivery.spool import FileSpool

CAPTURE = b'{"event":"a.b","distinct_id":"usr_1","uuid":"u","timestamp":"2026-11-02T10:00:00Z","properties":{"n":1}}'


def letter(line: bytes = CAPTURE) -> DeadLetter:
    return DeadLetter("status_400", 400, "no\nname", line)


def records(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]


def test_a_record(tmp_path: Path) -> None:
    """One line each: the capture as JSON, or what lay in its place as text."""
    DeadLetterFile(tmp_path).write([letter(), letter(b"\xff" * 9000)])
    whole, torn = records(tmp_path)
    assert (whole["capture"], whole["status"], whole["answer"]) == (json.loads(CAPTURE), 400, "no\nname")
    assert torn["capture"] == "\N{REPLACEMENT CHARACTER}" * 4096
    assert (tmp_path / "dead-letters.jsonl").stat().st_mode & 0o777 == 0o600


def test_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full file takes the older one's place; the newest letters are always there."""
    monkeypatch.setattr(dead_letters, "_FILE_BYTES", 1000)
    for number in range(50):
        DeadLetterFile(tmp_path).write([DeadLetter("r", number, "", CAPTURE)])
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2000
    kept = sorted(int(str(record["status"])) for record in records(tmp_path))
    assert kept == list(range(kept[0], 50))
    assert len(kept) >= 5


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half record is cut off again, and the caller hears of it."""
    letters = DeadLetterFile(tmp_path)
    letters.write([letter()])
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    with pytest.raises(OSError, match="full") as raised:
        letters.write([letter()])
    assert raised.value.errno == errno.ENOSPC
    monkeypatch.undo()
    letters.write([letter()])
    assert len(records(tmp_path)) == 2


def test_sifting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters go from both files by choice, the others stay as they are and in order; a torn line goes with them."""
    monkeypatch.setattr(dead_letters, "_FILE_BYTES", 1000)
    for number in range(9):
        DeadLetterFile(tmp_path).write([DeadLetter("r", number, "", CAPTURE)])
    with (tmp_path / "dead-letters.jsonl").open("ab") as file:
        file.write(b'{"time":')
    before = [letter.status for letter in dead_letters.read(tmp_path)]
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    removed = dead_letters.sift(tmp_path, lambda letter: bool(letter.status and letter.status % 2))
    after = list(dead_letters.read(tmp_path))
    assert [letter.status for letter in after] == [status for status in before if status and status % 2]
    assert removed == len(before) - len(after)
    assert after[0].line() == CAPTURE
    assert dead_letters.sift(tmp_path, lambda _: False) == len(after)
    assert list(tmp_path.glob("*.jsonl")) == []


def test_sifting_that_fails(tmp_path: Path) -> None:
    """What the choice raises leaves every letter where it is."""
    DeadLetterFile(tmp_path).write([letter(), letter()])
    with pytest.raises(ZeroDivisionError):
        dead_letters.sift(tmp_path, lambda _: bool(1 // 0))
    assert len(list(dead_letters.read(tmp_path))) == 2


def test_sifting_while_others_write(tmp_path: Path) -> None:
    """A letter that arrives in the middle of sifting is neither removed unseen nor lost."""
    DeadLetterFile(tmp_path).write([DeadLetter("r", 1, "", CAPTURE)])
    writer = threading.Thread(target=lambda: DeadLetterFile(tmp_path).write([DeadLetter("r", 2, "", CAPTURE)]))

    def take(_: KeptLetter) -> bool:
        writer.start()
        writer.join(0.1)  # it would have written by now if it did not wait
        return False

    assert dead_letters.sift(tmp_path, take) == 1
    writer.join()
    assert [letter.status for letter in dead_letters.read(tmp_path)] == [2]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe or a folder in its place holds no letters, and nobody waits for it."""
    make(tmp_path / "dead-letters.jsonl")
    assert list(dead_letters.read(tmp_path)) == []


def test_it_is_no_segment(tmp_path: Path) -> None:
    """Dead letters are never sent, and do not count as waiting."""
    spool = FileSpool(tmp_path, 1 << 20)
    DeadLetterFile(tmp_path).write([letter()])
    assert list(spool.claim()) == []
    assert spool.usage() == (0, None)


def test_a_letter_behind_a_torn_one(tmp_path: Path) -> None:
    """Wherever a kill has torn the last letter, the next one is read."""
    letters, file = DeadLetterFile(tmp_path), tmp_path / "dead-letters.jsonl"
    letters.write([letter()])
    whole = file.read_bytes()
    for length in range(len(whole) + 1):
        file.write_bytes(whole[:length])
        letters.write([DeadLetter("next", 400, "", CAPTURE)])
        assert [kept.reason for kept in dead_letters.read(tmp_path)][-1:] == ["next"]
        file.unlink()
