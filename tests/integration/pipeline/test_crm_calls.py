"""How often the CRM is asked: two calls for a returning customer, seven for a new one with `convertlead`, ten without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.orders import order, person
from tests.world import World

ASIDE = ("getchallenge", "login", "describe", "listtypes")


def counted(world: World) -> tuple[int, dict[str, Any]]:
    """Calls since the last count, without login and what is asked once."""
    told = world.calls()
    return sum(number for name, number in told["operations"].items() if name not in ASIDE), told["operations"]


@pytest.mark.parametrize(("php", "most_new"), [(7, 7), (8, 10)])
def test_calls_for_new_and_returning_customers(make: Callable[..., World], php: int, most_new: int) -> None:
    world = make(php=php)
    world.carry(order(1, billing=person("First")))  # login, descriptions and products are known after it
    world.forget_calls()
    world.deliver(order(2, billing=person("Second")))
    assert world.drain(fill=False) == 1
    new, told = counted(world)
    assert new <= most_new, told
    assert world.writes() == 3
    world.forget_calls()
    world.deliver(order(3, billing=person("Second")), shop="shop2")
    assert world.drain(fill=False) == 1
    known, told = counted(world)
    assert known <= 2, told
    assert world.writes() == 1
    assert world.counts() == (2, 2, 3, 0, 0)


def test_an_invoice_is_one_call_more(make: Callable[..., World]) -> None:
    world = make(invoices="on_order")
    world.carry(order(1))
    world.forget_calls()
    world.deliver(order(2))
    world.drain(fill=False)
    number, told = counted(world)
    assert number <= 3, told
    assert world.writes() == 2


def test_products_are_asked_for_once(make: Callable[..., World]) -> None:
    world = make()
    world.carry(order(1))
    world.forget_calls()
    lines = [("OF-110", 1, "2.85"), ("OF-111", 1, "1.95"), ("OF-112", 3, "8.40")]
    world.deliver(order(2, lines))
    world.deliver(order(3, lines))
    world.drain(fill=False)
    last = world.http.get("/sandbox/calls", params={"last": 50}).json()["last"]
    queries = [call for call in last if "FROM Products" in call["params"].get("query", "")]
    assert len(queries) == 1, queries
