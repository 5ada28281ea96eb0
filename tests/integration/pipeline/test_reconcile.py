"""The nightly comparison of store, ledger and CRM: what is missing is taken in, every other difference is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from connectors.http import Call, guarded
from pipelines import reconcile
from pipelines.reconcile import Comparison
from sandbox.store.woo import WooShop
from tests.orders import order, person
from tests.shops import shop
from tests.world import SkippingClock, World

DAY = timedelta(days=1).total_seconds()


@pytest.fixture
def night(make: Callable[..., Any]) -> Iterator[tuple[World, WooShop, SkippingClock]]:
    """A shop whose first two orders were pushed and carried; a day has passed."""
    with shop() as (face, url):
        clock = SkippingClock()
        world = make(clock=clock, shops={"shop": {"url": url}})
        for number in (1, 2):
            world.deliver(placed(face, clock, number))
        world.drain()
        clock.skip(DAY)
        yield world, face, clock


def placed(face: WooShop, clock: SkippingClock, number: int) -> dict[str, Any]:
    """An order of five minutes from now on, in the shop."""
    clock.skip(300)
    at = clock.now().strftime("%Y-%m-%dT%H:%M:%S")
    made = order(number, billing=person("Night"), modified=at, date_created_gmt=at)
    face.put(made)
    return made


def compare(world: World) -> Comparison:
    now = world.context.clock.now()
    return reconcile.compare(world.context, world.context.flows["shop-orders"], now - timedelta(days=3), now)


def nightly(world: World) -> int:
    return reconcile.nightly(world.context, world.context.flows["shop-orders"])


def test_all_is_well(night: tuple[World, WooShop, SkippingClock]) -> None:
    world, _, _ = night
    assert compare(world) == Comparison(orders=2)
    assert nightly(world) == 0
    assert world.ledger.alerts.opened() == []


def test_an_order_that_nobody_told_us_of_is_taken_in(night: tuple[World, WooShop, SkippingClock]) -> None:
    world, face, clock = night
    placed(face, clock, 3)
    clock.skip(2 * 3600)
    assert nightly(world) == 1
    world.drain()
    assert len(world.records("SalesOrder")) == 3
    assert nightly(world) == 0


def test_orders_from_before_our_time_are_left_alone(night: tuple[World, WooShop, SkippingClock]) -> None:
    world, face, clock = night
    old = (clock.now() - timedelta(days=5)).strftime("%Y-%m-%dT%H:%M:%S")
    face.put(order(99, modified=old, date_created_gmt=old))
    assert nightly(world) == 0
    world.drain()
    assert len(world.records("SalesOrder")) == 2


def test_vanished_doubled_and_differing_are_named_and_closed_when_mended(
    night: tuple[World, WooShop, SkippingClock], make: Any
) -> None:
    world, _, clock = night
    service = make.app.service
    store = service.store
    first, second = sorted(store.by_module["SalesOrder"].values(), key=lambda row: row.id)
    first.values["hdnGrandTotal"] = "1.00"
    with store.lock:
        service.records.delete(second.id)
    assert nightly(world) == 2
    causes = {alert.cause: alert.message for alert in world.ledger.alerts.opened("compare/")}
    assert set(causes) == {"compare/shop-orders/vanished", "compare/shop-orders/differing"}
    assert "Orders 2 " in causes["compare/shop-orders/vanished"]
    assert "CRM 1.00" in causes["compare/shop-orders/differing"]
    clock.skip(60 * DAY)  # out of the window
    assert nightly(world) == 0
    assert world.ledger.alerts.opened("compare/") == []


def test_a_double_is_critical(night: tuple[World, WooShop, SkippingClock], make: Any) -> None:
    world, _, _ = night
    service = make.app.service
    with service.store.lock:
        one = min(service.store.by_module["SalesOrder"].values(), key=lambda row: row.id)
        twin = service.store.by_module["SalesOrder"]
        other = max(twin.values(), key=lambda row: row.id)
        other.values["cf_external_id"] = one.values["cf_external_id"]
    assert nightly(world) == 2  # one doubled, the other vanished
    severities = {alert.cause: alert.severity for alert in world.ledger.alerts.opened("compare/")}
    assert severities == {"compare/shop-orders/doubled": "critical", "compare/shop-orders/vanished": "warning"}


def test_an_order_that_a_person_typed_is_not_missed_where_our_id_would_be(
    night: tuple[World, WooShop, SkippingClock],
) -> None:
    """An adopted order need not carry our external id."""
    world, _, _ = night
    there = world.order(2)["id"]
    with world.ledger.db.write() as connection:
        connection.exec_driver_sql("UPDATE link SET origin = 'adopted' WHERE key = 'shop/order/2'")
    assert _without_our_id(world, there)
    assert compare(world) == Comparison(orders=2)


def _without_our_id(world: World, id: str) -> bool:
    """As if a person had typed it."""
    with guarded(Everybody()):
        world.crm._client.revise("SalesOrder", {"id": id, "cf_external_id": ""})
    return not world.order(2)["cf_external_id"]


class Everybody:
    """A guard that lets everything through."""

    def before_write(self, connection: str, timeout: float) -> None:
        pass

    def called(self, call: Call) -> None:
        pass
