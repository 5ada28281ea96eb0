"""Rehearse, live, paused: who may write, from which order on, and that the transport refuses whatever slips through."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from connectors.http import guarded
from connectors.roles import Ref
from core.errors import NotLive
from ledger.flows import FRESH, REHEARSED
from pipelines import golive, standing
from pipelines.rehearsal import Rehearsal
from tests.mixed import events, recording
from tests.orders import order
from tests.world import SkippingClock, World

FLOW = "shop-orders"
WRITES = {"create", "update", "revise", "delete", "convertlead"}
LATER = "2026-11-20T11:00:00"
START = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def test_a_new_flow_is_rehearsed_and_writes_nothing(make: Callable[..., World]) -> None:
    world = make(rehearsing=True)
    world.forget_calls()
    job = world.carry(order(1))
    assert (job.state, job.error_class, job.number) == ("waiting", REHEARSED, "1")
    assert "would be written" in job.reason
    assert "What to do" in job.reason
    assert world.writes() == 0
    assert world.counts() == (0, 0, 0, 0, 0)
    assert world.ledger.links.of_key("shop/order/1") == []


def test_what_would_be_written_is_kept_for_the_report(make: Callable[..., World]) -> None:
    world = make(rehearsing=True)
    world.carry(order(1))
    (item,) = world.ledger.runs.items(standing.run_of(world.ledger, FLOW).id)
    assert (item.verdict, item.amount, item.currency, item.facts["customer"]) == ("post", "36.18", "EUR", "new")
    operations = [text.partition(":")[0] for text in item.facts["writes"]]
    assert operations == ["create_account", "create_contact", "create_order"]


def test_going_live_carries_out_what_was_rehearsed(make: Callable[..., World]) -> None:
    world = make(rehearsing=True)
    world.carry(order(1))
    assert golive.go_live(world.ledger, FLOW, None, by="test") == 1
    world.drain()
    assert world.job("shop/order/1").state == "settled"
    assert world.counts("SalesOrder", "Accounts", "Contacts") == (1, 1, 1)


def test_a_newer_state_is_rehearsed_anew(make: Callable[..., World]) -> None:
    world = make(rehearsing=True)
    world.carry(order(1))
    world.carry(order(1, modified=LATER, lines=[("OF-100", 1, "10.00")]))
    (item,) = world.ledger.runs.items(standing.run_of(world.ledger, FLOW).id)
    assert item.amount == "17.73"


def test_a_paused_flow_runs_nothing_and_loses_nothing(world: World) -> None:
    golive.pause(world.ledger, FLOW, by="test")
    assert world.carry(order(1)).state == "waiting"
    assert world.counts("SalesOrder") == (0,)
    golive.resume(world.ledger, FLOW, by="test")
    world.drain()
    assert world.job("shop/order/1").state == "settled"


@pytest.mark.parametrize("way", ["rehearse", "paused"])
def test_the_transport_refuses_a_write_that_slips_through(world: World, way: str) -> None:
    """A connector that would write in spite of all: the guard stands in the transport, not in its manners."""
    world.carry(order(1))
    ref = Ref(world.order(1)["id"])
    world.deliver(order(2))
    claim = world.ledger.jobs.claim("test")
    assert claim is not None
    world.ledger.flows.set(FLOW, way)  # type: ignore[arg-type]
    world.forget_calls()
    with guarded(Rehearsal(world.context, claim)), pytest.raises(NotLive, match="not live"):
        world.crm.delete("order", ref.id)
    assert world.writes() == 0


def test_a_job_that_began_live_stops_before_its_next_write(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode is looked at before every write, not once a job."""
    looked = world.crm.find_order

    def and_then_somebody_pauses(external_id: str) -> object:
        golive.pause(world.ledger, FLOW, by="test")
        return looked(external_id)

    monkeypatch.setattr(world.crm, "find_order", and_then_somebody_pauses)
    job = world.carry(order(1))
    assert job.state == "waiting"
    assert world.counts("SalesOrder") == (0,)
    monkeypatch.undo()
    golive.resume(world.ledger, FLOW, by="test")
    world.clock.skip(600)  # type: ignore[union-attr]
    world.drain()
    assert world.counts("SalesOrder") == (1,)


# -- the start -----------------------------------------------------------------------------------------------------


def live_from(world: World, start: datetime | None) -> None:
    golive.go_live(world.ledger, FLOW, start, by="test")


def old(id: int, **over: object) -> dict[str, object]:
    return order(id, date_created_gmt="2026-11-19T08:00:00", date_created="2026-11-19T09:00:00", **over)  # type: ignore[arg-type]


def test_orders_from_before_the_start_are_never_created(make: Callable[..., World]) -> None:
    world = make(rehearsing=True)
    live_from(world, START)
    world.forget_calls()
    job = world.carry(old(1))
    assert (job.state, job.error_class) == ("skipped", "rule before start")
    assert "What to do" in job.reason
    job = world.carry(old(1, modified=LATER, status="completed"))
    assert (job.state, job.error_class) == ("skipped", "rule before start")
    assert world.writes() == 0
    made = order(2, date_created_gmt="2026-11-20T10:31:00", date_created="2026-11-20T11:31:00")
    assert world.carry(made).state == "settled"


def test_an_old_order_that_carries_our_id_is_linked_not_made_again(make: Callable[..., World]) -> None:
    """An earlier ledger carried it."""
    first = make(rehearsing=True)
    live_from(first, None)
    first.carry(old(1))
    with first.ledger.db.write() as connection:
        for table in ("link", "attempt", "job"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - our own names
    live_from(first, START)
    assert first.carry(old(1, modified=LATER, status="completed")).state == "settled"
    assert first.counts("SalesOrder") == (1,)


def test_a_start_only_moves_on(world: World) -> None:
    live_from(world, START)
    with pytest.raises(Exception, match="flow resume"):
        live_from(world, None)
    golive.take_off(world.ledger, FLOW, by="test")
    golive.resume(world.ledger, FLOW, by="test")
    assert world.ledger.flows.get(FLOW).start == START


def test_another_process_learns_of_a_pause_within_a_second(world: World, make: Callable[..., World]) -> None:
    other = make(clock=SkippingClock())
    assert other.ledger.flows.get(FLOW).live
    golive.pause(world.ledger, FLOW, by="test")
    deadline = time.monotonic() + FRESH + 60
    while other.ledger.flows.get(FLOW).live:
        assert time.monotonic() < deadline
        time.sleep(0.05)


# -- many events ---------------------------------------------------------------------------------------------------


def test_mixed_events_in_rehearsal_write_nothing(make: Callable[..., World], seed: int) -> None:
    """10,000 of them are rehearsed in tests/chaos."""
    world = make(rehearsing=True)
    world.forget_calls()
    with recording(world) as asked:
        for event in events(random.Random(seed), 150):
            world.deliver(event)
        world.drain()
    assert world.writes() == 0
    assert asked["query"]
    assert not asked.keys() & WRITES
    jobs = world.ledger.jobs.counts()
    assert jobs["waiting"] == sum(jobs.values()) > 0
