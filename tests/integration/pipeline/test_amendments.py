"""An order that changes after it was carried over: followed, left as people made it, or held with both sides and a choice."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from ledger import amendmenttables as a
from ledger.amendments import CHANGED, Disagreement
from ledger.jobs import JobView
from pipelines.choosing import Choosing
from pipelines.desk import Refused, Unknown
from pipelines.rehearsal import Rehearsal
from tests.integration.pipeline.conftest import Maker
from tests.orders import ADA, order
from tests.world import SkippingClock, World

KEY = "shop/order/1"
LATER, LATEST, LAST = "2026-11-20T11:00:00", "2026-11-20T12:00:00", "2026-11-20T13:00:00"
HAMBURG = {**ADA, "address_1": "Hafen 1", "city": "Hamburg", "postcode": "20095"}
MORE = [("OF-100", 7, "10.00"), ("OF-107", 1, "5.50")]
MOST = [("OF-100", 8, "10.00"), ("OF-107", 1, "5.50")]
ONCE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
pytestmark = ONCE


@pytest.fixture
def revise(make: Maker) -> Callable[..., None]:
    """Somebody changes the one order in the CRM; `by`: their login."""

    def change(by: str = "admin", **fields: Any) -> None:
        assert make.app is not None
        service = make.app.service
        with service.store.lock:
            (row,) = [r for r in service.store.rows.values() if r.module.name == "SalesOrder" and not r.deleted]
            service.records.revise(service.people.users[by], {"id": row.id, **fields})

    return change


def line(world: World, number: int = 0, **fields: str) -> list[dict[str, str]]:
    """The order's lines in the CRM with one of them changed, as a person saves them."""
    kept = ("productid", "quantity", "listprice", "discount_amount", "comment", "tax1")
    lines = [{name: row[name] for name in kept} for row in world.order(1)["LineItems"]]
    lines[number] |= fields
    return lines


def sold_one_more(world: World, revise: Callable[..., None], quantity: str = "3") -> None:
    before = world.order(1)
    charge = {"shipping_&_handling": before["hdnS_H_Amount"], "shipping_&_handling_shtax1": "19"}
    revise(
        LineItems=line(world, quantity=quantity),
        hdnTaxType="individual",
        txtAdjustment=before["txtAdjustment"],
        **charge,
    )


def asked(world: World) -> list[Disagreement]:
    return [one for one in world.ledger.amendments.of_order("crm", KEY) if not one.choice]


def choose(world: World, choice: Any, **given: Any) -> None:
    Choosing(world.ledger, world.ledger.audit).choose(world.job(KEY), choice, actor="Olga", **given)


def total(world: World) -> Decimal:
    return Decimal(world.order(1)["hdnGrandTotal"]).quantize(Decimal("0.01"))


def quantities(world: World) -> list[str]:
    return [row["quantity"].partition(".")[0] for row in world.order(1)["LineItems"]]


def held(job: JobView, part: str = "lines") -> None:
    assert (job.state, job.error_class, job.field) == ("held", CHANGED, part), job.reason


def crm_word(world: World) -> str:
    state = world.ledger.orders.get("shop-orders", KEY)
    assert state is not None
    return state.crm_status


# -- what is followed, what stays --------------------------------------------------------------------------------------


def test_only_what_the_store_changed_is_written(world: World) -> None:
    """A new address is a header alone: no line is written anew, and nobody is asked anything."""
    world.carry(order(1))
    before = world.order(1)["LineItems"]
    world.forget_calls()
    assert world.carry(order(1, modified=LATER, billing=HAMBURG)).state == "settled"
    now = world.order(1)
    assert (now["bill_city"], [row["id"] for row in now["LineItems"]]) == ("Hamburg", [row["id"] for row in before])
    assert world.writes() == 1
    assert world.carry(order(1, MORE, modified=LATEST, billing=HAMBURG)).state == "settled"
    assert (quantities(world), total(world)) == (["7", "1"], Decimal(order(1, MORE)["total"]))


def test_what_only_a_person_changed_stays(world: World, revise: Callable[..., None]) -> None:
    """Lines, an address and the status: the store's other changes are followed all the same, with the header alone."""
    to_ada = {name: value for name, value in ADA.items() if name != "email"}
    world.carry({**order(1), "shipping": to_ada})
    sold_one_more(world, revise)
    revise(ship_street="At the gate", sostatus="Delivered")
    theirs = total(world)
    newer = {**order(1, modified=LATER, billing=HAMBURG, customer_note="ring twice"), "shipping": to_ada}
    assert world.carry(newer).state == "settled"
    now = world.order(1)
    assert (quantities(world), total(world), now["sostatus"]) == (["3", "1"], theirs, "Delivered")
    assert now["ship_street"] == "At the gate"
    assert (now["bill_city"], "ring twice" in now["description"]) == ("Hamburg", True)
    assert crm_word(world) == "Delivered", "what people said it is"


def test_a_status_is_followed_when_the_store_changes_it(world: World, revise: Callable[..., None]) -> None:
    world.carry(order(1))
    revise(sostatus="Delivered")
    world.carry(order(1, modified=LATER, status="cancelled"))
    assert (world.order(1)["sostatus"], crm_word(world)) == ("Cancelled", "Cancelled")


def test_both_changed_to_the_same(world: World, revise: Callable[..., None]) -> None:
    """A person typed into the CRM what the store says a minute later: nothing is written."""
    world.carry(order(1))
    revise(bill_street="Hafen 1", bill_city="Hamburg", bill_code="20095")
    revise(ship_street="Hafen 1", ship_city="Hamburg", ship_code="20095")
    world.forget_calls()
    assert world.carry(order(1, modified=LATER, billing=HAMBURG)).state == "settled"
    assert world.writes() == 0


# -- both sides ----------------------------------------------------------------------------------------------------------


def conflict(world: World, revise: Callable[..., None]) -> Disagreement:
    """A person made it 3, the store makes it 7; we wrote 2."""
    world.carry(order(1))
    sold_one_more(world, revise)
    world.forget_calls()
    held(world.carry(order(1, MORE, modified=LATER, status="completed")))
    assert world.writes() == 0, "nothing is written before somebody has chosen, not even the status"
    (one,) = asked(world)
    return one


def test_both_sides_are_shown_line_by_line(world: World, revise: Callable[..., None]) -> None:
    one = conflict(world, revise)
    rows = {row.field: (row.wrote, row.theirs, row.stores) for row in one.asked.rows}
    (quantity,) = [sides for field, sides in rows.items() if field.endswith("quantity")]
    assert quantity == ("2", "3", "7")
    money = rows["Grand total"]
    assert (Decimal(money[0] or 0), Decimal(money[2] or 0)) == (
        Decimal(order(1)["total"]),
        Decimal(order(1, MORE)["total"]),
    )
    assert money[1] == str(total(world)), "theirs"
    assert not [field for field in rows if "OF-107" in field], "that line is the same on both sides"


def test_take_the_stores(world: World, revise: Callable[..., None]) -> None:
    conflict(world, revise)
    choose(world, "store")
    assert world.job(KEY).state == "waiting"
    world.drain()
    assert world.job(KEY).state == "settled"
    now = world.order(1)
    assert (quantities(world), total(world), now["sostatus"]) == (
        ["7", "1"],
        Decimal(order(1, MORE)["total"]),
        "Delivered",
    )
    (row,) = [row for row in world.ledger.audit.list(limit=20) if row.action == "job.choose"]
    assert (row.actor, row.facts["choice"], row.facts["parts"]) == ("Olga", "store", ["lines"])


def test_keep_theirs_for_exactly_these_values(world: World, revise: Callable[..., None]) -> None:
    conflict(world, revise)
    theirs = total(world)
    choose(world, "theirs")
    world.drain()
    assert (world.job(KEY).state, quantities(world), total(world)) == ("settled", ["3", "1"], theirs)
    assert world.order(1)["sostatus"] == "Delivered", "everything else follows"
    # Something else changes in the store: the lines were answered for.
    assert world.carry(order(1, MORE, modified=LATEST, status="completed", billing=HAMBURG)).state == "settled"
    assert (quantities(world), world.order(1)["bill_city"]) == (["3", "1"], "Hamburg")
    # The store's lines change again: a new question; and back again: answered already.
    held(world.carry(order(1, MOST, modified=LAST, status="completed", billing=HAMBURG)))
    job = world.carry(order(1, MORE, modified="2026-11-20T14:00:00", status="completed", billing=HAMBURG))
    assert (job.state, quantities(world), asked(world)) == ("settled", ["3", "1"], [])


def test_an_answer_is_not_for_what_changed_meanwhile(world: World, revise: Callable[..., None]) -> None:
    """Between the choice and the run the person changed it once more: they are asked again, with the new values."""
    conflict(world, revise)
    choose(world, "store")
    sold_one_more(world, revise, "4")
    world.drain()
    held(world.job(KEY))
    (one,) = asked(world)
    assert ("2", "4", "7") in [(row.wrote, row.theirs, row.stores) for row in one.asked.rows]
    assert quantities(world) == ["4", "1"]


@pytest.mark.parametrize("who", ["store", "person"])
def test_a_question_that_solves_itself(world: World, revise: Callable[..., None], who: str) -> None:
    conflict(world, revise)
    if who == "store":
        world.deliver(order(1, modified=LATEST, status="completed"))
    else:
        sold_one_more(world, revise, "2")
        world.ledger.jobs.retry(world.job(KEY).id)
    world.drain()
    assert (world.job(KEY).state, asked(world)) == ("settled", [])
    assert quantities(world) == (["3", "1"] if who == "store" else ["7", "1"])


def test_several_parts_are_chosen_each_by_itself(world: World, revise: Callable[..., None]) -> None:
    world.carry(order(1))
    sold_one_more(world, revise)
    revise(bill_city="Bremen")
    held(world.carry(order(1, MORE, modified=LATER, billing=HAMBURG)), "billing")
    assert [one.asked.part for one in asked(world)] == ["billing", "lines"]
    with pytest.raises(Unknown, match="subject"):
        choose(world, "store", parts=["subject"])
    choose(world, "theirs", parts=["billing"])
    assert world.job(KEY).state == "held", "the other part is open"
    with pytest.raises(Refused):
        choose(world, "store", seen=[1, 2, 3])
    choose(world, "store")
    with pytest.raises(Refused):
        choose(world, "theirs")
    world.drain()
    assert (world.job(KEY).state, quantities(world), world.order(1)["bill_city"]) == ("settled", ["7", "1"], "Bremen")


def test_discounts_of_a_kind_we_never_give_are_seen(world: World, revise: Callable[..., None]) -> None:
    """A person gave 10 % on the line: its quantity and price are as we wrote them."""
    world.carry(order(1))
    before = world.order(1)
    items = line(world)
    items[0] |= {"discount_percent": "10"}
    items[0].pop("discount_amount")
    revise(LineItems=items, hdnTaxType="individual", txtAdjustment=before["txtAdjustment"])
    held(world.carry(order(1, MORE, modified=LATER)))


# -- our own echo ------------------------------------------------------------------------------------------------------


def test_a_lost_answer_is_our_own_echo(make: Maker) -> None:
    """The update arrived, its answer was lost, and the store has moved on meanwhile: nobody else was there."""
    world = make(clock=SkippingClock())
    world.carry(order(1))
    world.faults(script=[{"fault": "lost_answer", "operation": "revise"}])
    world.deliver(order(1, MORE, modified=LATER))
    world.drain()
    assert (world.job(KEY).state, quantities(world)) == ("waiting", ["7", "1"])
    world.deliver(order(1, MOST, modified=LATEST))
    world.finish()
    assert (world.job(KEY).state, quantities(world)) == ("settled", ["8", "1"])
    assert total(world) == Decimal(order(1, MOST)["total"])


def test_a_lost_answer_and_nothing_new_writes_nothing_again(make: Maker) -> None:
    world = make(clock=SkippingClock())
    world.carry(order(1))
    world.faults(script=[{"fault": "lost_answer", "operation": "revise"}])
    world.forget_calls()
    world.deliver(order(1, MORE, modified=LATER))
    world.finish()
    assert (world.job(KEY).state, world.writes()) == ("settled", 1)


def test_half_of_our_own_update_is_no_persons_work(make: Maker, revise: Callable[..., None]) -> None:
    """vtiger lost a line of an update whose answer was lost as well: it is written again, nobody is asked."""
    world = make(clock=SkippingClock())
    world.carry(order(1))
    world.faults(script=[{"fault": "lost_answer", "operation": "revise"}])
    world.deliver(order(1, MORE, modified=LATER))
    world.drain()
    revise("apiuser", LineItems=line(world)[:1], hdnTaxType="individual")
    world.finish()
    assert (world.job(KEY).state, quantities(world)) == ("settled", ["7", "1"])
    assert total(world) == Decimal(order(1, MORE)["total"])


def test_a_person_in_the_gap_of_a_lost_answer(make: Maker, revise: Callable[..., None]) -> None:
    """Our update never arrived, and a person changed the lines before it was tried again."""
    world = make(clock=SkippingClock())
    world.carry(order(1))
    world.faults(script=[{"fault": "error_500", "operation": "revise"}])
    world.deliver(order(1, MORE, modified=LATER))
    world.drain()
    assert world.job(KEY).state == "waiting"
    sold_one_more(world, revise)
    world.finish()
    held(world.job(KEY))


# -- orders from before ------------------------------------------------------------------------------------------------


def from_before(world: World) -> None:
    """As the version before left it: a link, and nothing of what was written."""
    world.ledger.db.execute(sa.delete(a.shown))


def test_an_order_from_before_that_nobody_touched(world: World) -> None:
    world.carry(order(1))
    from_before(world)
    assert world.carry(order(1, MORE, modified=LATER, billing=HAMBURG)).state == "settled"
    assert (quantities(world), world.order(1)["bill_city"]) == (["7", "1"], "Hamburg")


def test_an_order_from_before_that_somebody_touched(world: World, revise: Callable[..., None]) -> None:
    """What they changed is not known: only what stands otherwise than in the store is asked about."""
    world.carry(order(1))
    from_before(world)
    revise(sostatus="Created")
    assert world.carry(order(1, modified=LATER, status="completed")).state == "settled"
    from_before(world)
    revise(terms_conditions="as agreed")
    held(world.carry(order(1, MORE, modified=LATEST, status="completed")))
    (one,) = asked(world)
    assert {row.wrote for row in one.asked.rows} == {None}
    choose(world, "theirs")
    world.drain()
    assert (world.job(KEY).state, quantities(world)) == ("settled", ["2", "1"])
    # What stands there is known by nobody still: our own later write of the header does not make it ours.
    assert world.carry(order(1, MORE, modified=LAST, status="completed", customer_note="x")).state == "settled"
    held(world.carry(order(1, MOST, modified="2026-11-20T14:00:00", status="completed", customer_note="x")))


# -- rehearsing ----------------------------------------------------------------------------------------------------------


def rehearsed(world: World, raw: dict[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    world.deliver(raw)
    claim = world.ledger.jobs.claim("test")
    assert claim is not None
    run = Rehearsal(world.context, claim)
    plan = run.plan(world.stores["shop"].order(claim.key, world.ledger.inbox.record(claim.key).raw))  # type: ignore[union-attr, arg-type]
    return plan.verdict, plan.error_class, tuple(write.operation for write in plan.writes)


def test_a_rehearsal_says_what_would_come_of_it(world: World, revise: Callable[..., None]) -> None:
    world.carry(order(1))
    before = world.ledger.db.rows(sa.select(a.shown.c.body))
    sold_one_more(world, revise)
    world.forget_calls()
    assert rehearsed(world, order(1, MORE, modified=LATER)) == ("hold", CHANGED, ())
    assert (world.writes(), asked(world)) == (0, [])
    assert world.ledger.db.rows(sa.select(a.shown.c.body)) == before


def test_a_rehearsal_of_a_change_writes_nothing(world: World) -> None:
    world.carry(order(1))
    world.forget_calls()
    assert rehearsed(world, order(1, MORE, modified=LATER)) == ("change", "", ("update_order",))
    assert world.writes() == 0


def test_a_version_from_before_wrote_in_between(world: World) -> None:
    """While versions are exchanged one by one, the old one updates the order and its link, and keeps nothing."""
    world.carry(order(1))
    (kept,) = world.ledger.db.rows(sa.select(a.shown))
    world.carry(order(1, MORE, modified=LATER))
    world.ledger.db.execute(sa.update(a.shown).values(body=kept.body, payload_hash=kept.payload_hash))
    assert world.carry(order(1, MOST, modified=LATEST)).state == "settled"
    assert quantities(world) == ["8", "1"]


def test_a_refused_update_leaves_what_is_known(world: World, revise: Callable[..., None]) -> None:
    """It was refused for good, then a person changed the order: theirs is still known from ours."""
    world.carry(order(1))
    world.faults(script=[{"fault": "maintenance", "operation": "revise", "times": 1}])
    world.deliver(order(1, MORE, modified=LATER))
    world.drain()
    assert quantities(world) == ["2", "1"]
    sold_one_more(world, revise)
    world.finish()
    held(world.job(KEY))
    assert ("2", "3", "7") in [(row.wrote, row.theirs, row.stores) for row in asked(world)[0].asked.rows]


def test_the_comparison_does_not_nag_about_what_people_decided(world: World, revise: Callable[..., None]) -> None:
    conflict(world, revise)
    amendments = world.ledger.amendments
    assert amendments.left_theirs("crm", [KEY]) == set()
    choose(world, "theirs")
    assert amendments.left_theirs("crm", [KEY, "shop/order/2"]) == {KEY}
    assert amendments.left_theirs("crm", [KEY], "billing") == set()
