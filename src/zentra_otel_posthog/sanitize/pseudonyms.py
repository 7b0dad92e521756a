"""Pseudonyms: the same stand-in for the same identifier, computed under a secret key."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from typing import Final

PSEUDONYM: Final = re.compile(r"psn1_[0-9a-f]{40}")

_DOMAIN: Final = b"zentra-otel-posthog/1/"
_DIGEST_BYTES: Final = 20  # 160 bits: no two customers of a bank meet by chance
# A telephone or account number as people write it; separators are spelling.
_NUMBER: Final = re.compile(r"\+?[0-9][0-9 ().\-/]{4,40}")
_SEPARATORS: Final = re.compile(r"[^0-9+]")


class Pseudonyms:
    """Makes pseudonyms: HMAC-SHA256 (RFC 2104), cut to 160 bits and marked ``psn1_``.

    The message is ``zentra-otel-posthog/1/`` and the purpose, a zero byte, and the identifier in one spelling (NFKC,
    case folded, a number without its separators), so another system that has the key computes the same. The marker's
    digit is the version of this rule.

    Args:
        key: The secret, at least 32 bytes (``pseudonym_key``).
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def of(self, purpose: str, text: str) -> str:
        """Return the pseudonym of an identifier.

        Args:
            purpose: What it identifies (``distinct_id``, ``tenant``, a property's name): what was one person in two
                places has two pseudonyms that nobody can join.
            text: The identifier. One that is a pseudonym already is returned as it is.
        """
        if PSEUDONYM.fullmatch(text):
            return text
        digest = hmac.digest(self._key, _DOMAIN + purpose.encode() + b"\0" + _canonical(text).encode(), hashlib.sha256)
        return f"psn1_{digest[:_DIGEST_BYTES].hex()}"


def _canonical(text: str) -> str:
    spelt = unicodedata.normalize("NFKC", text).strip().casefold()
    return _SEPARATORS.sub("", spelt) if _NUMBER.fullmatch(spelt) else spelt
