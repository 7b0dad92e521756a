"""Settings: one value wins, every wrong one is a single clear error, and no secret is ever printed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from posthog.capture_compression import _resolve_capture_compression
from posthog.capture_mode import _coerce_explicit
from posthog.request import determine_server_host

from zentra_otel_posthog import Settings, config, environment_variables
from zentra_otel_posthog._projects import Project, Tenants
from zentra_otel_posthog._rules import Rule
from zentra_otel_posthog.config import SettingsError, flags, load
from zentra_otel_posthog.sanitize.policy import Policy

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
FILE = "zentra-otel-posthog.toml"
SECRET = "S3cr3tC0reOf"
OFFICIAL = {"api_key": "POSTHOG_API_KEY", "host": "POSTHOG_HOST", "capture_mode": "POSTHOG_CAPTURE_MODE"}

# Setting: two values, what becomes of them, and wrong ones with the way out of each.
VALUES: dict[str, tuple[list[tuple[Any, Any]], list[tuple[Any, str]]]] = {
    "api_key": (
        [("phc_one", "phc_one"), (" phc_two ", "phc_two")],
        [
            (f"phx_{SECRET}", "personal key.*project key"),
            (SECRET * 6, "1 to 64 ASCII"),
            (f"phc_{SECRET}ä", "1 to 64 ASCII"),
        ],
    ),
    "host": (
        [("https://ph.example", "https://ph.example"), ("http://127.0.0.1:8000/", "http://127.0.0.1:8000")],
        [*((host, "as in https://") for host in ("ph.example", "ftp://ph.example", "https://", "http://["))],
    ),
    "capture_mode": ([("v0", "v0"), ("LEGACY", "v0"), ("analytics_v1", "v1")], [("v7", "choose one of v0, v1")]),
    "spool_dir": ([("/var/spool", "/var/spool"), ("spool", "spool")], []),
    "spool_max_bytes": (
        [(1 << 20, 1 << 20), (1 << 40, 1 << 40)],
        [((1 << 20) - 1, ">= 1048576"), (-1, ">="), ("big", "whole number")],
    ),
    "flush_at": (
        [(1, 1), (5000, 5000)],
        [(0, ">= 1"), (-5, ">= 1"), ("often", "whole number"), ("1.5", "whole number")],
    ),
    "flush_interval": (
        [(0.5, 0.5), (60, 60.0)],
        [(0, "> 0"), (-1.5, "> 0"), ("nan", "> 0"), ("soon", "give a number"), ("inf", "<="), (1e11, "<=")],
    ),
    "max_retries": ([(0, 0), (3, 3)], [(-1, ">= 0"), ("never", "whole number")]),
    "compression": (
        [("none", "none"), ("GZIP", "gzip"), ("identity", "none")],
        [("zip", "choose one of none, gzip"), ("GZIP!", "choose one of")],
    ),
    "pseudonym_key": (
        [(SECRET * 3, SECRET * 3), ("ä" * 16, "ä" * 16)],
        [(SECRET, "at least 32 bytes.*openssl rand"), (f" {SECRET}{' ' * 32}", "at least 32 bytes")],
    ),
    "sink": ([("spool", "spool"), ("console", "console")], [("memory", "choose one of spool, console")]),
    "events": ([("span", "span")], [("trace", "choose one of span"), ("both", "choose one of")]),
    "disabled": ([(True, True), (False, False)], [("maybe", "choose true or false"), ("2", "choose true or false")]),
    "record_exceptions": ([(True, True), (False, False)], [("maybe", "choose true or false")]),
    "event": ([([{"name": "basket.paid"}], ({"name": "basket.paid"},)), ([], ())], []),
    "insight": ([([{"key": "cards"}], ({"key": "cards"},)), ([], ())], []),  # what is in it: insights/test_files.py
    "cohort": ([([{"key": "lapsed"}], ({"key": "lapsed"},)), ([], ())], []),
    "alert": ([([{"name": "spike"}], ({"name": "spike"},)), ([], ())], []),
    "sanitize": ([({"undeclared": "drop"}, Policy(undeclared="drop"))], []),  # the rest in sanitize/test_policy.py
    "tenants": (  # the rest in test_tenants_in_settings.py
        [({"projects": {"acme": "phc_one"}}, Tenants(projects={"acme": Project(api_key="phc_one")}))],
        [],
    ),
    "instrument": (
        [([{"target": "shop:pay", "event": "payment"}], (Rule(target="shop:pay", event="payment"),)), ([], ())],
        [],
    ),
    "presets": (
        [("django-auth", ("django-auth",)), ("django-auth, flask-login", ("django-auth", "flask-login"))],
        [("django", "no preset 'django'; did you mean 'django-auth'"), ("django-auth,x", "no preset 'x'; there are: ")],
    ),
}
STRUCTURED = {"event", "instrument", "sanitize", "tenants", "insight", "cohort", "alert"}


def by_argument(name: str, value: object) -> Settings:
    return load({name: value}, {})


def by_environment(name: str, value: object) -> Settings:
    return load({}, {variable(name): str(value).lower() if isinstance(value, bool) else str(value)})


def by_file(name: str, value: object) -> Settings:
    Path(FILE).write_text(toml(name, value), encoding="utf-8")
    return load({}, {})


def by_named_file(name: str, value: object) -> Settings:
    Path("other.toml").write_text(toml(name, value), encoding="utf-8")
    return load({}, {"ZENTRA_POSTHOG_CONFIG": "other.toml"})


def by_pyproject(name: str, value: object) -> Settings:
    Path("pyproject.toml").write_text(f"[tool.zentra-otel-posthog]\n{toml(name, value)}", encoding="utf-8")
    return load({}, {})


def variable(name: str) -> str:
    return OFFICIAL.get(name, f"ZENTRA_POSTHOG_{name.upper()}")


def toml(name: str, value: object) -> str:
    if isinstance(value, list):
        tables = (f"{{ {', '.join(toml(key, item) for key, item in table.items())} }}" for table in value)
        return f"{name} = [{', '.join(tables)}]"
    if isinstance(value, dict):
        return f"{name} = {{ {', '.join(toml(key, item) for key, item in value.items())} }}"
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"


WAYS = [by_argument, by_environment, by_file, by_named_file, by_pyproject]
Way = Callable[[str, object], Settings]


def test_every_setting_is_tested() -> None:
    """A new setting gets its values into the table above."""
    assert set(VALUES) == set(Settings.__struct_fields__)


@pytest.mark.parametrize(
    ("way", "name", "value", "expected"),
    # What has structure stands in a file.
    [
        (way, name, *pair)
        for way in WAYS
        for name, (right, _) in VALUES.items()
        for pair in right
        if way is not by_environment or name not in STRUCTURED
    ],
)
def test_each_setting_by_each_way(way: Way, name: str, value: object, expected: object) -> None:
    """A setting has the same values and types wherever it is written."""
    settings = way(name, value)
    assert (getattr(settings, name), type(getattr(settings, name))) == (expected, type(expected))
    assert {field: getattr(settings, field) for field in settings.__struct_fields__ if field != name} == {
        field: getattr(Settings(), field) for field in settings.__struct_fields__ if field != name
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "value", "way_out"), [(name, *pair) for name, (_, wrong) in VALUES.items() for pair in wrong]
)
def test_a_wrong_value_is_one_clear_error(way: Way, name: str, value: object, way_out: str) -> None:
    """The message names the setting as it is spelt there, its value unless it is secret, and the way out."""
    with pytest.raises(SettingsError, match=way_out) as caught:
        way(name, value)
    message = str(caught.value)
    assert message.startswith(f"{variable(name)}=" if way is by_environment else f"{name} = ")
    assert ("S3cr3t" not in message) if name in {"api_key", "pseudonym_key"} else (str(value) in message)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", 5),
        ("spool_dir", ["a"]),
        ("flush_at", 1.5),
        ("api_key", 5),
        ("pseudonym_key", [SECRET] * 9),
        ("event", 5),
        ("event", ["a.b"]),
        ("instrument", 5),
        ("presets", 5),
        ("presets", [5]),
        ("disabled", "maybe"),
        ("capture_mode", None),
        ("flush_at", None),
    ],
)
def test_a_wrong_type_is_one_clear_error(name: str, value: object) -> None:
    """A value of another type is refused like a wrong one."""
    with pytest.raises(SettingsError, match=f"^{name} = ") as caught:
        load({name: value}, {})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["http://ph.example:port", "http://ph.example:99999", "https://ph.example/?a=b", "https://ph.example/#a"]
)
def test_a_host_that_no_request_reaches(host: str) -> None:
    """An address to which nothing could ever be posted is an error at start-up, not a delivery that never ends."""
    with pytest.raises(SettingsError, match="as in https://"):
        load({"host": host}, {})


class TestPrecedence:
    def test_arguments_over_environment_over_file(self, tmp_path: Path) -> None:
        """Each source is overruled by the next, setting by setting."""
        (tmp_path / FILE).write_text("flush_at = 1\nmax_retries = 1\nspool_dir = 'file'\n")
        environment = {"ZENTRA_POSTHOG_FLUSH_AT": "2", "ZENTRA_POSTHOG_MAX_RETRIES": "2"}
        settings = load({"flush_at": 3}, environment)
        assert (settings.flush_at, settings.max_retries, settings.spool_dir) == (3, 2, "file")

    def test_the_file_of_its_own_over_pyproject(self, tmp_path: Path) -> None:
        """Where both files are there, the one of its own speaks alone."""
        (tmp_path / "pyproject.toml").write_text("[tool.zentra-otel-posthog]\nflush_at = 1\nmax_retries = 1\n")
        (tmp_path / FILE).write_text("flush_at = 2\n")
        assert (load({}, {}).flush_at, load({}, {}).max_retries) == (2, Settings().max_retries)

    @pytest.mark.parametrize(
        ("arguments", "environment"),
        [
            ({"config": "other.toml"}, {"ZENTRA_POSTHOG_CONFIG": FILE}),
            ({"config": Path("other.toml")}, {}),
            ({}, {"ZENTRA_POSTHOG_CONFIG": "other.toml"}),
        ],
    )
    def test_a_named_file_over_both(
        self, tmp_path: Path, arguments: dict[str, Any], environment: dict[str, str]
    ) -> None:
        """The file that ``config`` names, in an argument first, stands in for the working directory's."""
        (tmp_path / FILE).write_text("flush_at = 2\n")
        (tmp_path / "other.toml").write_text("flush_at = 3\n")
        assert load(arguments, environment).flush_at == 3

    def test_an_empty_variable_is_none(self) -> None:
        """A variable set to nothing, as deployment templates leave them, counts as absent."""
        names = [variable(name) for name in Settings.__struct_fields__] + ["ZENTRA_POSTHOG_CONFIG"]
        assert load({}, dict.fromkeys(names, "")) == Settings()

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_flag_over_its_variable(self, order: int) -> None:
        """What a flag of ``opentelemetry-instrument`` sets wins over the variable, whichever comes first."""
        both = [("OTEL_PYTHON_ZENTRA_POSTHOG_FLUSH_AT", "1"), ("ZENTRA_POSTHOG_FLUSH_AT", "2")][::order]
        assert load({}, dict(both)).flush_at == 1

    def test_an_argument_may_unset(self) -> None:
        """None as an argument wins over the environment's key."""
        assert load({"api_key": None}, {"POSTHOG_API_KEY": "phc_one"}).api_key is None

    def test_os_environ_is_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without arguments the process's own environment is read."""
        monkeypatch.setenv("POSTHOG_API_KEY", "phc_one")
        assert load().api_key == "phc_one"


class TestUnknown:
    @pytest.mark.parametrize("way", [by_argument, by_file, by_pyproject])
    def test_a_setting(self, way: Way) -> None:
        """A misspelt setting is an error that names the nearest, and never its value."""
        with pytest.raises(SettingsError, match=r"unknown setting 'api_kye' in .*; did you mean 'api_key'\?") as caught:
            way("api_kye", f"phc_{SECRET}")
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize(
        ("key", "nearest"),
        [("FLUSH_ATT", "FLUSH_AT"), ("SPOOLDIR", "SPOOL_DIR"), ("API_KEY", None), ("EVENT", "EVENTS")],
    )
    def test_a_variable(self, caplog: pytest.LogCaptureFixture, key: str, nearest: str | None) -> None:
        """A misspelt variable is a warning that names the nearest; a newer version may know it."""
        assert load({}, {f"ZENTRA_POSTHOG_{key}": SECRET}) == Settings()
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert f"ZENTRA_POSTHOG_{key} is ignored" in record.getMessage()
        assert nearest is None or f"did you mean 'ZENTRA_POSTHOG_{nearest}'?" in record.getMessage()
        assert SECRET not in record.getMessage()


class TestFileErrors:
    @pytest.mark.parametrize("config_path", ["absent.toml", ".", "a\0b"])
    def test_a_file_that_cannot_be_read(self, config_path: str) -> None:
        """A named file that is not there, or no file, is an error that names it."""
        with pytest.raises(SettingsError, match=r"cannot be read|is not valid"):
            load({"config": config_path}, {})

    @pytest.mark.parametrize(
        "content", [b"flush_at = ", b"= 1", b"api_key = 'S3cr3tC0reOf", b"spool_dir = '\xe4'", b"a" * 5 + b"\0"]
    )
    def test_what_is_no_toml(self, tmp_path: Path, content: bytes) -> None:
        """A file that is no TOML, or no UTF-8, is an error that names it and quotes none of it."""
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(SettingsError, match=f"{FILE} is not valid TOML") as caught:
            load({}, {})
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize(
        "content", ["tool = 5", "[tool]\nzentra-otel-posthog = 5", "[tool]\nzentra-otel-posthog = [1]"]
    )
    def test_a_pyproject_of_another_shape(self, tmp_path: Path, content: str) -> None:
        """A table that is none is an error too."""
        (tmp_path / "pyproject.toml").write_text(content)
        with pytest.raises(SettingsError, match=r"pyproject\.toml"):
            load({}, {})


class TestPostHogsOwn:
    @pytest.mark.parametrize("slash", ["", "/"])
    @pytest.mark.parametrize("blank", ["", " "])
    @pytest.mark.parametrize(
        "host",
        [
            "https://app.posthog.com",
            "https://us.posthog.com",
            "https://eu.posthog.com",
            "https://us.i.posthog.com",
            "https://eu.i.posthog.com",
            "http://us.posthog.com",
            "https://posthog.bank.example",
            "https://bank.example/ingest",
            "http://localhost:8010",
        ],
    )
    def test_hosts(self, host: str, slash: str, blank: str) -> None:
        """A host becomes the one that the official client posts to."""
        spelt = f"{blank}{host}{slash}{blank}"
        assert load({"host": spelt}, {}).host == determine_server_host(spelt).removesuffix("/")

    def test_the_default_host(self) -> None:
        """Without a host captures go where the official client sends them."""
        assert Settings().host == determine_server_host(None)

    @pytest.mark.parametrize("mode", ["v0", "legacy", "v1", "analytics_v1", " V0 ", "Legacy"])
    def test_capture_modes(self, mode: str) -> None:
        """A mode means what it means to the official client."""
        assert load({"capture_mode": mode}, {}).capture_mode == _coerce_explicit(mode).value

    @pytest.mark.parametrize("compression", ["none", "identity", "gzip", "deflate", "zstd", " GZIP "])
    def test_compressions(self, monkeypatch: pytest.MonkeyPatch, compression: str) -> None:
        """With V1 the official client's variable is read as it reads it; our own wins."""
        environment = {"POSTHOG_CAPTURE_MODE": "v1", "POSTHOG_CAPTURE_COMPRESSION": compression}
        monkeypatch.setenv("POSTHOG_CAPTURE_COMPRESSION", compression)
        assert load({}, environment).compression == _resolve_capture_compression(gzip_fallback=True).value
        assert load({}, {**environment, "ZENTRA_POSTHOG_COMPRESSION": "deflate"}).compression == "deflate"
        assert load({}, {"POSTHOG_CAPTURE_COMPRESSION": compression}).compression == "gzip"

    def test_a_compression_that_is_none(self) -> None:
        """A wrong value of the official client's variable names that variable."""
        with pytest.raises(SettingsError, match=r"POSTHOG_CAPTURE_COMPRESSION='zap'.*choose one of"):
            load({}, {"POSTHOG_CAPTURE_MODE": "v1", "POSTHOG_CAPTURE_COMPRESSION": "zap"})

    @pytest.mark.parametrize("compression", ["deflate", "zstd"])
    def test_capture_v0_takes_gzip_alone(self, compression: str) -> None:
        """An encoding that PostHog would not understand is an error at start-up."""
        with pytest.raises(SettingsError, match=f"compression = '{compression}' needs capture V1.*gzip or none"):
            load({"compression": compression}, {})

    def test_zstd_without_its_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What cannot be compressed later is an error at start-up, with the way out."""
        monkeypatch.setattr(config, "find_spec", lambda _: None)
        with pytest.raises(SettingsError, match=r"zentra-otel-posthog\[zstd\]"):
            load({"capture_mode": "v1", "compression": "zstd"}, {})


_values = (
    st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.binary() | st.lists(st.text(), max_size=2)
)


@pytest.mark.parametrize("name", [*Settings.__struct_fields__, "config"])
class TestProperties:
    @PATIENT
    @given(value=st.text(st.characters(exclude_characters="\0")))
    def test_any_variable(self, name: str, value: str) -> None:
        """Any text in the environment gives settings or a settings error."""
        _load_or_refuse({}, {"ZENTRA_POSTHOG_CONFIG" if name == "config" else variable(name): value})

    @PATIENT
    @given(value=_values)
    def test_any_argument(self, name: str, value: object) -> None:
        """Any value as an argument gives settings or a settings error."""
        _load_or_refuse({name: value}, {})


@pytest.mark.parametrize("name", ["api_key", "pseudonym_key"])
@PATIENT
@given(before=st.text(max_size=40), after=st.text(max_size=40))
def test_no_secret_is_printed(name: str, before: str, after: str) -> None:
    """Neither a refusal nor settings in any printed form show a key."""
    value = f"{before}{SECRET}{after}"
    for arguments, environment in (({name: value}, {}), ({}, {variable(name): value}), ({name: [value]}, {})):
        outcome = _load_or_refuse(arguments, environment)
        assert not any(SECRET in shown for shown in (str(outcome), repr(outcome), f"{outcome}"))


def test_no_secret_is_printed_by_rich() -> None:
    """The pretty printer of ``rich`` gets its own view of a struct, which has to be masked too."""
    settings = Settings(api_key=f"phc_{SECRET}", pseudonym_key=SECRET * 3)
    assert SECRET not in repr(list(getattr(settings, "__rich_repr__", list)()))


def _load_or_refuse(arguments: dict[str, Any], environment: dict[str, str]) -> object:
    try:
        return load(arguments, environment)
    except SettingsError as error:
        return error


def test_every_variable_is_a_flag() -> None:
    """``opentelemetry-instrument`` has a flag for each variable, but for none whose value is a secret of ours."""
    names = {variable(name) for name in VALUES.keys() - STRUCTURED - {"pseudonym_key"}}
    assert set(flags()) == {f"OTEL_PYTHON_{name}" for name in names | {"ZENTRA_POSTHOG_CONFIG"}}
    assert {name for name in dir(environment_variables) if name.startswith("OTEL_")} == set(flags())
