"""What a server fills in is no difference; what somebody has changed is, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zentra_otel_posthog.insights import product
from zentra_otel_posthog.insights.comparison import differences
from zentra_otel_posthog.insights.exports import as_json

EXPORTED = as_json(product())
PAYLOADS: dict[str, dict[str, Any]] = {
    key: payload for kind in ("insights", "cohorts", "alerts") for key, payload in EXPORTED[kind].items()
}
SHARED = {"tags", "dashboards", "subscribed_users"}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the path of everything that is neither object nor list."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, (*path, name))
    elif isinstance(value, list):
        for position, one in enumerate(value):
            yield from leaves(one, (*path, position))
    else:
        yield path


@given(key=st.sampled_from(sorted(PAYLOADS)), empty=st.sampled_from([None, False, [], {}, ""]))
def test_what_a_server_fills_in(key: str, empty: Any) -> None:
    """Empty values, versions and compiled forms anywhere, and whole fields beside ours, are no difference."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            made = {name: filled(one) for name, one in value.items()}
            return {**made, "version": 3, "bytecode": ["_H"], "conditionHash": "c0ffee", "somethingNew": empty}
        return [filled(one) for one in value] if isinstance(value, list) else value

    row = {**filled(PAYLOADS[key]), "id": 5, "created_by": {"id": 1}, "short_id": "abc"}
    assert differences(PAYLOADS[key], row) == ({}, [])


@given(key=st.sampled_from(sorted(PAYLOADS)), data=st.data())
def test_what_somebody_has_changed(key: str, data: st.DataObject) -> None:
    """Any one value that differs is found, told with its path, and put back with its whole field and nothing else."""
    paths = [path for path in leaves(PAYLOADS[key]) if path[0] not in SHARED]
    path = data.draw(st.sampled_from(paths))
    row = deepcopy(PAYLOADS[key])
    target = row
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = "changed by hand"
    body, changes = differences(PAYLOADS[key], row)
    assert body == {path[0]: PAYLOADS[key][path[0]]}
    assert [change.field for change in changes] == [".".join(map(str, path))]
    assert changes[0].before == "changed by hand"


def test_what_somebody_has_added() -> None:
    """A filter of PostHog's that we do not declare changes what is shown, so it is a difference."""
    payload = PAYLOADS["daily-active-users"]
    row = deepcopy(payload)
    row["query"]["source"]["properties"] = [{"key": "platform", "value": "ios"}]
    body, changes = differences(payload, row)
    assert body == {"query": payload["query"]}
    assert [(change.field, change.after) for change in changes] == [("query.source.properties", None)]


def test_what_a_server_does_not_show() -> None:
    """A field that the answer has not is no reason to send it again and again."""
    payload = PAYLOADS["daily-active-users"]
    assert differences(payload, {name: value for name, value in payload.items() if name != "saved"}) == ({}, [])


@pytest.mark.parametrize("field", sorted(SHARED))
def test_what_is_shared(field: str) -> None:
    """Other tags, dashboards and subscribers stay, ours are put beside them."""
    assert differences({field: ["ours"]}, {field: ["theirs", "ours"]}) == ({}, [])
    body, changes = differences({field: ["ours"]}, {field: ["theirs"]})
    assert body == {field: ["theirs", "ours"]}
    assert changes[0].before == ["theirs"]


def test_references_are_answered_as_objects() -> None:
    """An alert is sent with numbers and answered with objects."""
    declared = {"insight": 4, "subscribed_users": [1, 2]}
    row = {"insight": {"id": 4, "name": "It"}, "subscribed_users": [{"id": 2}, {"id": 1}, {"id": 9}]}
    assert differences(declared, row) == ({}, [])
    row["insight"] = {"id": 5}
    assert differences(declared, row)[0] == {"insight": 4}
