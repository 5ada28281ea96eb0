"""What comes later than any hold: found again, named, the oldest kept; and where a CRM refuses doubles, nobody waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.roles import Ref, Tier, Written
from core.errors import Ambiguous, RetryLater
from ledger import tables as t
from ledger.jobs import Outcome
from ledger.links import Link
from pipelines import doubles, schedules
from pipelines.run import Run
from tests.orders import order, stranger
from tests.world import SkippingClock, World

HOLD = 120.0
KEY = "shop/order/1"


def skip(world: World, seconds: float) -> None:
    assert isinstance(world.clock, SkippingClock)
    world.clock.skip(seconds)


def late(world: World, make: Any, module: str, **over: Any) -> None:
    """Carry an order whose creation of this module lands after the hold was over and the next one was made."""
    world.fill_index()
    world.faults(late_after_s=600, script=[{"fault": "late_commit", "operation": "create", "module": module}])
    world.deliver(order(1, billing=stranger(1), **over))
    world.finish(fill=False)
    assert len(world.records(module)) == 1
    make.land()
    assert len(world.records(module)) == 2


def look(world: World) -> int:
    return doubles.look(world.context, "crm")


def linked(world: World, kind: str = "order", key: str = KEY) -> Link:
    found = world.ledger.links.get("crm", kind, key)
    assert found is not None
    return found


def by_age(world: World, module: str) -> list[dict[str, Any]]:
    return sorted(world.records(module), key=lambda row: int(row["id"].partition("x")[2]))


def delete(make: Any, id: str) -> None:
    with make.app.service.store.lock:
        make.app.service.records.delete(id)


def watched(world: World) -> int:
    return len(world.ledger.db.rows(sa.select(t.link.c.id).where(t.link.c.check_at.is_not(None))))


# -- the post-check ------------------------------------------------------------------------------------------------


def test_a_commit_later_than_the_hold_is_found_and_named_until_it_is_gone(world: World, make: Any) -> None:
    late(world, make, "SalesOrder")
    world.forget_calls()
    assert look(world) == 0, "it is looked at after two holds, not before"
    assert world.calls()["total"] == 0
    skip(world, 2 * HOLD)
    assert look(world) == 1
    assert look(world) == 0, "and then after a quarter of an hour"
    older, younger = by_age(world, "SalesOrder")
    (alert,) = world.ledger.alerts.opened("double:")
    assert alert.cause == f"double:crm:order:{KEY}"
    assert alert.severity == "critical"
    assert older["salesorder_no"] in alert.message
    assert f"delete {younger['salesorder_no']} there" in alert.message
    assert linked(world).remote_id == older["id"]
    skip(world, doubles.AGAIN)
    assert look(world) == 1
    assert world.ledger.alerts.opened("double:")[0].id == alert.id, "still the one alert"
    delete(make, younger["id"])
    skip(world, doubles.AGAIN)
    assert look(world) == 0
    assert world.ledger.alerts.opened("double:") == []
    assert watched(world) == 0, "nothing is in doubt any more"
    assert world.writes() == 0, "it only reads"


@pytest.mark.parametrize("which", ["younger", "deleted"])
def test_the_link_moves_to_the_oldest_that_is_there(world: World, make: Any, which: str) -> None:
    """And the order is brought to its newest state there."""
    late(world, make, "SalesOrder")
    older, younger = by_age(world, "SalesOrder")
    kept, left = (older, younger) if which == "younger" else (younger, older)
    link = linked(world)
    at_left = sa.update(t.link).where(t.link.c.id == link.id).values(remote_id=left["id"], payload_hash="x")
    world.ledger.db.execute(at_left)
    if which == "deleted":
        delete(make, left["id"])
    skip(world, 2 * HOLD)
    assert look(world) == (which == "younger")
    assert linked(world).remote_id == kept["id"]
    assert world.job(KEY).state == "waiting"
    world.forget_calls()
    world.finish(fill=False)
    assert world.job(KEY).state == "settled", world.job(KEY).reason
    assert world.calls()["operations"]["retrieve"] >= 1, "the kept one is looked at"
    assert world.writes() == 0, "it stands there as the store has it"
    assert linked(world).remote_id == kept["id"]
    assert linked(world).payload_hash


def test_a_late_customer_is_one_alert_for_all_identities(make: Callable[..., World]) -> None:
    world = make(php=8, unique_account_names=False, clock=SkippingClock())
    late(world, make, "Accounts", customer_id=77)
    assert watched(world) == 2, "the e-mail address and the shop's own number"
    skip(world, 2 * HOLD)
    assert look(world) == 1
    (alert,) = world.ledger.alerts.opened("double:")
    older, younger = (row["id"] for row in by_age(world, "Accounts"))
    assert f"merge {younger} into {older} there" in alert.message
    assert watched(world) == 1
    delete(make, younger)
    skip(world, doubles.AGAIN)
    assert look(world) == 0
    assert world.ledger.alerts.opened("double:") == []


def test_a_lost_answer_is_looked_at_twice_and_an_answered_creation_never(world: World) -> None:
    world.carry(order(1))
    assert watched(world) == 0
    world.faults(script=[{"fault": "lost_answer", "operation": "create", "module": "SalesOrder"}])
    world.deliver(order(2))
    world.finish(fill=False)
    assert watched(world) == 1, "adopted by the look-up after the hold"
    skip(world, 2 * HOLD)
    assert look(world) == 0
    assert watched(world) == 1
    skip(world, doubles.AGAIN)
    assert look(world) == 0
    assert watched(world) == 0
    assert world.ledger.alerts.opened() == []


def test_a_creation_slower_than_the_hold_is_looked_at(make: Callable[..., World]) -> None:
    world = make(clock=SkippingClock(), hold=0.1)
    world.carry(order(1))
    before = watched(world)  # on a slow machine the first one was slow by itself
    world.faults(latency_ms=150)
    assert world.carry(order(2)).state == "settled"
    assert watched(world) == before + 1


def test_a_blocked_or_paused_connection_is_not_asked(world: World, make: Any) -> None:
    late(world, make, "SalesOrder")
    skip(world, 2 * HOLD)
    world.forget_calls()
    world.ledger.states.pause("crm", 60)
    assert look(world) == 0
    world.ledger.states.pause("crm", None)
    world.ledger.states.block("crm", 60, error_class="auth", reason="refused")
    (scheduled,) = [one for one in schedules.of(world.context) if one.name == "post-check/crm"]
    assert scheduled.work() == 0
    assert scheduled.connection == "", "a round without a call must not end the block"
    assert world.calls()["total"] == 0
    world.ledger.states.try_now("crm")
    assert scheduled.work() == 1


def test_a_crm_that_fails_leaves_them_due(world: World, make: Any) -> None:
    late(world, make, "SalesOrder")
    skip(world, 2 * HOLD)
    world.crm._http._sleep = lambda _seconds: None
    world.faults(empty_query=1)
    with pytest.raises(RetryLater):
        look(world)
    world.faults(empty_query=0)
    assert look(world) == 1


def test_a_double_met_while_adopting_raises_the_same_alert(world: World, make: Any) -> None:
    """The ledger was lost, and the CRM has two."""
    for id in (1, 2):
        world.carry(order(id))
    first, second = sorted(make.app.service.store.by_module["SalesOrder"].values(), key=lambda row: row.number)
    with make.app.service.store.lock:
        make.app.service.store.change(second, {"cf_external_id": first.values["cf_external_id"]})
    world.ledger.db.execute(sa.delete(t.link).where(t.link.c.kind == "order", t.link.c.key == KEY))
    assert world.ledger.jobs.retry(world.job(KEY).id)
    world.finish(fill=False)
    assert world.job(KEY).state == "settled"
    (alert,) = world.ledger.alerts.opened("double:")
    assert alert.cause == f"double:crm:order:{KEY}"
    assert linked(world).remote_id == first.id
    delete(make, second.id)
    skip(world, 2 * HOLD)
    assert look(world) == 0
    assert world.ledger.alerts.opened("double:") == []


# -- tier B --------------------------------------------------------------------------------------------------------


def refusing(make: Callable[..., World]) -> World:
    world = make(
        php=8, unique_account_names=False, clock=SkippingClock(), invoices="on_order", crm={"trust_unique": True}
    )
    world.http.post("/sandbox/switches", json={"unique_external_id": True}).raise_for_status()
    assert {world.crm.creation(kind) for kind in ("account", "contact", "lead", "order", "invoice")} == {
        Tier.REFUSES_DUPLICATES
    }
    return world


@pytest.mark.parametrize("module", ["Accounts", "Contacts", "SalesOrder", "Invoice"])
def test_where_doubles_are_refused_a_lost_answer_waits_for_no_hold(make: Callable[..., World], module: str) -> None:
    world = refusing(make)
    world.fill_index()
    world.faults(script=[{"fault": "lost_answer", "operation": "create", "module": module}])
    world.deliver(order(1, billing=stranger(1)))
    assert world.finish(fill=False) < 10
    assert world.struck() == {"lost_answer": 1}
    assert world.job(KEY).state == "settled", world.job(KEY).reason
    assert world.counts() == (1, 1, 1, 0, 1)


@pytest.mark.parametrize("module", ["Accounts", "SalesOrder"])
def test_a_refused_duplicate_is_looked_up_and_adopted(
    make: Callable[..., World], monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """The first one lands between our look and our second creation."""
    world = refusing(make)
    world.fill_index()
    world.faults(script=[{"fault": "lost_answer", "operation": "create", "module": module}])
    world.deliver(order(1, billing=stranger(1)))
    world.drain(fill=False)
    name = "find_customer" if module == "Accounts" else "find_order"
    really, blind = getattr(world.crm, name), [True] * (2 if module == "Accounts" else 1)

    def find(asked: Any) -> Any:
        return () if blind and blind.pop() else really(asked)

    monkeypatch.setattr(world.crm, name, find)
    assert world.finish(fill=False) < 30
    assert world.job(KEY).state == "settled", world.job(KEY).reason
    assert world.counts() == (1, 1, 1, 0, 1)
    assert "duplicate/conflict" in {row["error_class"] for row in world.ledger.jobs.attempts(world.job(KEY).id)}


def test_where_doubles_are_taken_the_hold_is_waited_out(make: Callable[..., World]) -> None:
    """The control: the same fault in the same CRM without the unique field."""
    world = make(php=8, unique_account_names=False, clock=SkippingClock(), invoices="on_order")
    world.fill_index()
    world.faults(script=[{"fault": "lost_answer", "operation": "create", "module": "SalesOrder"}])
    world.deliver(order(1, billing=stranger(1)))
    assert world.finish(fill=False) > HOLD


# -- tier A --------------------------------------------------------------------------------------------------------


def test_an_upsert_is_sent_again_at_once_without_looking(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.crm, "creation", lambda kind: Tier.UPSERT if kind == "order" else Tier.NOTHING)
    there: dict[str, int] = {}
    world.deliver(order(1))

    def run() -> Run:
        claim = world.ledger.jobs.claim("test")
        assert claim is not None
        return Run(world.context, claim)

    def upsert() -> Written:
        there["SO1"] = there.get("SO1", 0) + 1
        if there["SO1"] == 1:
            raise Ambiguous("no answer", connection="crm")
        return Written(Ref("6x1", "SO1"))

    def find() -> Sequence[Ref]:
        raise AssertionError("nothing has to be looked up")

    first = run()
    with pytest.raises(RetryLater) as lost:
        first.ensure("order", KEY, payload_hash="h", find=find, create=upsert)
    assert lost.value.seconds < 1, "no hold"
    world.ledger.jobs.settle(first.claim, Outcome("retry", "no answer"))
    assert run().ensure("order", KEY, payload_hash="h", find=find, create=upsert).created
    assert there == {"SO1": 2}
    assert linked(world).remote_id == "6x1"
