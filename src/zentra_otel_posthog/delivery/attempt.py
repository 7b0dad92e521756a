"""One attempt at a segment: post its captures, and judge each by the answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from zentra_otel_posthog import telemetry
from zentra_otel_posthog.delivery.capture import is_capture
from zentra_otel_posthog.delivery.dead_letters import DeadLetter
from zentra_otel_posthog.delivery.spool import Segment
from zentra_otel_posthog.delivery.wire import Answer, Batch, Wire

_REQUEST_TIMEOUT: Final = 15.0  # seconds, as the official client
_REFUSED_ALONE_MAX: Final = 8  # captures in a row, before all the others are taken to be refused as well
_AGAIN: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
# A wrong key, host, proxy, wire or encoding, or a bill: nothing is wrong with the captures, so they wait.
_MISCONFIGURED: Final = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.PAYMENT_REQUIRED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
_SERVER_ERRORS: Final = 500
_DELIVERED: Final = {"ok", "warning"}
_RETRY: Final = "retry"
_REFUSED: Final = {"drop", "limited"}


class Postponed(Exception):
    """What is left of a segment must wait.

    Args:
        why: In a few words, for the log.
        retry_after: Seconds, where the server named them.
    """

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after = retry_after


class Misconfigured(Postponed):
    """No segment would fare better until somebody corrects a setting."""


class Disbelieved(Postponed):
    """A server that has accepted nothing so far refuses everything: it may be the wrong one, so nothing is set aside.

    A plain HTTP request to an encrypted port, for one, is answered with 400, whatever it carries.
    """


@dataclass(slots=True)
class Progress:
    """What became of a segment's captures over all attempts.

    Args:
        accepted: How many PostHog has.
        settled: Positions of those that need no other request.
        refused: Those that it will never take, by position.
        attempts: How often each request was made, by the range that it stands for.
        failures: Attempts at the segment that did not finish it.
        rests_until: On the monotonic clock.
    """

    accepted: int = 0
    settled: set[int] = field(default_factory=set)
    refused: dict[int, DeadLetter] = field(default_factory=dict)
    attempts: Counter[tuple[int, int]] = field(default_factory=Counter)
    failures: int = 0
    rests_until: float = 0.0


class Attempt:
    """One attempt at a segment.

    Args:
        wire: Where to.
        segment: Claimed.
        progress: What earlier attempts achieved; updated.
        believed: Whether the server's refusals are believed: it has accepted captures before.
    """

    def __init__(self, wire: Wire, segment: Segment, progress: Progress, *, believed: bool) -> None:
        self._wire = wire
        self._lines = segment.lines()
        self._created_at = datetime.fromtimestamp(segment.closed, UTC)
        self._namespace = uuid5(NAMESPACE_URL, f"{wire.url} {segment.name}")
        self._progress = progress
        self._believed = believed
        self._refused_alone = 0  # since the last acceptance

    def run(self) -> None:
        """Settle every capture.

        Raises:
            Postponed: Some must wait.
        """
        self._post(0, len(self._lines))
        if any(letter.status is not None for letter in self._progress.refused.values()):
            self._check_belief()

    def _post(self, start: int, stop: int) -> None:
        positions = [position for position in range(start, stop) if position not in self._progress.settled]
        if not positions:
            return
        self._progress.attempts[start, stop] += 1
        batch = Batch(
            [self._lines[position] for position in positions],
            self._request_id(start, stop),
            self._progress.attempts[start, stop],
            self._created_at,
        )
        try:
            answer = self._answer(batch)
        except OSError as error:
            raise Postponed(type(error).__name__) from None
        except ValueError:
            if not self._set_aside_unreadable(positions):
                raise
            self._post(start, stop)
            return
        self._judge(answer, start, stop, positions)

    def _request_id(self, start: int, stop: int) -> UUID:
        # A function of what is sent, so that it is the same after a crash and for whoever adopts the segment.
        return uuid5(self._namespace, f"{start}-{stop}")

    def _answer(self, batch: Batch) -> Answer:
        began = time.monotonic()
        try:
            answer = self._wire.post(batch, _REQUEST_TIMEOUT)
        except OSError as error:
            telemetry.request(time.monotonic() - began, error_type=type(error).__name__)
            raise
        telemetry.request(time.monotonic() - began, status=answer.status)
        return answer

    def _judge(self, answer: Answer, start: int, stop: int, positions: Sequence[int]) -> None:
        status = answer.status
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            self._accept(answer, positions)
        elif status in _MISCONFIGURED or status < HTTPStatus.BAD_REQUEST:
            raise Misconfigured(f"answered {status}")
        elif status in _AGAIN or status >= _SERVER_ERRORS:
            raise Postponed(f"it answered {status}", answer.retry_after)
        elif status == HTTPStatus.BAD_REQUEST and self._set_aside_unreadable(positions):
            self._post(start, stop)
        elif status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}:
            self._refuse(positions, answer)
        elif len(positions) == 1:
            self._refuse_alone(positions[0], answer)
        else:
            # One bad event gets its whole batch refused, so it is looked for by halving.
            middle = positions[len(positions) // 2]
            self._post(start, middle)
            self._post(middle, stop)

    def _accept(self, answer: Answer, positions: Sequence[int]) -> None:
        if not answer.readable:
            raise Postponed(f"it answered {answer.status} and nothing that makes sense", answer.retry_after)
        again = 0
        for index, position in enumerate(positions):
            # What the answer leaves out is accepted, as the official client has it.
            result, details = answer.results.get(index, ("ok", ""))
            if result == _RETRY:
                again += 1
                continue
            if result in _DELIVERED:
                self._progress.accepted += 1
            else:
                reason = f"result_{result}" if result in _REFUSED else "result_unknown"
                self._progress.refused[position] = DeadLetter(
                    reason, answer.status, details or result, self._lines[position]
                )
            self._progress.settled.add(position)
        self._refused_alone = 0
        self._believed = True
        if again:
            raise Postponed(f"{again} captures to be sent again", answer.retry_after)

    def _refuse(self, positions: Sequence[int], answer: Answer) -> None:
        for position in positions:
            letter = DeadLetter(f"status_{answer.status}", answer.status, answer.text, self._lines[position])
            self._progress.refused[position] = letter
        self._progress.settled.update(positions)

    def _refuse_alone(self, position: int, answer: Answer) -> None:
        self._refuse([position], answer)
        self._refused_alone += 1
        if self._refused_alone >= _REFUSED_ALONE_MAX:
            self._check_belief()
            if not self._progress.accepted:
                # Otherwise N bad captures would take 2 N - 1 requests.
                self._refuse([left for left in range(len(self._lines)) if left not in self._progress.settled], answer)

    def _set_aside_unreadable(self, positions: Sequence[int]) -> bool:
        """Find what a failing disk or a foreign hand left, without asking the server about each line."""
        unreadable = [position for position in positions if not is_capture(self._lines[position])]
        for position in unreadable:
            self._progress.refused[position] = DeadLetter("corrupt", None, "", self._lines[position])
        self._progress.settled.update(unreadable)
        return bool(unreadable)

    def _check_belief(self) -> None:
        if self._believed or self._progress.accepted:
            return
        answers = {letter.status for letter in self._progress.refused.values() if letter.status is not None}
        for position in [where for where, letter in self._progress.refused.items() if letter.status is not None]:
            del self._progress.refused[position]
            self._progress.settled.discard(position)
        raise Disbelieved(f"answered {' and '.join(map(str, sorted(answers)))} to everything")
