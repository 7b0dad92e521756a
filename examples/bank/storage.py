"""The bank's SQLite database."""

import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bank.errors import AlreadyRegistered, InsufficientFunds, UnknownCustomer, UnknownPayment
from bank.models import Card, Customer, Document, Method, Payment, Status, Tier, TransferOrder

_SCHEMA = """
create table if not exists customers (
    id text primary key, name text not null, email text not null unique, phone text not null unique,
    account_number text not null, channel text not null, referral text, tier text not null,
    balance_minor integer not null check (balance_minor >= 0), bvn text, signed_up_at text not null
);
create table if not exists documents (
    customer_id text not null references customers, type text not null, number text not null
);
create table if not exists cards (
    id text primary key, customer_id text not null references customers, pan text not null unique,
    card_type text not null, tier text not null, issued_at text not null
);
create table if not exists payments (
    id text primary key, customer_id text not null references customers, method text not null,
    amount_minor integer not null, currency text not null, status text not null, reason text,
    source text not null, created_at text not null
);
create table if not exists transfers (
    id text primary key, customer_id text not null references customers, amount_minor integer not null,
    currency text not null, bank text not null, account_number text not null, beneficiary text not null,
    status text not null, created_at text not null
);
"""
_CUSTOMER = "select id, name, email, phone, account_number, channel, referral, tier, balance_minor from customers"


def _now() -> str:
    return datetime.now(UTC).isoformat()


class Storage:
    """One connection, shared by the server's threads.

    Args:
        path: The database file, created where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._lock = threading.Lock()
        self._connection.executescript(f"pragma journal_mode = wal; pragma synchronous = normal; {_SCHEMA}")

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def add_customer(self, customer: Customer) -> None:
        """Keep a new customer.

        Raises:
            AlreadyRegistered: The e-mail address or the phone number is taken.
        """
        try:
            self._run(
                "insert into customers values (?, ?, ?, ?, ?, ?, ?, ?, ?, null, ?)",
                customer.id, customer.name, customer.email, customer.phone, customer.account_number,
                customer.channel, customer.referral, customer.tier, customer.balance_minor, _now(),
            )  # fmt: skip
        except sqlite3.IntegrityError:
            raise AlreadyRegistered from None

    def find_customer(self, customer_id: str) -> Customer | None:
        """Return a customer, or None."""
        return self._customer(f"{_CUSTOMER} where id = ?", customer_id)

    def customer(self, customer_id: str) -> Customer:
        """Return a customer, or raise ``UnknownCustomer``."""
        if (customer := self.find_customer(customer_id)) is None:
            raise UnknownCustomer
        return customer

    def customer_by_login(self, login: str) -> Customer:
        """Return the customer with this e-mail address or phone number, or raise ``UnknownCustomer``."""
        if (customer := self._customer(f"{_CUSTOMER} where email = ? or phone = ?", login, login)) is None:
            raise UnknownCustomer
        return customer

    def set_kyc(self, customer_id: str, tier: Tier, bvn: str, documents: Sequence[Document]) -> None:
        """Keep the outcome of a verification."""
        self._run("update customers set tier = ?, bvn = ? where id = ?", tier, bvn, customer_id)
        for document in documents:
            self._run("insert into documents values (?, ?, ?)", customer_id, document.type, document.number)

    def credit(self, customer_id: str, amount_minor: int) -> None:
        """Put money into a customer's account."""
        self._run("update customers set balance_minor = balance_minor + ? where id = ?", amount_minor, customer_id)

    def debit(self, customer_id: str, amount_minor: int) -> None:
        """Take money out of a customer's account, or raise ``InsufficientFunds``."""
        taken = self._run(
            "update customers set balance_minor = balance_minor - ? where id = ? and balance_minor >= ?",
            amount_minor, customer_id, amount_minor,
        )  # fmt: skip
        if not taken.rowcount:
            raise InsufficientFunds

    def add_card(self, card: Card) -> None:
        """Keep a new card."""
        self._run(
            "insert into cards values (?, ?, ?, ?, ?, ?)",
            card.id, card.customer_id, card.pan, card.card_type, card.tier, _now(),
        )  # fmt: skip

    def add_payment(self, payment: Payment, source: str) -> None:
        """Keep a payment and what it was paid from (a PAN, an account, a phone number)."""
        self._run(
            "insert into payments values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            payment.id, payment.customer_id, payment.method, payment.amount_minor, payment.currency,
            payment.status, payment.reason, source, _now(),
        )  # fmt: skip

    def payment(self, payment_id: str) -> Payment:
        """Return a payment, or raise ``UnknownPayment``."""
        row = self._run(
            "select id, customer_id, method, amount_minor, currency, status, reason from payments where id = ?",
            payment_id,
        ).fetchone()
        if row is None:
            raise UnknownPayment
        return _payment(row)

    def payments_of(self, customer_id: str) -> list[Payment]:
        """Return a customer's latest payments, newest first."""
        rows = self._run(
            "select id, customer_id, method, amount_minor, currency, status, reason from payments"
            " where customer_id = ? order by created_at desc limit 10",
            customer_id,
        )
        return [_payment(row) for row in rows]

    def pending_payments(self, age: timedelta) -> list[tuple[str, str]]:
        """Return id and source of each payment that has been pending for so long."""
        before = (datetime.now(UTC) - age).isoformat()
        rows = self._run("select id, source from payments where status = ? and created_at < ?", Status.PENDING, before)
        return [(row["id"], row["source"]) for row in rows]

    def settle_payment(self, payment_id: str, status: Status, reason: str | None) -> bool:
        """Settle a payment that is pending. Return False where it is settled already."""
        settled = self._run(
            "update payments set status = ?, reason = ? where id = ? and status = ?",
            status, reason, payment_id, Status.PENDING,
        )  # fmt: skip
        return settled.rowcount == 1

    def add_transfer(self, transfer_id: str, order: TransferOrder, status: Status) -> None:
        """Keep a transfer."""
        self._run(
            "insert into transfers values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            transfer_id, order.customer_id, order.money.amount_minor, order.money.currency, order.beneficiary.bank,
            order.beneficiary.account_number, order.beneficiary.name, status, _now(),
        )  # fmt: skip

    def _customer(self, query: str, *parameters: str) -> Customer | None:
        row = self._run(query, *parameters).fetchone()
        return Customer(**{**dict(row), "tier": Tier(row["tier"])}) if row is not None else None

    def _run(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        with self._lock:
            return self._connection.execute(statement, parameters)


def _payment(row: sqlite3.Row) -> Payment:
    return Payment(**{**dict(row), "method": Method(row["method"]), "status": Status(row["status"])})
