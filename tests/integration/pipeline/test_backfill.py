"""Old orders on request: resumed wherever it was killed, throttled, silent; and the start, whichever way an order comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.errors import ConfigurationProblem
from ledger.runjobs import RunJobs
from ledger.runs import RunView
from pipelines import backfill, conditions, golive, polling, reconcile
from pipelines.backfill import Wanted
from sandbox.store.woo import WooShop
from tests.orders import order, person
from tests.shops import shop
from tests.world import SkippingClock, World

FLOW = "shop-orders"
DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)
FIRST = NOW - 20 * DAY
START = FIRST + 6 * DAY
"""Of twelve orders, one a day from FIRST on, the first six are older."""


class Killed(BaseException):
    """The process ends here: nothing may catch it."""


def wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def put(face: WooShop, id: int, placed: datetime, **over: Any) -> dict[str, Any]:
    made = order(id, **{"modified": wire(placed), "billing": person(f"Old{id}"), **over}, date_created_gmt=wire(placed))
    face.put(made)
    return made


@pytest.fixture
def old(make: Callable[..., World]) -> Iterator[tuple[World, WooShop]]:
    """Twelve orders, and a flow that has been live since the seventh."""
    with shop() as (face, url):
        for id in range(1, 13):
            put(face, id, FIRST + (id - 1) * DAY)
        world = make(
            shops={"shop": {"url": url, "per_page": 3}}, rehearsing=True, clock=SkippingClock(), invoices="on_order"
        )
        golive.go_live(world.ledger, FLOW, START, by="test")
        yield world, face


def run(world: World, wanted: Wanted, **options: Any) -> RunView:
    return backfill.backfill(world.context, world.context.flows[FLOW], wanted, **options)


def verdicts(world: World, run_id: int) -> dict[str, str]:
    return {item.number: item.verdict for item in world.ledger.runs.all_items(run_id)}


def numbers(first: int, last: int) -> set[str]:
    return {f"Order {id}" for id in range(first, last + 1)}


ALL = Wanted(FIRST, NOW)
CREATE = Wanted(FIRST, NOW, create=True)


def test_old_orders_are_listed_and_newer_ones_created(old: tuple[World, WooShop]) -> None:
    world, _ = old
    done = run(world, ALL)
    assert (done.state, done.counts["orders"], done.counts["verdicts"]) == ("done", 12, {"listed": 6, "new": 6})
    assert done.counts["money"] == {"EUR": str(12 * Decimal(order(1)["total"]))}
    assert {job.queue for job in world.ledger.jobs.list()} == {"backfill"}
    world.drain()
    assert set(world.totals()) == numbers(7, 12)
    listed = RunJobs(world.ledger.db).of_keys(FLOW, ["shop/order/1", "shop/order/12"])
    assert (listed["shop/order/1"].state, listed["shop/order/1"].error_class) == ("skipped", "rule before start")
    assert listed["shop/order/12"].state == "settled"
    again = run(world, ALL)
    assert again.id != done.id
    assert again.counts["verdicts"] == {"listed": 6, "linked": 6}
    world.drain()
    assert set(world.totals()) == numbers(7, 12)


def test_create_brings_old_orders_too(old: tuple[World, WooShop]) -> None:
    """Also those that were listed before, in the very state that is known."""
    world, _ = old
    run(world, ALL)
    world.drain()
    done = run(world, CREATE)
    assert done.counts["verdicts"] == {"create": 6, "linked": 6}
    world.drain()
    assert set(world.totals()) == numbers(1, 12)
    assert len(world.records("SalesOrder")) == 12


def test_a_listed_order_that_came_by_webhook_is_created_when_somebody_says_so(old: tuple[World, WooShop]) -> None:
    world, face = old
    job = world.carry(face.orders[1])
    assert (job.state, job.queue, job.error_class) == ("skipped", "live", "rule before start")
    run(world, CREATE)
    world.drain()
    assert "Order 1" in world.totals()


def test_silent_unless_invoices_are_asked_for(old: tuple[World, WooShop]) -> None:
    """The flow invoices every order; a backfill does not, and what happens to the order live afterwards does."""
    world, face = old
    run(world, CREATE)
    world.drain()
    assert world.counts("SalesOrder", "Invoice") == (12, 0)
    assert world.carry(put(face, 3, FIRST + 2 * DAY, modified=wire(NOW), status="completed")).state == "settled"
    assert world.counts("SalesOrder", "Invoice") == (12, 1)


def test_invoices_on_request(old: tuple[World, WooShop]) -> None:
    world, _ = old
    run(world, Wanted(FIRST, NOW, create=True, invoices=True))
    world.drain()
    assert world.counts("SalesOrder", "Invoice") == (12, 12)


# -- killed ------------------------------------------------------------------------------------------------------------


def kill_after(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, calls: int) -> None:
    """The process dies right after so many calls have done their work."""
    whole, left = getattr(owner, name), [calls]

    def dying(*args: Any, **kwargs: Any) -> Any:
        done = whole(*args, **kwargs)
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return done

    monkeypatch.setattr(owner, name, dying)


@pytest.mark.parametrize("where", ["put", "accept", "progress", "want"])
def test_resumed_after_a_kill_at_every_page(
    old: tuple[World, WooShop], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The same command goes on with the same run; nothing is lost, told twice or counted twice."""
    world, face = old
    for id in (1, 2, 12):
        world.carry(face.orders[id])
    owner = {"put": world.ledger.runs, "accept": world.ledger.inbox, "progress": world.ledger.runs, "want": RunJobs}
    kills, ids = 0, set()
    for _ in range(20):
        with monkeypatch.context() as patch:
            # In the midst of its second page; what is told of the first is told before it, too.
            kill_after(patch, owner[where], where, 3 if where == "progress" else 2)
            try:
                done = run(world, CREATE)
            except Killed:
                kills += 1
                (known,) = world.ledger.runs.list(kind="backfill")
                assert known.state == "running"
                ids.add(known.id)
                world.drain()
                continue
        break
    else:
        pytest.fail("it never came to its end")
    assert kills >= (1 if where == "want" else 3)
    assert ids | {done.id} == {done.id}
    assert done.counts["verdicts"] == {"create": 6, "linked": 1, "new": 5}
    assert sum(one.count for one in world.ledger.runs.sums(done.id)) == 12
    world.drain()
    assert set(world.totals()) == numbers(1, 12)
    assert len(world.records("SalesOrder")) == 12


def test_without_an_end_it_ends_where_it_first_began(
    old: tuple[World, WooShop], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, face = old
    with monkeypatch.context() as patch:
        kill_after(patch, world.ledger.runs, "progress", 2)
        with pytest.raises(Killed):
            run(world, Wanted(FIRST))
    put(face, 99, NOW + timedelta(hours=1))
    assert world.clock is not None
    world.clock.skip(2 * 3600)  # type: ignore[attr-defined]
    assert "99" not in verdicts(world, run(world, Wanted(FIRST)).id)


# -- throttled -------------------------------------------------------------------------------------------------------------


def test_at_most_so_many_orders_a_minute(old: tuple[World, WooShop]) -> None:
    world, _ = old
    slept: list[float] = []
    run(world, Wanted(FIRST, NOW, rate=24), pause=slept.append)  # two orders in five seconds
    assert sum(slept) == pytest.approx(12 * 60 / 24)
    assert max(slept) <= 5


def test_it_does_not_run_ahead_of_the_jobs(old: tuple[World, WooShop], monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = old
    monkeypatch.setattr(backfill, "AHEAD", 4)
    monkeypatch.setattr(backfill, "SLICE", 2)
    most: list[int] = []

    def carry(_seconds: float) -> None:
        most.append(world.ledger.jobs.counts()["waiting"])
        world.drain()

    done = run(world, ALL, pause=carry)
    assert (done.counts["orders"], max(most)) == (12, 4)


def test_a_rehearsed_flow_rehearses_old_orders_and_is_not_waited_for(
    old: tuple[World, WooShop], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = old
    golive.take_off(world.ledger, FLOW, by="test")
    monkeypatch.setattr(backfill, "AHEAD", 4)
    monkeypatch.setattr(backfill, "SLICE", 2)
    world.forget_calls()
    done = run(world, ALL, pause=lambda _seconds: None if world.drain() else pytest.fail("it waits for ever"))
    world.drain()
    backfill.wait(world.context, done, pause=lambda _seconds: pytest.fail("what is rehearsed is not waited for"))
    assert (done.counts["orders"], world.writes(), world.counts("SalesOrder")) == (12, 0, (0,))


# -- refused ---------------------------------------------------------------------------------------------------------------


def test_create_needs_an_adopt_run_over_the_range(old: tuple[World, WooShop]) -> None:
    world, _ = old
    flow, runs = world.context.flows[FLOW], world.ledger.runs

    def ready(**over: Any) -> None:
        backfill.require_ready(world.context, flow, CREATE, **over)

    with pytest.raises(ConfigurationProblem, match="orderwire adopt --since"):
        ready()
    ready(without_adopt=True)
    backfill.require_ready(world.context, flow, ALL)
    half = runs.begin("adopt", FLOW, {"since": FIRST.isoformat(), "until": (FIRST + 3 * DAY).isoformat()})
    runs.end(half.id, "done")
    with pytest.raises(ConfigurationProblem, match=f"{FIRST + 3 * DAY:%Y-%m-%d}"):
        ready()
    rest = runs.begin("adopt", FLOW, {"since": (FIRST + 3 * DAY).isoformat(), "until": ""})
    with pytest.raises(ConfigurationProblem, match="adopt"):
        ready()  # it is not finished
    runs.end(rest.id, "done")
    ready()
    golive.take_off(world.ledger, FLOW, by="test")
    with pytest.raises(ConfigurationProblem, match="only rehearsed"):
        ready()
    golive.pause(world.ledger, FLOW, by="test")
    with pytest.raises(ConfigurationProblem, match="paused"):
        backfill.require_ready(world.context, flow, ALL)


def test_a_survey_stores_nothing_and_asks_only_the_store(old: tuple[World, WooShop]) -> None:
    world, _ = old
    world.forget_calls()
    found = backfill.survey(world.context, world.context.flows[FLOW], CREATE)
    one = Decimal(order(1)["total"])
    assert [(sum.verdict, sum.count, sum.amount) for sum in found] == [("create", 6, 6 * one), ("new", 6, 6 * one)]
    assert world.ledger.runs.list() == []
    assert world.ledger.jobs.list() == []
    assert world.calls()["operations"] == {}


def test_an_unreadable_order_is_named_and_held(old: tuple[World, WooShop]) -> None:
    world, face = old
    put(face, 13, FIRST + 13 * DAY, total="0.01")
    done = run(world, ALL)
    assert verdicts(world, done.id)["13"] in {"unreadable", "new"}
    world.drain()
    assert world.job("shop/order/13").state == "held"
    assert list(conditions.held(world.context)) == [], "the run's report tells of it, no alert does"
    world.carry(put(face, 13, FIRST + 13 * DAY, total="0.02", modified=wire(NOW)))
    (alert,) = conditions.held(world.context)
    assert alert.cause.startswith(f"held/{FLOW}/")


# -- the start ---------------------------------------------------------------------------------------------------------


def by_hook(world: World, face: WooShop) -> None:
    world.deliver(face.orders[1])


def by_poll(world: World, face: WooShop) -> None:
    put(face, 1, FIRST, modified=wire(NOW - timedelta(minutes=1)))
    assert polling.poll(world.context, world.context.flows[FLOW]) == 1


def by_edit(world: World, face: WooShop) -> None:
    """Somebody changes it in the store, and the store tells."""
    by_hook(world, face)
    world.drain()
    world.deliver(put(face, 1, FIRST, modified=wire(NOW), status="completed"))


def by_backfill(world: World, face: WooShop) -> None:
    run(world, Wanted(FIRST, FIRST + DAY))


def by_comparison(world: World, face: WooShop) -> None:
    world.deliver(face.orders[12])
    found = reconcile.compare(world.context, world.context.flows[FLOW], FIRST, NOW)
    assert "1" not in found.missed, "it was placed before the start"
    assert {"7", "11"} <= set(found.missed)
    world.drain()
    again = reconcile.compare(world.context, world.context.flows[FLOW], FIRST, NOW)
    assert (again.missed, again.vanished, again.differing) == ([], [], [])


@pytest.mark.parametrize("way", [by_hook, by_poll, by_edit, by_backfill, by_comparison])
def test_whichever_way_it_comes_an_old_order_is_listed(
    old: tuple[World, WooShop], way: Callable[[World, WooShop], None]
) -> None:
    world, face = old
    way(world, face)
    world.drain()
    job = world.job("shop/order/1")
    assert (job.state, job.error_class) == ("skipped", "rule before start")
    assert not numbers(1, 6) & set(world.totals())


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], 1),
        ([(1, 9)], None),
        ([(0, 4), (3, 9)], None),
        ([(3, 9), (0, 4)], None),
        ([(0, 4), (5, 9)], 4),
        ([(2, 9)], 1),
        ([(0, 8)], 8),
        ([(0, 20)], None),
    ],
)
def test_what_is_not_covered(spans: list[tuple[int, int]], expected: int | None) -> None:
    def day(n: int) -> datetime:
        return FIRST + n * DAY

    found = backfill.uncovered([(day(a), day(b)) for a, b in spans], day(1), day(9))
    assert found == (None if expected is None else day(expected))
