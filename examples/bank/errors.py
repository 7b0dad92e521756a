"""What the bank refuses, each with the code that its API and its ``payment.failed`` events carry."""

from http import HTTPStatus


class BankError(Exception):
    """A refusal that a customer may see."""

    code = "bank_error"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class UnknownCustomer(BankError):
    code = "unknown_customer"
    status = HTTPStatus.UNAUTHORIZED


class AlreadyRegistered(BankError):
    code = "already_registered"
    status = HTTPStatus.CONFLICT


class WrongCredential(BankError):
    code = "wrong_credential"
    status = HTTPStatus.UNAUTHORIZED


class InsufficientFunds(BankError):
    code = "insufficient_funds"
    status = HTTPStatus.PAYMENT_REQUIRED


class TierLimitExceeded(BankError):
    code = "tier_limit_exceeded"
    status = HTTPStatus.PAYMENT_REQUIRED


class CardNotAllowed(BankError):
    code = "card_not_allowed"


class RailTimeout(BankError):
    """The rail did not answer in time; nothing was moved."""

    code = "rail_timeout"
    status = HTTPStatus.GATEWAY_TIMEOUT


class UnknownPayment(BankError):
    code = "unknown_payment"
    status = HTTPStatus.NOT_FOUND


class BadSignature(BankError):
    code = "bad_signature"
    status = HTTPStatus.UNAUTHORIZED
