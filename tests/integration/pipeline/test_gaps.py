"""Gaps in order numbers: the store is asked first, then people are told, and what a person explained is remembered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors import orderform
from connectors.roles import Request
from core.clock import Clock
from core.secrets import SecretRef
from core.settings import FlowSettings
from pipelines import conditions, gaps
from pipelines.context import Context
from sandbox.store.deliver import signed
from sandbox.store.woo import WooShop
from tests.orders import order, person
from tests.shops import shop
from tests.world import FORM_SECRET, SkippingClock, World

DAY = timedelta(days=1).total_seconds()
RULES = {"gaps/": gaps.conditions}


@pytest.fixture
def numbered(make: Callable[..., Any]) -> Iterator[tuple[World, WooShop]]:
    """A shop with a plugin that numbers its orders; ten came (ids 500, 510, ...), of them 1003 and 1006 to 1008 never."""
    with shop() as (face, url):
        world = make(clock=SkippingClock(), shops={"shop": {"url": url}})
        for number in (1001, 1002, 1004, 1005, 1009, 1010, 1011, 1012, 1013, 1014):
            world.deliver(placed(world, number))
        world.clock.skip(DAY)
        yield world, face


def placed(world: World, number: int, /, **over: Any) -> dict[str, Any]:
    """An order of a minute from now on, whose number is not its id."""
    clock = world.clock
    assert isinstance(clock, SkippingClock)
    clock.skip(60)
    at = clock.now().strftime("%Y-%m-%dT%H:%M:%S")
    known = {"number": f"WEB-{number}", "billing": person("Gap"), "modified": at, "date_created_gmt": at}
    return order(number * 10, **{**known, **over})


def look(world: World) -> list[str]:
    count = gaps.look(world.context, "shop")
    found = gaps.missing(world.ledger, "shop")
    assert count == len(found)
    conditions.reconcile(world.context, RULES)
    return found


def messages(world: World) -> list[str]:
    return [alert.message for alert in world.ledger.alerts.opened("gaps/")]


def test_missing_numbers_are_one_alert_in_ranges(numbered: tuple[World, WooShop]) -> None:
    world, face = numbered
    face.calls.clear()
    assert look(world) == ["WEB-1003", "WEB-1006", "WEB-1007", "WEB-1008"]
    assert face.calls, "the shop was asked before anything was said"
    (message,) = messages(world)
    assert "WEB-1003, WEB-1006..WEB-1008" in message
    assert "the store was asked" in message
    assert "What to do" in message


def test_what_the_shop_has_is_taken_in_and_not_said(numbered: tuple[World, WooShop]) -> None:
    world, face = numbered
    face.put(placed(world, 1003))
    face.put(placed(world, 1007, status="trash"))
    assert look(world) == ["WEB-1006", "WEB-1008"]
    world.drain()
    assert world.order("WEB-1003")
    assert world.job("shop/order/10070").state == "skipped"


def test_it_closes_by_itself_when_the_order_turns_up(numbered: tuple[World, WooShop]) -> None:
    world, _ = numbered
    look(world)
    for number in (1003, 1006, 1007):
        world.deliver(placed(world, number))
    conditions.reconcile(world.context, RULES)
    (message,) = messages(world)
    assert "WEB-1008)" in message
    world.deliver(placed(world, 1008))
    conditions.reconcile(world.context, RULES)
    assert messages(world) == []


def test_what_a_person_explained_is_remembered(numbered: tuple[World, WooShop]) -> None:
    world, _ = numbered
    look(world)
    clock = world.context.clock
    left = gaps.explain(world.ledger, "shop", ["WEB-1006", "WEB-1007", "WEB-1008"], "test orders", clock)
    assert left == ["WEB-1003"]
    assert look(world) == ["WEB-1003"]
    assert gaps.explain(world.ledger, "shop", ["WEB-1003"], "deleted by the owner", clock) == []
    assert messages(world) == [], "closed at once"
    assert look(world) == []
    assert gaps.explained(world.ledger, "shop")["WEB-1007"] == "test orders"


def test_it_does_not_close_by_growing_old(numbered: tuple[World, WooShop]) -> None:
    world, _ = numbered
    look(world)
    assert isinstance(world.clock, SkippingClock)
    world.clock.skip(60 * DAY)
    assert look(world) == ["WEB-1003", "WEB-1006", "WEB-1007", "WEB-1008"]
    assert len(messages(world)) == 1


def test_old_orders_that_change_are_no_bounds(numbered: tuple[World, WooShop]) -> None:
    """Order 900 is from before our time and was refunded today: 901 to 1000 were never ours."""
    world, _ = numbered
    world.deliver(placed(world, 900, date_created_gmt="2026-01-01T10:00:00"))
    assert isinstance(world.clock, SkippingClock)
    world.clock.skip(DAY)
    assert look(world)[0] == "WEB-1003"


def test_the_youngest_are_no_bounds_either(numbered: tuple[World, WooShop]) -> None:
    """What was placed in between may still be on its way."""
    world, _ = numbered
    world.deliver(placed(world, 1017))
    assert look(world)[-1] == "WEB-1008"
    assert isinstance(world.clock, SkippingClock)
    world.clock.skip(7200)
    assert look(world)[-2:] == ["WEB-1015", "WEB-1016"]


def test_ids_of_woocommerce_have_gaps_by_nature(make: Callable[..., Any]) -> None:
    """Unless somebody says that they have none."""
    with shop() as (face, url):
        world = make(clock=SkippingClock(), shops={"shop": {"url": url}})
        for number in (1, 2, 3, 5, 6, 7):
            world.deliver(placed(world, number, number=str(number * 10)))
        world.clock.skip(DAY)
        face.calls.clear()
        assert look(world) == []
        assert face.calls == []
        told = make(clock=world.clock, shops={"shop": {"url": url, "numbers": "sequential"}})
        assert gaps.look(told.context, "shop") == 61 - 6
        again = make(clock=world.clock, shops={"shop": {"url": url, "numbers": "free"}})
        assert gaps.look(again.context, "shop") == 0, "and back"


def test_a_shop_that_cannot_be_reached_says_nothing(numbered: tuple[World, WooShop]) -> None:
    world, face = numbered
    face.consumer_secret = "changed"
    with pytest.raises(Exception, match="refused our login"):
        gaps.look(world.context, "shop")
    assert gaps.missing(world.ledger, "shop") == []


def test_an_order_form_cannot_be_asked(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else would ever notice an order that such a shop failed to send."""
    monkeypatch.setenv("OW_TEST_GAPS", FORM_SECRET)
    world = make(clock=SkippingClock(), shops={})
    settings = orderform.SETTINGS(name="form", webhook_secrets=(SecretRef("env:OW_TEST_GAPS"),))
    form = orderform.build(settings)
    flows = {"form": FlowSettings(name="form", source="form", target="crm")}
    context: Context = replace(world.context, stores={"form": form}, flows=flows)
    for number in (1, 2, 3, 4, 6, 7):
        world.clock.skip(60)
        document = json.loads(orderform.store.SCHEMA.with_name("example.json").read_text(encoding="utf-8"))
        now = world.clock.now()
        stamps = {"created_at": now.isoformat(), "updated_at": now.isoformat()}
        document["order"] |= {"id": f"id-{number}", "number": f"OF-{number:04}", **stamps}
        headers, body = signed(document, FORM_SECRET, at=Clock().now())
        changes = form.receive(Request("POST", headers, body, Clock().now()))
        world.ledger.inbox.accept(changes, context.routes, fetchable=False)
    world.clock.skip(DAY)
    assert gaps.look(context, "form") == 1
    (condition,) = gaps.conditions(context)
    assert "OF-0005" in condition.message
    assert "cannot be asked" in condition.message
