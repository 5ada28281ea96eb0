"""A CRM that is down from Saturday to Monday, in five ways one after the other: nothing held, nothing doubled, one alert,
one all-clear.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pipelines import conditions
from pipelines.schedules import of
from tests.orders import order, person
from tests.world import SkippingClock, World

HOUR = 3600.0
STEP = 1800.0
OUTAGES: list[dict[str, Any]] = [
    {"connection_closed": 1.0},
    {"maintenance": 1.0},
    {"empty_500": 1.0, "read_error": 1.0},
    {"login_refused": 1.0, "session_lost": 1.0},
    {"empty_query": 1.0},
]
CALM = {name: 0.0 for dial in OUTAGES for name in dial}


def patient(world: World, clock: SkippingClock) -> World:
    """The transport's short retries wait on the clock that a test moves."""
    world.crm._http._sleep = clock.skip
    return world


def pass_time(world: World, clock: SkippingClock, hours: float) -> None:
    """Workers look at what is due every half hour."""
    for _ in range(int(hours * HOUR / STEP)):
        clock.skip(STEP)
        world.drain(fill=False)
        conditions.reconcile(world.context)


@pytest.mark.timeout(180)
def test_sixty_hours(make: Callable[..., World]) -> None:
    clock = SkippingClock()
    world = patient(make(clock=clock), clock)
    for number in (1, 2, 3):
        world.deliver(order(number, billing=person("Before")))
    world.drain()
    expected = 3
    for outage in OUTAGES:
        world.faults(**{**CALM, **outage})
        for place in range(2):
            expected += 1
            who = "Before" if place else f"New{expected}"
            world.deliver(order(expected, billing=person(who)))
        # A known order changes while nobody can be told.
        world.deliver(
            order(
                1,
                (("OF-100", expected, "10.00"),),
                billing=person("Before"),
                modified=f"2026-11-21T{expected:02}:00:00",
            )
        )
        pass_time(world, clock, 12)
    assert world.ledger.jobs.counts()["held"] == 0
    (alert,) = world.ledger.alerts.opened("connection/")
    assert alert.severity == "critical"
    world.faults(**CALM)
    pass_time(world, clock, 2)
    assert world.ledger.jobs.counts() == {"settled": expected, "waiting": 0, "running": 0, "held": 0, "skipped": 0}
    assert len(world.records("SalesOrder")) == expected
    assert len(world.records("Accounts")) == len(world.records("Contacts")) == 1 + len(OUTAGES)
    newest = Decimal(order(1, (("OF-100", expected, "10.00"),))["total"])
    assert world.totals()["Order 1"] == newest
    assert world.ledger.alerts.opened() == []
    alerts = [alert for alert in world.ledger.alerts.recent() if alert.cause == "connection/crm"]
    assert len(alerts) == 1
    assert f"{expected - 2} orders" in alerts[0].closing
    assert "EUR" in alerts[0].closing


def test_no_attempt_is_burnt_while_nobody_answers(make: Callable[..., World]) -> None:
    clock = SkippingClock()
    world = patient(make(clock=clock), clock)
    world.fill_index()
    world.faults(connection_closed=1.0)
    world.deliver(order(1))
    pass_time(world, clock, 2)
    (job,) = world.ledger.jobs.list()
    assert (job.state, job.failures) == ("waiting", 0)


def test_everything_scheduled_has_a_name_of_its_own(make: Callable[..., World]) -> None:
    names = [scheduled.name for scheduled in of(make().context)]
    assert len(names) == len(set(names))
    assert {"parties/crm", "conditions"} <= set(names)
