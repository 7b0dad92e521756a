"""PostHog projects: what a key and a host may be, and which tenant has which project."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from zentra_otel_posthog.events import nearest

_UNMASKED: Final = 4  # characters of a secret that may be shown: "phc_"
_KEY_LENGTH: Final = 64  # longer project keys are answered with 401 (capture V0)
# As posthog.request.determine_server_host: the app's hosts do not take captures.
_INGEST_HOSTS: Final = {
    "https://app.posthog.com": "https://us.i.posthog.com",
    "https://us.posthog.com": "https://us.i.posthog.com",
    "https://eu.posthog.com": "https://eu.i.posthog.com",
}

Lookup = Callable[[str], object]
"""A tenant's name to its project, in one of the forms that ``Project.read`` takes, or None."""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's project.

    Args:
        api_key: The project key (``phc_...``).
        host: PostHog's ingest host; None for the setting ``host``.
    """

    api_key: str
    host: str | None = None

    @classmethod
    def read(cls, declaration: object, environment: Mapping[str, str]) -> Project:
        """Read a project: a key, a table of ``api_key`` or ``env`` (a variable that holds the key) and ``host``.

        Raises:
            ValueError: It is none of these, or the key or the host can be none.
        """
        if isinstance(declaration, Project):
            declaration = {"api_key": declaration.api_key, "host": declaration.host}
        if isinstance(declaration, str):
            declaration = {"api_key": declaration}
        if not isinstance(declaration, Mapping):
            raise ValueError('it is neither a project key nor a table, as in { env = "ACME_POSTHOG_KEY" }')  # noqa: TRY004  a wrong setting, as all of them
        _check_names(declaration, ("api_key", "env", "host"))
        key, host = declaration.get("api_key"), declaration.get("host")
        if (variable := declaration.get("env")) is not None:
            if key is not None:
                raise ValueError("it has api_key and env: the key comes from one of the two")
            if not (key := environment.get(str(variable), "").strip()):
                raise ValueError(f"the environment variable {variable} is not set: set it, or leave the tenant out")
        if key is None:
            raise ValueError("it has no key: add api_key, or env with the name of a variable that holds it")
        key = key.strip() if isinstance(key, str) else key
        check_api_key(key)
        return cls(api_key=key, host=None if host is None else ingest_host(host))

    def __repr__(self) -> str:
        """Show the host, and that there is a key."""
        return f"Project(api_key={masked(self.api_key)}, host={self.host!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show the same to ``rich``."""
        return [("api_key", masked(self.api_key)), ("host", self.host)]


class Tenants(msgspec.Struct, frozen=True, kw_only=True):
    """Which tenant's captures go to which project.

    Args:
        projects: Projects by the tenants' names.
        lookup: Asked for the project of a tenant that is not among them; its answer is kept.
        unknown: Of a tenant without a project: ``default`` sends to the project of ``api_key``, where there is one,
            ``refuse`` counts the capture as lost.
        route_claimed: Whether a tenant that only a request's headers or baggage name has its captures in its project.
            Otherwise it counts as unknown: whoever can call the service could write into any tenant's analytics.
    """

    projects: dict[str, Project] = {}
    lookup: Lookup | None = None
    unknown: Literal["default", "refuse"] = "default"
    route_claimed: bool = False

    @classmethod
    def read(cls, declaration: object, environment: Mapping[str, str] | None = None) -> Tenants:
        """Read ``[tenants]``, or what ``configure`` was given: the same as a mapping, or ``lookup`` alone.

        Raises:
            ValueError: It is none of these, or something in it is wrong; the message says where.
        """
        environment = os.environ if environment is None else environment
        if isinstance(declaration, Tenants):
            return declaration
        if callable(declaration):
            declaration = {"lookup": declaration}
        if not isinstance(declaration, Mapping):
            raise ValueError("write a table [tenants], or pass a function from a tenant's name to its project")  # noqa: TRY004  a wrong setting, as all of them
        try:
            _check_names(declaration, cls.__struct_fields__)
        except ValueError as error:
            raise ValueError(f"{error}; a tenant's project stands under [tenants.projects]") from None
        projects = declaration.get("projects", {})
        if not isinstance(projects, Mapping):
            raise ValueError("projects is no table: write [tenants.projects]")  # noqa: TRY004  likewise
        lookup = declaration.get("lookup")
        if lookup is not None and (not callable(lookup) or inspect.iscoroutinefunction(lookup)):
            raise ValueError("lookup is no function that returns a project: pass one, not a coroutine function")
        unknown, route_claimed = declaration.get("unknown", "default"), declaration.get("route_claimed", False)
        if unknown not in ("default", "refuse"):
            raise ValueError(f"unknown = {unknown!r}: choose one of default, refuse")
        if not isinstance(route_claimed, bool):
            raise ValueError(f"route_claimed = {route_claimed!r}: choose true or false")  # noqa: TRY004  likewise
        return cls(
            projects={str(name): _project(str(name), value, environment) for name, value in projects.items()},
            lookup=lookup,
            unknown=unknown,
            route_claimed=route_claimed,
        )

    def __bool__(self) -> bool:
        """Return whether any tenant may have a project of its own."""
        return bool(self.projects) or self.lookup is not None

    def __repr__(self) -> str:
        """Show the tenants with their projects, the keys masked, and whether there is a function."""
        return f"Tenants({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show the same to ``rich``."""
        lookup = None if self.lookup is None else getattr(self.lookup, "__qualname__", type(self.lookup).__qualname__)
        return [
            ("projects", self.projects),
            ("lookup", lookup),
            ("unknown", self.unknown),
            ("route_claimed", self.route_claimed),
        ]


def masked(secret: str) -> str:
    """Return a secret as it may be printed."""
    return f"{secret[:_UNMASKED]}…" if secret.startswith("ph") else "…"


def check_api_key(value: object) -> None:
    """Refuse what can be no project key.

    Raises:
        ValueError: PostHog would answer 401, or it is a personal key.
    """
    if not isinstance(value, str) or not value or len(value) > _KEY_LENGTH or not value.isascii():
        raise ValueError(
            f"a project key has 1 to {_KEY_LENGTH} ASCII characters; copy it from PostHog's project settings"
        )
    if value.startswith("phx_"):
        raise ValueError("this is a personal key; events need the project key (phc_...)")


def ingest_host(value: object) -> str:
    """Return the address that takes captures: without a slash at its end, and not the app's.

    Raises:
        ValueError: It is no address.
    """
    host = str(value).strip().rstrip("/")
    try:
        parts = urlsplit(host)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # brackets or a port that no address has
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("it is no http or https address, as in https://eu.i.posthog.com")
    return _INGEST_HOSTS.get(host, host)


def _project(name: str, declaration: object, environment: Mapping[str, str]) -> Project:
    if _is_key(name):
        raise ValueError(
            f"projects has a tenant named {masked(name)}, which is a key: write the tenant first, then its key"
        )
    try:
        return Project.read(declaration, environment)
    except ValueError as error:
        raise ValueError(f"projects.{name}: {error}") from None


def _check_names(declaration: Mapping[Any, object], known: tuple[str, ...]) -> None:
    for name in declaration:
        if name not in known:
            shown = masked(str(name)) if _is_key(str(name)) else str(name)
            raise ValueError(f"unknown key {shown!r}; {nearest(str(name), known)}")


def _is_key(text: str) -> bool:
    return text.startswith(("phc_", "phx_", "phs_"))
