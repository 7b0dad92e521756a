"""What the bank knows: customers, cards, payments, transfers. Amounts are in minor units (kobo)."""

import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_CONSONANTS: Final = "bcdfghjklmnpqrstvwxz"


class Tier(StrEnum):
    """KYC tiers: who has shown more may move more."""

    TIER_1 = "tier_1"
    TIER_2 = "tier_2"
    TIER_3 = "tier_3"

    @property
    def payment_limit(self) -> int:
        """The most that one payment or transfer may move, in minor units."""
        return {Tier.TIER_1: 5_000_000, Tier.TIER_2: 20_000_000, Tier.TIER_3: 500_000_000}[self]


class Method(StrEnum):
    CARD = "card"
    BANK = "bank"
    WALLET = "wallet"


class Status(StrEnum):
    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    name: str
    email: str
    phone: str
    account_number: str
    channel: str
    referral: str | None = None
    tier: Tier = Tier.TIER_1
    balance_minor: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    customer_id: str
    method: str
    device_type: str


@dataclass(frozen=True, slots=True)
class Document:
    type: str
    number: str


@dataclass(frozen=True, slots=True)
class KycDecision:
    status: str
    tier: Tier
    document_types: list[str]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    id: str
    customer_id: str
    pan: str
    card_type: str
    tier: str


@dataclass(frozen=True, slots=True)
class Money:
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Payment:
    id: str
    customer_id: str
    method: Method
    amount_minor: int
    currency: str
    status: Status
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Beneficiary:
    name: str
    account_number: str
    bank: str


@dataclass(frozen=True, slots=True)
class TransferOrder:
    customer_id: str
    money: Money
    beneficiary: Beneficiary


@dataclass(frozen=True, slots=True)
class Transfer:
    id: str
    status: Status
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Basket:
    money: Money
    items: int
    note: str | None = None


def new_id(prefix: str) -> str:
    """Return an opaque id that says nothing about whose it is.

    Consonants alone: random digits now and then look like a phone or card number, and a sanitizer must keep those back.
    """
    return f"{prefix}_{''.join(secrets.choice(_CONSONANTS) for _ in range(16))}"
