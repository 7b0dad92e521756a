"""What an event leaves in memory once it is in the spool."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zentra_otel_posthog import capture, card, configure, shutdown
from zentra_otel_posthog.delivery._http import Client
from zentra_otel_posthog.inspector import Answer, Receiver


@card(properties={"cardType": "card_type"})
def issue(customer_id: str, card_type: str, tier: str) -> None: ...


def record(count: int) -> int:
    """Return how many blocks of memory are in use after so many events."""
    for _ in range(count):
        issue("usr_1", "virtual", "gold")
        capture("card.issued", distinct_id="usr_1", properties={"cardType": "virtual", "tier": "gold"})
    gc.collect()
    return sys.getallocatedblocks()


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("trouble", ["refused", "closed", "late"])
def test_a_request_that_fails_leaves_its_body_to_nobody(trouble: str) -> None:
    """Whatever became of the connection, only the caller holds the body then, without the collector's help."""
    body = bytes(1000)
    with Receiver() as receiver:
        receiver.answer(Answer(connection="hang" if trouble == "late" else "close"), times=9)
        if trouble == "refused":
            receiver.stop()
        client = Client()
        before = sys.getrefcount(body)
        with pytest.raises(OSError, match=r"."):
            client.post(f"{receiver.url}/batch/", body, {}, 0.2)
        assert sys.getrefcount(body) == before


def test_events_leave_nothing_behind(tmp_path: Path) -> None:
    """Thousands of them take no more memory than hundreds: the spool has them, and no extension keeps a reference."""
    settings = {"api_key": "phc_invented", "host": "http://127.0.0.1:9", "spool_dir": tmp_path}
    configure(**settings, flush_at=1_000_000, flush_interval=3600)
    before = record(200)

    assert record(3000) - before < 300
    shutdown(0)
