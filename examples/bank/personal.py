"""Looks for customers' data where it must not be."""

import gzip
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PERSONAL: Final = {
    "name": "select name from customers union select beneficiary from transfers",
    "e-mail": "select email from customers",
    "phone": "select phone from customers",
    "BVN": "select bvn from customers where bvn is not null",
    "PAN": "select pan from cards",
    "account": "select account_number from customers union select account_number from transfers",
    "document": "select number from documents",
}
_SEPARATED_DIGITS: Final = re.compile(rb"(?<=\d)[ .\-](?=\d)")


@dataclass(frozen=True, slots=True)
class Search:
    """What was looked for, where, and what was found.

    Args:
        values: How many personal values were looked for, by kind.
        size: In how many bytes.
        found: How many of them occurred, by kind; never the value.
    """

    values: Counter[str]
    size: int
    found: Counter[str]


def look_for(database: Path, received: Iterable[bytes]) -> Search:
    """Look for everything personal that the bank knows in what was received.

    Args:
        database: The bank's.
        received: Bytes, decompressed.

    Returns:
        What was found. Names are also looked for by their parts, and numbers also where separators divide them.
    """
    haystack = b"\n".join(received).lower()
    joined = _SEPARATED_DIGITS.sub(b"", haystack)
    values: Counter[str] = Counter()
    found: Counter[str] = Counter()
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        for kind, query in _PERSONAL.items():
            for value in {needle for (text,) in connection.execute(query) for needle in _needles(kind, text)}:
                values[kind] += 1
                found[kind] += value in haystack or value in joined
    return Search(values, len(haystack), +found)


def customer_ids(database: Path) -> set[str]:
    """Return the bank's own, opaque ids of its customers: all that may say who an event is about."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {customer_id for (customer_id,) in connection.execute("select id from customers")}


def _needles(kind: str, text: str) -> list[bytes]:
    lowered = text.lower()
    match kind:
        case "name":
            needles = [lowered, *lowered.split()]
        case "phone":
            # The national number, however the country code is written.
            needles = [lowered, lowered.removeprefix("0")]
        case _:
            needles = [lowered]
    return [needle.encode() for needle in needles]


def decompressed(body: bytes) -> bytes:
    """Return a request's body as it was before compression (gzip's magic tells)."""
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
