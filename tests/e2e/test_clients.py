"""PostHog's own SDKs, each from its registry, send to the inspector: what they send is accepted and shown."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from playwright.sync_api import Browser, expect
from tests.e2e.inspected import Inspector
from tests.e2e.storefront import POSTHOG_JS, tab, wait_until

pytestmark = pytest.mark.slow

CLIENTS = Path(__file__).parent / "clients"
POSTHOG_NODE = Path(__file__).parent / "node_modules/posthog-node"
KEY = "phc_invented"
FLAG = "new-checkout"


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def page_url(tmp_path: Path) -> Iterator[str]:
    """Serve ``send.html`` and posthog-js beside it."""
    folder = tmp_path / "page"
    folder.mkdir()
    for source in (CLIENTS / "send.html", POSTHOG_JS / "dist/module.no-external.js"):
        shutil.copy(source, folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/send.html"
        server.shutdown()
        thread.join()


@pytest.fixture
def flagged(inspector: Inspector) -> Inspector:
    """Return the inspector with a flag switched on, in a variant."""
    requests.put(
        f"{inspector.url}/inspector/api/flags/{FLAG}",
        json={"enabled": True, "variant": "fast"},
        headers={"X-Inspector": "1"},
        timeout=10,
    ).raise_for_status()
    return inspector


def run(*command: str, **environment: str) -> str:
    """Run a program to its end and return what it printed."""
    finished = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=50, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def check(inspector: Inspector, chromium: Browser, person: str, lib: str) -> None:
    """Look for what a client has sent, in the API and on the page."""
    chosen = "plan.chosen"
    wait_until(lambda: bool(inspector.get("/events", event=chosen)["events"]))
    assert inspector.get("/refused")["requests"] == []
    assert {row["status"] for row in inspector.get("/health")["requests"]} == {200}
    stored = {event["event"]: event for event in inspector.get("/events", limit=100)["events"]}
    assert {"plan.opened", chosen, "$groupidentify", "$feature_flag_called"} <= set(stored)
    assert {event["lib"] for event in stored.values()} == {lib}
    assert stored[chosen]["properties"]["plan"] == "gold"
    assert stored[chosen]["groups"] == {"tenant": "acme"}
    assert stored[chosen]["properties"][f"$feature/{FLAG}"] == "fast"
    assert stored[chosen]["person"] == stored["plan.opened"]["person"]
    assert stored["plan.opened"]["distinct_id"] != stored[chosen]["distinct_id"] == person
    customer = inspector.get(f"/customers/{person}")
    assert {stored["plan.opened"]["distinct_id"], person} <= set(customer["distinct_ids"])
    assert customer["properties"]["tier"] == "gold"
    (flag,) = inspector.get("/flags")["flags"]
    assert flag["asked"] > 0
    with tab(chromium) as (_, page):
        page.goto(inspector.url)
        for name in ("plan.opened", chosen, "$feature_flag_called"):
            expect(page.get_by_role("button", name=name).first).to_be_visible()
        page.get_by_role("button", name=chosen).click()
        expect(page.get_by_role("dialog")).to_contain_text("gold")
        expect(page.get_by_role("dialog")).to_contain_text(lib)


@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_the_python_sdk(flagged: Inspector, chromium: Browser, mode: str) -> None:
    """posthog-python, over either wire."""
    send = (sys.executable, "-W", "error", str(CLIENTS / "send.py"), flagged.url, KEY, "usr_python")
    assert run(*send, POSTHOG_CAPTURE_MODE=mode) == "fast"
    paths = {row["path"] for row in flagged.get("/health")["requests"]}
    assert any(path.startswith("/i/v1/" if mode == "v1" else "/batch") for path in paths)
    check(flagged, chromium, "usr_python", "posthog-python")


@pytest.mark.skipif(
    not (shutil.which("node") and POSTHOG_NODE.is_dir()), reason="posthog-node is not installed: make e2e installs it"
)
def test_posthog_node(flagged: Inspector, chromium: Browser) -> None:
    """posthog-node."""
    assert run("node", str(CLIENTS / "send.mjs"), flagged.url, KEY, "usr_node") == "fast"
    check(flagged, chromium, "usr_node", "posthog-node")


@pytest.mark.skipif(not POSTHOG_JS.is_dir(), reason="posthog-js is not installed: make e2e installs it")
def test_posthog_js(flagged: Inspector, chromium: Browser, page_url: str) -> None:
    """posthog-js, in the browser that it is made for."""
    with tab(chromium) as (_, page):
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(f"{page_url}?{urlencode({'host': flagged.url, 'key': KEY, 'person': 'usr_js'})}")
        expect(page.locator("#answer")).to_have_text("fast")
        wait_until(lambda: bool(flagged.get("/events", event="plan.chosen")["events"]))
    assert complaints == []
    check(flagged, chromium, "usr_js", "web")
