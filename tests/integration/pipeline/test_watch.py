"""The delivery watch: who is told of promises that are at risk or broken, once, and what ends it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.roles import Request
from core.jsontext import dumps
from core.promisesettings import PromiseSettings
from ledger.messages import MessageView
from ledger.watches import Watched
from pipelines import watch
from tests import orders
from tests.integration.pipeline.conftest import Maker
from tests.repworld import CRM, NAME, DatedClock, RepWorld
from tests.world import World, prepare, signed_headers

FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)
KEY = "shop/order/1"
TELL = "dispatch@firm.example"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One engine: what is SQL here is tested with the ledger."""
    url = f"sqlite:///{tmp_path / 'orderwire.sqlite'}"
    prepare(url)
    return url


def settings(**over: Any) -> PromiseSettings:
    return PromiseSettings.model_validate({"via": "mail", "tell": [TELL], **over})


@pytest.fixture
def world(make: Maker) -> World:
    """Friday, noon; what is promised for Monday must have left today."""
    return make(clock=DatedClock(FRIDAY), promise=settings())


def until(world: World, day: date, at: time = time(12)) -> None:
    """Let time pass, and look."""
    moment = datetime.combine(day, at, UTC)
    world.clock.skip((moment - world.context.clock.now()).total_seconds())  # type: ignore[union-attr]
    watch.look(world.context)
    world.drain()


def placed(meta: dict[str, Any] | None = None, *, version: int = 0, id: int = 1, **over: Any) -> dict[str, Any]:
    known = {"promised_on": MONDAY.isoformat(), **(meta or {})}
    return orders.order(id, meta=known, modified=f"2026-11-20T10:00:{version:02}", **over)


def stands(world: World, key: str = KEY) -> Watched:
    (flow,) = {one.name for one in world.context.flows.values() if one.source == "shop"}
    found = world.ledger.watches.get(flow, key)
    assert found is not None
    return found


def mails(world: World) -> list[MessageView]:
    return sorted(world.ledger.messages.about(KEY), key=lambda one: one.created_at)


def notes(world: World) -> list[dict[str, Any]]:
    return world.records("ModComments")


def test_at_risk_then_late_is_told_and_noted_and_delivery_ends_it(world: World) -> None:
    world.carry(placed())
    assert (stands(world).level, stands(world).source) == ("on_time", "store")
    until(world, FRIDAY, time(23, 0))
    assert (stands(world).level, mails(world), notes(world)) == ("on_time", [], [])

    until(world, date(2026, 11, 21), time())
    assert stands(world).level == stands(world).told == "at_risk"
    (mail,) = mails(world)
    assert (mail.to, mail.via, mail.flow) == (TELL, "mail", "shop-orders")
    assert mail.subject == "Order 1 may not arrive in time: promised for 2026-11-23"
    assert "2 x Article OF-100" in mail.text
    assert "It has not left yet." in mail.text
    assert "What to do: " in mail.text
    (note,) = notes(world)
    assert note["related_to"] == world.records("Accounts")[0]["id"]
    assert note["assigned_user_id"] == "20x2"  # sales, whose the order is
    assert note["commentcontent"].startswith("Order 1 may not arrive in time: promised for 2026-11-23 [")

    until(world, MONDAY, time(23, 0))
    assert len(mails(world)) == 1
    until(world, date(2026, 11, 24), time())
    assert stands(world).level == stands(world).told == "late"
    assert [one.subject for one in mails(world)][1:] == ["Order 1 is late: promised for 2026-11-23"]
    assert len(notes(world)) == 1

    world.carry(placed(version=1, status="completed"))
    assert (stands(world).level, world.ledger.watches.unkept()) == ("kept", [])
    until(world, date(2026, 12, 24))
    assert (len(mails(world)), len(notes(world))) == (2, 1)


def test_whatever_is_looked_at_again_is_told_once(world: World) -> None:
    world.carry(placed())
    until(world, MONDAY)
    for _ in range(3):
        watch.look(world.context)
        world.carry(placed())
        world.ledger.jobs.retry(world.job("shop/promise/1").id)
        world.drain()
    assert (len(mails(world)), len(notes(world))) == (1, 1)


def test_another_promise_begins_anew(world: World) -> None:
    world.carry(placed())
    until(world, MONDAY)
    world.carry(placed({"promised_on": "2026-11-30"}, version=1))
    assert (stands(world).level, stands(world).told, stands(world).task) == ("on_time", "", "")
    until(world, date(2026, 11, 30))
    assert [mail.subject[-10:] for mail in mails(world)] == ["2026-11-23", "2026-11-30"]
    assert len(notes(world)) == 2

    world.carry(placed({"promised_on": ""}, version=2))
    assert world.ledger.watches.get("shop-orders", KEY) is None


@pytest.mark.parametrize(
    ("proof", "over", "meta", "level"),
    [
        ("shipped", {"status": "completed"}, {}, "kept"),
        ("delivered", {"status": "completed"}, {}, "late"),
        ("delivered", {"status": "completed"}, {"delivered_at": "2026-11-23"}, "kept"),
        ("shipped", {"status": "cancelled"}, {}, "off"),
        ("shipped", {"status": "failed"}, {}, "off"),
    ],
)
def test_what_keeps_a_promise(make: Maker, proof: str, over: Any, meta: Any, level: str) -> None:
    words = {"completed": "Approved"}  # the CRM does not say that it was delivered
    world = make(clock=DatedClock(FRIDAY), promise=settings(proof=proof), statuses=words)
    world.carry(placed())
    world.carry(placed(meta, version=1, **over))
    until(world, date(2026, 11, 24))
    assert stands(world).level == level
    assert bool(notes(world)) == (level == "late")


@pytest.mark.parametrize(
    ("word", "level"), [("Delivered", "kept"), ("Packed", "kept"), ("Cancelled", "off"), ("Approved", "at_risk")]
)
def test_the_word_of_the_crm_counts(make: Maker, word: str, level: str) -> None:
    world = make(clock=DatedClock(FRIDAY), promise=settings(), shipped=("Packed",))
    world.carry(placed())
    world.ledger.orders.crm_says("shop-orders", KEY, word, seen_at=world.context.clock.now())
    until(world, MONDAY)
    assert stands(world).level == level


def test_what_cannot_be_read_says_nothing(world: World) -> None:
    world.carry(placed())
    assert world.carry(placed(version=1, status="completed", total="0.01")).state == "held"
    until(world, MONDAY)
    assert (stands(world).level, len(notes(world))) == ("at_risk", 1)


def test_an_order_that_left_while_its_job_was_held_is_not_told_of(make: Maker) -> None:
    world = make(clock=DatedClock(FRIDAY), promise=settings(), max_lines=2)
    world.carry(placed())
    more = [("OF-100", 2, "10.00"), ("OF-107", 1, "5.50"), ("OF-104", 1, "1.00")]
    gone = orders.order(1, more, meta={"promised_on": MONDAY.isoformat()}, modified="2026-11-20T11:00:00")
    assert world.carry({**gone, "status": "completed"}).state == "held"
    until(world, MONDAY)
    assert (stands(world).level, mails(world), notes(world)) == ("kept", [], [])


def test_an_order_that_the_store_deleted_is_not_told_of(world: World) -> None:
    world.carry(placed())
    world.deliver(placed(version=1, status="trash"), topic="order.deleted")
    world.drain()
    until(world, MONDAY)
    assert (stands(world).level, mails(world), notes(world)) == ("off", [], [])


def test_without_a_section_it_is_seen_and_nobody_is_told(make: Maker) -> None:
    world = make(clock=DatedClock(FRIDAY))
    world.carry(placed())
    until(world, MONDAY)
    (found,) = world.ledger.watches.unkept()
    assert (found.number, found.owner, found.watched.level, found.watched.told) == ("1", "sales", "at_risk", "")
    assert (world.ledger.jobs.list(search="shop/promise/1"), mails(world), notes(world)) == ([], [], [])


def test_rules_promise_where_the_store_does_not(make: Maker) -> None:
    rule = {"methods": ["flat_rate"], "days": 1}
    world = make(clock=DatedClock(FRIDAY), promise=settings(rule=[rule], task=False))
    world.carry(orders.order(1))
    world.carry(orders.order(2, shipping="0"))
    assert (stands(world).promised_on, stands(world).source) == (MONDAY, "rule")
    assert world.ledger.watches.get("shop-orders", "shop/order/2") is None
    until(world, MONDAY)
    assert "by the rules of the flow shop-orders" in mails(world)[0].text
    assert notes(world) == []


def test_a_backfill_tells_nobody_of_what_was_so_before(world: World) -> None:
    world.clock.skip(timedelta(days=30).total_seconds())  # type: ignore[union-attr]
    changes = world.stores["shop"].receive(_delivery(world, placed()))
    world.ledger.inbox.accept(changes, world.context.backfill_routes, via="backfill")
    world.drain()
    assert (stands(world).level, stands(world).told) == ("late", "late")
    assert (mails(world), notes(world)) == ([], [])
    assert len(world.ledger.watches.unkept()) == 1


def _delivery(world: World, order: dict[str, Any]) -> Request:
    body = dumps(order).encode()
    return Request("POST", signed_headers(body, "order.updated"), body, world.context.clock.now())


def test_a_rehearsed_flow_writes_nothing(world: World) -> None:
    world.carry(placed())
    world.ledger.flows.set("shop-orders", "rehearse")
    world.clock.skip(2)  # type: ignore[union-attr]
    until(world, MONDAY)
    assert world.job("shop/promise/1").error_class == "rehearsal"
    assert (mails(world), notes(world)) == ([], [])
    world.ledger.flows.set("shop-orders", "live")
    world.ledger.flows.wake_rehearsed("shop-orders")
    world.drain()
    assert (len(mails(world)), len(notes(world))) == (1, 1)


def test_an_unanswered_note_is_not_written_twice(world: World, make: Maker) -> None:
    world.carry(placed())
    script = {"fault": "lost_answer", "operation": "create", "module": "ModComments", "skip": 0, "times": 1}
    world.faults(script=[script])
    until(world, MONDAY)
    assert world.job("shop/promise/1").state == "waiting"
    world.finish(landed=make.landed)
    assert world.job("shop/promise/1").state == "settled"
    assert (len(mails(world)), len(notes(world))) == (1, 1)


def test_the_rep_is_told_by_the_address_of_the_directory(make: Maker) -> None:
    mine = RepWorld(
        make,
        clock=DatedClock(FRIDAY),
        shops={"shop": {}},
        orders={"owner": "us", "promise": settings()},
    )
    world = mine.world
    mine.erp.rep("R7", "Anna Rossi", email="anna@firm.example")
    mine.turn()
    world.carry(placed({"placed_by": "R7"}))
    until(world, MONDAY)
    (mail,) = mails(world)
    assert (mail.to, mail.name) == ("anna@firm.example", "Anna Rossi")
    assert [NAME[note["assigned_user_id"]] for note in notes(world)] == ["R7"]


def test_whoever_was_given_the_order_over_there_is_told(make: Maker) -> None:
    world = make(clock=DatedClock(FRIDAY), crm=CRM, owner="us", promise=settings())
    world.carry(placed())
    assert make.app is not None
    service, given = make.app.service, {"id": world.order(1)["id"], "assigned_user_id": "19x8"}
    with service.store.lock:
        service.records.revise(service.people.users["admin"], given)
    until(world, MONDAY)
    assert [NAME[note["assigned_user_id"]] for note in notes(world)] == ["R9"]
