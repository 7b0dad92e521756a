"""Settings: arguments over environment over file, one parser, one clear error.

The file is ``zentra-otel-posthog.toml`` in the working directory, or ``[tool.zentra-otel-posthog]`` in
``pyproject.toml`` there, or what ``ZENTRA_POSTHOG_CONFIG`` names.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from zentra_otel_posthog._projects import Tenants, check_api_key, ingest_host, masked
from zentra_otel_posthog._rules import Rule
from zentra_otel_posthog.events import nearest
from zentra_otel_posthog.sanitize.policy import Policy

_logger = logging.getLogger("zentra_otel_posthog")

_FILE: Final = "zentra-otel-posthog.toml"
_PYPROJECT_TABLE: Final = "zentra-otel-posthog"
_PREFIX: Final = "ZENTRA_POSTHOG_"
_OFFICIAL: Final = ("api_key", "host", "capture_mode")  # settings that the official SDK reads too, as POSTHOG_*
# opentelemetry-instrument makes flags of variables that begin so, and of no others.
_FLAG_PREFIX: Final = "OTEL_PYTHON_"
PRESETS: Final = ("django-auth", "flask-login")
"""What ``presets`` may name."""
_SECRETS: Final = frozenset({"api_key", "pseudonym_key"})
# The file's and configure()'s alone.
_STRUCTURED: Final = frozenset({"event", "instrument", "sanitize", "tenants", "insight", "cohort", "alert"})
_PSEUDONYM_KEY_BYTES: Final = 32  # the output size of SHA-256; RFC 2104 discourages shorter HMAC keys

# The official SDK's aliases (posthog.capture_mode), so that one environment configures both.
_CAPTURE_MODES: Final = {"legacy": "v0", "analytics_v1": "v1"}
# Read where capture V1 is on and our own variable is not set (posthog.capture_compression).
_OFFICIAL_COMPRESSION: Final = "POSTHOG_CAPTURE_COMPRESSION"
_COMPRESSIONS: Final = {"identity": "none"}
_NO_NUMBER: Final = re.compile(r"Expected `(int|float)`, got")  # msgspec's words; a number out of bounds has others
_NUMBERS: Final = {"int": "whole number, as in 100", "float": "number, as in 2.5"}


class SettingsError(ValueError):
    """A setting is wrong. The message names it, its value (masked where secret) and the way out."""


class Shown(str):
    """A value as it may be printed, without quotes around it."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return it as it is."""
        return str(self)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the package may be told.

    Args:
        api_key: PostHog's project key (``phc_...``). None: events go to tracing only.
        host: PostHog's ingest host.
        capture_mode: The wire, ``v0`` (``/batch/``) or ``v1`` (``/i/v1/analytics/events``, where the server has it).
        spool_dir: The folder that keeps captures until PostHog has them. None: the user's state folder.
        spool_max_bytes: Its bound in bytes; past it the newest captures are refused and counted.
        flush_at: Send as soon as so many captures wait.
        flush_interval: Send what waits at least so often, in seconds.
        max_retries: Failed attempts in a row over which the pause between them grows; after them a segment rests, and
            those behind it are tried.
        compression: Of a request's body: ``none`` or ``gzip``; with capture V1 also ``deflate`` and ``zstd``.
        pseudonym_key: Secret of at least 32 bytes. With it a personal distinct id becomes a pseudonym, without it is
            refused.
        sink: Where captures go: ``spool``, from where they are delivered to PostHog, or ``console``: one line each on
            stderr, for development.
        events: How tracing sees the events of decorated functions and ``capture``: ``span``, as span events, or
            ``log``, as log records with an event name (OpenTelemetry's successor to span events).
        disabled: True: nothing is captured; spans go on.
        record_exceptions: True: spans carry exception messages and stack traces, which quote personal data.
        event: Custom events, as ``[[event]]`` in TOML.
        sanitize: What the tenant's policy decides, as ``[sanitize]`` in TOML.
        tenants: Which tenant's captures go to which project, as ``[tenants]`` in TOML, or a function from a tenant's
            name to its project.
        instrument: Functions that ``ZentraInstrumentor`` decorates, as ``[[instrument]]`` in TOML.
        presets: Libraries whose logins it records: ``django-auth``, ``flask-login``.
        insight: Insights of the tenant's own, as ``[[insight]]`` in TOML; read by ``zentra-otel-posthog insights``,
            as the next two are.
        cohort: Likewise, as ``[[cohort]]``.
        alert: Likewise, as ``[[alert]]``.
    """

    api_key: str | None = None
    host: str = "https://us.i.posthog.com"
    capture_mode: Literal["v0", "v1"] = "v0"
    spool_dir: str | None = None
    spool_max_bytes: Annotated[int, Meta(ge=1 << 20)] = 1 << 30
    flush_at: Annotated[int, Meta(ge=1)] = 100
    flush_interval: Annotated[float, Meta(gt=0, le=86_400)] = 5.0
    max_retries: Annotated[int, Meta(ge=0)] = 10
    compression: Literal["none", "gzip", "deflate", "zstd"] = "gzip"
    pseudonym_key: str | None = None
    sink: Literal["spool", "console"] = "spool"
    events: Literal["span", "log"] = "span"
    disabled: bool = False
    record_exceptions: bool = False
    event: tuple[dict[str, Any], ...] = ()
    sanitize: Policy = Policy()
    tenants: Tenants = Tenants()
    instrument: tuple[Rule, ...] = ()
    presets: tuple[str, ...] = ()
    insight: tuple[dict[str, Any], ...] = ()
    cohort: tuple[dict[str, Any], ...] = ()
    alert: tuple[dict[str, Any], ...] = ()

    def __repr__(self) -> str:
        """Show every setting, secrets masked."""
        shown = (f"{name}={shown_value(name, getattr(self, name))}" for name in self.__struct_fields__)
        return f"Settings({', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show the same to ``rich``, which would otherwise read the fields itself."""
        return [(name, Shown(shown_value(name, getattr(self, name)))) for name in self.__struct_fields__]


def shown_value(name: str, value: object) -> str:
    """Return a setting's value as it may be printed: a secret is masked."""
    if name == "host" and "@" in str(value):
        return "'…'"
    if name in _SECRETS and value:
        return f"'{masked(str(value))}'"
    return repr(value)


def load(arguments: Mapping[str, object] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        arguments: What ``configure`` was given; wins over all else. ``config`` names the file.
        environment: Instead of ``os.environ``.

    Returns:
        Validated settings.

    Raises:
        SettingsError: A setting is unknown or its value is wrong.
    """
    return load_with_origins(arguments, environment)[0]


def load_with_origins(
    arguments: Mapping[str, object] | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Settings, dict[str, str]]:
    """Read the settings, and where each that is no default comes from.

    Args:
        arguments: As for ``load``.
        environment: Likewise.

    Returns:
        The settings; and by setting the name of the environment variable, the file, or ``configure()``.

    Raises:
        SettingsError: As ``load``.
    """
    environment = os.environ if environment is None else environment
    arguments = dict(arguments or {})
    variable = f"{_PREFIX}CONFIG"
    config = arguments.pop("config", None) or environment.get(f"{_FLAG_PREFIX}{variable}") or environment.get(variable)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    variables = _variables_given(environment)
    for source, found in (
        _from_file(Path(str(config)) if config else None),
        ("environment", {name: environment[variable] for name, variable in variables.items()}),
        ("configure()", arguments),
    ):
        for name, value in found.items():
            if name not in Settings.__struct_fields__:
                raise SettingsError(
                    f"unknown setting {name!r} in {source}; {nearest(name, Settings.__struct_fields__)}"
                )
            values[name] = _tenants(value, source, environment) if name == "tenants" else _checked(name, value, source)
            origins[name] = variables[name] if source == "environment" else source
    if values.get("capture_mode") == "v1" and "compression" not in values and environment.get(_OFFICIAL_COMPRESSION):
        official = environment[_OFFICIAL_COMPRESSION]
        values["compression"] = _checked("compression", official, "environment", _OFFICIAL_COMPRESSION)
        origins["compression"] = _OFFICIAL_COMPRESSION
    settings = Settings(**values)
    _check_compression(settings)
    if settings.pseudonym_key is None and "pseudonym" in settings.sanitize.actions.values():
        raise SettingsError(
            f"sanitize.actions makes pseudonyms, which needs a key: set {_PREFIX}PSEUDONYM_KEY to at least "
            f"{_PSEUDONYM_KEY_BYTES} bytes"
        )
    return settings, origins


def _from_file(path: Path | None) -> tuple[str, dict[str, Any]]:
    if path is None:
        path = Path(_FILE)
        if not path.is_file():
            return _from_pyproject(Path("pyproject.toml"))
    return str(path), _read(path)


def _from_pyproject(path: Path) -> tuple[str, dict[str, Any]]:
    if not path.is_file():
        return str(path), {}
    tool = _read(path).get("tool", {})
    table = tool.get(_PYPROJECT_TABLE, {}) if isinstance(tool, dict) else None
    if not isinstance(table, dict):
        raise SettingsError(f"{_PYPROJECT_TABLE} under [tool] of {path} is no table: write [tool.{_PYPROJECT_TABLE}]")
    return f"[tool.{_PYPROJECT_TABLE}] of {path}", table


def _read(path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415  2 ms that settings without a file need not pay

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"{_PREFIX}CONFIG={str(path)!r} cannot be read ({reason}): name a TOML file or unset it"
        ) from None


def flags() -> list[str]:
    """Return the variables that ``opentelemetry-instrument`` is to have flags for.

    All of them but the pseudonym key, since a machine's users see each other's command lines.
    """
    return [
        f"{_FLAG_PREFIX}{variable}" for variable in (*_variables(), f"{_PREFIX}CONFIG") if "PSEUDONYM" not in variable
    ]


def _variables_given(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that an environment gives, and by which variable."""
    known = _variables()
    given: dict[str, str] = {}
    # A flag wins, as it does over every variable of OpenTelemetry's own.
    for key in sorted(environment, key=lambda key: key.startswith(_FLAG_PREFIX)):
        variable = key.removeprefix(_FLAG_PREFIX)
        if not environment[key] or variable == f"{_PREFIX}CONFIG":
            continue
        if variable in known:
            given[known[variable]] = key
        elif variable.startswith(_PREFIX):
            # No error: a fleet's environment may be meant for a newer version than this one.
            names = sorted(name for name in known if name.startswith(_PREFIX))
            _logger.warning("unknown environment variable %s is ignored; %s", key, nearest(key, names))
    return given


@cache
def _variables() -> dict[str, str]:
    """Return the environment variables and the settings that they give."""
    return {_variable(name): name for name in Settings.__struct_fields__ if name not in _STRUCTURED}


def _variable(name: str) -> str:
    return f"POSTHOG_{name.upper()}" if name in _OFFICIAL else f"{_PREFIX}{name.upper()}"


def _checked(name: str, value: object, source: str, variable: str | None = None) -> object:
    if name == "instrument":
        return _rules(value, source)
    setting = f"{name} = {value!r} in {source}"
    if source == "environment":
        setting = f"{variable or _variable(name)}={value!r}"
    setting = setting.replace(repr(value), shown_value(name, value))
    if name == "sanitize":
        setting = f"{name} in {source}"  # what is wrong is somewhere in it, and the message says where
    try:
        return msgspec.convert(_normalised(name, value), _field_types()[name], strict=False)
    except ValueError as error:  # msgspec.ValidationError is one
        field_type = _field_types()[name]
        if get_origin(field_type) is Literal:
            raise SettingsError(f"{setting}: choose one of {', '.join(get_args(field_type))}") from None
        if field_type is bool:
            raise SettingsError(f"{setting}: choose true or false") from None
        if (expected := _NO_NUMBER.match(str(error))) is not None:
            raise SettingsError(f"{setting}: give a {_NUMBERS[expected[1]]}") from None
        raise SettingsError(f"{setting}: {error}") from None


def _normalised(name: str, value: object) -> object:
    if isinstance(value, str):
        value = value.strip()
    match name:
        case "api_key" if value is not None:
            check_api_key(value)
        case "pseudonym_key":
            _check_pseudonym_key(value)
        case "host":
            return ingest_host(value)
        case "sanitize" if isinstance(value, Mapping):
            _check_policy(value)
        case "capture_mode":
            return _CAPTURE_MODES.get(str(value).lower(), str(value).lower())
        case "compression":
            return _COMPRESSIONS.get(str(value).lower(), str(value).lower())
        case "spool_dir" if isinstance(value, (str, Path)):
            return _folder(str(value))
        case "presets":
            return _presets(value)
    return value


def _tenants(value: object, source: str, environment: Mapping[str, str]) -> Tenants:
    try:
        return Tenants.read(value, environment)
    except ValueError as error:
        raise SettingsError(f"tenants in {source}: {error}") from None


def _rules(value: object, source: str) -> tuple[Rule, ...]:
    if not isinstance(value, (list, tuple)):
        raise SettingsError(f"instrument = {value!r} in {source}: write each rule as a table under [[instrument]]")
    rules: dict[str, Rule] = {}
    for declaration in value:
        try:
            rule = Rule.read(declaration, source)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        if rule.target in rules:
            raise SettingsError(f"{rule.label} stands there twice: merge the two")
        rules[rule.target] = rule
    return tuple(rules.values())


def _presets(value: object) -> object:
    names = [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value
    for name in names if isinstance(names, (list, tuple)) else ():
        if name not in PRESETS:
            raise ValueError(f"no preset {name!r}; {nearest(str(name), PRESETS)}")
    return names


@cache
def _field_types() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)


def _check_policy(value: Mapping[str, object]) -> None:
    for key in value:
        if key not in Policy.__struct_fields__:
            raise ValueError(f"unknown key {key!r}; {nearest(key, Policy.__struct_fields__)}")


def _check_pseudonym_key(value: object) -> None:
    if value is not None and len(str(value).encode()) < _PSEUDONYM_KEY_BYTES:
        raise ValueError(f"it needs at least {_PSEUDONYM_KEY_BYTES} bytes; make one with: openssl rand -hex 32")


def _check_compression(settings: Settings) -> None:
    if settings.capture_mode == "v0" and settings.compression not in {"none", "gzip"}:
        raise SettingsError(
            f"compression = {settings.compression!r} needs capture V1: set POSTHOG_CAPTURE_MODE=v1, "
            "or choose gzip or none"
        )
    if settings.compression == "zstd" and not any(map(find_spec, ("compression", "zstandard"))):
        raise SettingsError(
            "compression = 'zstd' needs a package before Python 3.14: pip install 'zentra-otel-posthog[zstd]', "
            "or choose gzip"
        )


def _folder(path: str) -> str:
    if not path or "\0" in path:
        raise ValueError("it is no path of a folder")
    return path
