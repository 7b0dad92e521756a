"""What an event leaves in memory once it is in the spool."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from zentra_otel_posthog import capture, card, configure, shutdown


@card(properties={"cardType": "card_type"})
def issue(customer_id: str, card_type: str, tier: str) -> None: ...


def record(count: int) -> int:
    """Return how many blocks of memory are in use after so many events."""
    for _ in range(count):
        issue("usr_1", "virtual", "gold")
        capture("card.issued", distinct_id="usr_1", properties={"cardType": "virtual", "tier": "gold"})
    gc.collect()
    return sys.getallocatedblocks()


def test_events_leave_nothing_behind(tmp_path: Path) -> None:
    """Thousands of them take no more memory than hundreds: the spool has them, and no extension keeps a reference."""
    settings = {"api_key": "phc_invented", "host": "http://127.0.0.1:9", "spool_dir": tmp_path}
    configure(**settings, flush_at=1_000_000, flush_interval=3600)
    before = record(200)

    assert record(3000) - before < 300
    shutdown(0)
