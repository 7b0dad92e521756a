"""``[tenants]``: which tenant has which project; every mistake is one clear error, and no key is ever printed."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.pretty import Pretty

from zentra_otel_posthog import Settings, configure
from zentra_otel_posthog._projects import Project, Tenants
from zentra_otel_posthog.config import SettingsError, load

SECRET = "S3cr3tC0reOf"
FILE = """
[tenants]
unknown = "refuse"
[tenants.projects]
acme = "phc_acme"
globex = { env = "GLOBEX_KEY", host = "https://eu.posthog.com/" }
initech = { api_key = " phc_initech " }
"""
PROJECTS = {
    "acme": Project(api_key="phc_acme"),
    "globex": Project(api_key="phc_globex", host="https://eu.i.posthog.com"),
    "initech": Project(api_key="phc_initech"),
}


def refuse(tenant: str) -> None:
    """A look-up that knows nobody."""


async def ask(tenant: str) -> None:
    """A look-up that is none."""


@pytest.mark.parametrize("way", ["file", "argument"])
def test_each_form(tmp_path: Path, way: str) -> None:
    """A key by value or from a variable, with a host of its own or without, in a file as in ``configure``."""
    environment = {"GLOBEX_KEY": " phc_globex "}
    arguments: dict[str, Any] = {}
    if way == "file":
        (tmp_path / "zentra-otel-posthog.toml").write_text(FILE)
    else:
        projects = {"acme": "phc_acme", "globex": {"env": "GLOBEX_KEY", "host": "https://eu.posthog.com"}}
        arguments = {
            "tenants": {"unknown": "refuse", "projects": {**projects, "initech": Project(api_key="phc_initech")}}
        }
    assert load(arguments, environment).tenants == Tenants(projects=PROJECTS, unknown="refuse")


def test_a_function() -> None:
    """A function stands for itself, or beside what else there is to say."""
    assert load({"tenants": refuse}, {}).tenants == Tenants(lookup=refuse)
    both = {"lookup": refuse, "unknown": "refuse", "projects": {"acme": "phc_acme"}, "route_claimed": True}
    assert load({"tenants": both}, {}).tenants.lookup is refuse
    tenants = Tenants(lookup=refuse)
    assert load({"tenants": tenants}, {}).tenants is tenants
    assert not Settings().tenants


@pytest.mark.parametrize(
    ("tenants", "message"),
    [
        (5, r"write a table \[tenants\], or pass a function"),
        ({"projetcs": {}}, r"unknown key 'projetcs'; did you mean 'projects'\?; .*under \[tenants.projects\]"),
        ({"acme": f"phc_{SECRET}"}, r"unknown key 'acme'; .*under \[tenants.projects\]"),
        ({f"phc_{SECRET}": "acme"}, "unknown key 'phc_…'"),
        ({"unknown": "drop"}, "unknown = 'drop': choose one of default, refuse"),
        ({"route_claimed": "yes"}, "route_claimed = 'yes': choose true or false"),
        ({"projects": [f"phc_{SECRET}"]}, r"projects is no table: write \[tenants.projects\]"),
        ({"lookup": "phc"}, "lookup is no function"),
        (ask, "not a coroutine function"),
        ({"projects": {"acme": 5}}, "projects.acme: it is neither a project key nor a table"),
        ({"projects": {"acme": f"phx_{SECRET}"}}, "projects.acme: this is a personal key"),
        ({"projects": {"acme": SECRET * 9}}, "projects.acme: a project key has 1 to 64"),
        ({"projects": {"acme": ""}}, "projects.acme: a project key has 1 to 64"),
        ({"projects": {"acme": {}}}, "projects.acme: it has no key: add api_key, or env"),
        ({"projects": {"acme": {"envv": "A"}}}, r"projects.acme: unknown key 'envv'; did you mean 'env'\?"),
        ({"projects": {"acme": {"env": "ACME_KEY"}}}, "projects.acme: the environment variable ACME_KEY is not set"),
        ({"projects": {"acme": {"env": "A", "api_key": f"phc_{SECRET}"}}}, "projects.acme: it has api_key and env"),
        ({"projects": {"acme": {"api_key": f"phc_{SECRET}", "host": "x"}}}, "projects.acme: it is no http or https"),
        ({"projects": {f"phc_{SECRET}": "acme"}}, "a tenant named phc_…, which is a key: write the tenant first"),
    ],
)
def test_what_is_wrong(tenants: object, message: str) -> None:
    """The message says where it is and what to do, and quotes no key."""
    with pytest.raises(SettingsError, match=rf"^tenants in configure\(\): .*{message}") as caught:
        load({"tenants": tenants}, {})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "rule"), [("ada@example.com", "email"), ("null", "illegal_id"), ("08031234567", "personal_number")]
)
def test_a_name_that_no_capture_could_have(name: str, rule: str) -> None:
    """A tenant whose name the sanitizer keeps back is found at start-up; the name itself is not told."""
    with pytest.raises(SettingsError, match=rf"the name at place 2 is refused as {rule}, .*PSEUDONYM_KEY") as caught:
        configure(tenants={"projects": {"acme": "phc_acme", name: "phc_other"}})
    assert name == "null" or name not in str(caught.value)


def test_no_key_is_printed() -> None:
    """Neither settings in any printed form nor a function's arguments show a key."""
    lookup = functools.partial(refuse, f"phc_{SECRET}")
    projects = {"acme": f"phc_{SECRET}", "globex": {"api_key": SECRET, "host": "https://eu.i.posthog.com"}}
    settings = load({"tenants": {"projects": projects, "lookup": lookup}}, {})
    console = Console(file=io.StringIO(), width=200)
    console.print(Pretty(settings), Pretty(settings.tenants), Pretty(settings.tenants.projects))
    shown = f"{settings!r} {settings.tenants} {settings.tenants.projects['acme']!r} {console.file.getvalue()}"  # type: ignore[attr-defined]  # a StringIO
    assert "acme" in shown
    assert "phc_…" in shown
    assert SECRET not in shown
