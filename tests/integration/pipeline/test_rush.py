"""Rush orders: before everything else, from the moment they come in, and an alert where that was not enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.gauges import Gauges
from ledger.jobs import Outcome
from pipelines import conditions
from pipelines.engine import Engine
from tests import orders
from tests.integration.pipeline.conftest import Maker
from tests.world import SkippingClock, World, prepare

RUSH = {"_rush": "yes"}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'orderwire.sqlite'}"
    prepare(url)
    return url


def order(id: int, **more: Any) -> dict[str, Any]:
    return orders.order(id, billing=orders.stranger(id), **more)


def carried(world: World) -> list[str]:
    """The ids of what is claimed, one after the other."""
    found = []
    while (claim := world.ledger.jobs.claim("test")) is not None:
        found.append(f"{claim.key.id} {claim.queue}")
        assert world.runner.run(claim) == "settled"
    return found


def depths(world: World) -> dict[str, int]:
    return {queue.name: queue.depth for queue in Gauges(world.ledger.db).queues()}


def opened(world: World) -> list[str]:
    conditions.reconcile(world.context)
    return [alert.title for alert in world.ledger.alerts.opened("rush/")]


def test_a_rush_order_overtakes_what_waits(make: Maker) -> None:
    world = make(shops={"shop": {"rush_methods": ["express"]}})
    world.fill_index()
    express = order(3)
    express["shipping_lines"][0]["method_id"] = "express"
    for one in (order(1), order(2, meta=RUSH), express, order(4, meta={"_rush": "no"})):
        world.deliver(one)
    assert depths(world) == {"rush": 2, "live": 2, "sync": 0, "backfill": 0}
    assert carried(world) == ["2 rush", "3 rush", "1 live", "4 live"]
    state = world.ledger.orders.get("shop-orders", "shop/order/3")
    assert state is not None
    assert state.rush
    assert world.totals().keys() == {f"Order {n}" for n in (1, 2, 3, 4)}


def test_an_endless_row_of_rush_orders_keeps_nobody_waiting_for_ever(make: Maker) -> None:
    world = make()
    world.fill_index()
    for id in range(1, 11):
        world.deliver(order(id, meta=RUSH))
    for id in (11, 12):
        world.deliver(order(id))
    engine = Engine(world.context, threads=1)
    for _ in range(6):
        assert engine._run_one(first=False)
    done = [job.key.rpartition("/")[2] for job in reversed(world.ledger.jobs.list(state="settled"))]
    assert sorted(done, key=int) == ["1", "2", "3", "4", "5", "11"]
    assert engine.drain() == 6


def test_one_that_turns_into_a_rush_order_goes_first_from_then_on(make: Maker) -> None:
    world = make()
    world.fill_index()
    for id in (1, 2):
        world.deliver(order(id))
    world.deliver(order(2, meta=RUSH, modified="2026-11-20T11:00:00"))
    assert carried(world) == ["2 rush", "1 live"]
    world.deliver(order(1, modified="2026-11-20T12:00:00"))
    world.deliver(order(2, modified="2026-11-20T12:00:00"))  # it was one, and may still be waited for
    assert carried(world) == ["2 rush", "1 live"]


def test_an_old_rush_order_is_in_no_hurry(make: Maker) -> None:
    world = make()
    world.context.flows = {"shop-orders": world.context.flow("shop-orders").model_copy(update={"queue": "backfill"})}
    world.deliver(order(1, meta=RUSH))
    assert depths(world)["backfill"] == 1


def test_what_is_only_seen_when_it_is_read_hurries_from_then_on(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The delivery was taken in before anybody knew the key that says so."""
    world = make(clock=SkippingClock(), shops={"shop": {"metadata": {"rush": ["urgent"]}}})
    monkeypatch.setattr(world.stores["shop"], "_hurried", lambda _row: False)
    world.fill_index()
    world.faults(script=[{"fault": "error_500", "operation": "create", "module": "SalesOrder", "times": 1}])
    world.deliver(order(1, meta={"urgent": "1"}))
    world.drain()
    assert world.job("shop/order/1").queue == "rush"


def test_the_target_time_opens_one_alert_and_closes_it(make: Maker) -> None:
    world = make(clock=SkippingClock(), max_lines=2, rush_target=7200)
    many = [("OF-100", 1, "1.00"), ("OF-107", 1, "1.00"), ("OF-104", 1, "1.00")]
    world.deliver(order(1, meta=RUSH, lines=many))
    world.deliver(order(2, meta=RUSH))
    world.deliver(order(3, lines=many))
    world.drain()
    world.clock.skip(3600)  # type: ignore[union-attr]
    assert opened(world) == []
    world.clock.skip(3601)  # type: ignore[union-attr]
    assert opened(world) == ["1 rush order is not carried within 7200 s"]
    (alert,) = world.ledger.alerts.opened("rush/")
    assert "more than max_lines = 2" in alert.message
    assert "What to do: " in alert.message
    world.carry(order(1, meta=RUSH, modified="2026-11-20T11:00:00"))
    assert opened(world) == []


def test_what_was_carried_long_ago_is_not_late_because_it_is_looked_at_again(make: Maker) -> None:
    """Somebody changed it in the CRM, or pressed retry: it is wanted since then, not since it came."""
    world = make(clock=SkippingClock(), rush_target=60)
    world.carry(order(1, meta=RUSH))
    world.clock.skip(3 * 86_400)  # type: ignore[union-attr]
    world.ledger.jobs.retry(world.job("shop/order/1").id)
    assert opened(world) == []
    for _ in range(2):
        assert opened(world) == []
        claim = world.ledger.jobs.claim("test")
        assert claim is not None
        world.ledger.jobs.settle(claim, Outcome("retry", "Away. What to do: nothing."))
        world.clock.skip(31)  # type: ignore[union-attr]
    assert opened(world) == ["1 rush order is not carried within 60 s"]


@pytest.mark.parametrize("flow", [{"rush_target": 0}, {"rehearsing": True}])
def test_nobody_is_told_where_nobody_waits(make: Maker, flow: dict[str, Any]) -> None:
    world = make(clock=SkippingClock(), max_lines=1, **flow)
    world.deliver(order(1, meta=RUSH))
    world.drain()
    world.clock.skip(3600)  # type: ignore[union-attr]
    assert opened(world) == []
