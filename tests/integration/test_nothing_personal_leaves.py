"""One person's data in every place that the package looks at, and none of it in anything that leaves or is kept."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
import sys
import unicodedata
import urllib.parse
from pathlib import Path

import pytest

from zentra_otel_posthog import configure, flush
from zentra_otel_posthog.inspector import Receiver

PROGRAM = Path(__file__).parent / "programs" / "person_everywhere.py"
# Nobody's: made for this test.
PERSON = {
    "name": "Adaugo Nwachukwu-Bello",
    "email": "adaugo.nwachukwu@mail-example.com",
    "phone": "+234 803 555 0187",
    "bvn": "22412345678",
    "pan": "4539 1488 0343 6467",
    "iban": "GB33BUKB20201555555555",
    "date_of_birth": "1987-03-14",
    "address": "14 Broad Street, Lagos Island",
    "password": "hunter2!Correct-Horse",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGF1Z28ifQ.s5Z9Qy7wXv2kLmN0pR3tU6yB1cD4eF8gH",
    "ip": "197.210.53.114",
    "national_id": "NIN 61234567890",
}
NEEDLES = {
    "name": ("adaugo", "nwachukwu"),
    "email": ("adaugo", "mail-example"),
    "phone": ("8035550187",),
    "bvn": ("22412345678",),
    "pan": ("4539148803436467", "45391488"),
    "iban": ("bukb2020155555",),
    "date_of_birth": ("1987-03-14", "19870314"),
    "address": ("broad street", "broad_street", "lagos island", "lagos_island"),
    "password": ("hunter2", "correct-horse"),
    "jwt": ("eyjzdwiioij", "s5z9qy7w"),
    "ip": ("197.210.53.114",),
    "national_id": ("61234567890",),
}


def found(content: bytes) -> set[str]:
    """Which of the person's data occur: as they are, in other spellings, encoded, or divided by separators."""
    text = unicodedata.normalize("NFKC", content.decode("utf-8", "replace")).casefold()
    inner = [text, urllib.parse.unquote(text), text.replace("\\", "")]
    for token in re.findall(r"[A-Za-z0-9+/_-]{12,}={0,2}", content.decode("utf-8", "replace")):
        try:
            inner.append(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("utf-8").casefold())
        except ValueError:
            continue
    spellings = [spelling for one in inner for spelling in (one, re.sub(r"(?<=\w)[ ._\-](?=\w)", "", one))]
    return {
        name
        for name, needles in NEEDLES.items()
        if any(needle in spelling for needle in needles for spelling in spellings)
    }


@pytest.mark.parametrize("events", ["span", "log"])
def test_none_of_it_is_anywhere(tmp_path: Path, events: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through decorators, capture, processors and contexts into spool, wire, tracing, logs and metrics: nothing."""
    with Receiver() as receiver:
        url = receiver.url
    folder, spool = tmp_path / "out", tmp_path / "spool"
    folder.mkdir()
    environment = {
        "POSTHOG_API_KEY": "phc_invented",
        "POSTHOG_HOST": url,
        "ZENTRA_POSTHOG_SPOOL_DIR": str(spool),
        "OTEL_PROPAGATORS": "tracecontext,baggage,posthog",
    }
    result = subprocess.run(
        [sys.executable, "-W", "error", str(PROGRAM), json.dumps(PERSON), str(folder), events],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stderr.decode()) == (0, "")
    kept = {str(path.relative_to(tmp_path)): path.read_bytes() for path in spool.rglob("*") if path.is_file()}
    traced = {path.name: path.read_bytes() for path in folder.iterdir()}
    # The same port again, and whoever comes next delivers what the service has left.
    monkeypatch.chdir(tmp_path)
    with Receiver(int(url.rpartition(":")[2])) as receiver:
        configure(api_key="phc_invented", host=url, spool_dir=str(spool))
        assert flush(20)
        sent = {f"request {n}": gzip.decompress(one.body) for n, one in enumerate(receiver.requests)}
        names = {event["event"] for event in receiver.events}
        arrived = len(receiver.events)
    # It would be easy to leak nothing by recording nothing.
    assert names >= {
        "payment.pending", "payment.failed", "payment.completed", "transfer.completed", "user.signed_up",
        "kyc.verified", "careless.captured", "careless.declared",
    }  # fmt: skip
    assert arrived > 100
    assert b"payment.completed" in b"".join(kept.values())
    assert b"careless.declared" in traced["spans.txt" if events == "span" else "records.txt"]
    assert b"zentra.posthog.refused" in traced["metrics.txt"]
    leaks = {place: secrets for place, content in {**kept, **traced, **sent}.items() if (secrets := found(content))}
    assert leaks == {}


def test_the_search_finds(tmp_path: Path) -> None:
    """Each needle is found in its own person, so that the search above can fail."""
    for name, value in PERSON.items():
        assert name in found(value.encode())
        assert name in found(base64.b64encode(value.encode()))
        assert name in found(urllib.parse.quote(value).encode())
