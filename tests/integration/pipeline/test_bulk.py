"""Bulk actions beside each other, beside outages, and while somebody else looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ledger import Ledger
from ledger.runs import Item, RunView
from ledger.search import Member
from pipelines import bulk, golive
from pipelines.desk import Desk
from tests.orders import order
from tests.world import SkippingClock, World


def members(world: World) -> list[Member]:
    return [
        Member(job.id, job.number, job.amount, job.currency) for job in reversed(world.ledger.jobs.list(state="held"))
    ]


def hold(world: World, *ids: int) -> list[Member]:
    """Orders in a currency that the flow does not take."""
    for id in ids:
        assert world.carry(order(id, currency="CHF")).state == "held"
    return members(world)


def retry(world: World, some: Sequence[Member]) -> RunView:
    return Desk(world.ledger, world.ledger.audit).retry_all("some", some, actor="Olga")


def now(world: World, run: RunView) -> RunView:
    found = world.ledger.runs.get(run.id)
    assert found is not None
    return found


def test_however_many_are_going_the_oldest_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    held = hold(world, 1)
    monkeypatch.setattr(bulk, "AHEAD", 0)  # nobody gets anywhere
    runs = [retry(world, held) for _ in range(25)]
    assert {now(world, run).state for run in runs} == {"running"}
    monkeypatch.setattr(bulk, "AHEAD", 200)
    bulk.go_on(world.ledger)
    assert {now(world, run).state for run in runs} == {"done"}


def out(world: World) -> None:
    world.ledger.states.block("crm", 600, error_class="timeout", reason="It does not answer. What to do: wait.")


def resting(world: World) -> None:
    world.ledger.states.pause("crm", 600)


def paused(world: World) -> None:
    golive.pause(world.ledger, "shop-orders", by="test")


@pytest.mark.parametrize("how", [out, resting, paused])
def test_what_cannot_be_carried_out_holds_up_nobody(
    world: World, how: Callable[[World], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = hold(world, 1)
    for id in (2, 3):
        world.deliver(order(id))
    monkeypatch.setattr(bulk, "AHEAD", 2)
    run = retry(world, held)
    assert now(world, run).state == "running", "two are due already"
    how(world)
    assert bulk.go_on(world.ledger) == 1
    assert now(world, run).summary == "1 jobs retried."


def test_nobody_ends_it_before_its_jobs_are_put_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    held = hold(world, 1, 2)
    real = world.ledger.runs.put

    def put(run_id: int, items: Sequence[Item]) -> None:
        bulk.go_on(world.ledger)  # another process
        real(run_id, items)
        bulk.go_on(world.ledger)

    monkeypatch.setattr(world.ledger.runs, "put", put)
    run = retry(world, held)
    assert (run.state, run.summary) == ("done", "2 jobs retried.")


@pytest.mark.parametrize("state", ["queued", "running"])
def test_two_at_it_at_the_same_moment_count_each_job_once(
    world: World, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: list[int] = []

    def change(ledger: Ledger, run: RunView, job_id: int) -> bool:
        if not changed:
            changed.append(0)
            bulk.go_on(ledger)  # another process
        fresh = job_id not in changed
        changed.append(job_id)
        return fresh

    monkeypatch.setitem(bulk._CHANGES, "retry", change)
    run = bulk.begin(world.ledger, "some", hold(world, 1, 2, 3), by="Olga")
    if state == "running":
        assert world.ledger.runs.take(run.id)
        bulk.go_on(world.ledger)
    else:
        bulk.start(world.ledger, run.id)
    assert (now(world, run).summary, bulk.done(now(world, run))) == ("3 jobs retried.", 3)


def test_what_nobody_will_begin_any_more_can_be_stopped_and_ends(world: World) -> None:
    """Its process died right after it had put down the jobs, or before."""
    held = hold(world, 1)
    stopped, left = (bulk.begin(world.ledger, "some", held, by="Olga") for _ in range(2))
    Desk(world.ledger, world.ledger.audit).stop_bulk(stopped.id, actor="Olga")
    assert bulk.start(world.ledger, stopped.id) == 0
    assert isinstance(world.clock, SkippingClock)
    world.clock.skip(bulk.BEGINS_WITHIN.total_seconds() + 1)
    assert bulk.go_on(world.ledger) == 0
    assert [now(world, run).state for run in (stopped, left)] == ["stopped", "stopped"]
    assert "begin it again" in now(world, left).summary
    assert world.job("shop/order/1").state == "held"
