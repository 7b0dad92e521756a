"""A reader who follows a page: runs its Python, saves its TOML, types its commands, compares what comes out."""

from __future__ import annotations

import contextlib
import importlib.metadata
import inspect
import io
import itertools
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final
from unittest import mock

import msgspec
import pytest
from opentelemetry import environment_variables as api_variables
from opentelemetry.instrumentation import auto_instrumentation
from opentelemetry.sdk import environment_variables as sdk_variables
from tests.docs.markdown_blocks import ROOT, Block

from zentra_otel_posthog import cli, config, flush, runtime
from zentra_otel_posthog.inspector import Receiver
from zentra_otel_posthog.testing import captured_events

PRELUDES: Final = Path(__file__).parent / "preludes"

# Commands that change nothing beyond the spool of the test, and ask nobody beyond the stand-in. Metrics are asked for
# where a prelude answers.
_RUN: Final = ("--version", "doctor", "events", "spool")
# What it does besides, where a prelude has a project.
_RUN_IN_PROJECT: Final = "insights"
# The reader's own program, and what starts it.
_READERS_OWN: Final = frozenset({"python", "gunicorn", "uvicorn", "cd", "git"})
_SUBSTITUTION: Final = re.compile(r"\$\(([^()]*)\)")
_FILE: Final = re.compile(r"# (\w+\.py)\n")
_ASSIGNMENT: Final = re.compile(r"[A-Z][A-Z0-9_]*=.*")
OTHER_VARIABLES: Final = frozenset(
    {"ZENTRA_POSTHOG_CONFIG", "POSTHOG_CAPTURE_COMPRESSION", "POSTHOG_PERSONAL_API_KEY", "POSTHOG_PROJECT_ID"}
)
# What differs from run to run; the rest of a payload is compared as it stands.
_VOLATILE: Final = frozenset({"uuid", "timestamp", "$trace_id", "$span_id", "$lib_version"})


def prelude(page: str, monkeypatch: pytest.MonkeyPatch) -> AbstractContextManager[Mapping[str, object]]:
    """Return what the reader of a page has already: names for its Python, files, variables, somebody who answers.

    That is ``preludes/<page>.py`` with a context manager ``reader_has``; most pages need none.
    """
    file = PRELUDES / f"{Path(page).stem.lower().replace('-', '_')}.py"
    if not page.startswith(("README", "docs/")) or not file.is_file():
        return contextlib.nullcontext({})
    has: Callable[[pytest.MonkeyPatch], AbstractContextManager[Mapping[str, object]]]
    has = runpy.run_path(str(file))["reader_has"]
    return has(monkeypatch)


class Reader:
    """Carries out the blocks of one page, in order.

    Args:
        given: What the page takes for granted, by name; see ``prelude``.
        receiver: Where captures arrive.
        monkeypatch: Ends with the page.
    """

    def __init__(self, given: Mapping[str, object], receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        self._receiver = receiver
        self._printed = ""
        self._module = types.ModuleType("shop")
        monkeypatch.setitem(sys.modules, "shop", self._module)
        monkeypatch.setenv("POSTHOG_API_KEY", "phc_inventedProjectKey0123456789")
        monkeypatch.setenv("POSTHOG_HOST", receiver.url)
        vars(self._module).update(given)

    def follow(self, block: Block) -> None:
        """Carry one block out.

        Raises:
            AssertionError: It does not do what it says.
            Exception: What it raises.
        """
        match block.language:
            case "python":
                self._run(block)
            case "toml":
                self._save(block)
            case "sh":
                self._printed = ""
                for line in _lines(block.text):
                    self._type(line)
            case "json":
                self._compare(json.loads(block.text))
            case "text":
                assert _timeless(self._printed) == _timeless(block.text), "that is not what the block above prints"
            case "yaml":
                (section,) = msgspec.yaml.decode(block.text)["instrumentation/development"]["python"].values()
                config.load(section)
            case "js":
                _check_javascript(block.text)
            case other:
                raise AssertionError(f"{block.place}: nobody knows how to check a block of {other!r}")

    def _run(self, block: Block) -> None:
        if re.search(r"\bconfigure\(", block.text):
            _forget_configuration()
        # At its own lines, so that a traceback names the page's.
        source = "\n" * (block.line - 1) + block.text
        if (named := _FILE.match(block.text)) is not None:
            Path(named[1]).write_text(block.text, encoding="utf-8")
        code = compile(source, str(ROOT / block.page), "exec")
        names = vars(self._module)
        before = dict(names)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
            for name, thing in list(names.items()):
                if name.startswith("test_") and before.get(name) is not thing:
                    _run_test(thing)
        self._printed = printed.getvalue()

    def _save(self, block: Block) -> None:
        """Save the file in the reader's folder, and start with it: every setting, event and rule is checked."""
        first = block.text.partition("\n")[0].removeprefix("#").strip()
        for name in ("zentra-otel-posthog.toml", "pyproject.toml"):
            Path(name).unlink(missing_ok=True)
        name = "pyproject.toml" if first == "pyproject.toml" else "zentra-otel-posthog.toml"
        Path(name).write_text(block.text, encoding="utf-8")
        _forget_configuration()
        runtime.configure()

    def _compare(self, shown: dict[str, Any]) -> None:
        """Find the newest event of that name, which must be as shown."""
        assert flush(timeout=5)
        received = [event for event in self._receiver.events if event["event"] == shown["event"]]
        assert received, f"no {shown['event']} arrived, but {[event['event'] for event in self._receiver.events]}"
        assert _shape(dict(received[-1])) == _shape(shown)

    def _type(self, line: str) -> None:
        for substituted in _SUBSTITUTION.findall(line):
            self._type(substituted)
        words = shlex.split(_SUBSTITUTION.sub("substituted", line), comments=True)
        words = words[1:] if words[:1] == ["export"] else words
        variables = {}
        while words and _ASSIGNMENT.fullmatch(words[0]):
            name, _, value = words.pop(0).partition("=")
            _check_variable(name, value)
            variables[name] = value
        if words[:1] == ["python"] and Path(words[-1]).is_file():
            self._printed += _run_program(words[1:], variables)
        elif words:
            self._printed += _run_command(words)


def _run_test(test: Callable[..., object]) -> None:
    """Run a test of the reader's with the fixtures that it takes, in their place the same as pytest's."""
    taken = inspect.signature(test).parameters
    with contextlib.ExitStack() as stack:
        fixtures: dict[str, object] = {"tmp_path": Path.cwd()}
        if "posthog_events" in taken:
            fixtures["posthog_events"] = stack.enter_context(captured_events())
        test(**{name: fixtures[name] for name in taken})


def _forget_configuration() -> None:
    runtime.shutdown(timeout=0)
    runtime.replace(None)


def _shape(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _shape(item, name) for name, item in value.items()}
    return re.sub(r"[0-9a-f]", "0", value) if key in _VOLATILE else value


def _timeless(text: str) -> str:
    return re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "00:00:00.000", text)


def _lines(text: str) -> Iterator[str]:
    yield from (line for line in text.replace("\\\n", " ").splitlines() if line.strip())


def _check_variable(name: str, value: str) -> None:
    if name.startswith(("POSTHOG_", "ZENTRA_POSTHOG_")):
        assert name in config._variables() or name in OTHER_VARIABLES, f"there is no variable {name}"
    elif name.startswith("OTEL_"):
        assert hasattr(api_variables, name) or hasattr(sdk_variables, name), f"OpenTelemetry has no variable {name}"
    group = {"OTEL_PROPAGATORS": "opentelemetry_propagator", "OTEL_TRACES_SAMPLER": "opentelemetry_traces_sampler"}
    if name in group:
        for one in value.split(","):
            assert importlib.metadata.entry_points(group=group[name], name=one), f"{name} knows no {one!r}"


def _run_program(arguments: list[str], variables: Mapping[str, str]) -> str:
    """Run the program that the reader has saved; return what it prints."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **variables, "POSTHOG_HOST": os.environ["POSTHOG_HOST"]},  # the stand-in, whatever is named
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def _run_command(words: list[str]) -> str:
    """Run or check a command, and return what it printed."""
    program, *arguments = words
    arguments = list(itertools.takewhile(lambda word: word != ">", arguments))
    printed = io.StringIO()
    match program:
        case "zentra-otel-posthog":
            if "--version" not in arguments:
                options, rest = cli.parser().parse_known_args(arguments)
                if rest:
                    options.parser.refuse(rest)
            if arguments[0] in _RUN or (arguments[0] == _RUN_IN_PROJECT and "POSTHOG_PROJECT_ID" in os.environ):
                with contextlib.suppress(SystemExit), contextlib.redirect_stdout(printed):
                    assert cli.main(arguments) == 0, f"{shlex.join(words)} found something wrong:\n{printed.getvalue()}"
        case "opentelemetry-instrument":
            _instrument(arguments)
        case "pip" | "make":
            _check_project(words)
        case "npm":
            assert (ROOT / "examples" / words[-1] / "package.json").is_file(), f"{words[-1]} is no npm package"
        case "openssl":
            if shutil.which("openssl"):
                subprocess.run(words, check=True, capture_output=True)
        case _:
            assert program in _READERS_OWN, f"nobody knows how to check the command {program!r}"
    return printed.getvalue()


def _instrument(arguments: list[str]) -> None:
    """Let ``opentelemetry-instrument`` read its flags; the program that it starts is the reader's."""
    started: list[list[str]] = []
    with pytest.MonkeyPatch.context() as patch, mock.patch.dict(os.environ):
        patch.setattr(sys, "argv", ["opentelemetry-instrument", *arguments])
        patch.setattr(auto_instrumentation, "which", lambda name: name)
        patch.setattr(auto_instrumentation, "execl", lambda *words: started.append(list(words[1:])))
        auto_instrumentation.run()
    _run_command(started[0])


def _check_project(words: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in words[2:] if words[0] == "pip" else ():
        name, _, extras = word.rstrip("]").partition("[")
        if name in {project["name"], "."}:
            for extra in filter(None, extras.split(",")):
                assert extra in project["optional-dependencies"], f"there is no extra {extra!r}"
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for target in words[1:]:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"the Makefile has no target {target!r}"


def _check_javascript(text: str) -> None:
    if (node := shutil.which("node")) is None:
        return
    Path("block.mjs").write_text(text, encoding="utf-8")
    checked = subprocess.run([node, "--check", "block.mjs"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
