"""The metrics: what may be asked, and typed rows of what is answered."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal, TypeVar, get_args

import msgspec

from zentra_otel_posthog.analytics import queries
from zentra_otel_posthog.analytics.queries import Query
from zentra_otel_posthog.analytics.query_api import AnalyticsError, QueryApi
from zentra_otel_posthog.events import nearest
from zentra_otel_posthog.sanitize.identifiers import IdentifierGate

Interval = Literal["hour", "day", "week", "month"]
INTERVALS: Final[tuple[str, ...]] = get_args(Interval)

_SIGNED_UP: Final = "user.signed_up"
_Rows = TypeVar("_Rows")


class SuccessRate(msgspec.Struct, frozen=True):
    """Payments that ended in one period.

    Args:
        period: When it begins.
        completed: Successful payments.
        failed: Failed ones.
        rate: The share of the completed ones, 0 to 1.
    """

    period: datetime
    completed: int
    failed: int
    rate: float


class MethodFunnel(msgspec.Struct, frozen=True):
    """Payments by one method, from initiated to completed.

    Args:
        method: The method; None where the events name none.
        pending: Payments that were initiated.
        completed: Payments that were completed, also where they were initiated before the time asked for.
        failed: Payments that failed, likewise.
        conversion: Completed payments to one initiated; None where none was.
        people: People who initiated a payment.
        people_converted: Those of them who completed one within 14 days, as PostHog's own funnel counts them.
    """

    method: str | None
    pending: int
    completed: int
    failed: int
    conversion: float | None
    people: int
    people_converted: int


class Volume(msgspec.Struct, frozen=True):
    """Completed payments of one currency in one period.

    Args:
        period: When it begins.
        currency: ISO 4217 code; None where the events name none.
        payments: How many.
        volume_minor: Their sum in minor units; None where no event names an amount.
    """

    period: datetime
    currency: str | None
    payments: int
    volume_minor: int | None


class ActiveUsers(msgspec.Struct, frozen=True):
    """People with an event in one period, PostHog's own (``$...``) not counted.

    Args:
        period: When it begins.
        users: How many.
    """

    period: datetime
    users: int


class Retention(msgspec.Struct, frozen=True):
    """People who signed up in one week, and those of them who completed a payment in a week since.

    Args:
        cohort: The Monday of the week in which they signed up.
        size: How many signed up.
        week: 0 for that week itself, 1 for the next.
        retained: How many of them completed a payment in it.
        rate: Their share, 0 to 1.
    """

    cohort: date
    size: int
    week: int
    retained: int
    rate: float


class FailureReason(msgspec.Struct, frozen=True):
    """Payments that failed for one reason.

    Args:
        reason: The reason; None where the events name none.
        payments: How many.
        share: Their share of all failed ones, 0 to 1.
    """

    reason: str | None
    payments: int
    share: float


class Analytics:
    """Asks PostHog for the metrics of a tenant. Not for several threads at once.

    Every metric takes ``tenant``, ``since`` and ``until``. A tenant is named as in ``identify(tenant=...)``; it passes
    the same gate as in captures, so that a personal key is looked for under its pseudonym. ``tenant=None`` is an error
    unless ``all_tenants=True`` says that it is meant. Events about nobody belong to no tenant: PostHog takes the groups
    off them.

    Times without a time zone are UTC; ``since`` is included, ``until`` is not. Periods are those of UTC, weeks begin on
    Monday, and a period without events has no row.

    Args:
        personal_key: A personal key (``phx_...``) with the scope ``query:read``.
        project_id: The project's number.
        host: PostHog's app or ingest host.
        pseudonym_key: As in the settings of the captures, where they have one.
        timeout: Seconds for one metric at most.

    Raises:
        AnalyticsError: An argument is wrong; so do the metrics, also where PostHog refuses or does not answer.
    """

    def __init__(
        self,
        *,
        personal_key: str,
        project_id: int | str,
        host: str = "https://us.posthog.com",
        pseudonym_key: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        self._api = QueryApi(personal_key, project_id, host, timeout)
        self._gate = IdentifierGate(pseudonym_key)

    def payment_success_rate(
        self,
        *,
        tenant: str | None,
        since: date,
        until: date,
        interval: Interval = "day",
        all_tenants: bool = False,
    ) -> list[SuccessRate]:
        """Return the share of completed payments among those that ended, by period."""
        asked = _Range(since, until, interval)
        rows = self._run(queries.PAYMENT_SUCCESS_RATE, asked, tenant, all_tenants, list[tuple[str, int, int]])
        return [SuccessRate(_moment(at), done, failed, done / (done + failed)) for at, done, failed in rows]

    def payment_funnel(
        self, *, tenant: str | None, since: date, until: date, all_tenants: bool = False
    ) -> list[MethodFunnel]:
        """Return how many of the initiated payments were completed, by method."""
        rows = self._run(
            queries.PAYMENT_FUNNEL,
            _Range(since, until),
            tenant,
            all_tenants,
            list[tuple[str | None, int, int, int, int, int]],
        )
        return [
            MethodFunnel(method, pending, done, failed, done / pending if pending else None, people, converted)
            for method, pending, done, failed, people, converted in rows
        ]

    def payment_volume(
        self,
        *,
        tenant: str | None,
        since: date,
        until: date,
        interval: Interval = "day",
        all_tenants: bool = False,
    ) -> list[Volume]:
        """Return what was paid, by period and currency; currencies are never added up."""
        asked = _Range(since, until, interval)
        rows = self._run(
            queries.PAYMENT_VOLUME, asked, tenant, all_tenants, list[tuple[str, str | None, int, int | None]]
        )
        return [Volume(_moment(at), currency, payments, volume) for at, currency, payments, volume in rows]

    def active_users(
        self,
        *,
        tenant: str | None,
        since: date,
        until: date,
        interval: Interval = "day",
        all_tenants: bool = False,
    ) -> list[ActiveUsers]:
        """Return how many people were active, by period."""
        asked = _Range(since, until, interval)
        rows = self._run(queries.ACTIVE_USERS, asked, tenant, all_tenants, list[tuple[str, int]])
        return [ActiveUsers(_moment(at), users) for at, users in rows]

    def retention(self, *, tenant: str | None, since: date, until: date, all_tenants: bool = False) -> list[Retention]:
        """Return who signed up in a week and completed payments in it and each week since, up to ``until``."""
        asked = _Range(since, until)
        rows = self._run(queries.RETENTION, asked, tenant, all_tenants, list[tuple[str, str, str, int]])
        sizes: dict[date, int] = {}
        retained: dict[tuple[date, date], int] = {}
        for cohort_text, event, week_text, people in rows:
            cohort, week = _moment(cohort_text).date(), _moment(week_text).date()
            if event != _SIGNED_UP:
                retained[cohort, week] = people
            elif cohort == week:  # not the second sign-up of a person
                sizes[cohort] = people
        last = (asked.until - timedelta(microseconds=1)).date()
        return [
            Retention(cohort, size, number, kept, kept / size)
            for cohort, size in sizes.items()
            for number in range((last - cohort).days // 7 + 1)
            for kept in (retained.get((cohort, cohort + timedelta(weeks=number)), 0),)
        ]

    def failure_reasons(
        self, *, tenant: str | None, since: date, until: date, all_tenants: bool = False
    ) -> list[FailureReason]:
        """Return why payments failed, the most frequent reason first."""
        rows = self._run(
            queries.FAILURE_REASONS, _Range(since, until), tenant, all_tenants, list[tuple[str | None, int]]
        )
        total = sum(payments for _, payments in rows)
        return [FailureReason(reason, payments, payments / total) for reason, payments in rows]

    def _run(
        self,
        query: Query,
        asked: _Range,
        tenant: str | None,
        all_tenants: bool,  # noqa: FBT001  the metrics' own keyword
        rows: type[_Rows],
    ) -> _Rows:
        if all_tenants is not (tenant is None):
            raise AnalyticsError("name a tenant, or say all_tenants=True with tenant=None to ask for all of them")
        values = asked.values()
        if tenant is not None:
            values["tenant"] = self._group_key(tenant)
        answer: Any = self._api.run(query, values, all_tenants=all_tenants)
        try:
            return msgspec.convert(answer, rows, strict=False)
        except msgspec.ValidationError as error:
            raise AnalyticsError(f"PostHog's rows for the {query.name} are not as expected: {error}") from None

    def _group_key(self, tenant: object) -> str:
        if (key := self._gate.group_key("(metrics)", tenant)) is None:
            raise AnalyticsError(
                "tenant is no key that captures can carry: it is empty, too long, or personal data, for which "
                "pseudonym_key must be that of the captures"
            )
        return key


class _Range:
    def __init__(self, since: date, until: date, interval: str | None = None) -> None:
        self._since, self.until, self._interval = _utc("since", since), _utc("until", until), interval
        if self._since >= self.until:
            raise AnalyticsError(f"since = {since} is not before until = {until}")
        if interval is not None and interval not in INTERVALS:
            raise AnalyticsError(f"interval = {interval!r}: {nearest(str(interval), INTERVALS)}")

    def values(self) -> dict[str, str]:
        """Return what the placeholders of a query stand for."""
        values = {"since": self._since.isoformat(), "until": self.until.isoformat()}
        return values if self._interval is None else {**values, "interval": self._interval}


def _utc(name: str, value: date) -> datetime:
    if not isinstance(value, date):
        raise AnalyticsError(f"{name} = {value!r} is no date or datetime")
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment.astimezone(UTC)


def _moment(text: str) -> datetime:
    """Read a period: a date where it is that of a week or a month, else a time."""
    try:
        return _utc("period", datetime.fromisoformat(text))
    except ValueError:
        raise AnalyticsError(f"PostHog's answer names a period that is no time: {text!r}") from None
