"""The options of ``track`` are those of the other decorators. Checked, never executed."""

from __future__ import annotations

from zentra_otel_posthog import track

track("payment.completed", distinct_id="user_id", properties={"method": lambda method: method}, outcome="result.status")
track("payment.completed", distnct_id="user_id")  # type: ignore[call-arg]
track("payment.completed", distinct_id=3)  # type: ignore[arg-type]
track("payment.completed", faild="payment.failed")  # type: ignore[call-arg]
