"""What PostHog gets from us is what it gets from the installed official client, field by field, over a real socket.

An upgrade of ``posthog`` that changes the contract fails here first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import posthog
import posthog.contexts
import pytest
from opentelemetry.sdk.trace import TracerProvider

import zentra_otel_posthog as zentra
from zentra_otel_posthog import Event, capture, configure, flush, identify
from zentra_otel_posthog.inspector import Receiver, Request

OURS, OFFICIAL = "phc_ours", "phc_official"
SESSION = "0192f0c1-2d3e-7abc-8def-0123456789ab"
MOMENT = datetime(2026, 11, 2, 10, 0, 0, 123456, UTC)

# Top-level keys of a batch that may be missing on our side, and why.
ONLY_OFFICIAL_BATCH = {"historical_migration"}  # absent means false; it is sent by imports alone
# Properties that one side alone has, and why.
ONLY_OFFICIAL = {
    "$python_runtime",  # the interpreter tells nothing about a customer
    "$python_version",
    "$os",  # the server's, not the customer's: it would fill PostHog's breakdown of devices with Linux
    "$os_version",
    "$os_distro",
    "$context_tags",  # names of tags of posthog.contexts, which we do not read
}
ONLY_OURS = {"$ignore_sent_at"}  # a server's clock is right, and the timestamp has to stay the same over retries
BY_SENDER = {"$lib", "$lib_version"}  # each names itself


class Case(NamedTuple):
    event: Event
    properties: dict[str, Any]
    person_set: dict[str, Any]
    person_set_once: dict[str, Any]


def case(event: Event, /, **properties: Any) -> Case:
    """An event with what the tracking plan keeps on the person."""
    schema = event.event_schema
    person_set = {name: properties[source] for name, source in schema.person_set.items() if source in properties}
    person_set_once = {
        name: properties[source] for name, source in schema.person_set_once.items() if source in properties
    }
    return Case(event, properties, person_set, person_set_once)


COMMON: Any = {"platform": "ios", "user_tier": "gold"}
PAYMENT: Any = {"amount_minor": 125_000, "currency": "NGN", "method": "card"}
CASES = [
    case(zentra.PaymentPending(**PAYMENT, **COMMON), **PAYMENT, **COMMON),
    case(zentra.PaymentCompleted(**PAYMENT), **PAYMENT),
    case(
        zentra.PaymentFailed(reason="insufficient_funds", **PAYMENT, **COMMON),
        reason="insufficient_funds",
        **PAYMENT,
        **COMMON,
    ),
    case(
        zentra.TransferCompleted(amount_minor=2**53 - 1, destination="mobile_money", **COMMON),
        amount_minor=2**53 - 1,
        destination="mobile_money",
        **COMMON,
    ),
    case(zentra.CardIssued(cardType="virtual", tier="gold"), cardType="virtual", tier="gold"),
    case(
        zentra.KycVerified(tier="tier_2", documents=["passport", "utility_bill"], **COMMON),
        tier="tier_2",
        documents=["passport", "utility_bill"],
        **COMMON,
    ),
    case(zentra.UserSignedUp(channel="web", referral="friend", **COMMON), channel="web", referral="friend", **COMMON),
    case(
        zentra.SessionAuthenticated(method="biometrics", deviceType="mobile", **COMMON),
        method="biometrics",
        deviceType="mobile",
        **COMMON,
    ),
]

Official = Callable[..., None]


@pytest.fixture
def ours(receiver: Receiver, provider: TracerProvider, tmp_path: Path) -> None:
    """The package as an application sets it up."""
    configure(api_key=OURS, host=receiver.url, spool_dir=tmp_path / "spool")


@pytest.fixture
def official(receiver: Receiver) -> Iterator[Official]:
    """Captures one event with the official client and delivers it."""
    client = posthog.Posthog(OFFICIAL, host=receiver.url, gzip=True, capture_trace_context=True)

    def captured(name: str, **arguments: Any) -> None:
        assert client.capture(name, **arguments) is not None
        client.flush()

    yield captured
    client.shutdown()


def request_of(receiver: Receiver, api_key: str) -> Request:
    (found,) = (request for request in receiver.requests if request.decoded["api_key"] == api_key)
    assert found.status == 200
    return found


def both(receiver: Receiver) -> tuple[dict[str, Any], dict[str, Any]]:
    """The one event of each side, as sent."""
    assert flush(5)
    assert receiver.wait_for(2)
    (mine,), (theirs,) = (request_of(receiver, key).decoded["batch"] for key in (OURS, OFFICIAL))
    return mine, theirs


def shape(value: object) -> object:
    """A JSON value's types, at every depth."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else type(value)


def compared(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in ONLY_OFFICIAL | ONLY_OURS | BY_SENDER}


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("given", CASES, ids=lambda given: given.event.event_schema.name)
def test_an_event_is_the_official_clients(
    given: Case, receiver: Receiver, official: Official, provider: TracerProvider
) -> None:
    """The same event with the same person, group, session, time and UUID: same keys, same types, same values."""
    extra, extra_once = {"plan": "pro", "seats": 3}, {"first_seen": "app"}
    name = given.event.event_schema.name
    with provider.get_tracer("app").start_as_current_span("request"):
        with identify("usr_1", session_id=SESSION, tenant="acme"):
            uuid = capture(
                given.event, timestamp=MOMENT, properties={"ratio": 0.5, "tags": ["a"]}, set=extra, set_once=extra_once
            )
        with posthog.contexts.new_context(fresh=True):
            posthog.contexts.set_context_session(SESSION)
            person = {"$set": {**given.person_set, **extra}, "$set_once": {**given.person_set_once, **extra_once}}
            properties = {**given.properties, "ratio": 0.5, "tags": ["a"], **person}
            official(
                name, distinct_id="usr_1", uuid=uuid, timestamp=MOMENT, groups={"tenant": "acme"}, properties=properties
            )
    mine, theirs = both(receiver)
    assert set(mine) == set(theirs) == {"event", "distinct_id", "uuid", "timestamp", "properties"}
    assert (
        (mine["event"], mine["distinct_id"], mine["uuid"])
        == (theirs["event"], theirs["distinct_id"], theirs["uuid"])
        == (name, "usr_1", uuid)
    )
    assert datetime.fromisoformat(mine["timestamp"]) == datetime.fromisoformat(theirs["timestamp"]) == MOMENT
    assert compared(mine["properties"]) == compared(theirs["properties"])
    assert shape(compared(mine["properties"])) == shape(compared(theirs["properties"]))
    assert set(mine["properties"]) - set(theirs["properties"]) == ONLY_OURS
    assert set(theirs["properties"]) - set(mine["properties"]) <= ONLY_OFFICIAL
    assert {name: type(mine["properties"][name]) for name in BY_SENDER} == {
        name: type(theirs["properties"][name]) for name in BY_SENDER
    }
    assert {"$session_id", "$groups", "$trace_id", "$span_id", "$geoip_disable", "$is_server"} <= set(
        theirs["properties"]
    )


@pytest.mark.usefixtures("ours")
def test_an_event_about_nobody(receiver: Receiver, official: Official) -> None:
    """Without a person both send a distinct id that is nobody's and ask for no profile."""
    capture(CASES[1].event, timestamp=MOMENT)
    with posthog.contexts.new_context(fresh=True):
        official("payment.completed", timestamp=MOMENT, properties=CASES[1].properties)
    mine, theirs = both(receiver)
    assert mine["properties"]["$process_person_profile"] is theirs["properties"]["$process_person_profile"] is False
    assert type(mine["distinct_id"]) is type(theirs["distinct_id"]) is str
    traced = {"$trace_id", "$span_id"}  # ours has got a short span of its own, the official client's none
    assert {name: value for name, value in compared(mine["properties"]).items() if name not in traced} == compared(
        theirs["properties"]
    )


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize(
    "timestamp",
    [
        datetime(2026, 11, 2, 10, 0, tzinfo=UTC),
        datetime(2026, 11, 2, 10, 0, 0, 1, UTC),
        datetime(2024, 2, 29, 23, 59, 59, 999999, UTC),
        None,
    ],
)
def test_timestamps_and_uuids_parse_alike(receiver: Receiver, official: Official, timestamp: datetime | None) -> None:
    """Both are ISO 8601 with a zone, to the microsecond, and valid UUIDs in their usual spelling."""
    capture("basket.paid", distinct_id="usr_1", timestamp=timestamp)
    official("basket.paid", distinct_id="usr_1", timestamp=timestamp)
    moments = [datetime.fromisoformat(event["timestamp"]) for event in both(receiver)]
    assert [moment.utcoffset() for moment in moments] == [timedelta(0)] * 2
    assert moments == [timestamp] * 2 if timestamp is not None else abs(moments[1] - moments[0]) < timedelta(seconds=10)
    assert all(str(UUID(event["uuid"])) == event["uuid"] for event in both(receiver))


@pytest.mark.usefixtures("ours")
def test_the_batch_is_the_official_clients(receiver: Receiver, official: Official) -> None:
    """The request has the same method, path, encoding, keys and types, and the sending time."""
    capture("basket.paid", distinct_id="usr_1")
    official("basket.paid", distinct_id="usr_1")
    both(receiver)
    mine, theirs = request_of(receiver, OURS), request_of(receiver, OFFICIAL)
    assert (mine.method, mine.path) == (theirs.method, theirs.path) == ("POST", "/batch/")
    for header in ("Content-Type", "Content-Encoding"):
        assert mine.headers[header] == theirs.headers[header]
    assert set(mine.decoded) == set(theirs.decoded) - ONLY_OFFICIAL_BATCH == {"api_key", "batch", "sent_at"}
    assert {name: type(value) for name, value in mine.decoded.items()} == {
        name: type(theirs.decoded[name]) for name in mine.decoded
    }
    for request in (mine, theirs):
        sent_at = datetime.fromisoformat(request.decoded["sent_at"])
        assert sent_at.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - sent_at) < timedelta(minutes=1)
    assert theirs.decoded.get("historical_migration", False) is False


def test_the_allow_lists_are_needed(receiver: Receiver, ours: None, official: Official) -> None:
    """Each property that only one side may have is there on that side, so the lists hold no dead entry."""
    capture("basket.paid", distinct_id="usr_1")
    with posthog.contexts.new_context(fresh=True):
        posthog.contexts.tag("region", "west")
        official("basket.paid", distinct_id="usr_1")
    mine, theirs = both(receiver)
    assert set(mine["properties"]) >= ONLY_OURS
    assert set(theirs["properties"]) >= ONLY_OFFICIAL - {"$os_distro"}  # which other systems do not have
