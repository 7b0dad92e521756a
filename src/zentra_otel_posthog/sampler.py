"""The sampler ``zentra_posthog``: analytics sees the events of every span, exporters see what another sampler chose."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, AlwaysRecordSampler, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from zentra_otel_posthog import _provider
from zentra_otel_posthog.events import nearest

_logger = logging.getLogger("zentra_otel_posthog")

_GROUP: Final = "opentelemetry_traces_sampler"
_OWN_NAME: Final = "zentra_posthog"
_DEFAULT_NAME: Final = "parentbased_always_on"  # OpenTelemetry's own default
_RATIO_SAMPLERS: Final = ("traceidratio", "parentbased_traceidratio")


class RecordEverySpan(AlwaysRecordSampler):
    """Records every span, so that span processors see its events; exporters see only those that another one samples.

    It attaches our span processor by itself, so that events of other code are captured before any of ours.

    Args:
        root: The sampler that decides what is exported.
    """

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Return the root's decision, with "drop" turned into "record only"."""
        _provider.attach()
        return super().should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)


def record_every_span(argument: str | None = None) -> RecordEverySpan:
    """Return the sampler that ``OTEL_TRACES_SAMPLER=zentra_posthog`` names.

    OpenTelemetry's configurator (``opentelemetry-instrument``) finds it as an entry point. An application that makes
    its tracer provider in code passes it: ``TracerProvider(sampler=record_every_span("always_off"))``.

    Args:
        argument: What ``OTEL_TRACES_SAMPLER_ARG`` says: the name of the sampler that decides what is exported, with its
            own argument after a colon, as in ``parentbased_traceidratio:0.1``. None or empty:
            ``parentbased_always_on``. A wrong one is a warning and that default.
    """
    try:
        return RecordEverySpan(_inner(argument or _DEFAULT_NAME))
    except Exception as error:  # a sampler of somebody else's may raise whatever it likes
        _logger.warning(
            "OTEL_TRACES_SAMPLER_ARG=%s: %s; sampling as %s",
            argument,
            str(error) or type(error).__name__,
            _DEFAULT_NAME,
        )
        return RecordEverySpan(DEFAULT_ON)


def _inner(argument: str) -> Sampler:
    name, colon, own_argument = (part.strip() for part in argument.partition(":"))
    names = sorted(entry_points(group=_GROUP).names - {_OWN_NAME})
    if name not in names:
        if _ratio_of(name) is not None:
            raise ValueError(f"a ratio needs its sampler, as in parentbased_traceidratio:{name}")
        raise ValueError(f"there is no sampler {name!r}; {nearest(name, names)}")
    value: str | float | None = own_argument if colon else None
    if name in _RATIO_SAMPLERS:
        # As the SDK does, which hands these two a number and all others the text.
        value = _ratio_of(own_argument)
        if value is None:
            raise ValueError(f"{name} needs a ratio from 0 to 1, as in {name}:0.1")
    (entry_point, *_) = entry_points(group=_GROUP, name=name)
    sampler = entry_point.load()(value)
    if not isinstance(sampler, Sampler):
        raise TypeError(f"{name} made no sampler but a {type(sampler).__qualname__}")
    return sampler


def _ratio_of(text: str) -> float | None:
    try:
        ratio = float(text)
    except ValueError:
        return None
    return ratio if 0 <= ratio <= 1 else None
