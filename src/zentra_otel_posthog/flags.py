"""Feature flags through OpenFeature, with PostHog's official provider behind it.

::

    from openfeature import api
    from zentra_otel_posthog.flags import use_posthog_flags

    use_posthog_flags()  # once, after configure()

    with identify("usr_1", tenant="acme"):
        if api.get_client().get_boolean_value("instant-rail", False):
            ...

What the official parts do stays theirs: evaluation, the exposure ``$feature_flag_called`` once for each person, flag
and answer, and ``feature_flag.evaluation`` on the span. Added is what they do not know: who ``identify`` says is there,
the gate for whatever leaves, exposures that go through the spool, and ``$feature/<key>`` and ``$active_feature_flags``
on the events that follow in the ``identify`` block.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from opentelemetry import context as otel_context
from opentelemetry import trace

try:
    from openfeature import api
    from openfeature.contrib.hook.opentelemetry import TracingHook
    from openfeature.contrib.provider.posthog import PostHogProvider
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.exception import TargetingKeyMissingError
    from openfeature.flag_evaluation import FlagEvaluationDetails, FlagResolutionDetails, FlagValueType
    from openfeature.hook import Hook, HookContext, HookHints
except ImportError as error:
    raise ImportError(f"{error}: flags need packages; pip install 'zentra-otel-posthog[flags]'") from None
from posthog import Posthog
from posthog.types import FeatureFlagResult

from zentra_otel_posthog import events, identity, runtime, telemetry
from zentra_otel_posthog.convert import ANSWER, Origin, convert, random_position
from zentra_otel_posthog.delivery.capture import GROUP_TYPE, ClaimedTenant
from zentra_otel_posthog.identity import Identity
from zentra_otel_posthog.sanitize import detectors
from zentra_otel_posthog.sanitize.schema import clean_properties

_logger = logging.getLogger("zentra_otel_posthog")

_EXPOSURE: Final = events.undeclared("$feature_flag_called")
_EXPOSURES: Final = {schema.name: schema for schema in (_EXPOSURE, events.undeclared("$experiment_exposure"))}
# What the official client says of an evaluation. Not the payload, which is the application's.
_OF_EXPOSURES: Final = ("$feature_flag", ANSWER, "$experiment", "locally_evaluated")
_PAYLOAD: Final = "$feature_flag_payload"
_PERSONS: Final = 64  # whose answers one block keeps; a batch may ask for any number
_ObjectValue = Sequence[FlagValueType] | Mapping[str, FlagValueType]


def use_posthog_flags(*, timeout: float = 1.0, domain: str | None = None) -> None:
    """Make PostHog the provider of OpenFeature's flags. Call it once, after ``configure``.

    Flags are asked for with the project key and the host of the settings. Where PostHog does not answer, a flag has the
    default that the application names.

    Args:
        timeout: Seconds for connecting, and for the answer. There is no second attempt.
        domain: OpenFeature's domain, for an application with several providers; None for the default one.

    Raises:
        ValueError: The timeout is not positive.
    """
    if timeout <= 0:
        raise ValueError(f"timeout = {timeout!r}: a flag needs more than 0 seconds")
    settings = runtime.current().settings
    if settings.disabled or settings.api_key is None:
        why = "analytics is disabled" if settings.disabled else "POSTHOG_API_KEY is not set"
        _logger.warning("%s: feature flags have their defaults", why)
        return
    client = _Client(
        settings.api_key,
        settings.host,
        sync_mode=True,  # no threads: it never sends an event itself
        before_send=_spool_exposure,
        feature_flags_request_timeout_seconds=timeout,
        feature_flags_request_max_retries=0,
    )
    identity.flags_used = True
    api.set_provider_and_wait(_Provider(client, default_distinct_id=""), domain)


class _Client(Posthog):
    """The official client, asked only about who may leave."""

    def get_feature_flag_result(  # type: ignore[override]  # what the provider passes
        self,
        key: str,
        distinct_id: str,
        *,
        groups: Mapping[str, object] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> FeatureFlagResult | None:
        subject = _subject(distinct_id)
        person = _person(subject)
        if person is None:
            raise TargetingKeyMissingError(
                "whom the flag is for is unknown, or personal data without a pseudonym key: "
                "name the person by identify() or as the targeting key"
            )
        gate = runtime.current().gate
        named = {GROUP_TYPE: subject.tenant, **(groups or {})}
        admitted = {group: gate.group_key(_EXPOSURE.name, name) for group, name in named.items() if name is not None}
        result: FeatureFlagResult | None = super().get_feature_flag_result(
            key,
            person,
            groups={group: name for group, name in admitted.items() if name is not None},
            person_properties=clean_properties(_EXPOSURE, identity.with_common(subject, person_properties or {})),
            group_properties={
                group: clean_properties(_EXPOSURE, properties)
                for group, properties in (group_properties or {}).items()
                if isinstance(properties, Mapping)
            },
            **options,
        )
        if result is not None and subject.answers is not None:
            _keep(subject.answers, person, key, result.get_value())
        return result


class _Provider(PostHogProvider):
    """The official provider, with its evaluations on spans, and off the event loop."""

    def get_provider_hooks(self) -> list[Hook]:
        return [_Tracing()]

    async def resolve_boolean_details_async(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001  OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        return await asyncio.to_thread(self.resolve_boolean_details, flag_key, default_value, evaluation_context)

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return await asyncio.to_thread(self.resolve_string_details, flag_key, default_value, evaluation_context)

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return await asyncio.to_thread(self.resolve_integer_details, flag_key, default_value, evaluation_context)

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return await asyncio.to_thread(self.resolve_float_details, flag_key, default_value, evaluation_context)

    async def resolve_object_details_async(
        self, flag_key: str, default_value: _ObjectValue, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_ObjectValue]:
        return await asyncio.to_thread(self.resolve_object_details, flag_key, default_value, evaluation_context)


class _Tracing(TracingHook):
    """The official hook; the span sees the person and the errors that the sanitizer lets through."""

    def finally_after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints) -> None:
        if not trace.get_current_span().is_recording():
            return
        person = _person(_subject(hook_context.evaluation_context.targeting_key))
        hook_context.evaluation_context = EvaluationContext(person)
        if not runtime.current().settings.record_exceptions:
            details = dataclasses.replace(details, error_message=None)  # it may quote anything
        super().finally_after(hook_context, details, hints)

    def error(self, hook_context: HookContext, exception: Exception, hints: HookHints) -> None:
        if runtime.current().settings.record_exceptions:
            super().error(hook_context, exception, hints)


def _subject(distinct_id: object) -> Identity:
    """Return who a flag is for: whom the evaluation names, else whom the context does."""
    return identity.about(Identity(distinct_id or None), identity.current(otel_context.get_current()))


def _person(subject: Identity) -> str | None:
    """Return the distinct id that may leave."""
    if subject.person is None:
        return None
    return runtime.current().gate.distinct_id(_EXPOSURE.name, subject.person)


def _keep(answers: dict[str, dict[str, Any]], person: str, key: str, value: object) -> None:
    """Keep an answer for the events that follow. Threads of one block may do so at once: each step is atomic."""
    try:
        if answer := clean_properties(_EXPOSURE, {f"{ANSWER}{key}": value}):
            answers.setdefault(person, {}).update(answer)
            for oldest in list(answers)[:-_PERSONS]:
                answers.pop(oldest, None)
    except Exception as error:
        telemetry.internal_error("keeping a flag's answer", error)


def _spool_exposure(message: dict[str, Any]) -> None:
    """Take an exposure from the official client, which would keep it in memory, into the spool.

    Returns:
        None, by which the client drops it.
    """
    try:
        schema = _EXPOSURES.get(message["event"])
        properties = _of_exposure(message["properties"])
        if schema is None or "$feature_flag" not in properties:
            return
        named = message["properties"].get("$groups") or {}
        current = identity.current(otel_context.get_current())
        gate, tenant = runtime.current().gate, named.get(GROUP_TYPE)
        if type(current.tenant) is ClaimedTenant and tenant == gate.group_key(schema.name, current.tenant):
            tenant = None  # so that it stays what a request claims
        subject = identity.about(Identity(message["distinct_id"], tenant=tenant), current)
        origin = Origin.of(trace.get_current_span())
        uuid = origin.uuid(random_position(), schema.name)
        # Without what was answered before: an exposure is about one flag.
        alone = msgspec.structs.replace(subject, answers=None)
        captured = convert(schema, properties, alone, origin, uuid, time.time_ns(), gate)
        runtime.current().append(captured)
    except Exception as error:
        telemetry.lost("conversion")
        telemetry.internal_error("capturing a flag's exposure", error)


def _of_exposure(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an exposure's properties may leave: plain ones, texts past every detector."""
    kept = {
        name: detectors.judge(name, value)[0] if isinstance(value, str) else value
        for name, value in properties.items()
        if name.startswith(_OF_EXPOSURES) and name != _PAYLOAD and isinstance(value, (str, bool, int, float))
    }
    return {name: value for name, value in kept.items() if value is not None}
