"""A service that is careless with one person's data in every place that the package looks at. Nothing of it may leave.

Called with the person as JSON, a folder for what a tracing backend gets, and whether events go to spans or log records.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from opentelemetry import _logs, baggage, context, metrics, propagate, trace
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from posthog import contexts

from zentra_otel_posthog import (
    Event,
    auth,
    capture,
    card,
    configure,
    identify,
    kyc,
    payment,
    shutdown,
    signup,
    track,
    transfer,
)
from zentra_otel_posthog.kinds import Identifier, LastFour, Pseudonym, Slug, SlugList, Text
from zentra_otel_posthog.propagation import PostHogPropagator

PERSON: dict[str, str] = json.loads(sys.argv[1])
FOLDER, EVENTS = Path(sys.argv[2]), sys.argv[3]
# What needs a key or a word beside it to be told from a code, a reference or a date. A bare one, declared as something
# else or under a name that says nothing, is beyond any detector; it goes where its key or its place gives it away.
BY_CONTEXT = {"name", "bvn", "date_of_birth", "password"}
SECRETS = [value for name, value in PERSON.items() if name not in BY_CONTEXT]
EVERYTHING = list(PERSON.values())
SENTENCE = "; ".join(f"{name}: {value}" for name, value in PERSON.items())
NESTED = {
    "customer": {**PERSON, "history": [{"note": SENTENCE}, json.dumps(PERSON)]},
    "blob": base64.b64encode(json.dumps(PERSON).encode()).decode(),
    "list": SECRETS,
    SENTENCE: 1,
}


class CarelessEvent(Event, name="careless.declared"):
    code: Slug | None = None
    codes: SlugList | None = None
    note: Text | None = None
    order: Identifier | None = None
    payer: Pseudonym | None = None
    account: LastFour | None = None


class Declined(Exception):
    def __init__(self, value: object) -> None:
        super().__init__(SENTENCE, value)
        self.code = self.reason = value


class Result:
    def __init__(self, value: object, status: str) -> None:
        self.status, self.reason, self.code, self.tier, self.__dict__["person"] = status, value, value, value, PERSON


def decorated() -> Iterator[Any]:
    """Calls of every shape, with the person as argument, result, exception and yielded value."""
    for value in SECRETS:

        @payment
        def charge(user_id: object, amount_minor: object, currency: object, method: object, **_: object) -> Result:
            return Result(value, "failed")  # noqa: B023  called at once

        @transfer(properties={"destination": "result.person.name", "currency": "person.iban"})
        def send(user_id: object, amount_minor: object, person: Any) -> Result:
            return Result(value, "completed")  # noqa: B023  likewise

        @card(tenant="holder", distinct_id=lambda holder: holder)
        async def issue(holder: str, card_type: str, tier: str) -> Any:
            raise Declined(holder)

        @auth
        def log_in(distinct_id: str, method: str, device_type: str) -> Iterator[str]:
            yield distinct_id
            raise Declined(method)

        @kyc(properties={"tier": "result.tier"}, outcome="result.status")
        async def verify(customer_id: str, documents: list[str]) -> Result:
            return Result(customer_id, customer_id)

        @signup
        async def sign_up(user_id: str, channel: str, referral: str) -> AsyncIterator[str]:
            yield referral

        @track(CarelessEvent)
        def careless(code: Any, codes: Any, note: Any, order: Any, payer: Any, account: Any) -> Any:
            return NESTED

        @card
        def declare_nothing_of_it(customer: Any, *args: Any, card_type: str = "virtual", **kwargs: Any) -> Any:
            with contextlib.suppress(ValueError):
                raise ValueError(SENTENCE, EVERYTHING)
            raise Declined(SENTENCE)

        yield lambda: charge(value, f"NGN {value}", value, value, pan=value, nested=NESTED)  # noqa: B023
        yield lambda: send(value, 5, PERSON)  # noqa: B023
        yield lambda: asyncio.run(issue(value, value, value))  # noqa: B023
        yield lambda: list(log_in(value, value, value))  # noqa: B023
        yield lambda: asyncio.run(verify(value, [value, "passport"]))  # noqa: B023
        yield lambda: asyncio.run(exhaust(sign_up(value, value, value)))  # noqa: B023
        yield lambda: declare_nothing_of_it(PERSON, *EVERYTHING, **PERSON)
        yield lambda: careless(value, [value], f"about {value}", value, value, f"x {value}")  # noqa: B023


async def exhaust(generator: AsyncIterator[str]) -> None:
    async for _ in generator:
        pass


def captured() -> None:
    """`capture` with the person in names, values, nested JSON, ids and person properties."""
    capture("careless.captured", properties=NESTED, set=NESTED, set_once=PERSON)
    for value in SECRETS:
        properties: dict[Any, Any] = {
            **PERSON, "note": f"see {value}", "nested": NESTED, "text": json.dumps({"a": [value]}), value: "x",
            "money": Decimal(5), "when": datetime.now(UTC), "user_tier": value, "platform": value, "$set": PERSON,
            "$ip": value, "tuple": (value, {value}),
        }  # fmt: skip
        capture("careless.captured", distinct_id=value, tenant=value, properties=properties, set=properties)
        capture("careless.captured", set_once={**properties, "email": value})
        capture(f"careless.{value}", properties=properties)
        capture(CarelessEvent(code=value, codes=[value, value], note=value, user_tier=value, platform=value))


def recorded_by_others() -> None:
    """Events on other code's spans and log records, under declared names, with the person as attributes."""
    tracer, logger = trace.get_tracer("other"), _logs.get_logger("other")
    for value in SECRETS:
        attributes = {**PERSON, "method": value, "posthog.distinct_id": value, "user_tier": value}
        identity = {**PERSON, "user.id": value, "posthog.distinct_id": value, "posthog.tenant": value}
        with tracer.start_as_current_span(f"GET /{value}", attributes=identity) as span:
            span.add_event("payment.completed", {"amount_minor": 5, "currency": value, **attributes})
            span.add_event(f"payment.{value}", attributes)
            logger.emit(
                LogRecord(event_name="user.signed_up", body=SENTENCE, attributes={"channel": value, **attributes})
            )
            capture("careless.captured", properties=attributes)


def in_every_context() -> None:
    """The person as identity: identify, PostHog's own contexts, headers, baggage."""
    for value in (PERSON["name"], PERSON["bvn"], PERSON["date_of_birth"], PERSON["password"]):
        with identify(value):
            capture("careless.captured", distinct_id=value)
    for value in SECRETS:
        with identify(value, session_id=value, tenant=value, platform=value, user_tier=value):
            capture("careless.captured")
            outgoing: dict[str, str] = {}
            PostHogPropagator().inject(outgoing)
            with (FOLDER / "headers.txt").open("a") as file:
                file.write(json.dumps(outgoing) + "\n")
        with contexts.new_context():
            contexts.identify_context(value)
            contexts.set_context_session(value)
            contexts.tag("card", value)
            capture("careless.captured")
        headers = {"X-POSTHOG-DISTINCT-ID": value, "X-POSTHOG-SESSION-ID": value, "X-ZENTRA-POSTHOG-TENANT": value}
        with attached(PostHogPropagator().extract(headers)), contextlib.suppress(UnicodeError):
            capture("careless.captured")
        said = propagate.extract({}, baggage.set_baggage("posthog.distinct_id", value))
        with attached(said):
            capture("careless.captured")


@contextlib.contextmanager
def attached(made: context.Context) -> Iterator[None]:
    token = context.attach(made)
    try:
        yield
    finally:
        context.detach(token)


def main() -> None:
    logging.basicConfig(filename=FOLDER / "log.txt", level=logging.DEBUG)
    spans, records, reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()  # type: ignore[no-untyped-call]
    tracer_provider, logger_provider = TracerProvider(), LoggerProvider()
    tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
    logger_provider.add_log_record_processor(SimpleLogRecordProcessor(records))
    trace.set_tracer_provider(tracer_provider)
    _logs.set_logger_provider(logger_provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    configure(events=EVENTS, flush_interval=0.1, pseudonym_key="an invented key of thirty-two bytes or more")
    for call in decorated():
        with contextlib.suppress(Declined):
            call()
    captured()
    recorded_by_others()
    in_every_context()
    shutdown(0.5)
    ours = [one.to_json() for one in spans.get_finished_spans() if _is_ours(one.instrumentation_scope)]
    (FOLDER / "spans.txt").write_text("\n".join(ours))
    own = [one.to_json() for one in records.get_finished_logs() if _is_ours(one.instrumentation_scope)]
    (FOLDER / "records.txt").write_text("\n".join(own))
    data = reader.get_metrics_data()
    (FOLDER / "metrics.txt").write_text("" if data is None else data.to_json())


def _is_ours(scope: InstrumentationScope | None) -> bool:
    return scope is None or scope.name != "other"  # what other code records on its own spans is its own


if __name__ == "__main__":
    main()
