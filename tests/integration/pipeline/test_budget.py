"""One budget of calls for all orders: a backfill leaves the live flow its share, and nobody exceeds it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from connectors.http import Timeouts, guarded
from connectors.roles import Request
from core.errors import LeaseLost, RetryLater
from core.jsontext import dumps
from ledger import tables as t
from ledger.budget import remaining
from pipelines.gauges import LedgerMetrics
from pipelines.run import Run
from tests.integration.ledger.kit import column, counting
from tests.orders import order
from tests.world import SkippingClock, World, signed_headers, wait_for

SLOW = {"rate": 0.1, "burst": 60}
"""No call comes back while a test runs."""
LEFT = "orderwire_connector_rate_limit_remaining"


def gauges(world: World) -> str:
    return LedgerMetrics(world.context).text().decode()


def backfill(world: World, *numbers: int) -> None:
    for number in numbers:
        body = dumps(order(number)).encode()
        headers = signed_headers(body, "order.updated")
        changes = world.stores["shop"].receive(Request("POST", headers, body, world.context.clock.now()))
        world.ledger.inbox.accept(changes, world.context.backfill_routes, via="backfill", fetchable=False)


def left(world: World) -> float:
    calls = remaining(world.ledger.budgets, world.context.connections["crm"])
    assert calls is not None
    return calls


def test_a_backfill_leaves_the_live_flow_its_budget(make: Callable[..., World]) -> None:
    world = make(clock=SkippingClock(), crm=SLOW)
    world.fill_index()
    backfill(world, *range(1, 21))
    world.drain(fill=False)
    jobs = world.ledger.jobs.list()
    assert {job.state for job in jobs} == {"settled", "waiting"}
    for job in jobs:
        if job.state == "waiting":
            assert job.error_class == "rate limit"
            assert job.failures == 0
            assert "used up" in job.reason
    assert 27 <= left(world) < 31  # what is written in a lane goes on: live orders may wait behind it
    assert world.ledger.states.get("crm") is None or not world.ledger.states.all()[0].faults

    world.deliver(order(1001))
    world.drain(fill=False)
    assert world.job("shop/order/1001").state == "settled"
    assert left(world) < 30
    assert {job.state for job in world.ledger.jobs.list()} == {"settled", "waiting"}

    for _ in range(20):
        assert world.clock is not None
        world.clock.skip(700)  # type: ignore[attr-defined]
        world.drain(fill=False)
        if not world.ledger.jobs.counts()["waiting"]:
            break
    assert world.ledger.jobs.counts()["settled"] == 21
    assert world.counts("SalesOrder") == (21,)


def test_live_orders_over_the_budget_wait_and_burn_no_attempt(make: Callable[..., World]) -> None:
    world = make(clock=SkippingClock(), crm={"rate": 0.1, "burst": 20})
    world.fill_index()
    for number in range(1, 6):
        world.deliver(order(number))
    world.drain(fill=False)
    assert left(world) < 1
    waiting = world.ledger.jobs.list(state="waiting")
    assert waiting
    assert {(job.error_class, job.failures) for job in waiting} == {("rate limit", 0)}
    for _ in range(20):
        assert world.clock is not None
        world.clock.skip(200)  # type: ignore[attr-defined]
        world.drain(fill=False)
        if not world.ledger.jobs.counts()["waiting"]:
            break
    assert world.ledger.jobs.counts()["settled"] == 5
    assert world.counts("SalesOrder", "Accounts") == (5, 1)


def test_the_crm_sees_no_more_than_the_rate(make: Callable[..., World]) -> None:
    """Two processes, real time: live orders overtake a backfill, and all calls together keep to the budget."""
    crm = {"rate": 40, "burst": 20}
    first = make(crm=crm)
    second = make(crm=crm, upgrade=False)
    first.fill_index()
    backfill(first, *range(1, 16))
    wait_for(lambda: left(first) > 19)
    first.forget_calls()
    began = first.context.clock.now()
    with first.working(2), second.working(2):
        threading.Event().wait(0.5)
        for number in range(1001, 1004):
            first.deliver(order(number))
        wait_for(lambda: all(first.job(f"shop/order/{number}").state == "settled" for number in range(1001, 1004)))
        behind = first.ledger.jobs.counts()["waiting"]
        seconds = (first.context.clock.now() - began).total_seconds()
        calls = sum(first.calls()["operations"].values())
        first.settle(within=40)
    assert behind > 0
    assert calls <= 20 + 40 * (seconds + 0.25)
    total = (first.context.clock.now() - began).total_seconds()
    assert sum(first.calls()["operations"].values()) <= 20 + 40 * (total + 0.25)
    assert first.counts("SalesOrder") == (18,)


def test_without_a_rate_not_one_statement(make: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    world = make(clock=SkippingClock())
    asked = counting(monkeypatch, world.ledger.budgets, "take")
    world.carry(order(1))
    assert world.job("shop/order/1").state == "settled"
    assert asked == []
    assert not any(state for state in world.ledger.db.rows(t.connection_state.select()) if state.budget_at)
    assert f"{LEFT}{{" not in gauges(world)


def test_the_gauge_tells_what_the_ledger_knows(make: Callable[..., World]) -> None:
    world = make(clock=SkippingClock(), crm=SLOW)
    assert f'{LEFT}{{connection="crm"}} 60.0' in gauges(world)
    world.carry(order(1))
    assert column(world.ledger, t.connection_state.c.budget_at)
    (line,) = [line for line in gauges(world).splitlines() if line.startswith(f"{LEFT}{{")]
    name, _, calls = line.partition(" ")
    assert name == f'{LEFT}{{connection="crm"}}'
    assert 0 < float(calls) < 59


@pytest.mark.parametrize(("rate", "enough"), [(100, True), (None, False)])
def test_a_lane_has_time_for_the_wait_and_the_write(
    make: Callable[..., World], rate: float | None, *, enough: bool
) -> None:
    times = {"connect_timeout": 1.0, "read_timeout": 4.0}
    world = make(crm={"rate": rate, **times}, lease=12.0, hold=20.0)
    backfill(world, 1)
    claim = world.ledger.jobs.claim("w")
    assert claim is not None
    run = Run(world.context, claim)
    assert run.hold == (25.0 if enough else 20.0)
    with run.lane("order"):
        threading.Event().wait(0.7)
        if enough:
            run.before_write("crm", Timeouts(1.0, 4.0).longest)
        else:
            with pytest.raises(LeaseLost):
                run.before_write("crm", Timeouts(1.0, 4.0).longest)


def test_what_holds_a_lane_is_urgent(make: Callable[..., World]) -> None:
    """Live orders wait behind a backfill's write: it must not wait for what they leave."""
    world = make(clock=SkippingClock(), crm={"rate": 0.1, "burst": 20})
    world.crm.capabilities()
    backfill(world, 1)
    claim = world.ledger.jobs.claim("w")
    assert claim is not None
    run = Run(world.context, claim)
    with guarded(run):
        while left(world) >= 11:
            world.crm.find_lead("a@b.example")
        with pytest.raises(RetryLater):
            world.crm.find_lead("a@b.example")
        with run.lane("order"):
            world.crm.find_lead("a@b.example")
    assert left(world) < 10
