"""Our machine was off for two days: the shop went on selling and gave up on us. Everything is caught up, and people hear of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pipelines import webhooks
from sandbox.serve import running
from sandbox.store.woo import MOST_FAILURES, WooShop
from tests.orders import order, stranger
from tests.shops import shop as open_shop
from tests.world import ACCESS_KEY, HOOK_SECRET, SkippingClock, World, wait_for

TOPICS = ("order.created", "order.updated", "order.deleted")
HOURS = 48


def sold(shop: WooShop, id: int, at: datetime, topic: str = "order.created", **over: Any) -> list[int]:
    """An order is placed or changed in the shop, which tells whoever listens; the statuses it was answered."""
    moment = at.strftime("%Y-%m-%dT%H:%M:%S")
    placed = shop.orders.get(id, {}).get("date_created_gmt", moment)
    shop.put(order(id, billing=stranger(id), modified=moment, date_created_gmt=placed, **over))
    return shop.announce(topic, shop.orders[id])


def statuses(shop: WooShop) -> dict[str, str]:
    return {hook["topic"]: hook["status"] for hook in shop.webhooks}


def off(world: World, shop: WooShop, clock: SkippingClock) -> None:
    """Two days: thirty new orders, five of the known ones change, one is trashed, nobody answers the shop."""
    for number in range(30):
        clock.skip(HOURS * 3600 / 30)
        answered = sold(shop, 100 + number, clock.now())
        assert answered == ([0] if number < MOST_FAILURES else []), "tried once each, then never again"
    for id in range(1, 6):
        sold(shop, id, clock.now(), "order.updated", status="completed")
    sold(shop, 6, clock.now(), "order.deleted", status="trash")


def test_two_days_off(make: Callable[..., World]) -> None:
    clock = SkippingClock()
    with open_shop(writable=True) as (shop, url):
        before = make(clock=clock, shops={"shop": {"url": url}})
        with running(before.app(lambda: None)) as us:
            for topic in TOPICS:
                shop.subscribe({"topic": topic, "delivery_url": f"{us}/hooks/shop", "secret": HOOK_SECRET})
            for id in range(1, 11):
                assert sold(shop, id, clock.now() - timedelta(seconds=20 - id), status="processing") == [200]
            before.drain()
            assert before.counts("SalesOrder") == (10,)
        off(before, shop, clock)
        assert statuses(shop)["order.created"] == "disabled"

        after = make(clock=clock, shops={"shop": {"url": url}}, poll=300)
        with after.working():
            wait_for(lambda: len(after.ledger.jobs.list(limit=200)) == 40)
            after.settle()
            wait_for(lambda: bool(after.ledger.alerts.opened("webhooks/")))
        polls = [one for one in after.ledger.figures.schedules() if one.name == "poll/shop"]
        assert len(polls) == 1
        assert polls[0].next_at > clock.now(), "one cycle was enough: it is not due again"
        (alert,) = after.ledger.alerts.opened("webhooks/")
        assert "webhook order.created: The shop has set it to disabled" in alert.message
        assert "orderwire doctor --mend" in alert.message
        the_same_orders(after, shop)
        mended(after, shop)


def the_same_orders(world: World, shop: WooShop) -> None:
    """Nothing lost, nothing twice, nothing stale."""
    subjects = sorted(row["subject"] for row in world.records("SalesOrder"))
    assert subjects == sorted(f"Order {id}" for id in shop.orders)
    assert {world.order(id)["sostatus"] for id in range(1, 6)} == {"Delivered"}
    states = {job.key.rpartition("/")[2]: job.state for job in world.ledger.jobs.list(limit=200)}
    assert world.order(6)["sostatus"] == "Cancelled", "what the shop has deleted is called off"
    assert set(states.values()) == {"settled"}


def mended(world: World, shop: WooShop) -> None:
    """On request the webhook is switched on at our new address, the alert closes, and orders come by themselves again."""
    with running(world.app(lambda: None)) as us:
        for hook in shop.webhooks:
            hook["delivery_url"] = f"{us}/hooks/shop"
        found = webhooks.mend(world.context, "shop", webhooks.plan(world.context, "shop"))
        assert [(one.subject, one.level) for one in found] == [("webhook order.created", "ok")]
        assert webhooks.watch(world.context, "shop") == 0
        assert world.ledger.alerts.opened("webhooks/") == []
        assert sold(shop, 500, world.context.clock.now()) == [200]
    world.drain()
    assert world.order(500)


def test_the_alert_stays_while_the_shop_cannot_be_asked(make: Callable[..., World]) -> None:
    with open_shop() as (shop, url):
        world = make(clock=SkippingClock(), shops={"shop": {"url": url}})
        hook = shop.subscribe({"topic": "order.created", "delivery_url": f"{url}/hooks/shop"})
        hook["status"] = "disabled"
        assert webhooks.watch(world.context, "shop") == 1
        shop.consumer_secret = "changed"
        assert webhooks.watch(world.context, "shop") == 0
        assert len(world.ledger.alerts.opened("webhooks/")) == 1
        shop.consumer_secret, hook["status"] = ACCESS_KEY, "active"
        assert webhooks.watch(world.context, "shop") == 0
        assert world.ledger.alerts.opened("webhooks/") == []
