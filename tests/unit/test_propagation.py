"""PostHog's headers in and out: what is read of them, what is written, and that neither raises."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, Setter
from posthog.integrations._tracing_headers import _sanitize_tracing_header_value

from zentra_otel_posthog import identify, identity, telemetry
from zentra_otel_posthog.identity import NOBODY, Identity
from zentra_otel_posthog.propagation import PostHogPropagator
from zentra_otel_posthog.testing import captured_events

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
KEY = "an invented key of thirty-two bytes or more"
OTHER_KEY = "another invented key of thirty-two bytes"
SESSION = "0192f0c1-2d3e-7abc-8def-0123456789ab"
WINDOW = "0192f0c1-2d3e-7abc-8def-0123456789ac"
HEADERS = {
    "x-posthog-distinct-id": "usr_1",
    "x-posthog-session-id": SESSION,
    "x-posthog-window-id": WINDOW,
    "x-zentra-posthog-tenant": "acme",
}
PROPAGATOR = PostHogPropagator()


def read(headers: Mapping[str, Any], propagator: PostHogPropagator | CompositePropagator = PROPAGATOR) -> Identity:
    return identity.from_context(propagator.extract(headers))


def written(context: Context | None = None) -> dict[str, str]:
    headers: dict[str, str] = {}
    PROPAGATOR.inject(headers, context)
    return headers


class TestIn:
    def test_the_headers(self) -> None:
        """What posthog-js and another service of ours send; the person is a claim."""
        assert read(HEADERS) == Identity(session_id=SESSION, tenant="acme", window_id=WINDOW, claimed_id="usr_1")

    @pytest.mark.parametrize("headers", [{}, {"x-posthog-distinct-id": " \t"}, {"x-posthog-session-id": []}])
    def test_nothing_usable_changes_nothing(self, headers: dict[str, Any]) -> None:
        """Without them the context stays the object that it is."""
        context = Context({"a": 1})
        assert PROPAGATOR.extract(headers, context) is context
        assert PROPAGATOR.extract(headers) == {}

    @pytest.mark.parametrize(
        ("values", "expected"), [(["", "\x00", "usr_1", "usr_2"], "usr_1"), ("usr_1", "usr_1"), ((5, b"a", None), None)]
    )
    def test_several_values(self, values: object, expected: str | None) -> None:
        """The first usable one counts, strings only; they are never joined to an id that nobody has."""
        assert read({"x-posthog-distinct-id": values}).claimed_id == expected

    @PATIENT
    @given(text=st.text(max_size=50) | st.text("\x00 \x7f\x9fa\u2028", max_size=50) | st.text("ab ", min_size=1001))
    def test_read_as_posthog_reads(self, text: str) -> None:
        """PostHog's own reader makes the same of any text: no control characters, trimmed, bounded, else none."""
        claimed: Any = read({"x-posthog-distinct-id": text}).claimed_id
        assert claimed == _sanitize_tracing_header_value(text)
        assert claimed is None or not any(character < " " or "\x7f" <= character <= "\x9f" for character in claimed)

    def test_baggage_where_there_is_no_header(self) -> None:
        """W3C baggage says the same for other languages' services; beside any of the headers it says nothing."""
        entries = {"baggage": f"posthog.distinct_id=usr_2,posthog.session_id={SESSION},posthog.tenant=umbrella"}
        both = CompositePropagator([W3CBaggagePropagator(), PROPAGATOR])
        assert read(entries, both) == Identity(session_id=SESSION, tenant="umbrella", claimed_id="usr_2")
        assert read({**entries, "x-zentra-posthog-tenant": "acme"}, both) == Identity(tenant="acme")
        assert read({"baggage": "user.id=usr_2"}, both) is NOBODY

    def test_whatever_baggage_holds(self) -> None:
        """An entry that is no string, as an application may set it in its own process, is none."""
        context = baggage.set_baggage("posthog.distinct_id", object(), Context())
        assert PROPAGATOR.extract({}, context) is context

    def test_a_carrier_that_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        """The request goes on with its context as it was; the error is counted."""

        class Broken(Getter[object]):
            def get(self, carrier: object, key: str) -> list[str] | None:
                raise RuntimeError(key)

            def keys(self, carrier: object) -> list[str]:
                raise NotImplementedError

        telemetry.raise_internal_errors(enabled=False)
        before = telemetry.totals(telemetry.INTERNAL_ERRORS).get(("reading headers", "RuntimeError"), 0)
        context = Context({"a": 1})
        assert PROPAGATOR.extract(object(), context, Broken()) is context
        assert telemetry.totals(telemetry.INTERNAL_ERRORS)["reading headers", "RuntimeError"] == before + 1


class TestOut:
    def test_whom_this_service_knows(self) -> None:
        """The backend's person goes on with the request's session; tier and platform stay here."""
        context = PROPAGATOR.extract({**HEADERS, "x-posthog-distinct-id": "browser_1"})
        with captured_events():
            with identify("usr_1", user_tier="gold", platform="ios"):
                assert written(context) == HEADERS
            assert written(context) == {**HEADERS, "x-posthog-distinct-id": "browser_1"}
            assert written(Context()) == written() == {}

    def test_the_current_context(self) -> None:
        """Where a client names no context, it is the current one."""
        with captured_events(), identify("usr_1", session_id=SESSION):
            assert written() == {"x-posthog-distinct-id": "usr_1", "x-posthog-session-id": SESSION}

    def test_fields(self) -> None:
        """What it sets is what it says it sets."""
        assert set(HEADERS) == PROPAGATOR.fields

    def test_personal_ids(self) -> None:
        """They leave as pseudonyms, which the next service keeps, or not at all."""
        with captured_events(), identify("ada@example.com", session_id="s3cret", tenant="acme"):
            assert written() == {"x-zentra-posthog-tenant": "acme"}
        with captured_events(pseudonym_key=KEY), identify("ada@example.com"):
            sent = written()
        assert sent["x-posthog-distinct-id"].startswith("psn1_")
        with captured_events(pseudonym_key=OTHER_KEY):
            assert written(PROPAGATOR.extract(sent)) == sent

    @PATIENT
    @given(distinct_id=st.text(), tenant=st.text() | st.text("ab é\n", min_size=1))
    def test_no_header_that_a_client_refuses(self, distinct_id: str, tenant: str) -> None:
        """Whatever the ids hold, the headers are visible ASCII, so no instrumented request fails for them."""
        with captured_events(pseudonym_key=KEY), identify(distinct_id, tenant=tenant):
            headers = written()
        assert all(value.isascii() and value.isprintable() and value == value.strip() for value in headers.values())
        requests.Request("GET", "http://localhost", headers=headers).prepare()

    @PATIENT
    @given(
        distinct_id=st.uuids().map(str) | st.from_regex(r"usr_[a-z]{1,9}[0-9]{0,6}", fullmatch=True),
        tenant=st.from_regex(r"[a-z]{3,12}-bank", fullmatch=True),
    )
    def test_there_and_on(self, distinct_id: str, tenant: str) -> None:
        """The next service reads what this one wrote, and writes the same to the one after."""
        with captured_events():
            with identify(distinct_id, session_id=SESSION, tenant=tenant):
                sent = written()
            assert read(sent) == Identity(session_id=SESSION, tenant=tenant, claimed_id=distinct_id)
            assert written(PROPAGATOR.extract(sent)) == sent

    def test_a_carrier_that_fails(self) -> None:
        """The request is sent without them; the error is counted."""

        class Frozen(Setter[object]):
            def set(self, carrier: object, key: str, value: str) -> None:
                raise TypeError(key)

        telemetry.raise_internal_errors(enabled=False)
        before = telemetry.totals(telemetry.INTERNAL_ERRORS).get(("writing headers", "TypeError"), 0)
        with identify("usr_1"):
            PROPAGATOR.inject(object(), setter=Frozen())
        assert telemetry.totals(telemetry.INTERNAL_ERRORS)["writing headers", "TypeError"] == before + 1


class TestRegistered:
    def test_its_name(self) -> None:
        """``posthog`` in OTEL_PROPAGATORS is this class."""
        (entry,) = entry_points(group="opentelemetry_propagator", name="posthog")
        assert entry.load() is PostHogPropagator

    @pytest.mark.parametrize(
        "first",
        [
            "from opentelemetry import propagate",
            "import opentelemetry.instrumentation.utils",
            "import opentelemetry.instrumentation.instrumentor",
            "import zentra_otel_posthog.instrumentor",
        ],
    )
    def test_whatever_is_imported_first(self, first: str) -> None:
        """OpenTelemetry loads propagators while it is being imported, so no import of ours may need what is half done."""
        program = f"{first}\nfrom opentelemetry import propagate\nprint(sorted(propagate.get_global_textmap().fields))"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env={**os.environ, "OTEL_PROPAGATORS": "tracecontext,baggage,posthog"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.count("posthog") == 4, done.stderr
