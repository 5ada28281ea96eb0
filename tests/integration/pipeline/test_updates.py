"""Later versions of an order update the one that is there; older ones and equal ones do nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ledger.inbox import Verdict
from tests.orders import ADA, order
from tests.world import World

LATER = "2026-11-20T11:00:00"
LATEST = "2026-11-20T12:00:00"


def test_status_lines_and_address_follow(world: World) -> None:
    world.carry(order(1))
    first = world.order(1)
    assert (first["sostatus"], first["bill_city"], len(first["LineItems"])) == ("Approved", "Berlin", 2)
    newer = order(
        1,
        [("OF-100", 5, "10.00"), ("OF-101", 1, "33.00"), ("OF-105", 1, "1.00")],
        modified=LATER,
        status="completed",
        billing={**ADA, "city": "Hamburg", "postcode": "20095"},
    )
    assert world.carry(newer).state == "settled"
    assert world.counts() == (1, 1, 1, 0, 0)
    changed = world.order(1)
    assert changed["id"] == first["id"]
    assert (changed["sostatus"], changed["bill_city"], len(changed["LineItems"])) == ("Delivered", "Hamburg", 3)
    assert Decimal(changed["hdnGrandTotal"]) == Decimal(newer["total"]) != Decimal(order(1)["total"])


def test_the_orders_address_never_overwrites_the_customers(world: World) -> None:
    world.carry(order(1))
    elsewhere = {**ADA, "address_1": "Other street 9", "city": "Hamburg", "phone": "+49 40 123456"}
    world.carry(order(2, billing=elsewhere))
    (account,), (contact,) = world.records("Accounts"), world.records("Contacts")
    assert (account["bill_city"], account["phone"]) == ("Berlin", ADA["phone"])
    assert contact["mailingcity"] == "Berlin"
    assert world.order(2)["bill_city"] == "Hamburg"


def test_a_stale_version_changes_nothing(world: World) -> None:
    world.carry(order(1, modified=LATEST, status="completed"))
    world.forget_calls()
    (told,) = world.deliver(order(1, [("OF-100", 99, "10.00")], modified=LATER, status="pending"))
    assert (told.verdict, told.jobs) == (Verdict.STALE, ())
    assert world.drain(fill=False) == 0
    assert world.calls()["total"] == 0
    assert world.order(1)["sostatus"] == "Delivered"


def test_nothing_is_written_when_nothing_changed(world: World) -> None:
    """A new stamp with the same content (somebody pressed Save), and the same delivery again."""
    made = order(1)
    world.carry(made)
    world.forget_calls()
    (again,) = world.deliver(made)
    assert (again.verdict, again.jobs) == (Verdict.DUPLICATE, ())
    world.deliver(made, topic="order.created")
    world.deliver({**made, "date_modified_gmt": LATER})
    assert world.drain(fill=False) == 1
    assert world.job("shop/order/1").state == "settled"
    assert world.calls()["total"] == 0, "not even a look"


def test_a_reassignment_in_the_crm_stays(world: World) -> None:
    """The owner is set when the order is created; whom a person gave it to afterwards keeps it."""
    world.carry(order(1, meta={"placed_by": "rep7"}))
    assert world.order(1)["assigned_user_id"] == "19x5"
    id = world.order(1)["id"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.crm._http, "write", world.crm._http.read)  # an administrator, not a job
        world.crm._client.revise("SalesOrder", {"id": id, "assigned_user_id": "19x6"})
    assert world.order(1)["assigned_user_id"] == "19x6"
    assert world.carry(order(1, modified=LATER, status="completed", meta={"placed_by": "rep7"})).state == "settled"
    assert (world.order(1)["sostatus"], world.order(1)["assigned_user_id"]) == ("Delivered", "19x6")


def versions(id: int, seed: int) -> list[dict[str, Any]]:
    """Five versions of an order; the last one is the newest."""
    dice = random.Random(seed * 1000 + id)
    words = ("pending", "on-hold", "processing", "completed", "cancelled")
    return [
        order(
            id, [("OF-100", dice.randint(1, 9), "10.00")], modified=f"2026-11-20T1{n}:00:00", status=dice.choice(words)
        )
        for n in range(5)
    ]


STATUS = {
    "pending": "Created",
    "on-hold": "Created",
    "processing": "Approved",
    "completed": "Delivered",
    "cancelled": "Cancelled",
}


def test_any_order_of_arrival_ends_in_the_newest(make: Callable[..., World], seed: int) -> None:
    """Fifteen orders in five versions, each delivered one to three times, shuffled, with work going on in between."""
    world = make(cancel={"shipped": "cancel"})
    dice = random.Random(seed)
    newest = {id: versions(id, seed)[-1] for id in range(1, 16)}
    deliveries = [version for id in newest for version in versions(id, seed) for _ in range(dice.randint(1, 3))]
    dice.shuffle(deliveries)
    for n, made in enumerate(deliveries):
        world.deliver(made)
        if n % 12 == 0:
            world.drain(fill=n == 0)
    world.drain(fill=False)
    assert world.totals() == {f"Order {id}": Decimal(made["total"]) for id, made in newest.items()}
    for id, made in newest.items():
        assert world.order(id)["sostatus"] == STATUS[made["status"]]
    assert world.counts() == (1, 1, 15, 0, 0)


def test_equal_stamps_of_shops_that_cannot_be_asked_end_alike(world: World) -> None:
    """Two states of one second, in both orders of arrival (one in each shop): the same one is kept."""
    one, two = order(1, status="pending"), order(1, status="completed")
    for made, shop in ((one, "shop"), (two, "shop"), (two, "shop2"), (one, "shop2")):
        world.deliver(made, shop=shop)
        world.drain()
    first, second = world.records("SalesOrder")
    assert first["sostatus"] == second["sostatus"]
    assert {job.state for job in world.ledger.jobs.list()} == {"settled"}


def test_an_order_that_the_store_deleted_is_cancelled_when_it_was_carried(world: World) -> None:
    world.carry(order(1))
    job = world.carry(order(1, modified=LATER, status="trash"))
    assert (job.state, world.order(1)["sostatus"]) == ("settled", "Cancelled")
    world.forget_calls()
    job = world.carry(order(2, modified=LATER, status="trash"))
    assert (job.state, job.error_class) == ("skipped", "rule deleted")
    assert world.writes() == 0
    assert world.counts() == (1, 1, 1, 0, 0)


def test_a_change_while_its_job_runs_is_carried_afterwards(world: World) -> None:
    """The newer version arrives between the claim and the write: the job is due again when it ends."""
    world.fill_index()
    world.deliver(order(1, status="pending"))
    claim = world.ledger.jobs.claim("test")
    assert claim is not None
    real = world.crm.create_order

    def create(*args: Any) -> Any:
        world.deliver(order(1, modified=LATER, status="completed"))
        return real(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.crm, "create_order", create)
        assert world.runner.run(claim) == "waiting"
    assert world.order(1)["sostatus"] == "Created"
    assert world.drain(fill=False) == 1
    assert world.order(1)["sostatus"] == "Delivered"
    assert world.job("shop/order/1").state == "settled"
