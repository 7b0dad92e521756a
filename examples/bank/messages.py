"""The bodies of the bank's HTTP requests."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from bank.models import Method, Status, Tier

Amount = Annotated[int, Field(gt=0, lt=10**12)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class SignUp(BaseModel):
    name: str
    email: str
    phone: str
    channel: str
    referral: str | None = None


class LogIn(BaseModel):
    login: str
    credential: str
    method: Literal["password", "otp", "biometric"]
    device_type: Literal["phone", "tablet", "desktop"]


class Document(BaseModel):
    type: str
    number: str


class Verification(BaseModel):
    tier: Tier
    bvn: str
    documents: list[Document]


class CardOrder(BaseModel):
    card_type: Literal["virtual", "physical"]
    tier: Literal["classic", "gold", "platinum"]


class Deposit(BaseModel):
    amount_minor: Amount


class PaymentOrder(BaseModel):
    method: Method
    amount_minor: Amount
    currency: Currency
    source: str


class Checkout(PaymentOrder):
    items: Annotated[int, Field(gt=0)]
    note: str | None = None


class Transfer(BaseModel):
    amount_minor: Amount
    currency: Currency
    bank: str
    account_number: str
    beneficiary: str


class RailNotice(BaseModel):
    payment_id: str
    status: Literal[Status.COMPLETED, Status.FAILED]
    reason: str | None = None


class Clock(BaseModel):
    now: AwareDatetime
