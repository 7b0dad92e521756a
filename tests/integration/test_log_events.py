"""Events as log records: ours in log mode, and those that other code emits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import _logs, trace
from opentelemetry import context as otel_context
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import (
    ConcurrentMultiLogRecordProcessor,
    LoggerProvider,
    LogRecordProcessor,
    ReadWriteLogRecord,
)
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from zentra_otel_posthog import PostHogLogRecordProcessor, capture, identify, payment, runtime, telemetry
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.delivery import Capture
from zentra_otel_posthog.testing import MemorySink, captured_events

PAYMENT: Any = {"amount_minor": 125_000, "currency": "NGN", "method": "card"}
IDS = ("$trace_id", "$span_id")


@payment
def pay(user_id: str, amount_minor: int, currency: str, method: str, note: str = "") -> None:
    if method == "cash":
        raise LookupError(note)


def own(one: Capture) -> dict[str, Any]:
    return {name: value for name, value in one.properties.items() if not name.startswith("$")}


def events_of(logged: InMemoryLogRecordExporter) -> list[LogRecord]:
    return [one.log_record for one in logged.get_finished_logs()]


@pytest.mark.usefixtures("provider", "logger_provider")
class TestLogMode:
    def test_tracing_sees_log_records(self, logged: InMemoryLogRecordExporter, exported: InMemorySpanExporter) -> None:
        """A decorated call's events are log records on its span, with what is declared and nothing else."""
        with captured_events(events="log") as events:
            pay("usr_1", 125_000, "NGN", "Card", note="for Ada, 0803 000 0000")
        (span,) = exported.get_finished_spans()
        assert span.context is not None
        records = events_of(logged)
        assert span.events == ()
        assert [(one.event_name, dict(one.attributes or {})) for one in records] == [
            ("payment.pending", PAYMENT),
            ("payment.completed", PAYMENT),
        ]
        assert {(one.trace_id, one.span_id) for one in records} == {(span.context.trace_id, span.context.span_id)}
        assert [int(one.timestamp or 0) // 1000 for one in records] == [
            round(one.timestamp.timestamp() * 1e6) for one in events
        ]

    def test_capture_sees_to_its_own_span(
        self, logged: InMemoryLogRecordExporter, exported: InMemorySpanExporter
    ) -> None:
        """``capture`` emits a log record on the current span, or on a short one of its own, undeclared text checked."""
        with captured_events(events="log") as events:
            with trace.get_tracer("app").start_as_current_span("request"):
                capture("basket.paid", properties={"amount_minor": 5, "mail": "ada@example.com"})
            capture("basket.paid")
        assert [span.name for span in exported.get_finished_spans()] == ["request", "basket.paid"]
        records = events_of(logged)
        assert [f"{one.span_id:016x}" for one in records] == [one.properties["$span_id"] for one in events]
        assert "ada@example.com" not in repr([one.attributes for one in records])

    def test_captures_are_those_of_span_mode(self) -> None:
        """Both modes capture the same, byte for byte but for ids and times."""

        def captures(mode: str) -> list[Capture]:
            with captured_events(events=mode) as events, identify("usr_9", tenant="acme", platform="ios"):
                pay("usr_1", 125_000, "NGN", "card")
                with pytest.raises(LookupError):
                    pay("usr_2", 125_000, "NGN", "cash")
                capture("basket.paid", properties={"note": "two"}, set={"user_tier": "gold"})
                with trace.get_tracer("app").start_as_current_span("request"):
                    capture("card.issued", distinct_id="usr_3", properties={"tier": "gold"})
            return events

        span_mode, log_mode = captures("span"), captures("log")
        assert len(span_mode) == 6
        for one, other in zip(span_mode, log_mode, strict=True):
            assert (one.event, one.distinct_id) == (other.event, other.distinct_id)
            assert all(one.properties[name] != other.properties[name] for name in IDS)
            assert {**one.properties, **dict.fromkeys(IDS)} == {**other.properties, **dict.fromkeys(IDS)}
            assert one.uuid != other.uuid

    def test_both_processors_capture_nothing_twice(self, logger_provider: LoggerProvider) -> None:
        """Our log records pass our own processors, one attached by itself and one by hand, without being captured."""
        logger_provider.add_log_record_processor(PostHogLogRecordProcessor())
        with captured_events(events="log") as events:
            pay("usr_1", 125_000, "NGN", "card")
            capture("basket.paid")
        assert [one.event for one in events] == ["payment.pending", "payment.completed", "basket.paid"]

    def test_a_processor_that_raises_costs_no_capture(self, logger_provider: LoggerProvider) -> None:
        """Another processor's error stays from the caller, who gets the capture's uuid all the same."""

        class Broken(LogRecordProcessor):
            def on_emit(self, log_record: ReadWriteLogRecord) -> None:
                raise ZeroDivisionError

            def shutdown(self) -> None: ...

            def force_flush(self, timeout_millis: int = 30_000) -> bool:
                return True

        logger_provider.add_log_record_processor(Broken())
        with captured_events(events="log") as events:
            before = telemetry.raise_internal_errors(enabled=False)
            pay("usr_1", 125_000, "NGN", "card")
            uuid = capture("basket.paid")
            telemetry.raise_internal_errors(enabled=before)
        assert [one.event for one in events] == ["payment.pending", "payment.completed", "basket.paid"]
        assert events[-1].uuid == uuid


def test_log_mode_without_any_provider(
    install: Callable[[trace.TracerProvider | None], None], install_logs: Callable[[_logs.LoggerProvider | None], None]
) -> None:
    """Nothing sees the events, everything is captured; a log record inside another trace keeps that trace."""
    install(None)
    install_logs(None)
    with captured_events(events="log") as events:
        pay("usr_1", 125_000, "NGN", "card")
        capture("basket.paid")
    assert [one.event for one in events] == ["payment.pending", "payment.completed", "basket.paid"]


@pytest.mark.usefixtures("provider", "logger_provider", "events")
class TestOtherCodesRecords:
    def test_the_schema_decides(self, events: list[Capture], logged: InMemoryLogRecordExporter) -> None:
        """Declared attributes are normalised, nested and undeclared ones are left out; the record stays as it was."""
        attributes: Any = {**PAYMENT, "method": "Card", "email": "ada@example.com", "reason": {"code": "x"}, "tier": {}}
        _logs.get_logger("app").emit(
            event_name="payment.completed", attributes=attributes, timestamp=1_793_613_600_123_456_789
        )
        (one,) = events
        assert (one.event, own(one)) == ("payment.completed", PAYMENT)
        assert one.timestamp.isoformat() == "2026-11-02T10:00:00.123456+00:00"
        assert dict(events_of(logged)[0].attributes or {}) == attributes

    @pytest.mark.parametrize("name", [None, "", "payment", "basket.paid", "gen_ai.user.message"])
    def test_other_records_are_not_its_business(self, events: list[Capture], name: str | None) -> None:
        """Plain log records and events that the tracking plan does not designate stay with the logs."""
        _logs.get_logger("app").emit(event_name=name, body="payment.completed", attributes=PAYMENT)
        assert events == []

    def test_identity(self, events: list[Capture]) -> None:
        """The record's own attributes, then the current span's, then ``identify``; common properties from the block."""
        emit = _logs.get_logger("app").emit
        with identify("usr_block", tenant="acme", platform="ios"):
            emit(event_name="card.issued")
            with trace.get_tracer("app").start_as_current_span(
                "request", attributes={"posthog.distinct_id": "usr_span"}
            ):
                emit(event_name="card.issued")
                emit(event_name="card.issued", attributes={"posthog.distinct_id": "usr_record"})
        emit(event_name="card.issued", attributes={"enduser.id": "ada@example.com"})
        assert [one.distinct_id for one in events[:3]] == ["usr_block", "usr_span", "usr_record"]
        assert {one.properties["$groups"]["tenant"] for one in events[:3]} == {"acme"}
        assert events[0].properties["platform"] == "ios"
        assert events[3].properties["$process_person_profile"] is False
        assert "ada@example.com" not in repr(events)

    def test_the_records_own_context_counts(self, events: list[Capture]) -> None:
        """A record made in one context and emitted in another is about the first."""
        with identify("usr_1"):
            made = otel_context.get_current()
        _logs.get_logger("app").emit(context=made, event_name="card.issued")
        assert [one.distinct_id for one in events] == ["usr_1"]

    def test_ids(self, events: list[Capture]) -> None:
        """A record on a span tells its ids; one without a span is captured without."""
        with trace.get_tracer("app").start_as_current_span("request") as span:
            _logs.get_logger("app").emit(event_name="card.issued")
        _logs.get_logger("app").emit(event_name="card.issued")
        assert events[0].properties["$span_id"] == f"{span.get_span_context().span_id:016x}"
        assert "$trace_id" not in events[1].properties

    def test_emitted_twice_is_two_events(self, events: list[Capture]) -> None:
        """Records that are equal in everything, and one record that is emitted again, are each an event."""
        logger = _logs.get_logger("app")
        with trace.get_tracer("app").start_as_current_span("request"):
            for _ in range(2):
                logger.emit(event_name="card.issued", timestamp=1, observed_timestamp=1)
            record = LogRecord(event_name="card.issued", timestamp=1, observed_timestamp=1)
            writable = ReadWriteLogRecord(record)
            for one in (record, record, writable, writable):
                logger.emit(one)  # type: ignore[arg-type]  # the SDK takes its own record as well
        assert len({one.uuid for one in events}) == len(events) == 6

    @pytest.mark.parametrize("concurrent", [False, True], ids=["in order", "concurrently"])
    def test_two_processors_count_once(
        self, install_logs: Callable[[_logs.LoggerProvider | None], None], concurrent: bool
    ) -> None:
        """Several processors on one provider capture a record once, also where the SDK runs them in threads."""
        several = ConcurrentMultiLogRecordProcessor(4) if concurrent else None
        provider = LoggerProvider(multi_log_record_processor=several, shutdown_on_exit=False)
        for _ in range(3):
            provider.add_log_record_processor(PostHogLogRecordProcessor())
        install_logs(provider)
        with captured_events() as events, identify("usr_1"):
            for _ in range(50):
                provider.get_logger("app").emit(event_name="card.issued", attributes={"tier": "gold"})
        if several is not None:
            several._executor.shutdown()
        assert [one.distinct_id for one in events] == ["usr_1"] * 50
        assert len({one.uuid for one in events}) == 50

    def test_with_a_span_event_of_the_same_name(self, events: list[Capture]) -> None:
        """A log record and a span event are two events, and both processors sit beside each other."""
        with trace.get_tracer("app").start_as_current_span("request") as span:
            _logs.get_logger("app").emit(event_name="card.issued")
            span.add_event("card.issued")
        assert len({one.uuid for one in events}) == len(events) == 2

    def test_a_broken_conversion_reaches_nobody(
        self, events: list[Capture], logged: InMemoryLogRecordExporter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The caller goes on, the other processors get the record, and the loss is counted."""
        before = telemetry.raise_internal_errors(enabled=False)
        lost = telemetry.totals(telemetry.LOST).get(("conversion",), 0)
        with monkeypatch.context() as broken:
            broken.setattr("zentra_otel_posthog.processors.convert", lambda *_: 1 / 0)
            _logs.get_logger("app").emit(event_name="card.issued")
        telemetry.raise_internal_errors(enabled=before)
        assert telemetry.totals(telemetry.LOST)[("conversion",)] == lost + 1
        assert len(logged.get_finished_logs()) == 1

    def test_enabled_means_designated(self, install_logs: Callable[[_logs.LoggerProvider | None], None]) -> None:
        """Where no other processor is, a logger asks only for what may be a designated event."""
        provider = LoggerProvider(shutdown_on_exit=False)
        install_logs(provider)
        with captured_events():
            enabled = provider.get_logger("app").enabled
            assert [enabled(event_name=name) for name in ("card.issued", "basket.paid", None)] == [True, False, True]

    def test_after_shutdown_and_flush(self, logger_provider: LoggerProvider) -> None:
        """A flush of the provider reaches the sink in seconds; its shutdown does not end the capturing."""

        class Sink(MemorySink):
            def flush(self, timeout: float) -> bool:
                waited.append(timeout)
                return False

        waited: list[float] = []
        sink = Sink()
        runtime.replace(runtime.Runtime(Settings(), sink))
        (processor,) = (
            one
            for one in logger_provider._multi_log_record_processor._log_record_processors
            if isinstance(one, PostHogLogRecordProcessor)
        )
        assert processor.force_flush(5000) is False
        assert waited == [5]
        logger_provider.shutdown()
        logger_provider.get_logger("app").emit(event_name="card.issued")
        assert [one.event for one in sink.captures] == ["card.issued"]


class TestAttachment:
    def test_a_late_logger_provider(
        self, install_logs: Callable[[_logs.LoggerProvider | None], None], provider: trace.TracerProvider
    ) -> None:
        """It gets the processor at our first use after it is there, and each provider one."""
        install_logs(None)
        with captured_events(events="log") as events:
            pay("usr_1", 5, "NGN", "card")
            late = LoggerProvider(shutdown_on_exit=False)
            _logs.set_logger_provider(late)
            for _ in range(3):
                capture("basket.paid")
            late.get_logger("app").emit(event_name="card.issued")
        attached = late._multi_log_record_processor._log_record_processors
        assert [type(one) for one in attached] == [PostHogLogRecordProcessor]
        assert [one.event for one in events][-1] == "card.issued"

    def test_nothing_is_imported_without_need(self) -> None:
        """An application without log records does not load the SDK's logs (13 ms) for ours."""
        program = (
            "import zentra_otel_posthog as z, sys; z.configure(api_key='phc_1', spool_dir='spool'); "
            "z.capture('basket.paid'); print(*(name for name in sys.modules if '_logs' in name)); z.shutdown(0)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.split() == []
