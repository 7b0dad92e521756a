"""What ``doctor`` finds out in its own process: settings, tracing, rules."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import AlwaysRecordSampler

from zentra_otel_posthog import _provider, config
from zentra_otel_posthog._imports import why_missing
from zentra_otel_posthog._presets import Preset
from zentra_otel_posthog._projects import Tenants
from zentra_otel_posthog._rules import Rule
from zentra_otel_posthog._targets import Instrumented, Target
from zentra_otel_posthog.cli._log import log_unheard
from zentra_otel_posthog.cli._output import counted
from zentra_otel_posthog.config import Settings
from zentra_otel_posthog.delivery import Sink, SpoolSink
from zentra_otel_posthog.delivery.tenants import TenantSink
from zentra_otel_posthog.instrumentor import ZentraInstrumentor
from zentra_otel_posthog.sanitize.policy import Policy

State = Literal["ok", "warning", "failed", "not checked"]

_ALWAYS_ON: Final = ("AlwaysOnSampler", "ParentBased{root:AlwaysOnSampler,")
_SHOWN: Final = 3  # names in a sentence


class Check(msgspec.Struct, frozen=True):
    """What was found.

    Args:
        name: What was looked at.
        state: How it is.
        says: The finding, in one sentence.
        way_out: What to do about it.
    """

    name: str
    state: State
    says: str
    way_out: str | None = None


class Setting(msgspec.Struct, frozen=True):
    """A setting as it may be printed.

    Args:
        name: Its name.
        value: Its value, masked where secret.
        origin: The environment variable, the file, ``configure()`` or ``default``.
    """

    name: str
    value: str
    origin: str


def shown_settings(settings: Settings, loaded: Settings, origins: Mapping[str, str]) -> list[Setting]:
    """Return the settings with their origins.

    Args:
        settings: Those in force.
        loaded: Those that environment and file give.
        origins: Where these come from; what differs was said in code.
    """
    return [
        Setting(
            name,
            _shown(name, getattr(settings, name)),
            origins.get(name, "default") if getattr(settings, name) == getattr(loaded, name) else "configure()",
        )
        for name in settings.__struct_fields__
    ]


def _shown(name: str, value: Any) -> str:
    if isinstance(value, Policy):
        built_in = Policy()
        decided = [key for key in value.__struct_fields__ if getattr(value, key) != getattr(built_in, key)]
        return f"decides on {', '.join(decided)}" if decided else "as built in"
    if name in {"event", "instrument", "insight", "cohort", "alert"}:
        return counted(len(value), "rule" if name == "instrument" else name)
    if isinstance(value, Tenants):
        return counted(len(value.projects), "project") + (", and a function" if value.lookup else "")
    if name == "presets":
        return ", ".join(value)
    return "" if value is None else config.shown_value(name, value)


def captures(settings: Settings, sink: Sink | None) -> Check | None:
    """Tell where captures go, where that is not the settings' project.

    Args:
        settings: Those in force.
        sink: That of this process, where something has set the package up.
    """
    if settings.disabled:
        way_out = "Unset ZENTRA_POSTHOG_DISABLED."
        return Check("captures", "warning", "disabled is true: nothing is captured.", way_out)
    if settings.sink == "console":
        way_out = "Unset ZENTRA_POSTHOG_SINK to have them delivered."
        return Check("captures", "warning", "sink is console: captures go to the terminal, not to PostHog.", way_out)
    if sink is not None and not isinstance(sink, (SpoolSink, TenantSink)):
        says = f"Captures go to the application's own {type(sink).__name__}: spool, host and key are its affair."
        return Check("captures", "ok", says)
    if settings.api_key is None and settings.tenants:
        says = "Captures of tenants go to their projects, which are not checked here; there is no project for others."
        return Check("captures", "ok", says)
    if settings.api_key is None:
        return Check(
            "captures",
            "failed",
            "There is no project key: events go to tracing only.",
            "Set POSTHOG_API_KEY to the project key (phc_...) from PostHog's project settings.",
        )
    return None


def tracing(settings: Settings, modules: Sequence[str]) -> Iterator[Check]:
    """Tell what this process traces with.

    Args:
        settings: Those in force.
        modules: What was imported to set tracing up.
    """
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        yield _no_provider("tracing", "tracer provider", modules)
    else:
        _provider.attach()
        yield _with_processors("tracing", provider, "add_span_processor", "_active_span_processor", "_span_processors")
        yield _sampler(provider)
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield Check(
            "tracing", "warning", "OTEL_SDK_DISABLED is true: nothing is traced. Captures go on.", "Unset it to trace."
        )
    if settings.events == "log" or "opentelemetry._logs" in sys.modules:
        from opentelemetry import _logs  # noqa: PLC0415  most applications do without

        logs = _logs.get_logger_provider()
        if type(logs).__name__ != "ProxyLoggerProvider":  # OpenTelemetry keeps the class to itself
            yield _with_processors(
                "log events",
                logs,
                "add_log_record_processor",
                "_multi_log_record_processor",
                "_log_record_processors",
            )
        elif settings.events == "log":
            yield _no_provider("log events", "logger provider", modules)


def _no_provider(name: str, what: str, modules: Sequence[str]) -> Check:
    if modules:
        return Check(
            name,
            "warning",
            f"There is no {what} after these imports: captures are made, but nobody traces.",
            "Import the module that sets OpenTelemetry up, or run opentelemetry-instrument zentra-otel-posthog doctor.",
        )
    return Check(
        name,
        "not checked",
        f"There is no {what} in this process.",
        "Name the module that sets OpenTelemetry up with --import, or run this under opentelemetry-instrument.",
    )


def _with_processors(name: str, provider: object, add: str, holder: str, held: str) -> Check:
    kind = type(provider).__qualname__
    if not hasattr(provider, add):
        return Check(
            name,
            "warning",
            f"{kind} takes no processors: decorated calls and capture are captured, other code's events are not.",
            "Use OpenTelemetry's own provider where other code's events count.",
        )
    # The SDK tells nobody its processors (1.45).
    processors = [type(one).__name__ for one in getattr(getattr(provider, holder, None), held, ())]
    if processors and not any(one.startswith("PostHog") for one in processors):
        return Check(name, "failed", f"{kind} has not taken our processor.", "See the warnings of the log above.")
    return Check(name, "ok", f"{kind} with {', '.join(processors) or 'processors that it does not tell'}.")


def _sampler(provider: object) -> Check:
    sampler: Any = getattr(provider, "sampler", None)
    if sampler is None:
        return Check("sampler", "not checked", f"{type(provider).__qualname__} does not tell its sampler.")
    description = str(sampler.get_description())
    if isinstance(sampler, AlwaysRecordSampler) or description.startswith(_ALWAYS_ON):
        return Check("sampler", "ok", f"{description.partition(',')[0]} shows analytics every span.")
    return Check(
        "sampler",
        "warning",
        f"{description} drops spans, and with them events that other code records on them; decorated calls and capture "
        "lose none.",
        "Set OTEL_TRACES_SAMPLER=zentra_posthog, and today's sampler as OTEL_TRACES_SAMPLER_ARG.",
    )


def instrumented(settings: Settings) -> list[Instrumented]:
    """Return what becomes of each rule and preset.

    Where nobody has carried them out in this process, each is tried on its module, if that is imported, and taken back.
    """
    if states := ZentraInstrumentor().states():
        return states
    with log_unheard():  # what a rule would warn of is in the table
        return [*map(_tried, settings.instrument), *map(_tried_preset, settings.presets)]


def _tried(rule: Rule) -> Instrumented:
    try:
        rule.check()
        target = Target(rule)
    except ValueError as error:
        return Instrumented(rule.target, rule.event, "not wrapped", str(error))
    if (module := sys.modules.get(rule.module)) is not None:
        target.attach(module)
    found = target.state()
    target.detach()
    return found


def _tried_preset(name: str) -> Instrumented:
    preset = Preset(name)
    if (module := sys.modules.get(preset.module)) is not None:
        preset.attach(module)
    found = preset.state()
    preset.detach()
    if found.state == "pending import" and (reason := why_missing(preset.module)) is not None:
        return Instrumented(name, found.event, "not wrapped", reason)
    return found


def rules(found: Sequence[Instrumented], modules: Sequence[str]) -> Iterator[Check]:
    """Tell how many rules and presets work.

    Args:
        found: What became of each.
        modules: What was imported.
    """
    if not found:
        return
    wrong = [one.name for one in found if one.state == "not wrapped" or (one.state == "pending import" and one.reason)]
    pending = sum(one.state == "pending import" for one in found if one.name not in wrong)
    works = len(found) - len(wrong) - pending
    if wrong:
        yield Check("rules", "failed", f"{some(wrong)} will never work: see the table of rules.", "Correct the names.")
    if pending:
        way_out = "Import the application's modules with --import, as in --import bank.wsgi."
        what = f"{counted(pending, 'rule')} wait for the import of their module"
        if modules:
            yield Check("rules", "warning", f"{what}, which none of these imports does.", way_out)
        else:
            yield Check("rules", "not checked", f"{what}.", way_out)
    if works:
        yield Check("rules", "ok", f"{counted(works, 'rule')} of {len(found)} can be carried out.")


def some(names: Iterable[str]) -> str:
    """Return the first of some names, and how many more there are."""
    first, more = list(names)[:_SHOWN], len(list(names)) - _SHOWN
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")
