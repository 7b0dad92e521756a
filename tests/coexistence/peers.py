"""The tracing products: how each is set up as its documentation says, and its own way to make a span."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import AlwaysRecordSampler, Sampler, TraceIdRatioBased

SESSION = "01936b5f-8c00-7000-8000-0123456789ab"  # a UUIDv7, as posthog-js makes them


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the bank.

    Args:
        peer: A name in ``PEERS``.
        order: Who is set up first, ``peer`` or ``ours``; ``auto``: the product's or OpenTelemetry's launcher starts it.
        ours: With the package.
        rate: The product's sampling rate.
        requests: How many.
        endpoint: Where every product's server is.
        posthog: Where PostHog is.
    """

    peer: str
    order: str
    ours: bool
    rate: float
    requests: int
    endpoint: str
    posthog: str


class SeededIds(RandomIdGenerator):
    """The same trace ids at every run, so that a ratio samples the same requests."""

    def __init__(self) -> None:
        self._random = random.Random(7)

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(128)


class Peer:
    """A product that is set up. Its spans come through OpenTelemetry's interface where it has none of its own."""

    identifies = False  # says who a request is about, instead of the package's ``identify``

    def native(self, name: str) -> AbstractContextManager[Any]:
        return trace.get_tracer("native").start_as_current_span(name)

    def person(self, distinct_id: str) -> AbstractContextManager[Any]:
        """Say who the request is about."""
        return contextlib.nullcontext()

    def finish(self) -> None:
        """Send what waits."""
        _provider().shutdown()


def _provider() -> Any:
    return trace.get_tracer_provider()


def _exporter(run: Run) -> BatchSpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return BatchSpanProcessor(OTLPSpanExporter(f"{run.endpoint}/v1/traces"))


def _installed(run: Run, sampler: Sampler | None = None) -> TracerProvider:
    """Return the application's own provider, or the launcher's."""
    if run.order != "auto":
        trace.set_tracer_provider(
            TracerProvider(sampler=sampler or TraceIdRatioBased(run.rate), id_generator=SeededIds())
        )
    provider = _provider()
    assert isinstance(provider, TracerProvider)
    return provider


class Otlp(Peer):
    """OpenTelemetry's own exporter."""

    def __init__(self, run: Run) -> None:
        provider = _installed(run)
        if run.order != "auto":
            provider.add_span_processor(_exporter(run))


class OtlpAlwaysRecord(Peer):
    """The same, under the SDK's sampler that lets processors see what exporters skip."""

    def __init__(self, run: Run) -> None:
        _installed(run, AlwaysRecordSampler(TraceIdRatioBased(run.rate))).add_span_processor(_exporter(run))


class Logfire(Peer):
    """Logfire: a provider of its own that hands to another."""

    def __init__(self, run: Run) -> None:
        import logfire

        logfire.configure(
            send_to_logfire=False,
            console=False,
            additional_span_processors=[_exporter(run)],
            sampling=logfire.SamplingOptions(head=run.rate),
            advanced=logfire.AdvancedOptions(id_generator=SeededIds()),
        )
        self._logfire = logfire

    def native(self, name: str) -> AbstractContextManager[Any]:
        return self._logfire.span(name)

    def finish(self) -> None:
        self._logfire.shutdown()


class LogfireAgain(Logfire):
    """Logfire configured a second time, when we are on its first provider."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        if run.ours:
            from zentra_otel_posthog import capture

            capture("bank.opened", distinct_id="usr_0")
        super().__init__(run)


class SentryOtlp(Peer):
    """Sentry as a receiver of OTLP: adds its exporter to the application's provider."""

    def __init__(self, run: Run) -> None:
        import sentry_sdk
        from sentry_sdk.integrations.otlp import OTLPIntegration

        _installed(run)
        sentry_sdk.init(dsn=_dsn(run), integrations=[OTLPIntegration(capture_exceptions=True)])


class SentryTransactions(Peer):
    """Sentry's span processor, which makes transactions of spans."""

    def __init__(self, run: Run) -> None:
        import sentry_sdk
        from sentry_sdk.integrations.opentelemetry import SentrySpanProcessor

        sentry_sdk.init(dsn=_dsn(run), instrumenter="otel", traces_sample_rate=run.rate)
        provider = TracerProvider(id_generator=SeededIds())
        provider.add_span_processor(SentrySpanProcessor())
        trace.set_tracer_provider(provider)
        self._sentry = sentry_sdk

    def finish(self) -> None:
        self._sentry.flush(20)


def _dsn(run: Run) -> str:
    return f"{run.endpoint.replace('://', '://public@')}/1"


class Langfuse(Peer):
    """Langfuse: installs a provider where there is none, else adds its processor."""

    exported: Callable[[object], bool] | None = staticmethod(lambda _: True)
    provider: TracerProvider | None = None

    def __init__(self, run: Run) -> None:
        from langfuse import Langfuse as Client

        self._client = Client(
            public_key="pk-lf-invented",
            secret_key="sk-lf-invented",
            base_url=run.endpoint,
            sample_rate=run.rate,
            id_generator=SeededIds(),
            should_export_span=self.exported,
            tracer_provider=self.provider,
        )

    def native(self, name: str) -> AbstractContextManager[Any]:
        return self._client.start_as_current_observation(name=name)

    def finish(self) -> None:
        self._client.shutdown()


class LangfuseShared(Langfuse):
    """Langfuse beside another exporter, on the application's provider."""

    def __init__(self, run: Run) -> None:
        provider = _installed(run)
        if run.order != "auto":
            provider.add_span_processor(_exporter(run))
        super().__init__(run)

    def finish(self) -> None:
        super().finish()
        _provider().shutdown()


class LangfuseFiltered(LangfuseShared):
    """The same with Langfuse's own filter, which lets through what has to do with language models alone, and ours."""

    @staticmethod
    def exported(span: Any) -> bool:
        from langfuse.span_filter import is_default_export_span

        return is_default_export_span(span) or span.instrumentation_scope.name == "zentra_otel_posthog"


class LangfuseByDefault(LangfuseShared):
    """The same with Langfuse's own filter alone."""

    exported = None


class LangfuseIsolated(LangfuseShared):
    """Langfuse on a provider of its own, beside the application's."""

    def __init__(self, run: Run) -> None:
        self.provider = TracerProvider(id_generator=SeededIds())
        super().__init__(run)


class PostHog(Peer):
    """PostHog's own package: its span processor, its contexts and captures of the application's own."""

    identifies = True

    def __init__(self, run: Run) -> None:
        import posthog
        from posthog.integrations.otel import PostHogContextSpanProcessor

        posthog.api_key, posthog.host = "phc_invented", run.posthog
        provider = _installed(run)
        provider.add_span_processor(PostHogContextSpanProcessor())
        if run.order != "auto":
            provider.add_span_processor(_exporter(run))
        self._posthog = posthog

    @contextlib.contextmanager
    def person(self, distinct_id: str) -> Iterator[None]:
        with self._posthog.new_context():
            self._posthog.identify_context(distinct_id)
            self._posthog.set_context_session(SESSION)
            self._posthog.capture("statement.viewed")
            yield

    def finish(self) -> None:
        self._posthog.shutdown()
        _provider().shutdown()


class Everything(PostHog):
    """OTLP, PostHog, Sentry and Langfuse on one provider."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        import sentry_sdk
        from sentry_sdk.integrations.otlp import OTLPIntegration

        sentry_sdk.init(dsn=_dsn(run), integrations=[OTLPIntegration()])
        self._langfuse = Langfuse(run)

    def native(self, name: str) -> AbstractContextManager[Any]:
        return self._langfuse.native(name)

    def finish(self) -> None:
        self._langfuse.finish()
        super().finish()


class Datadog(Peer):
    """Datadog's provider, which takes no span processors."""

    def __init__(self, run: Run) -> None:
        from ddtrace.opentelemetry import TracerProvider as DatadogProvider
        from ddtrace.trace import tracer

        if not isinstance(_provider(), DatadogProvider):
            trace.set_tracer_provider(DatadogProvider())
        self._tracer = tracer

    def native(self, name: str) -> AbstractContextManager[Any]:
        return self._tracer.trace(name)

    def finish(self) -> None:
        self._tracer.shutdown()


PEERS: dict[str, Callable[[Run], Peer]] = {
    "otlp": Otlp,
    "otlp-always-record": OtlpAlwaysRecord,
    "logfire": Logfire,
    "logfire-again": LogfireAgain,
    "sentry-otlp": SentryOtlp,
    "sentry-transactions": SentryTransactions,
    "langfuse": Langfuse,
    "langfuse-shared": LangfuseShared,
    "langfuse-filtered": LangfuseFiltered,
    "langfuse-by-default": LangfuseByDefault,
    "langfuse-isolated": LangfuseIsolated,
    "posthog": PostHog,
    "everything": Everything,
    "datadog": Datadog,
}
