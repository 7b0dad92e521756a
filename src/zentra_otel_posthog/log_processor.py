"""Log record processor: picks the events that the tracking plan designates and other code emits as log records.

Apart from the span processor, because importing the SDK's logs costs 13 ms: ``zentra_otel_posthog`` loads it on use.
"""

from __future__ import annotations

from typing import Final

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context, get_current
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from zentra_otel_posthog import _provider, identity, runtime, telemetry
from zentra_otel_posthog.convert import Origin, random_position
from zentra_otel_posthog.events import schema_of
from zentra_otel_posthog.processors import RecordedName, capture_recorded

_CONVERTED_BY: Final = "_zentra_posthog_converted_by"


class PostHogLogRecordProcessor(LogRecordProcessor):
    """Turns designated events that other code emits as log records into captures.

    An event is a log record with an ``event_name`` (OTEP 4430), here one of the tracking plan; its attributes are the
    event's properties. It needs no recording span. ``configure`` and the decorators attach one to the application's
    logger provider by themselves. Adding one by hand as well is harmless: a record is converted once.
    """

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Convert the record, where it is a designated event, and append its capture to the sink."""
        try:
            record = log_record.log_record
            name = record.event_name
            if not name or type(name) is RecordedName or (schema := schema_of(name)) is None:
                return
            # Every processor is handed the same object: the first of ours converts it, and does so again where the
            # application emits it again.
            if vars(log_record).setdefault(_CONVERTED_BY, self) is not self:
                return
            capture_recorded(
                schema,
                record.attributes,
                identity.current(get_current() if record.context is None else record.context),
                Origin.of_ids(record.trace_id, record.span_id),
                random_position(),  # nobody counts the log records of a span, and two may be equal in all that they say
                record.timestamp or record.observed_timestamp,
            )
        except Exception as error:
            telemetry.internal_error("log record processor", error)

    def enabled(
        self,
        *,
        context: Context | None = None,  # noqa: ARG002  the SDK's protocol
        instrumentation_scope: InstrumentationScope | None = None,  # noqa: ARG002  likewise
        severity_number: SeverityNumber | None = None,  # noqa: ARG002  likewise
        event_name: str | None = None,
    ) -> bool:
        """Return whether such a record may be a designated event: other log records are not made for our sake."""
        return event_name is None or schema_of(event_name) is not None

    def shutdown(self) -> None:
        """Have the provider looked at again. Delivery goes on until ``zentra_otel_posthog.shutdown``."""
        _provider.look_again()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what was captured, within so many milliseconds."""
        return runtime.flush(timeout_millis / 1000)
