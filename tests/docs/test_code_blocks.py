"""Everything that README and docs show is done as it stands there, so that no example outlives what it shows."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from tests.docs.markdown_blocks import PAGES, Block, blocks_of
from tests.docs.reader import PRELUDES, Reader, prelude

from zentra_otel_posthog import ZentraInstrumentor, identity
from zentra_otel_posthog.inspector import Receiver


@pytest.fixture(autouse=True)
def _alone(declarations: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep a page's events and rules out of other tests, and its examples' hosts out of reach."""
    resolve = socket.getaddrinfo

    def resolve_loopback(host: Any, *arguments: Any, **options: Any) -> Any:
        assert host in {"127.0.0.1", "localhost"}, f"an example would talk to {host}"
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_loopback)
    monkeypatch.setattr(identity, "flags_used", False)
    tracing = TracerProvider(shutdown_on_exit=False)  # as the readers have: captures name their spans
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracing)
    yield
    tracing.shutdown()
    instrumentor = ZentraInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_do_what_they_say(page: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order: Python runs, TOML is taken as settings, commands parse, payloads and output are as shown."""
    with prelude(page, monkeypatch) as given:
        reader = Reader(given, receiver, monkeypatch)
        for block in blocks_of(page):
            if block.not_run is None:
                try:
                    reader.follow(block)
                except Exception as error:
                    error.add_note(f"in the block at {block.place}")
                    raise


def test_each_prelude_has_its_page() -> None:
    """A page that is renamed takes its prelude along."""
    assert {path.stem for path in PRELUDES.glob("*.py")} <= {
        Path(page).stem.lower().replace("-", "_") for page in PAGES
    }


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("python", "from zentra_otel_posthog import payments", "cannot import name 'payments'"),
        (
            "python",
            "from zentra_otel_posthog import payment\n@payment(distnct_id='user_id')\ndef charge(user_id): ...",
            "did you mean 'distinct_id'",
        ),
        ("python", "def test_nothing():\n    assert [] == [1], 'nothing came'", "nothing came"),
        ("toml", "[[event]]\nname = 'basket.closed'\nproperties = { items = 'cuont' }", "did you mean 'count'"),
        ("toml", "flush_att = 3", "did you mean 'flush_at'"),
        ("toml", "[[instrument]]\ntarget = 'bank.payments.charge'\nevent = 'payment'", "bank.payments.charge"),
        ("sh", "zentra-otel-posthog doctr", "did you mean 'doctor'"),
        ("sh", "zentra-otel-posthog doctor --sent", "did you mean '--send'"),
        ("sh", "zentra-otel-posthog events --format yaml", "yaml"),
        ("sh", "zentra-otel-posthog spool status --config missing.toml", "missing.toml"),
        ("sh", "pip install 'zentra-otel-posthog[flag]'", "there is no extra 'flag'"),
        ("sh", "make demos", "no target 'demos'"),
        ("sh", "ZENTRA_POSTHOG_FLUSH_ATT=3 python -m your_service", "no variable ZENTRA_POSTHOG_FLUSH_ATT"),
        ("sh", "OTEL_PROPAGATORS=posthogs", "knows no 'posthogs'"),
        ("sh", "opentelemetry-instrument --posthog_key phc_... gunicorn bank.wsgi", "--posthog_key"),
        ("sh", "curl https://example.com", "'curl'"),
        ("json", '{"event": "payment.completed"}', "no payment.completed arrived"),
        ("text", "what nothing printed\n", "is not what the block above prints"),
        pytest.param(
            "js", "posthog.init(", "SyntaxError", marks=pytest.mark.skipif(not which("node"), reason="no node")
        ),
        ("ruby", "puts 1", "'ruby'"),
    ],
)
def test_what_goes_stale_is_found(
    language: str,
    text: str,
    said: str,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each sort of block can fail, and says why."""
    reader = Reader({}, receiver, monkeypatch)
    with pytest.raises((Exception, SystemExit)) as raised:
        reader.follow(Block("docs/none.md", 1, language, text, None))

    assert said in f"{raised.value}{capsys.readouterr().err}"
