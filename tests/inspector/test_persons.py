"""Who is whom: PostHog's rules for merging persons, and for what is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inspector.conftest import Inspector, an_event

from zentra_otel_posthog.inspector.arrivals import arrival, project_name
from zentra_otel_posthog.inspector.store import Store


def persons(inspector: Inspector) -> dict[str, Any]:
    return {one["person"]: one for one in inspector.get("customers")["customers"]}


def identified(distinct_id: str, anonymous: str, **properties: Any) -> dict[str, Any]:
    return an_event("$identify", distinct_id, properties={"$anon_distinct_id": anonymous, **properties})


def test_the_browser_and_the_backend_are_one_person(inspector: Inspector) -> None:
    """What was anonymous before sign-up is the customer's afterwards, over requests, with one timeline."""
    at = ["2026-11-02T10:00:00Z", "2026-11-02T10:00:01Z", "2026-11-02T10:00:02Z", "2026-11-02T10:00:03Z"]
    inspector.send(an_event("$pageview", "anon", timestamp=at[0], properties={"$set": {"utm": "mail"}}))
    inspector.send(an_event("payment.completed", "usr_1", timestamp=at[3], properties={"$trace_id": "t"}))
    inspector.send(identified("usr_1", "anon") | {"timestamp": at[1]})
    inspector.send(an_event("$pageview", "anon", timestamp=at[2]))
    (one,) = persons(inspector).values()
    assert (one["person"], one["distinct_ids"], one["events"]) == ("usr_1", ["anon", "usr_1"], 4)
    assert (one["first_seen"], one["last_seen"]) == (at[0], at[3])
    assert one["properties"] == {"utm": "mail"}
    for distinct_id in ("usr_1", "anon"):
        timeline = inspector.get(f"customers/{distinct_id}")["timeline"]
        assert [event["timestamp"] for event in timeline] == at
    assert {event["person"] for event in inspector.events(distinct_id="anon")} == {"usr_1"}
    assert inspector.request("GET", "/inspector/api/customers/nobody")[0] == 404


def test_an_identified_person_goes_into_no_other(inspector: Inspector) -> None:
    """A second customer on the same browser does not swallow the first."""
    inspector.send(identified("usr_1", "anon"), an_event(distinct_id="usr_2"), identified("usr_2", "anon"))
    assert {name: one["distinct_ids"] for name, one in persons(inspector).items()} == {
        "usr_1": ["anon", "usr_1"],
        "usr_2": ["usr_2"],
    }
    inspector.send(an_event("$merge_dangerously", "usr_2", properties={"alias": "usr_1"}))
    assert {name: one["distinct_ids"] for name, one in persons(inspector).items()} == {
        "usr_2": ["anon", "usr_1", "usr_2"]
    }


def test_chains_in_one_request_and_over_several(inspector: Inspector) -> None:
    """A person that was merged is merged on with all its ids."""
    chain = [
        an_event("$create_alias", "b", properties={"alias": "a"}),
        an_event("$merge_dangerously", "c", properties={"alias": "b"}),
        an_event("$merge_dangerously", "d", properties={"alias": "a"}),
    ]
    inspector.send(*chain)
    for event in chain:
        inspector.send(event | {"uuid": an_event()["uuid"]}, api_key="phc_other")
    assert [(one["person"], one["distinct_ids"]) for one in inspector.get("customers")["customers"]] == [
        ("d", ["a", "b", "c", "d"])
    ] * 2


def test_what_is_known_of_a_person(inspector: Inspector) -> None:
    """``$set`` wins over ``$set_once``, later over earlier, the named person over the anonymous; ``$unset`` takes away."""
    first = an_event(
        distinct_id="anon", properties={"$set": {"tier": "none", "city": "Lagos"}, "$set_once": {"since": 1}}
    )
    inspector.send(first)
    inspector.send(
        an_event(properties={"$set_once": {"since": 2, "tier": "silver"}}) | {"$set": {"tier": "gold", "x": 1}}
    )
    inspector.send(
        identified("usr_1", "anon", **{"$set_once": {"since": 3, "referral": "ad"}}),
        an_event("$set", properties={"$unset": ["x"]}),
    )
    inspector.send(first)
    assert persons(inspector)["usr_1"]["properties"] == {"tier": "gold", "city": "Lagos", "since": 2, "referral": "ad"}


def test_events_about_nobody(inspector: Inspector) -> None:
    """No person is made of an event without a profile, or of an id that is nobody's; the events are there."""
    nobody = {"$process_person_profile": False, "$set": {"tier": "gold"}}
    inspector.send(
        an_event(distinct_id="trace_1", properties=nobody),
        an_event(distinct_id="Anonymous", properties={"$set": {"tier": "gold"}}),
        identified("usr_1", "undefined"),
    )
    assert {name: one["distinct_ids"] for name, one in persons(inspector).items()} == {"usr_1": ["usr_1"]}
    assert len(inspector.events()) == 3
    assert inspector.get("customers/trace_1")["properties"] == {}


def test_customers_are_found(inspector: Inspector) -> None:
    """By any of their ids and by what is known of them, those seen last first, in their own project."""
    inspector.send(
        identified("usr_1", "anon_1"),
        an_event(distinct_id="usr_2", timestamp="2026-11-03T00:00:00Z", properties={"$set": {"tier": "Gold"}}),
    )
    inspector.send(an_event(distinct_id="usr_1"), api_key="phc_other")

    def found(**query: Any) -> list[str]:
        return [one["person"] for one in inspector.get("customers", **query)["customers"]]

    assert found() == ["usr_2", "usr_1", "usr_1"]
    assert found(limit=1) == ["usr_2"]
    assert found(q="ANON_1") == ["usr_1"]
    assert found(q="gold") == ["usr_2"]
    (project,) = {one["project"] for one in inspector.get("projects")["projects"]} - {
        inspector.events(q="anon_1")[0]["project"]
    }
    assert found(project=project) == ["usr_1"]
    assert found(since="2026-11-02T12:00:00Z") == ["usr_2"]


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store for many histories, each in a project of its own."""
    with closing(Store(None)) as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr("zentra_otel_posthog.inspector.store._COMMIT_INTERVAL", 0.0)
        yield made


ids = st.sampled_from("abcd")
steps = st.one_of(
    st.builds(identified, ids, ids),
    st.builds(lambda one, other: an_event("$create_alias", one, properties={"alias": other}), ids, ids),
    st.builds(lambda one, other: an_event("$merge_dangerously", one, properties={"alias": other}), ids, ids),
    st.builds(
        lambda one, key, value: an_event("$set", one, properties={"$set": {key: value}}), ids, ids, st.integers(0, 3)
    ),
    st.builds(
        lambda one, key, value: an_event("$set", one, properties={"$set_once": {key: value}}),
        ids,
        ids,
        st.integers(0, 3),
    ),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(steps, min_size=1, max_size=8))
def test_batches_change_nothing(store: Store, events: list[dict[str, Any]]) -> None:
    """Persons are the same whether events come together or one by one; each id has one person, which there is."""

    def stored(*batches: list[dict[str, Any]]) -> dict[str, Any]:
        api_key = f"phc_{uuid4().hex}"
        for batch in batches:
            store.add([(arrival(event, api_key, datetime.now(UTC), None), event) for event in batch]).result(timeout=20)
        rows = store.read(
            """select distinct_id, person, properties, identified
            from distinct_ids left join persons using (project, person) where project = ? order by distinct_id""",
            [project_name(api_key)],
        )
        found = {row["distinct_id"]: (row["person"], row["properties"], row["identified"]) for row in rows}
        assert len(found) == len(rows)
        assert all(properties is not None for _, properties, _ in found.values())
        (people,) = store.read("select count(*) as n from persons where project = ?", [project_name(api_key)])
        assert people["n"] == len({person for person, _, _ in found.values()})
        return found

    assert stored(events) == stored(*([event] for event in events))
