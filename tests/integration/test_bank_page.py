"""The bank's storefront as the bank serves it; what a browser makes of it is tested in tests/e2e."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI

from zentra_otel_posthog.testing import captured_events

ADA = {"name": "Ada Example", "email": "ada@example.com", "phone": "08030000001", "channel": "organic"}
BEN = {"name": "Ben Example", "email": "ben@example.com", "phone": "08030000002", "channel": "agent"}


pytestmark = pytest.mark.asyncio


class Bank(NamedTuple):
    app: FastAPI
    http: httpx.AsyncClient

    async def sign_up(self, person: dict[str, str]) -> dict[str, str]:
        """Return the headers of a new customer, with money in the account."""
        answer = await self.http.post("/customers", json=person)
        headers = {"X-Customer-Id": answer.json()["customer_id"]}
        await self.http.post("/deposits", json={"amount_minor": 1_000_000}, headers=headers)
        return headers

    async def pay(self, headers: dict[str, str], source: str, method: str = "bank") -> None:
        order = {"method": method, "amount_minor": 250_000, "currency": "NGN", "source": source}
        (await self.http.post("/payments", json=order, headers=headers)).raise_for_status()

    async def account(self, headers: dict[str, str]) -> Any:
        return (await self.http.get("/account", headers=headers)).json()


OpenBank = Callable[..., AbstractAsyncContextManager[Bank]]


@pytest.fixture
def open_bank(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> OpenBank:
    """Return what opens the bank; ``posthog_js`` says whether the library is installed."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))
    from bank import page, rail  # noqa: PLC0415  found by the path above only
    from bank.app import create_app  # noqa: PLC0415  likewise

    @asynccontextmanager
    async def opened(*, posthog_js: bool = True, **environment: str) -> AsyncIterator[Bank]:
        for name, value in {"BANK_STOREFRONT": "1", **environment}.items():
            monkeypatch.setenv(name, value)
        library = tmp_path / "module.no-external.js"
        if posthog_js:
            library.touch()
        monkeypatch.setattr(page, "_LIBRARY", library)
        monkeypatch.setattr(rail, "_LOOK_INTERVAL", 0.01)
        monkeypatch.setattr(rail, "_DELAY", rail._DELAY * 0)
        app = create_app()
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://bank") as http,
        ):
            yield Bank(app, http)

    return opened


async def test_the_page_talks_to_posthog_and_nobody_else(open_bank: OpenBank) -> None:
    """Host and key come from the bank's environment; the browser is told to let nothing through to anybody else."""
    async with open_bank(POSTHOG_API_KEY="phc_local", POSTHOG_HOST="http://127.0.0.1:1/") as bank:
        page = await bank.http.get("/")
        assert "<title>" in page.text
        policy = page.headers["Content-Security-Policy"].split("; ")
        assert {"default-src 'self'", "connect-src 'self' http://127.0.0.1:1", "form-action 'none'"} <= set(policy)
        assert (await bank.http.get("/storefront/settings")).json() == {
            "key": "phc_local",
            "host": "http://127.0.0.1:1",
            "missing": None,
        }
        for name in ("storefront.js", "analytics.js", "style.css"):
            asset = await bank.http.get(f"/storefront/{name}")
            assert asset.status_code == 200
            assert "phc_" not in asset.text


@pytest.mark.parametrize(
    ("given", "way_out"),
    [
        ({"posthog_js": False, "POSTHOG_API_KEY": "phc_local"}, "run npm install in examples/bank/storefront"),
        ({}, "POSTHOG_API_KEY is not set"),
    ],
)
async def test_what_is_missing_is_said_in_one_sentence(
    open_bank: OpenBank, capsys: pytest.CaptureFixture[str], given: Any, way_out: str
) -> None:
    """Without posthog-js or a key the page is there, and page and terminal name the way out."""
    async with open_bank(**given) as bank:
        missing = (await bank.http.get("/storefront/settings")).json()["missing"]
        assert way_out in missing
        assert capsys.readouterr().out.splitlines() == [missing]
        assert (await bank.http.get("/")).status_code == 200


async def test_there_is_no_page_unless_asked_for(open_bank: OpenBank) -> None:
    """A bank that is not told to has neither the page nor a rail that settles payments by itself."""
    async with open_bank(BANK_STOREFRONT="") as bank:
        for path in ("/", "/storefront/settings", "/storefront/index.html"):
            assert (await bank.http.get(path)).status_code == 404
        assert not hasattr(bank.app.state, "rail")


async def test_the_rail_settles_and_returns(open_bank: OpenBank) -> None:
    """A payment by bank is completed; one from the closed account fails with its reason, is captured, and is paid back."""
    with captured_events() as captures:
        async with open_bank(BANK_SEED="41") as bank:
            headers = await bank.sign_up(ADA)
            await bank.pay(headers, "0123456789")
            await bank.pay(headers, "0000000000")
            account = await bank.account(headers)
            while any(payment["status"] == "pending" for payment in account["payments"]):
                account = await bank.account(headers)
            # It captures after it has settled.
            bank.app.state.rail.stop()
            account = await bank.account(headers)
    assert {(one["status"], one["reason"]) for one in account["payments"]} == {
        ("completed", None),
        ("failed", "account_closed"),
    }
    assert account["balance_minor"] == 750_000
    ends = [one for one in captures if one.event in {"payment.completed", "payment.failed"}]
    assert {(one.event, one.distinct_id, one.properties.get("reason")) for one in ends} == {
        ("payment.completed", headers["X-Customer-Id"], None),
        ("payment.failed", headers["X-Customer-Id"], "account_closed"),
    }


async def test_an_account_shows_its_own_payments_only(open_bank: OpenBank) -> None:
    """Newest first, and nothing of other customers; a stranger gets nothing."""
    async with open_bank(BANK_SEED="41") as bank:
        ada, ben = await bank.sign_up(ADA), await bank.sign_up(BEN)
        await bank.pay(ada, "08030000001", "wallet")
        await bank.pay(ada, "4000000000000000", "card")
        account = await bank.account(ada)
        assert [(one["method"], one["status"]) for one in account["payments"]] == [
            ("card", "failed"),
            ("wallet", "completed"),
        ]
        assert await bank.account(ben) == {
            "tier": "tier_1",
            "balance_minor": 1_000_000,
            "payment_limit_minor": 5_000_000,
            "payments": [],
        }
        assert (await bank.http.get("/account")).status_code == 401
