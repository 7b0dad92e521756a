"""PostHog's capture V0: ``POST /batch/``."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from zentra_otel_posthog.delivery.wire import Batch, Wire


class WireV0(Wire):
    """Posts lines as they lie, never parsed again.

    Args:
        api_key: The project key.
        host: The ingest host.
        compression: ``gzip`` or ``none``.
    """

    def __init__(self, api_key: str, host: str, compression: str) -> None:
        super().__init__(f"{host}/batch/", api_key, compression)
        self._head = b'{"api_key":' + json.dumps(api_key).encode() + b',"sent_at":"'

    def _body(self, batch: Batch) -> bytes:
        sent_at = datetime.now(UTC).isoformat().encode()
        return b"".join((self._head, sent_at, b'","batch":[', b",".join(batch.lines), b"]}"))
