"""A bank of a few requests beside one tracing product, with the package or without it. Argument: see ``Run``.

Prints, as JSON, each request's trace id and whether its root span is sampled.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from peers import PEERS, Peer, Run

CARD_NUMBER = "4111111111111111"
EMAIL = "ada.example@example.com"


class Declined(Exception):
    code = "insufficient_funds"


class Ours:
    """The package's names, or their absence."""

    def __init__(self, run: Run) -> None:
        self.payment: Callable[[Any], Any] = _as_it_is
        self.card: Callable[[Any], Any] = _as_it_is
        self.capture: Callable[..., object] = _nothing
        self.identify: Callable[..., AbstractContextManager[Any]] = _nobody
        self.shutdown: Callable[[float], bool] = _done
        if not run.ours:
            return
        import zentra_otel_posthog as package  # noqa: PLC0415  the other runs are without it
        from zentra_otel_posthog import telemetry  # noqa: PLC0415  likewise

        telemetry.raise_internal_errors(enabled=True)
        if run.order != "auto":
            package.configure()
        self.payment, self.card = package.payment, package.card
        self.capture, self.identify, self.shutdown = package.capture, package.identify, package.shutdown


def _as_it_is(function: Any) -> Any:
    return function


def _nothing(*_: object, **__: object) -> None: ...


def _nobody(*_: object, **__: object) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


def _done(_: float) -> bool:
    return True


class Bank:
    """Services that decorators wrap, with tracing of their own inside."""

    def __init__(self, peer: Peer, ours: Ours) -> None:
        self._peer, self._ours = peer, ours
        self._tracer = trace.get_tracer("bank")
        self._charge = ours.payment(self._charge)  # type: ignore[method-assign]
        self._issue = ours.card(self._issue)  # type: ignore[method-assign]

    def _charge(
        self, amount_minor: int, currency: str, method: str, card_number: str, email: str, *, decline: bool = False
    ) -> str:
        with self._tracer.start_as_current_span("ledger.write", attributes={"ledger.entries": 2}):
            pass
        if decline:
            raise Declined(f"card {card_number} of {email} was declined")
        with self._peer.native("scoring"):
            return "paid"

    async def _issue(self, card_type: str, tier: str, email: str) -> None:
        with self._tracer.start_as_current_span("card.print"):
            await asyncio.sleep(0)

    def serve(self, number: int) -> tuple[str, bool]:
        """Serve a request. Return its trace id and whether it is sampled."""
        with (
            self._tracer.start_as_current_span(
                "POST /payments", kind=SpanKind.SERVER, attributes={"http.route": "/payments", "number": number}
            ) as span,
            self._peer.person(f"usr_{number}"),
            self._ours.identify(None if self._peer.identifies else f"usr_{number}", tenant="acme"),
        ):
            span.add_event("validated", {"rules": 3})
            with self._peer.native("checkout"):
                self._charge(125_000, "NGN", "card", CARD_NUMBER, EMAIL)
            asyncio.run(self._issue("virtual", "gold", EMAIL))
            with contextlib.suppress(Declined):
                self._charge(5, "NGN", "card", CARD_NUMBER, EMAIL, decline=True)
            self._ours.capture("checkout.completed", properties={"items": 2, "payer": EMAIL, "card": CARD_NUMBER})
            with self._tracer.start_as_current_span("settlement") as settlement:
                settlement.add_event(
                    "payment.completed", {"amount_minor": 7, "currency": "NGN", "method": "transfer", "payer": EMAIL}
                )
            with contextlib.suppress(ValueError), self._tracer.start_as_current_span("limits") as limits:
                limits.set_status(Status(StatusCode.ERROR, "over the limit"))
                raise ValueError("over the limit")
            span_context = span.get_span_context()
            return f"{span_context.trace_id:032x}", span_context.trace_flags.sampled


def main() -> None:
    run = Run(**json.loads(sys.argv[1]))
    if run.order == "ours":
        ours = Ours(run)
        # Where there is no provider yet: this must not settle for that.
        ours.capture("bank.opened", distinct_id="usr_0")
        peer = PEERS[run.peer](run)
    else:
        peer = PEERS[run.peer](run)
        ours = Ours(run)
    bank = Bank(peer, ours)
    traces = [bank.serve(number) for number in range(run.requests)]
    # Where no span is current, it gets one of its own.
    ours.capture("report.ready", distinct_id="usr_0")
    peer.finish()
    assert ours.shutdown(20)
    assert run.ours == ("zentra_otel_posthog" in sys.modules)
    sys.stdout.write(json.dumps(traces))


if __name__ == "__main__":
    main()
