"""The metrics' HogQL. Constant texts: what a caller says goes into a query's ``values``, never into its text.

PostHog makes a constant of each value before the query is planned (``HogQLQuery.values``), so that a value can be
nothing but a value, whatever stands in it.

Every query reads distinct rows first. Delivery is at least once, and PostHog removes the copies of an event, which
agree in day, event, distinct_id and uuid, only when ClickHouse merges its parts: until then it shows them. A copy is
the same in every column that is read here, and goes.

A query made with a personal key may not have an OFFSET, so that nothing is paged: ``ROWS`` is what PostHog answers at
most.
"""

from __future__ import annotations

from typing import Final, NamedTuple

ROWS: Final = 50_000
"""The most rows that PostHog answers; without a LIMIT they would be 100."""

# Our captures say {"$groups": {"tenant": key}}, and a project's index of the group type ($group_0 to $group_4) is
# PostHog's to choose.
_ONE_TENANT: Final = "properties.$groups.tenant = {tenant}"
_EVERY_TENANT: Final = "true"


class Query(NamedTuple):
    """A metric's query.

    Args:
        name: Names it in PostHog's query log.
        template: HogQL, in which ``SCOPE`` stands for the condition on the tenant.
    """

    name: str
    template: str

    def text(self, *, all_tenants: bool) -> str:
        """Return the text, for one tenant or for all."""
        return self.template.replace("SCOPE", _EVERY_TENANT if all_tenants else _ONE_TENANT)


PAYMENT_SUCCESS_RATE: Final = Query(
    "payment success rate",
    """
    select dateTrunc({interval}, timestamp, 'UTC') as period,
           countIf(event = 'payment.completed') as completed,
           countIf(event = 'payment.failed') as failed
    from (
        select distinct uuid, event, timestamp
        from events
        where event in ('payment.completed', 'payment.failed')
          and timestamp >= parseDateTimeBestEffort({since})
          and timestamp < parseDateTimeBestEffort({until})
          and SCOPE
    )
    group by period
    order by period
    limit 50000
    """,
)

# People as PostHog's own funnel counts them: in order, the second step within its default window of 14 days.
PAYMENT_FUNNEL: Final = Query(
    "payment funnel",
    """
    select method,
           sum(pending_here) as pending,
           sum(completed_here) as completed,
           sum(failed_here) as failed,
           countIf(level >= 1) as people,
           countIf(level >= 2) as people_converted
    from (
        select method,
               person_id,
               countIf(event = 'payment.pending') as pending_here,
               countIf(event = 'payment.completed') as completed_here,
               countIf(event = 'payment.failed') as failed_here,
               windowFunnel(1209600)(
                   toUnixTimestamp(timestamp), event = 'payment.pending', event = 'payment.completed'
               ) as level
        from (
            select distinct uuid, event, person_id, timestamp, properties.method as method
            from events
            where event in ('payment.pending', 'payment.completed', 'payment.failed')
              and timestamp >= parseDateTimeBestEffort({since})
              and timestamp < parseDateTimeBestEffort({until})
              and SCOPE
        )
        group by method, person_id
    )
    group by method
    order by method
    limit 50000
    """,
)

PAYMENT_VOLUME: Final = Query(
    "payment volume",
    """
    select dateTrunc({interval}, timestamp, 'UTC') as period,
           currency,
           count() as payments,
           sum(amount_minor) as volume_minor
    from (
        select distinct uuid,
               timestamp,
               properties.currency as currency,
               toInt(properties.amount_minor) as amount_minor
        from events
        where event = 'payment.completed'
          and timestamp >= parseDateTimeBestEffort({since})
          and timestamp < parseDateTimeBestEffort({until})
          and SCOPE
    )
    group by period, currency
    order by period, currency
    limit 50000
    """,
)

# PostHog's own events ($feature_flag_called, $identify) are no use of the product; page views come with the browser.
ACTIVE_USERS: Final = Query(
    "active users",
    """
    select dateTrunc({interval}, timestamp, 'UTC') as period,
           count(distinct person_id) as users
    from events
    where not startsWith(event, '$')
      and timestamp >= parseDateTimeBestEffort({since})
      and timestamp < parseDateTimeBestEffort({until})
      and SCOPE
    group by period
    order by period
    limit 50000
    """,
)

RETENTION: Final = Query(
    "retention",
    """
    select cohort,
           event,
           week,
           count(distinct person_id) as people
    from (
        select person_id,
               event,
               week,
               min(if(event = 'user.signed_up', week, null)) over (partition by person_id) as cohort
        from (
            select distinct person_id, event, dateTrunc('week', timestamp, 'UTC') as week
            from events
            where event in ('user.signed_up', 'payment.completed')
              and timestamp >= parseDateTimeBestEffort({since})
              and timestamp < parseDateTimeBestEffort({until})
              and SCOPE
        )
    )
    where isNotNull(cohort) and week >= cohort
    group by cohort, event, week
    order by cohort, event, week
    limit 50000
    """,
)

FAILURE_REASONS: Final = Query(
    "failure reasons",
    """
    select reason,
           count() as payments
    from (
        select distinct uuid, properties.reason as reason
        from events
        where event = 'payment.failed'
          and timestamp >= parseDateTimeBestEffort({since})
          and timestamp < parseDateTimeBestEffort({until})
          and SCOPE
    )
    group by reason
    order by payments desc, reason
    limit 50000
    """,
)
