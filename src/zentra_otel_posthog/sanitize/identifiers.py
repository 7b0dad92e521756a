"""The gate for identifiers: distinct ids, group keys, session and window ids."""

from __future__ import annotations

import contextlib
import re
from enum import Enum
from typing import Final
from uuid import UUID

from zentra_otel_posthog import telemetry
from zentra_otel_posthog.sanitize import detectors
from zentra_otel_posthog.sanitize.pseudonyms import PSEUDONYM, Pseudonyms

ILLEGAL: Final = frozenset(
    {
        "0", "00000000-0000-0000-0000-000000000000", "[object object]", "anonymous", "anonymous-user", "backend",
        "distinct_id", "distinctid", "email", "false", "guest", "id", "nan", "none", "not_authenticated", "null",
        "system", "true", "undefined", "user",
    }
)  # fmt: skip
"""PostHog makes no person of these (compared without case) and merges whoever shares them; quotes are cut off."""
_DISTINCT_ID_LENGTH: Final = 200  # PostHog cuts longer ones, which would merge persons
_GROUP_KEY_LENGTH: Final = 400  # likewise
# Phone, account, BVN, NIN and card numbers have so many digits; counters of a database rarely do.
_PERSONAL_NUMBER: Final = re.compile(r"[0-9]{9,16}")
# What ids of databases, identity providers and e-mail addresses are made of. Every full name has a space in it, and a
# good password some other sign.
_ID: Final = re.compile(r"[\w.:|/+=~$@#*%-]+")
_DATE: Final = re.compile(r"[0-9]{4}([-/.])[0-9]{2}\1[0-9]{2}|[0-9]{2}([-/.])[0-9]{2}\2[0-9]{4}")
# A UUID, a hexadecimal id or a ULID, perhaps behind a short prefix: by chance one in three thousand passes an IBAN's or
# a card's checksum, and its person would vanish from analytics.
_OPAQUE: Final = re.compile(
    r"(?:[A-Za-z]{1,12}[_-])?"
    r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=(?:[0-9]*[a-f]){2})[0-9a-f]{16,64}|"
    r"(?=(?:[0-9]*[A-Z]){2})[0-7][0-9A-HJKMNP-TV-Z]{25})"
)
_CACHED: Final = 8192
_UUID_VERSION_OF_SESSIONS: Final = 7


class IdentifierGate:
    """Lets identifiers out that are no personal data.

    Args:
        pseudonym_key: With it, a personal identifier becomes a pseudonym (see ``Pseudonyms``). Without, it is refused.
    """

    def __init__(self, pseudonym_key: str | None = None) -> None:
        self._pseudonyms = Pseudonyms(pseudonym_key) if pseudonym_key is not None else None
        # Requests come in runs of one customer, and the detectors cost more than a look-up.
        self._admitted: set[str] = set()

    def distinct_id(self, event: str, value: object) -> str | None:
        """Return the distinct id that may leave, or None where the event has to go out without a person.

        Args:
            event: The event's name, for the counters.
            value: A string, an integer or a UUID.
        """
        if type(value) is str and value in self._admitted:
            return value
        identifier = self._gate(event, "distinct_id", value, _DISTINCT_ID_LENGTH)
        if identifier is not None and identifier is value:
            if len(self._admitted) >= _CACHED:
                self._admitted.clear()
            self._admitted.add(identifier)
        return identifier

    def group_key(self, event: str, value: object) -> str | None:
        """Return the tenant's group key that may leave, or None."""
        return self._gate(event, "tenant", value, _GROUP_KEY_LENGTH)

    def group_key_of(self, tenant: str) -> tuple[str | None, str | None]:
        """Return the group key under which captures of a tenant leave, and the rule that refused or replaced it.

        For a tenant that the settings name; nothing is counted.
        """
        return self._judge("tenant", tenant.strip(), _GROUP_KEY_LENGTH)

    def session_id(self, event: str, value: object) -> str | None:
        """Return a session id, or None where PostHog would not count it: it takes nothing but a UUIDv7.

        A backend's own session ids are credentials as a rule, so there is no other way out for them.
        """
        return _uuid7(event, "session_id", value)

    def window_id(self, event: str, value: object) -> str | None:
        """Return the id of a session's window, or None: posthog-js makes it as it does the session's."""
        return _uuid7(event, "window_id", value)

    def _gate(self, event: str, purpose: str, value: object, length: int) -> str | None:
        judgement: tuple[str | None, str | None]
        try:
            if isinstance(value, Enum):
                value = value.value
            if not isinstance(value, (str, int, UUID)) or isinstance(value, bool):
                judgement = None, "type"
            else:
                text = str(value).strip()
                text.encode()  # half a character is text in Python, and none in UTF-8
                judgement = self._judge(purpose, text, length)
        except Exception:
            judgement = None, "error"
        identifier, rule = judgement
        if rule is not None:
            telemetry.refused(event, purpose, rule)
        return identifier

    def _judge(self, purpose: str, text: str, length: int) -> tuple[str | None, str | None]:
        """Return the identifier and the rule that refused or replaced it."""
        bare = text.strip("\"'").casefold()
        if not bare or bare in ILLEGAL:
            return None, "illegal_id"
        if PSEUDONYM.fullmatch(text):
            return text, None
        if len(text) > length:
            rule: str | None = "length"
        else:
            # A tenant is a company, and may be called "Acme Bank".
            rule = personal(text) if purpose == "tenant" else personal_id(text)
        if rule is None:
            return text, None
        return (self._pseudonyms.of(purpose, text), rule) if self._pseudonyms is not None else (None, rule)


def _uuid7(event: str, name: str, value: object) -> str | None:
    identifier = None
    if isinstance(value, (str, UUID)):
        with contextlib.suppress(Exception):
            identifier = UUID(str(value))
    if identifier is None or identifier.version != _UUID_VERSION_OF_SESSIONS:
        telemetry.refused(event, f"${name}", name)
        return None
    return str(identifier)


def personal(text: str) -> str | None:
    """Return the rule under which an identifier is personal data, or None where it may leave as it is."""
    if _OPAQUE.fullmatch(text):
        return None
    if _PERSONAL_NUMBER.fullmatch(text):
        return "personal_number"
    if _DATE.fullmatch(text):
        return "birth_date"
    return detectors.find(text)


def personal_id(text: str) -> str | None:
    """Return the same of the identifier of a person or a thing, which is one word."""
    return personal(text) if _ID.fullmatch(text) else "free_text"
