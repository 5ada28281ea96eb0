"""Fifty first orders of one new customer at once, through two shops and two processes: one account, one contact."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal

import pytest

from tests.orders import ADA, order
from tests.world import World

SPELLINGS = (
    ADA,
    {**ADA, "email": "ADA@Office.Example"},
    {**ADA, "company": "EXAMPLE OFFICE G.m.b.H.", "phone": "030 901820"},
)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("php", [7, 8])
def test_one_customer_however_many_ask(make: Callable[..., World], php: int) -> None:
    """Two worlds over one database are two processes; each takes deliveries of both shops while four threads work.

    The CRM is slow, and says nothing about the first thing it is asked to create until long after: whoever looks before
    the hold is over finds nobody, and would make a second one.
    """
    first = make(php=php, unique_account_names=False, hold=6.0)
    second = make(hold=6.0)
    first.faults(
        latency_ms=5,
        jitter_ms=10,
        late_after_s=0.7,
        script=[{"fault": "late_commit", "operation": "create", "module": "Leads" if php == 7 else "Accounts"}],
    )
    orders = [
        ("shop" if n % 2 else "shop2", order(n, billing=SPELLINGS[n % 3], status="completed")) for n in range(1, 51)
    ]

    def push(world: World, mine: list[tuple[str, dict[str, object]]]) -> None:
        for shop, made in mine:
            world.deliver(made, shop=shop)

    with ExitStack() as stack:
        engines = [stack.enter_context(world.working(threads=4)) for world in (first, second)]
        threads = [
            threading.Thread(target=push, args=(world, orders[start::4]))
            for start, world in enumerate((first, second, first, second))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for engine in engines:
            engine.nudge()
        first.settle(within=90)
    assert first.struck() == {"late_commit": 1}
    assert first.ledger.jobs.counts()["settled"] == 50
    assert first.counts() == (1, 1, 50, 0, 0)
    assert first.totals() == {f"Order {made['id']}": Decimal(made["total"]) for _, made in orders}
    (account,), (contact,) = first.records("Accounts"), first.records("Contacts")
    assert {(row["account_id"], row["contact_id"]) for row in first.records("SalesOrder")} == {
        (account["id"], contact["id"])
    }


def test_several_new_customers_at_once(make: Callable[..., World]) -> None:
    """Twenty customers, four orders each, all at once: nobody is mixed up with anybody."""
    world = make(php=7)
    people = [
        {**ADA, "first_name": f"P{n}", "company": "", "email": f"p{n}@many.example", "phone": ""} for n in range(10)
    ]
    with world.working(threads=6):
        for n in range(40):
            world.deliver(order(n + 1, billing=people[n % 10]), shop=("shop", "shop2")[n % 2])
        world.settle(within=60)
    assert world.counts() == (10, 10, 40, 0, 0)
    names = {row["id"]: row["accountname"] for row in world.records("Accounts")}
    mails = {row["id"]: row["email"] for row in world.records("Contacts")}
    for row in world.records("SalesOrder"):
        buyer = people[(int(row["subject"].removeprefix("Order ")) - 1) % 10]
        assert names[row["account_id"]] == f"{buyer['first_name']} {buyer['last_name']}"
        assert mails[row["contact_id"]] == buyer["email"]
