"""What a property's key says about its value, judged by whole words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from zentra_otel_posthog.sanitize import vocabulary
from zentra_otel_posthog.sanitize.normalize import fold

LONGEST_KEY: Final = 200
_LONGEST_PHRASE: Final = 4
_FLAG: Final = "$feature/"  # PostHog's property of a feature flag: the flag's name is no word about its variant

_WORD: Final = re.compile(r"2fa|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_MONEY: Final = re.compile(
    r"[^\w\s]?(?:[A-Z]{3})?\s?[+-]?\s?"
    r"(?:0|[1-9][0-9]{0,11}|[0-9]{1,3}(?:[, ][0-9]{3}){1,4})(?:\.[0-9]{1,8})?\s?(?:[A-Z]{3}|%)?"
)
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?\s?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
    r"|1[0-9]{9}|1[0-9]{12}|1[0-9]{15}|1[0-9]{18}|[0-9]{1,8}"
)
_VERSION: Final = re.compile(r"[vV]?[0-9]{1,6}(?:\.[0-9]{1,6}){0,4}(?:[-+][\w.-]{1,40})?")
_DIGEST: Final = re.compile(r"(?:[a-z][a-z0-9]{0,9}[_:-])?(?:(?=[0-9]*[a-fA-F])[0-9a-fA-F]{7,128}|[0-9a-fA-F]{32,128})")
_TRACE: Final = re.compile(
    r"[0-9a-fA-F]{16}|[0-9a-fA-F]{32}|[0-9]{1,20}|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
)
_CODE: Final = re.compile(r"[0-9]{1,15}|[0-9]{30}|(?=[0-9]*[A-Z])[A-Z0-9]{1,34}")

# Words of a key, and how a value of the type that they name is written.
_FORMATS: Final = (
    (vocabulary.AMOUNTS, _MONEY),
    (vocabulary.MOMENTS, _MOMENT),
    (vocabulary.VERSIONS, _VERSION),
    (vocabulary.DIGESTS, _DIGEST),
    (vocabulary.TRACES, _TRACE),
    (vocabulary.CODES, _CODE),
)


class KeyProfile(NamedTuple):
    """What a key says.

    Attributes:
        refused: Name of the rule under which a value of this key is refused, or None.
        opaque: Whether even a plain word is refused then.
        reference: Whether an identifier is accepted all the same.
        hints: Rules to apply only to a value that looks like what the rule is about.
        echoes: The same, for what the key is only about, and after `formats`.
        formats: Spellings of the innocent type that the key names; a value of that type is not scanned.
    """

    refused: str | None = None
    opaque: bool = False
    reference: bool = False
    hints: tuple[str, ...] = ()
    echoes: tuple[str, ...] = ()
    formats: tuple[re.Pattern[str], ...] = ()


NEUTRAL: Final = KeyProfile()


class _Match(NamedTuple):
    start: int
    end: int
    strength: int
    rules: tuple[str, ...]


_OPAQUE, _NAMED, _HINT = 3, 2, 1


def _index() -> dict[str, tuple[int, tuple[str, ...]]]:
    """Phrases with their words joined, each with the strength of what it says and its rules."""
    found: dict[str, tuple[int, tuple[str, ...]]] = {}
    tables = ((_HINT, vocabulary.HINTS), (_NAMED, vocabulary.NAMED), (_OPAQUE, vocabulary.OPAQUE))
    for strength, table in tables:
        for rule, phrases in table.items():
            for phrase in phrases.split(","):
                joined = "".join(phrase.split())
                earlier = found.get(joined, (0, ()))
                rules = (*earlier[1], rule) if earlier[0] == strength else (rule,)
                found[joined] = (strength, rules)
    return found


_PHRASES: Final = _index()
_NEVER_PLURAL: Final = frozenset({"tokens"})  # language models count tokens
_ONE_WORD: Final = frozenset({"sessionid", "sessid"})  # a cookie's name; "session_id" is also an analytics session
_GLUED: Final = frozenset().union(
    _PHRASES,
    (word for phrases in vocabulary.NAMED.values() for word in phrases.replace(",", " ").split()),
    vocabulary.PERSONS,
    vocabulary.FILLERS,
    vocabulary.ABOUT,
    vocabulary.REFERENCES,
    {"name", "key"},
)
_LONGEST_GLUED, _SHORTEST_PART = 40, 3


def _unglue(word: str) -> list[str]:
    """The words that `word` is made of without a sign between them ("directorbvn"), or `word` alone."""
    if word in _PHRASES or not 2 * _SHORTEST_PART <= len(word) <= _LONGEST_GLUED:
        return [word]
    parts: list[list[str] | None] = [[], *[None] * len(word)]
    for end in range(_SHORTEST_PART, len(word) + 1):
        for start in range(end - _SHORTEST_PART + 1):
            head = parts[start]
            if head is not None and word[start:end] in _GLUED:
                parts[end] = [*head, word[start:end]]
                break  # the earliest start is the longest last part
    return parts[-1] or [word]


def words_of(key: str) -> list[str]:
    """Return the lower-case words of `key`: split at case, dots, dashes, underscores, digits, known words."""
    words = _WORD.findall(fold(unicodedata.normalize("NFD", key)))
    return [part for word in words for part in _unglue(word.lower())]


_refused: frozenset[str] = frozenset()


def refuse(names: Iterable[str]) -> None:
    """Take over the names of properties that a policy refuses, in place of those before."""
    global _refused  # noqa: PLW0603  one policy a process
    _refused = frozenset("".join(words_of(name)) for name in names)


def is_refused(key: str) -> bool:
    """Return whether whole words of `key`, one after the other, are a name that the policy refuses."""
    if not _refused:
        return False
    words = words_of(key)
    return any(
        "".join(words[start:end]) in _refused for start in range(len(words)) for end in range(start + 1, len(words) + 1)
    )


def _lookup(joined: str) -> tuple[int, tuple[str, ...]] | None:
    found = _PHRASES.get(joined)
    if found is None and joined.endswith("s") and joined not in _NEVER_PLURAL:
        found = _PHRASES.get(joined[:-1]) or _PHRASES.get(joined.removesuffix("es"))
    return found


def _name_match(words: list[str], index: int) -> _Match | None:
    """A person's name, told from a bank's, a merchant's or a pod's by the word before it."""
    before = words[index - 1] if index else None
    if before is None or before in vocabulary.MAYBE_PERSONS:
        return _Match(index, index + 1, _HINT, ("person",))
    if before in vocabulary.PERSONS:
        return _Match(index - 1, index + 1, _OPAQUE, ("name",))
    return None


def _matches(words: list[str]) -> list[_Match]:
    """Telling phrases of a key, without those that lie within a longer one (`address` in `email_address`)."""
    matches = []
    for start in range(len(words)):
        for end in range(start + 1, min(start + _LONGEST_PHRASE, len(words)) + 1):
            joined = "".join(words[start:end])
            found = _lookup(joined)
            if found is not None and (end == start + 1 or joined not in _ONE_WORD):
                matches.append(_Match(start, end, *found))
        if words[start] in {"name", "names"} and (name := _name_match(words, start)):
            matches.append(name)
    return [
        match
        for match in matches
        if not any(
            other.start <= match.start and match.end <= other.end and len(range(*other[:2])) > len(range(*match[:2]))
            for other in matches
        )
        and not _means_something_else(match, words)
        and (match.strength > _HINT or _ends_key(match, words))
    ]


# Words before and after a telling phrase with which it means something else.
_NOWHERE: Final = (frozenset[str](), frozenset[str]())
_ELSEWHERE: Final = {
    "address": (vocabulary.NOT_POSTAL, frozenset[str]()),
    "coordinates": (vocabulary.NOT_PLACES, frozenset[str]()),
    "secret": (vocabulary.CURSORS, frozenset[str]()),
    "name": (frozenset[str](), vocabulary.THINGS),
    "pan": (frozenset[str](), vocabulary.REFERENCES),  # "card_id": a card's number by its form alone
}


def _means_something_else(match: _Match, words: list[str]) -> bool:
    rule, is_hint = match.rules[0], match.strength == _HINT
    if rule == "card_expiry":
        return is_hint and "card" not in words and not vocabulary.NOT_CARDS.isdisjoint(words)
    if (rule == "pan" and not is_hint) or (rule == "secret" and words[match.start] != "token"):
        return False
    before, after = _ELSEWHERE.get(rule, _NOWHERE)
    return not (before.isdisjoint(words[: match.start]) and after.isdisjoint(words[match.end :]))


def _ends_key(match: _Match, words: list[str]) -> bool:
    """Whether nothing but "id", "number" or the like follows; elsewhere a hint says too little."""
    return all(word in vocabulary.ENDINGS or word.isdigit() for word in words[match.end :])


def _is_about(after: list[str]) -> bool:
    """Whether the words after a telling phrase say that the value is only about the thing."""
    return not vocabulary.ABOUT.isdisjoint(after)


def _formats(words: list[str]) -> tuple[re.Pattern[str], ...]:
    present = {*words, *("".join(pair) for pair in pairwise(words))}
    present.add("".join(words))
    return tuple(spelling for names, spelling in _FORMATS if not names.isdisjoint(present))


@lru_cache(maxsize=4096)
def profile(key: str) -> KeyProfile:
    """Return what `key` says about a value."""
    if _FLAG in key:
        return NEUTRAL
    words = words_of(key)
    matches = _matches(words)
    direct = [match for match in matches if not _is_about(words[match.end :])]
    strongest = max(direct, key=lambda match: match.strength, default=None)
    if strongest is None or strongest.strength == _HINT:
        hints = {rule: None for match in direct for rule in match.rules}
        # "bvn_status" does not promise a status: a value of eleven digits is still refused.
        about = [match for match in matches if match not in direct and match.strength == _NAMED]
        echoes = {rule: None for match in about for rule in match.rules}
        return KeyProfile(hints=tuple(hints), echoes=tuple(echoes), formats=_formats(words))
    after = words[strongest.end :]
    rule = strongest.rules[0]
    others = {match.rules[0]: None for match in direct if match.strength == _NAMED and match.rules[0] != rule}
    return KeyProfile(
        refused=rule,
        opaque=strongest.strength == _OPAQUE,
        reference=not vocabulary.REFERENCES.isdisjoint(after),
        hints=tuple(others),  # "debit_card_pin"
    )
