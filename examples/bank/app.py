"""The bank's HTTP side: requests in, service functions called, answers out. What is measured lives in the services.

Run it with ``uvicorn bank.app:create_app --factory``, under ``opentelemetry-instrument``. The environment says where
it keeps its data and whom it trusts: ``BANK_DATABASE`` (file), ``BANK_RAIL_SECRET`` (signs the rail's webhooks),
``BANK_SEED`` (of the simulated outside), ``BANK_STOREFRONT=1`` (a page for customers), ``BANK_DEMO=1`` (a clock that
can be turned).
"""

import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse
from opentelemetry import metrics, trace

from bank import messages
from bank.accounts import Accounts
from bank.cards import Cards
from bank.checkouts import Checkouts
from bank.errors import BadSignature, BankError, UnknownCustomer
from bank.models import Basket, Beneficiary, Customer, Document, Money, Payment, Status, TransferOrder
from bank.outside import Outside
from bank.page import open_storefront
from bank.payments import Payments
from bank.storage import Storage
from bank.transfers import Transfers
from zentra_otel_posthog import identify, shutdown

_DELIVERY_TIMEOUT = 10.0  # seconds to deliver what is still spooled when the bank stops


@dataclass(frozen=True, slots=True)
class Services:
    storage: Storage
    accounts: Accounts
    cards: Cards
    payments: Payments
    checkouts: Checkouts
    transfers: Transfers


def create_app() -> FastAPI:
    """Build the bank from its environment."""
    storage = Storage(Path(os.environ.get("BANK_DATABASE", "bank.sqlite3")))
    outside = Outside(int(os.environ.get("BANK_SEED", "1")))
    payments = Payments(storage, outside)
    app = FastAPI(title="Zentra demo bank", lifespan=_lifespan)
    app.state.services = Services(
        storage=storage,
        accounts=Accounts(storage, outside),
        cards=Cards(storage, outside),
        payments=payments,
        checkouts=Checkouts(payments),
        transfers=Transfers(storage, outside),
    )
    app.state.rail_secret = os.environ.get("BANK_RAIL_SECRET", "").encode()
    app.middleware("http")(_identify)
    app.exception_handler(BankError)(_refuse)
    app.include_router(_routes)
    if os.environ.get("BANK_STOREFRONT") == "1":
        open_storefront(app)
    if os.environ.get("BANK_DEMO") == "1":
        _allow_demo(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    # Uvicorn ends by raising SIGTERM again, and so without atexit: what must get out gets out here.
    if (clock := getattr(app.state, "clock", None)) is not None:
        clock.restore()
    if (rail := getattr(app.state, "rail", None)) is not None:
        rail.stop()
    shutdown(timeout=_DELIVERY_TIMEOUT)
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        if callable(close := getattr(provider, "shutdown", None)):
            close()
    app.state.services.storage.close()


async def _identify(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Say whom the request's events are about. ``X-Customer-Id`` stands for authentication.

    In a middleware, since FastAPI's spans give a dependency's context back before the endpoint runs.
    """
    customer = None
    if (customer_id := request.headers.get("x-customer-id")) is not None:
        customer = request.app.state.services.storage.find_customer(customer_id)
    request.state.customer = customer
    platform = request.headers.get("x-platform")
    with identify(customer and customer.id, platform=platform, user_tier=customer and customer.tier):
        return await call_next(request)


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BankError)
    return JSONResponse({"code": error.code, "message": str(error)}, status_code=error.status)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Bank = Annotated[Services, Depends(_services)]


def _authenticated(request: Request) -> Customer:
    customer: Customer | None = request.state.customer
    if customer is None:
        raise UnknownCustomer
    return customer


Authenticated = Annotated[Customer, Depends(_authenticated)]
_routes = APIRouter()


@_routes.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@_routes.post("/customers", status_code=201)
def sign_up(order: messages.SignUp, bank: Bank) -> dict[str, str]:
    customer = bank.accounts.sign_up(
        order.name, order.email, order.phone, channel=order.channel, referral=order.referral
    )
    return {"customer_id": customer.id, "account_number": customer.account_number}


@_routes.post("/sessions", status_code=201)
def log_in(order: messages.LogIn, bank: Bank) -> dict[str, str]:
    session = bank.accounts.log_in(order.login, order.credential, method=order.method, device_type=order.device_type)
    return {"customer_id": session.customer_id}


@_routes.post("/webhooks/rail")
async def rail_webhook(request: Request, bank: Bank, x_signature: Annotated[str, Header()]) -> dict[str, Any]:
    body = await request.body()
    expected = hmac.new(request.app.state.rail_secret, body, hashlib.sha256).hexdigest()
    if not request.app.state.rail_secret or not hmac.compare_digest(expected, x_signature):
        raise BadSignature
    notice = messages.RailNotice.model_validate_json(body)
    settled, changed = bank.payments.take_notice(notice.payment_id, Status(notice.status), notice.reason)
    return {**_shown(settled), "changed": changed}


@_routes.get("/account")
def account(bank: Bank, customer: Authenticated) -> dict[str, Any]:
    payments = [
        {**_shown(payment), "method": payment.method, "amount_minor": payment.amount_minor}
        for payment in bank.storage.payments_of(customer.id)
    ]
    return {
        "tier": customer.tier,
        "balance_minor": customer.balance_minor,
        "payment_limit_minor": customer.tier.payment_limit,
        "payments": payments,
    }


@_routes.post("/kyc")
def verify(order: messages.Verification, bank: Bank, customer: Authenticated) -> dict[str, Any]:
    documents = [Document(document.type, document.number) for document in order.documents]
    decision = bank.accounts.verify(customer.id, order.tier, order.bvn, documents)
    return {"status": decision.status, "tier": decision.tier, "reason": decision.reason}


@_routes.post("/cards", status_code=201)
def issue_card(order: messages.CardOrder, bank: Bank, customer: Authenticated) -> dict[str, str]:
    issued = bank.cards.issue(customer.id, order.card_type, order.tier)
    return {"card_id": issued.id, "pan": issued.pan}


@_routes.post("/deposits", status_code=204)
def deposit(order: messages.Deposit, bank: Bank, customer: Authenticated) -> None:
    bank.storage.credit(customer.id, order.amount_minor)


@_routes.post("/payments", status_code=201)
async def pay(order: messages.PaymentOrder, bank: Bank, customer: Authenticated) -> dict[str, Any]:
    return _shown(await bank.payments.pay(customer.id, order.method, order.amount_minor, order.currency, order.source))


@_routes.post("/checkouts", status_code=201)
async def check_out(order: messages.Checkout, bank: Bank, customer: Authenticated) -> dict[str, Any]:
    basket = Basket(Money(order.amount_minor, order.currency), order.items, order.note)
    return _shown(await bank.checkouts.buy(customer.id, basket, order.method, order.source))


@_routes.post("/transfers", status_code=201)
async def send(order: messages.Transfer, bank: Bank, customer: Authenticated) -> dict[str, Any]:
    beneficiary = Beneficiary(order.beneficiary, order.account_number, order.bank)
    money = Money(order.amount_minor, order.currency)
    sent = await bank.transfers.send(TransferOrder(customer.id, money, beneficiary))
    return {"transfer_id": sent.id, "status": sent.status, "reason": sent.reason}


def _shown(payment: Payment) -> dict[str, Any]:
    return {"payment_id": payment.id, "status": payment.status, "reason": payment.reason}


def _allow_demo(app: FastAPI) -> None:
    from bank.demo_mode import MovableClock, end_with_parent  # noqa: PLC0415  time-machine comes with the demo only

    app.state.clock = MovableClock()
    app.post("/demo/clock")(app.state.clock.move)
    end_with_parent()
