"""What a backfill created is taken back as far as nobody has touched it; the rest is listed, with who and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.roles import Stamp
from core.errors import ConfigurationProblem, NotLive, RetryLater
from core.settings import StockSettings
from ledger import tables as t
from ledger.amendments import Asked
from ledger.amendmenttables import disagreement
from ledger.runs import Item, RunView
from pipelines import backfill, golive, reconcile, undo
from pipelines.backfill import Wanted
from sandbox.store.woo import WooShop
from tests.integration.pipeline.test_backfill import DAY, FIRST, FLOW, NOW, START, Killed, kill_after, put, wire
from tests.orders import person
from tests.shops import shop
from tests.world import SkippingClock, World

WANTED = Wanted(FIRST, START, create=True, invoices=True)
SOMEBODY = "19x6"


@pytest.fixture
def done(make: Any) -> Iterator[tuple[World, WooShop, RunView]]:
    """Four old orders of four strangers were created, with invoices; and order 5 came live, of the stranger of order 1."""
    with shop() as (face, url):
        for id in range(1, 5):
            put(face, id, FIRST + (id - 1) * DAY)
        world = make(
            shops={"shop": {"url": url, "per_page": 3}}, rehearsing=True, clock=SkippingClock(), invoices="on_order"
        )
        world.app_store = make.app.service.store
        golive.go_live(world.ledger, FLOW, START, by="test")
        run = backfill.backfill(world.context, world.context.flows[FLOW], WANTED)
        world.drain()
        assert world.counts() == (4, 4, 4, 0, 4)
        yield world, face, run


def take_back(world: World, run: RunView, **options: Any) -> list[Item]:
    found, flow = undo.of_run(world.context, run.id)
    return undo.undo(world.context, found, flow, pause=lambda _seconds: None, **options)[1]


def kept(items: list[Item]) -> list[str]:
    return sorted(item.key.split("/")[1] for item in items if item.verdict == "kept")


def touch(world: World, module: str, name: str, value: str, by: str = SOMEBODY) -> None:
    """Somebody changes a record over there, an hour later."""
    store = world.app_store  # type: ignore[attr-defined]
    (row,) = [row for row in store.by_module[module].values() if row.values.get(name) == value and not row.deleted]
    later = datetime.strptime(row.values["modifiedtime"], "%Y-%m-%d %H:%M:%S") + timedelta(hours=1)  # noqa: DTZ007
    with store.lock:
        store.change(row, {"modifiedtime": f"{later:%Y-%m-%d %H:%M:%S}", "modifiedby": by})


def test_everything_is_taken_back_and_stays_away(done: tuple[World, WooShop, RunView]) -> None:
    world, face, run = done
    items = take_back(world, run)
    assert {item.verdict for item in items} == {"taken back"}
    assert len(items) == 16
    assert world.counts() == (0, 0, 0, 0, 0)
    job = world.job("shop/order/1")
    assert (job.state, job.error_class) == ("skipped", "rule undone")
    assert world.ledger.links.of_key("shop/order/1") == []
    assert world.ledger.parties.size("crm") == 0
    (own,) = world.ledger.runs.list(kind="undo")
    assert (own.state, own.summary) == ("done", "16 taken back")
    # the nightly comparison wakes nobody and misses nobody
    found = reconcile.compare(world.context, world.context.flows[FLOW], FIRST, NOW)
    assert (found.missed, found.vanished, found.doubled) == ([], [], [])
    assert world.drain() == 0
    # a change in the store wakes the job, which ends at the same rule
    job = world.carry(put(face, 1, FIRST, modified=wire(NOW), status="completed"))
    assert (job.state, job.error_class) == ("skipped", "rule undone")
    assert world.counts("SalesOrder") == (0,)
    assert world.ledger.jobs.retry(job.id)
    world.drain()
    assert world.counts("SalesOrder") == (0,), "not by hand either"
    # until somebody asks for it again
    backfill.backfill(world.context, world.context.flows[FLOW], WANTED)
    world.drain()
    assert world.counts() == (4, 4, 4, 0, 4)


def test_orders_from_after_the_start_are_not_made_again_either(done: tuple[World, WooShop, RunView]) -> None:
    world, face, _ = done
    put(face, 7, START + DAY)
    wanted = Wanted(START, NOW)
    run = backfill.backfill(world.context, world.context.flows[FLOW], wanted)
    world.drain()
    assert world.counts("SalesOrder") == (5,)
    take_back(world, run)
    assert world.ledger.jobs.retry(world.job("shop/order/7").id)
    world.drain()
    assert world.job("shop/order/7").error_class == "rule undone"
    job = world.carry(put(face, 7, START + DAY, modified=wire(NOW), status="completed"))
    assert (job.state, job.error_class) == ("skipped", "rule undone")
    backfill.backfill(world.context, world.context.flows[FLOW], wanted)
    world.drain()
    assert world.counts("SalesOrder") == (4,)


@pytest.mark.parametrize(
    ("module", "name", "value", "stays"),
    [
        ("SalesOrder", "subject", "Order 2", ["account", "contact", "invoice", "order"]),
        ("Invoice", "subject", "Invoice for order 2", ["account", "contact", "invoice", "order"]),
        ("Accounts", "accountname", "Old2 Tester", ["account", "contact"]),
        ("Contacts", "firstname", "Old2", ["account", "contact"]),
    ],
)
@pytest.mark.parametrize("by", [SOMEBODY, "ourselves"])
def test_what_somebody_has_touched_stays_with_what_belongs_to_it(
    done: tuple[World, WooShop, RunView], module: str, name: str, value: str, stays: list[str], by: str
) -> None:
    """Known by the user, or, where a person works as our user, by the time."""
    world, _, run = done
    ours = world.records("SalesOrder")[0]["modifiedby"]
    touch(world, module, name, value, ours if by == "ourselves" else by)
    items = take_back(world, run)
    assert kept(items) == stays
    (why,) = {item.reason for item in items if item.verdict == "kept" and "modified" in item.facts} or {""}
    assert "was modified there by" in why
    assert world.counts()[0] == 1
    assert len(items) == 16
    if "order" in stays:
        assert world.job("shop/order/2").state == "settled"
        assert world.ledger.links.get("crm", "order", "shop/order/2") is not None


def test_what_people_decided_to_keep_stays(done: tuple[World, WooShop, RunView]) -> None:
    """Our own later change of the rest makes it none of ours."""
    world, _, run = done
    link = world.ledger.links.get("crm", "order", "shop/order/2")
    assert link is not None
    world.ledger.amendments.ask(link, [Asked("lines", "a", "b", ())])
    world.ledger.db.execute(sa.update(disagreement).values(choice="theirs", decided_by="ada", decided_at=1))
    items = take_back(world, run)
    assert [item.facts["order"] for item in items if item.verdict == "kept" and "ada decided" in item.reason][:1] == [
        "shop/order/2"
    ]
    assert world.counts("SalesOrder", "Invoice") == (1, 1)


def test_a_customer_who_has_ordered_meanwhile_stays(done: tuple[World, WooShop, RunView]) -> None:
    world, face, run = done
    live = put(face, 5, START + DAY, billing=person("Old1"))
    assert world.carry(live).state == "settled"
    items = take_back(world, run)
    assert kept(items) == ["account", "contact"]
    assert all("Other orders there refer to it" in item.reason for item in items if item.verdict == "kept")
    assert [row["subject"] for row in world.records("SalesOrder")] == ["Order 5"]
    assert world.counts("Accounts", "Contacts") == (1, 1)
    # his next order finds him
    assert world.carry(put(face, 6, START + DAY, billing=person("Old1"))).state == "settled"
    assert world.counts("Accounts", "Contacts") == (1, 1)


def test_an_account_with_another_contact_stays(done: tuple[World, WooShop, RunView]) -> None:
    """Adding a contact leaves the account's own time as it is."""
    world, _, run = done
    (account,) = [row["id"] for row in world.records("Accounts") if row["accountname"] == "Old2 Tester"]
    world.seed(contacts=[{"lastname": "Colleague", "account_id": account}])
    items = take_back(world, run)
    assert kept(items) == ["account", "contact"]
    assert {"Another contact belongs to it" in item.reason for item in items if item.verdict == "kept"} == {True}
    assert world.counts("Accounts", "Contacts", "SalesOrder") == (1, 2, 0)


def test_a_customer_who_was_there_before_is_left_alone(make: Any) -> None:
    """The run added a contact to an account that it had found: only the contact goes."""
    with shop() as (face, url):
        put(face, 1, FIRST, billing={**person("Old1"), "company": "Known GmbH"})
        world = make(shops={"shop": {"url": url}}, rehearsing=True, clock=SkippingClock(), match=("company", "email"))
        world.seed(accounts=[{"accountname": "Known GmbH"}])
        golive.go_live(world.ledger, FLOW, START, by="test")
        run = backfill.backfill(world.context, world.context.flows[FLOW], WANTED)
        world.drain()
        before = world.counts("Accounts", "Contacts", "SalesOrder")
        take_back(world, run)
        assert (before[2], world.counts("Accounts", "Contacts", "SalesOrder")) == (1, (before[0], 0, 0))
        assert "Known GmbH" in {row["accountname"] for row in world.records("Accounts")}


def test_our_own_later_change_is_no_touch(done: tuple[World, WooShop, RunView]) -> None:
    world, face, run = done
    world.clock.skip(3600)  # type: ignore[union-attr]
    assert world.carry(put(face, 3, FIRST + 2 * DAY, modified=wire(NOW), status="completed")).state == "settled"
    assert kept(take_back(world, run)) == []


def test_a_dry_run_deletes_and_notes_nothing(done: tuple[World, WooShop, RunView]) -> None:
    world, _, run = done
    touch(world, "SalesOrder", "subject", "Order 2")
    world.forget_calls()
    items = take_back(world, run, dry_run=True)
    assert (len(items), kept(items)) == (16, ["account", "contact", "invoice", "order"])
    assert world.writes() == 0
    assert world.ledger.runs.list(kind="undo") == []
    assert kept(take_back(world, run)) == kept(items)


def test_what_has_not_begun_is_skipped(make: Callable[..., Any]) -> None:
    with shop() as (face, url):
        put(face, 1, FIRST)
        world = make(shops={"shop": {"url": url}}, rehearsing=True, clock=SkippingClock())
        golive.go_live(world.ledger, FLOW, START, by="test")
        run = backfill.backfill(world.context, world.context.flows[FLOW], WANTED)
        assert take_back(world, run) == []
        assert world.job("shop/order/1").error_class == "rule undone"
        assert world.drain() == 0


def test_an_order_whose_answer_was_lost_is_taken_back_too(make: Callable[..., Any]) -> None:
    with shop() as (face, url):
        put(face, 1, FIRST)
        world = make(shops={"shop": {"url": url}}, rehearsing=True, clock=SkippingClock())
        golive.go_live(world.ledger, FLOW, START, by="test")
        run = backfill.backfill(world.context, world.context.flows[FLOW], WANTED)
        world.faults(script=[{"fault": "lost_answer", "operation": "create", "module": "SalesOrder"}])
        world.drain()
        assert world.job("shop/order/1").state == "waiting"
        with pytest.raises(RetryLater, match="still being carried out"):
            take_back(world, run)
        world.finish()
        assert world.counts("SalesOrder") == (1,)
        take_back(world, run)
        assert world.counts("SalesOrder", "Accounts", "Contacts") == (0, 0, 0)


# -- interrupted -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lost_answer", "empty_500_after", "empty_500", "error_500"])
def test_a_deletion_whose_answer_was_lost_is_looked_at_again(done: tuple[World, WooShop, RunView], fault: str) -> None:
    world, _, run = done
    world.faults(script=[{"fault": fault, "operation": "delete", "times": 2}])
    world.forget_calls()
    take_back(world, run)
    assert world.struck()[fault] == 2
    done_anyway = fault in {"lost_answer", "empty_500_after"}
    assert world.calls()["operations"]["delete"] == (16 if done_anyway else 18)
    assert world.counts() == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("calls", range(1, 17, 3))
def test_killed_after_any_deletion_it_goes_on(
    done: tuple[World, WooShop, RunView], monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    world, _, run = done
    with monkeypatch.context() as patch:
        kill_after(patch, world.crm, "delete", calls)
        with pytest.raises(Killed):
            take_back(world, run)
    assert sum(world.counts()) == 16 - calls
    items = take_back(world, run)
    assert (kept(items), world.counts()) == ([], (0, 0, 0, 0, 0))
    assert len(world.ledger.runs.list(kind="undo")) == 1
    assert {job.error_class for job in world.ledger.jobs.list()} == {"rule undone"}


def test_the_crm_goes_away_in_between(done: tuple[World, WooShop, RunView], monkeypatch: pytest.MonkeyPatch) -> None:
    world, _, run = done
    whole, left = world.crm.delete, [3]

    def away(kind: Any, record_id: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise RetryLater("The CRM is away. What to do: wait.", seconds=1, scope="connection", connection="crm")
        whole(kind, record_id)

    with monkeypatch.context() as patch:
        patch.setattr(world.crm, "delete", away)
        with pytest.raises(RetryLater):
            take_back(world, run)
    (own,) = world.ledger.runs.list(kind="undo")
    assert (own.state, own.summary) == ("stopped", "The CRM is away. What to do: wait.")
    take_back(world, run)
    assert world.counts() == (0, 0, 0, 0, 0)
    assert [one.state for one in world.ledger.runs.list(kind="undo")] == ["done"]


# -- refused -----------------------------------------------------------------------------------------------------------


def test_only_backfills_of_live_flows(done: tuple[World, WooShop, RunView]) -> None:
    world, _, run = done
    other = world.ledger.runs.begin("adopt", FLOW, {})
    for number in (other.id, 999):
        with pytest.raises(ConfigurationProblem, match="runs list"):
            undo.of_run(world.context, number)
    found, flow = undo.of_run(world.context, run.id)
    golive.pause(world.ledger, FLOW, by="test")
    with pytest.raises(ConfigurationProblem, match="not live"):
        undo.of_run(world.context, run.id)
    world.forget_calls()
    with pytest.raises(NotLive):  # somebody paused it after we had looked
        undo.undo(world.context, found, flow)
    assert world.writes() == 0


@pytest.mark.parametrize(
    ("later", "ours", "seconds", "expected"),
    [
        (0, True, 0.0, False),
        (2, True, 0.4, False),
        (3, True, 0.4, True),
        (30, True, 31.0, False),
        (0, False, 99.0, True),
        (30, None, 31.0, False),
        (34, None, 31.0, True),
    ],
)
def test_touched(later: int, ours: bool | None, seconds: float, expected: bool) -> None:
    born = datetime(2020, 1, 1, tzinfo=UTC)  # by a clock that is years behind
    assert undo.touched(Stamp(born, born + timedelta(seconds=later), "19x1", ours), seconds) is expected


# -- goods that were taken off by status -----------------------------------------------------------------------------------


def on_hand(world: World) -> tuple[int, int]:
    found = {row["productcode"]: int(float(row["qtyinstock"])) for row in world.records("Products")}
    return found["OF-100"], found["OF-107"]


def shelf() -> StockSettings:
    """The CRM keeps the stock, and goods leave it by the order's status."""
    return StockSettings(name="lager", source="crm", write_off="status", write_off_from=FIRST.date() - DAY)


@pytest.fixture
def gone(make: Any) -> Iterator[tuple[World, WooShop, RunView]]:
    """Two old orders were created, and their goods (two and one of each order) left with the store's word."""
    with shop() as (face, url):
        for id in (1, 2):
            put(face, id, FIRST + (id - 1) * DAY, status="completed")
        world = make(shops={"shop": {"url": url}}, rehearsing=True, clock=SkippingClock())
        world.app_store = make.app.service.store
        world.context.stocks = {"lager": shelf()}
        golive.go_live(world.ledger, FLOW, START, by="test")
        assert on_hand(world) == (1200, 400)
        run = backfill.backfill(world.context, world.context.flows[FLOW], Wanted(FIRST, START, create=True))
        world.drain()
        assert on_hand(world) == (1196, 398)
        yield world, face, run


def off(world: World, order: int) -> list[str]:
    return sorted(f"{row.taken.normalize():f}" for row in world.ledger.goods.of_order(FLOW, f"shop/order/{order}"))


def test_goods_come_back_once_with_the_order_that_is_taken_back(gone: tuple[World, WooShop, RunView]) -> None:
    world, face, run = gone
    take_back(world, run, dry_run=True)
    assert on_hand(world) == (1196, 398)
    for _ in range(2):
        take_back(world, run)
        assert (on_hand(world), off(world, 1), off(world, 2)) == ((1200, 400), ["0", "0"], ["0", "0"])
        assert world.ledger.orders.get(FLOW, "shop/order/1") is None, "nobody waits for it"
        assert world.ledger.stock_orders.waiting(["OF-100"]) == {}
    world.carry(put(face, 1, FIRST, modified=wire(NOW), status="completed", customer_note="delivered again"))
    assert on_hand(world) == (1200, 400), "what is taken back stays away"
    backfill.backfill(world.context, world.context.flows[FLOW], Wanted(FIRST, START, create=True))
    world.drain()
    assert on_hand(world) == (1196, 398), "they leave again with the order, once"
    world.carry(put(face, 1, FIRST, modified=wire(NOW + DAY), status="completed", customer_note="and again"))
    assert on_hand(world) == (1196, 398)


def test_goods_of_an_order_that_stays_are_left_where_they_are(gone: tuple[World, WooShop, RunView]) -> None:
    world, _, run = gone
    touch(world, "SalesOrder", "subject", "Order 2")
    items = take_back(world, run)
    assert "order" in kept(items)
    assert (on_hand(world), off(world, 1), off(world, 2)) == ((1198, 399), ["0", "0"], ["1", "2"])


def test_goods_that_nobody_writes_off_any_more_are_not_ours_to_move(gone: tuple[World, WooShop, RunView]) -> None:
    world, _, run = gone
    world.context.stocks = {"lager": shelf().model_copy(update={"write_off": "never"})}
    take_back(world, run)
    assert world.counts("SalesOrder") == (0,)
    assert on_hand(world) == (1196, 398)


@pytest.mark.parametrize("after", [1, 4])
def test_killed_after_any_movement_of_goods_it_goes_on(
    gone: tuple[World, WooShop, RunView], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    world, _, run = gone
    kill_after(monkeypatch, world.crm, "set_stock", after)
    with pytest.raises(Killed):
        take_back(world, run)
    monkeypatch.undo()
    assert isinstance(world.clock, SkippingClock)
    world.clock.skip(300)
    items = take_back(world, run)
    assert {item.verdict for item in items} <= {"taken back", "gone"}
    assert (on_hand(world), world.counts("SalesOrder")) == ((1200, 400), (0,))


def test_a_movement_whose_answer_was_lost_is_read_back(gone: tuple[World, WooShop, RunView]) -> None:
    world, _, run = gone
    world.faults(script=[{"fault": "lost_answer", "operation": "revise", "module": "Products"}])
    with pytest.raises(RetryLater):
        take_back(world, run)
    assert isinstance(world.clock, SkippingClock)
    world.clock.skip(300)
    take_back(world, run)
    assert (on_hand(world), world.counts("SalesOrder")) == ((1200, 400), (0,))


def test_goods_wait_where_another_process_has_the_lane_meanwhile(
    gone: tuple[World, WooShop, RunView], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order with many articles takes longer than a turn: then somebody else may be moving the same stock."""
    world, _, run = gone
    deleted, lane = world.crm.delete, "crm/write"

    def slow(*given: Any) -> None:
        deleted(*given)
        with world.ledger.db.write() as connection:
            others = sa.update(t.lane).where(t.lane.c.name == lane).values(holder="another process")
            assert connection.execute(others).rowcount == 1

    monkeypatch.setattr(world.crm, "delete", slow)
    with pytest.raises(RetryLater):
        take_back(world, run)
    assert on_hand(world) == (1196, 398)
    monkeypatch.undo()
    with world.ledger.db.write() as connection:
        connection.execute(sa.update(t.lane).values(holder="", lease_until=0))
    take_back(world, run)
    assert (on_hand(world), world.counts("SalesOrder")) == ((1200, 400), (0,))
