"""Signing up, logging in, being verified."""

import secrets

from bank.errors import WrongCredential
from bank.models import Customer, Document, KycDecision, Session, Tier, new_id
from bank.outside import Outside
from bank.storage import Storage
from zentra_otel_posthog import auth, kyc, signup


class Accounts:
    def __init__(self, storage: Storage, outside: Outside) -> None:
        self._storage = storage
        self._outside = outside

    @signup(distinct_id="result.id")
    def sign_up(self, name: str, email: str, phone: str, *, channel: str, referral: str | None = None) -> Customer:
        """Open an account.

        Args:
            name: The customer's full name.
            email: E-mail address.
            phone: Phone number.
            channel: Where the customer came from; the event takes it by its name.
            referral: The referral programme, if any; likewise.

        Raises:
            AlreadyRegistered: The e-mail address or the phone number is taken.
        """
        account_number = "".join(secrets.choice("0123456789") for _ in range(10))
        customer = Customer(new_id("cus"), name, email, phone, account_number, channel, referral)
        self._storage.add_customer(customer)
        return customer

    @auth(distinct_id="result.customer_id")
    def log_in(self, login: str, credential: str, *, method: str, device_type: str) -> Session:
        """Log in with an e-mail address or a phone number, or raise ``WrongCredential``."""
        customer = self._storage.customer_by_login(login)
        if not self._outside.check_credential(login, method, credential):
            raise WrongCredential
        return Session(customer.id, method, device_type)

    @kyc(properties={"tier": "result.tier", "documents": "result.document_types"})
    def verify(self, customer_id: str, tier: Tier, bvn: str, documents: list[Document]) -> KycDecision:
        """Verify who a customer is.

        The event takes the kinds of documents from the result; the BVN and the documents' numbers are named nowhere.
        """
        customer = self._storage.customer(customer_id)
        kinds = [document.type for document in documents]
        answer = self._outside.check_identity(customer.name, bvn)
        if not answer.accepted:
            return KycDecision("rejected", customer.tier, kinds, answer.reason)
        self._storage.set_kyc(customer_id, tier, bvn, documents)
        return KycDecision("verified", tier, kinds)
