"""Invoices and credit notes where answers were lost, people were quicker, or several things happened at once: what the notes
take back is what was invoiced, once, with its tax.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.keys import Change, Key
from ledger.invoices import Seen
from ledger.ordertables import order_state
from pipelines import refunds
from pipelines.rehearsal import Rehearsal
from tests.integration.pipeline.conftest import Maker
from tests.integration.pipeline.test_aftermath import Shop, by_hand, seen
from tests.integration.pipeline.test_erp_invoices import Billed
from tests.orders import order
from tests.world import SkippingClock, World

FLOW = "shop-orders"
LOST = {"fault": "lost_answer", "operation": "create", "times": 1}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One engine will do: nothing here is about SQL."""
    return f"sqlite:///{tmp_path / 'orderwire.sqlite'}"


def slow(make: Maker, **settings: Any) -> World:
    """A world in which answers get lost."""
    return make(clock=SkippingClock(), hold=30.0, **settings)


def test_a_note_in_doubt_is_not_credited_twice(make: Maker) -> None:
    world = slow(make, invoices="on_paid", cancel={"invoiced": "credit"})
    shop = Shop(world)
    shop.carry()
    world.faults(script=[{**LOST, "module": "Invoice"}])
    shop.carry(refunds=[shop.refund(5, "11.90", (101, "10.00", "1.90"))])
    shop.carry(status="cancelled")
    world.finish()
    bills = [("Paid", "36.18"), ("Credit Invoice", "-11.90"), ("Credit Invoice", "-24.28")]
    assert seen(world) == {"Cancelled": "24.28", "bills": bills}


@pytest.mark.parametrize(
    ("policy", "status", "bills"),
    [
        ("cancel", "cancelled", [("Cancel", "36.18")]),
        ("credit", "cancelled", [("Paid", "36.18"), ("Credit Invoice", "-36.18")]),
        ("cancel", "refunded", [("Paid", "36.18"), ("Credit Invoice", "-36.18")]),
    ],
)
def test_an_invoice_in_doubt_is_one(make: Maker, policy: str, status: str, bills: list[Any]) -> None:
    """The answer to its creation was lost, and before anybody looked the order was called off."""
    world = slow(make, invoices="on_paid", cancel={"invoiced": policy})
    shop = Shop(world)
    world.faults(script=[{**LOST, "module": "Invoice"}])
    shop.carry()
    back = [shop.refund(5, "36.18")] if status == "refunded" else []
    shop.carry(status=status, refunds=back)
    world.finish()
    assert seen(world)["bills"] == bills


def test_an_invoice_in_doubt_that_never_arrived_is_none(make: Maker) -> None:
    world = slow(make, invoices="on_paid", cancel={"invoiced": "cancel"})
    shop = Shop(world)
    world.faults(script=[{"fault": "connection_closed", "operation": "create", "module": "Invoice", "times": 1}])
    shop.carry()
    shop.carry(status="cancelled")
    world.finish()
    assert seen(world) == {"Cancelled": "36.18", "bills": []}


def test_an_order_in_doubt_is_called_off_too(make: Maker) -> None:
    """The rules of import are for orders that are not there: this one may be."""
    world = slow(make, rules={"statuses": ["confirmed"]})
    shop = Shop(world)
    world.faults(script=[{**LOST, "module": "SalesOrder"}])
    shop.carry()
    shop.carry(status="cancelled")
    world.finish()
    assert seen(world) == {"Cancelled": "36.18", "bills": []}


def test_refund_and_cancellation_at_once_give_back_the_tax(make: Maker) -> None:
    world = make(invoices="on_paid", cancel={"invoiced": "credit"})
    shop = Shop(world)
    shop.carry()
    shop.carry(status="cancelled", refunds=[shop.refund(5, "11.90", (101, "10.00", "1.90"))])
    assert sum(Decimal(total) for _, total in seen(world)["bills"]) == 0
    assert len(seen(world)["bills"]) == 3, "the refund has its own note, and the rest has one"
    taxed = [line for row in world.records("Invoice")[1:] for line in row["LineItems"] if Decimal(line["tax1"] or 0)]
    assert len(taxed) == len([line for row in world.records("Invoice")[1:] for line in row["LineItems"]])


def test_the_rest_is_credited_with_its_tax_where_refunds_have_no_notes(make: Maker) -> None:
    world = make(invoices="on_paid", cancel={"invoiced": "credit"}, refunds={"invoice": "leave"})
    shop = Shop(world)
    shop.carry()
    shop.carry(refunds=[shop.refund(5, "11.90", (101, "10.00", "1.90"))])
    shop.carry(status="cancelled")
    bill, note = world.records("Invoice")
    assert Decimal(note["hdnGrandTotal"]) == -Decimal(bill["hdnGrandTotal"])
    assert all(Decimal(line["tax1"] or 0) for line in note["LineItems"])


def test_a_refund_deleted_after_the_rest_was_credited(make: Maker) -> None:
    """Everything went back with the cancellation: nothing of it comes again before the order does."""
    world = make(invoices="on_paid", cancel={"invoiced": "credit"})
    shop = Shop(world)
    shop.carry()
    shop.carry(refunds=[shop.refund(5, "11.90", (101, "10.00", "1.90"))])
    shop.carry(status="cancelled")
    shop.carry(refunds=[])
    bills = [("Paid", "36.18"), ("Credit Invoice", "-11.90"), ("Credit Invoice", "-24.28")]
    assert seen(world) == {"Cancelled": "36.18", "bills": bills}
    shop.carry(status="processing")
    assert seen(world)["bills"] == [("Paid", "36.18"), ("Cancel", "-11.90"), ("Cancel", "-24.28")]


def test_a_note_that_the_crm_told_of_first(make: Maker) -> None:
    """A poll saw it before our own answer was noted: it is a credit note all the same, and ours."""
    world = make(invoices="on_paid")
    shop = Shop(world)
    shop.carry()
    made = world.order(1)["id"]
    told = Seen("7x9999", "Credit Invoice", "credited", "INV9", "EUR", Decimal("-11.900000"), order_id=made)
    world.ledger.invoices.crm_says("crm", told, seen_at=world.context.clock.now())
    [note] = world.ledger.invoices.of_remote("crm", "7x9999")
    assert (note.credit, note.total, note.origin) == (True, Decimal("11.90"), "crm")


@pytest.mark.parametrize("how", ["Cancel", "gone"])
@pytest.mark.parametrize("policy", ["hold", "cancel", "credit"])
def test_an_invoice_that_people_took_back(make: Maker, policy: str, how: str) -> None:
    """Neither a refund nor a cancellation takes it back again."""
    world = make(invoices="on_paid", cancel={"invoiced": policy})
    shop = Shop(world)
    shop.carry()
    [bill] = world.records("Invoice")
    now = world.context.clock.now()
    if how == "gone":
        assert make.app is not None
        make.app.service.records.delete(bill["id"])
        world.ledger.invoices.crm_gone("crm", bill["id"])
    else:
        by_hand(make, bill["id"], invoicestatus="Cancel")
        world.ledger.invoices.crm_says("crm", Seen(bill["id"], "Cancel", "cancelled"), seen_at=now)
    bills = seen(world)["bills"]
    job = shop.carry(refunds=[shop.refund(5, "3.00")])
    assert (job.state, seen(world)) == ("settled", {"Approved": "33.18", "bills": bills})
    job = shop.carry(status="cancelled")
    assert (job.state, seen(world)) == ("settled", {"Cancelled": "33.18", "bills": bills})


def test_what_people_cancelled_stays_so_when_the_order_comes_back(make: Maker) -> None:
    world = make(invoices="on_paid", cancel={"invoiced": "cancel"})
    shop = Shop(world)
    shop.carry()
    [bill] = world.records("Invoice")
    by_hand(make, bill["id"], invoicestatus="Cancel")
    shop.carry(status="cancelled")
    shop.carry(status="processing")
    assert seen(world) == {"Approved": "36.18", "bills": [("Cancel", "36.18")]}


def test_a_deleted_order_in_doubt_is_called_off(make: Maker) -> None:
    world = slow(make)
    shop = Shop(world)
    world.faults(script=[{**LOST, "module": "SalesOrder"}])
    shop.carry()
    gone = Change(Key("shop", "order", "1"), None, None, "gone", fetched_at=world.context.clock.now(), deleted=True)
    world.ledger.inbox.accept([gone], world.context.routes)
    world.finish()
    assert seen(world) == {"Cancelled": "36.18", "bills": []}


def test_a_refund_of_another_amount_is_another_refund(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources that tell all about a refund with the order may change it under its id."""
    monkeypatch.setattr(refunds, "_asked", lambda _run, order: list(order.refunds))
    world = make(invoices="on_paid")
    shop = Shop(world)
    shop.carry()
    for amount, bills in (("3.00", ["-3.00"]), ("4.00", ["-3.00", "-4.00"]), ("3.00", ["-3.00", "-4.00"])):
        shop.carry(refunds=[shop.refund(5, amount)])
        living = [total for word, total in seen(world)["bills"] if word != "Cancel"]
        assert living == ["36.18", f"-{amount}"]
        assert [total for _, total in seen(world)["bills"]][1:] == bills


def test_an_invoice_that_never_arrived_has_counted_no_refund(make: Maker) -> None:
    world = slow(make, invoices="on_paid")
    shop = Shop(world)
    back = shop.refund(5, "3.00")
    world.faults(script=[{"fault": "connection_closed", "operation": "create", "module": "Invoice", "times": 1}])
    shop.carry(refunds=[back])
    shop.carry(refunds=[])
    world.finish()
    assert seen(world)["bills"] == [("Paid", "36.18")]
    shop.carry(refunds=[back])
    assert seen(world) == {"Approved": "33.18", "bills": [("Paid", "36.18"), ("Credit Invoice", "-3.00")]}


def test_a_refund_that_cannot_be_read_is_not_left_out(make: Maker) -> None:
    world = make()
    shop = Shop(world)
    shop.carry()
    named = shop.refund(5, "3.00")
    del shop.details[5]["id"]
    job = shop.carry(refunds=[named])
    assert (job.state, job.error_class) == ("held", "mapping")
    assert "What to do: " in job.reason
    assert seen(world) == {"Approved": "36.18", "bills": []}


@pytest.mark.parametrize(("word", "state"), [("Delivered", "held"), ("Approved", "settled")])
def test_an_order_from_before_that_the_crm_calls_delivered(make: Maker, word: str, state: str) -> None:
    """Nobody kept how far it had come: the CRM is asked."""
    world = make()
    shop = Shop(world)
    shop.carry()
    by_hand(make, world.order(1)["id"], sostatus=word)
    with world.ledger.db.engine.begin() as connection:
        connection.execute(order_state.delete())
    assert shop.carry(status="cancelled").state == state


@pytest.mark.parametrize(("how", "notes"), [("lines", 0), ("note", 1)])
def test_a_rehearsal_of_an_order_with_a_refund(make: Maker, how: str, notes: int) -> None:
    """Its invoice would be less from the start, unless the order stays as it was sold."""
    world = make(invoices="on_paid", refunds={"order": how})
    shop = Shop(world)
    world.fill_index()
    world.deliver({**shop.now, "refunds": [shop.refund(5, "3.00")]})
    claim = world.ledger.jobs.claim("test")
    assert claim is not None
    record = world.ledger.inbox.record(claim.key)
    assert record is not None
    assert record.raw is not None
    plan = Rehearsal(world.context, claim).plan(world.stores["shop"].order(claim.key, record.raw))
    made = [write.operation for write in plan.writes]
    assert plan.verdict == "post", plan.reason
    assert (made.count("create_invoice"), made.count("create_credit")) == (1, notes)
    assert not [warning for warning in plan.warnings if "cancelled or deleted" in warning]
    assert world.writes() == 0


def test_what_we_invoiced_before_the_erp_did_is_not_invoiced_again(make: Maker) -> None:
    billed = Billed(make, "on_order")
    billed.world.carry(order(1))
    context = billed.world.context
    context.flows = {**context.flows, FLOW: context.flows[FLOW].model_copy(update={"invoices": "from_erp"})}
    billed.bill()
    assert len(billed.invoices) == 1
    assert {one.number for one in billed.shown()} >= {"R-17"}


def test_a_refund_while_the_note_over_the_rest_is_in_doubt(make: Maker) -> None:
    world = slow(make, invoices="on_paid", cancel={"invoiced": "credit"})
    shop = Shop(world)
    shop.carry()
    world.faults(script=[{**LOST, "module": "Invoice"}])
    shop.carry(status="cancelled")
    shop.carry(refunds=[shop.refund(5, "3.00")])
    world.finish()
    assert seen(world) == {"Cancelled": "33.18", "bills": [("Paid", "36.18"), ("Credit Invoice", "-36.18")]}
