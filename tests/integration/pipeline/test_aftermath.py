"""What becomes of an order after its invoice: refunds with credit notes, and late cancellations, done and taken back."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.jsontext import dumps
from core.keys import Change, Key
from ledger.jobs import JobView
from pipelines import explaining
from tests.integration.pipeline.conftest import Maker
from tests.orders import cents, order
from tests.world import SkippingClock, World

PAID = "2026-11-20T10:30:00"
TOTAL = Decimal("36.18")
"""Of `order(1)`: 2 x 10.00, 5.50 and 4.90 for the parcel, with 19 %."""


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One engine will do: nothing here is about SQL."""
    return f"sqlite:///{tmp_path / 'orderwire.sqlite'}"


class Shop:
    """One order of a shop that changes."""

    def __init__(self, world: World) -> None:
        self.world, self.changes = world, 0
        self.now = order(1, date_paid_gmt=PAID)
        self.details: dict[int, dict[str, Any]] = {}

    def carry(self, **changed: Any) -> JobView:
        """The order changes, and is carried."""
        self.changes += 1
        self.now = {**self.now, "date_modified_gmt": f"2026-11-20T{10 + self.changes}:00:00", **changed}
        world = self.world
        world.deliver(self.now)
        world.refunds["1"] = [self.details.get(row["id"]) or row for row in world.refunds["1"]]
        world.drain()
        return world.job("shop/order/1")

    def refund(self, id: int, amount: str, *lines: tuple[int, str, str]) -> dict[str, Any]:
        """A refund as the order names it; of lines: (the line's id, net, tax)."""
        rows = [
            {"total": f"-{net}", "quantity": -1, "taxes": [{"id": 1, "total": f"-{tax}"}],
             "meta_data": [{"key": "_refunded_item_id", "value": str(of)}]}
            for of, net, tax in lines
        ]  # fmt: skip
        rate = {"rate_id": 1, "label": "VAT", "rate_percent": 19, "compound": False}
        self.details[id] = {"id": id, "amount": amount, "reason": "", "line_items": rows, "tax_lines": [rate]}
        return {"id": id, "reason": "", "total": f"-{amount}"}


def seen(world: World) -> dict[str, Any]:
    """What the CRM shows: the order, and each invoice and credit note."""
    made = world.order(1)
    bills = [(row["invoicestatus"], total(row)) for row in world.records("Invoice")]
    return {made["sostatus"]: total(made), "bills": bills}


def total(row: dict[str, Any]) -> str:
    """Over there sums are binary: nothing at all may come out as -0.00."""
    return str(cents(Decimal(row["hdnGrandTotal"])) + 0)


def stock(world: World, sku: str = "OF-100") -> Decimal:
    (found,) = [row["qtyinstock"] for row in world.records("Products") if row["productcode"] == sku]
    return Decimal(found)


def test_refunds_before_and_after_the_invoice(make: Maker) -> None:
    world = make(invoices="on_paid")
    shop = Shop(world)
    early, late, last = shop.refund(5, "5.95", (9, "5.00", "0.95")), shop.refund(6, "11.90", (101, "10.00", "1.90")), {}
    shop.carry(refunds=[early])
    assert seen(world) == {"Approved": "30.23", "bills": [("Paid", "30.23")]}, "the invoice is less from the start"
    before = stock(world)
    last = shop.refund(7, "3.00")
    shop.carry(refunds=[early, late, last])
    bills = [("Paid", "30.23"), ("Credit Invoice", "-11.90"), ("Credit Invoice", "-3.00")]
    assert seen(world) == {"Approved": "15.33", "bills": bills}
    assert stock(world) == before, "credit notes move no goods"
    shown = world.ledger.invoices.of_order("shop-orders", "shop/order/1")
    assert [(one.credit, str(one.total)) for one in shown if one.credit] == [(True, "11.90"), (True, "3.00")]
    world.forget_calls()
    shop.carry()
    assert world.writes() == 0, "nothing is done twice"
    job = shop.carry(refunds=[last])
    bills = [("Paid", "30.23"), ("Cancel", "-11.90"), ("Credit Invoice", "-3.00")]
    assert seen(world) == {"Approved": "33.18", "bills": bills}, "deleted refunds take their notes with them"
    assert [warning for warning in job.warnings if "which INV" in warning], "an invoice is never made more"
    world.drain()
    world.forget_calls()
    world.ledger.jobs.retry(job.id)
    world.drain()
    assert world.writes() == 0


def test_refunds_of_an_order_without_invoice_or_without_notes(make: Maker) -> None:
    world = make(invoices="on_paid", refunds={"invoice": "leave"})
    shop = Shop(world)
    shop.carry()
    shop.carry(refunds=[shop.refund(5, "11.90", (101, "10.00", "1.90"))])
    assert seen(world) == {"Approved": "24.28", "bills": [("Paid", "36.18")]}


def test_notes_where_the_order_stays_as_it_was_sold(make: Maker) -> None:
    world = make(invoices="on_paid", refunds={"order": "note"})
    shop = Shop(world)
    shop.carry()
    shop.carry(refunds=[shop.refund(5, "36.18")], status="refunded")
    assert seen(world) == {"Cancelled": "36.18", "bills": [("Paid", "36.18"), ("Credit Invoice", "-36.18")]}


def test_an_order_that_is_refunded_whole(make: Maker) -> None:
    world = make(invoices="on_paid")
    shop = Shop(world)
    shop.carry()
    whole = [(101, "20.00", "3.80"), (102, "5.50", "1.05"), (9, "4.90", "0.93")]
    job = shop.carry(refunds=[shop.refund(5, "36.18", *whole)], status="refunded")
    assert (job.state, job.amount) == ("settled", "0.00")
    assert seen(world) == {"Cancelled": "0.00", "bills": [("Paid", "36.18"), ("Credit Invoice", "-36.18")]}


def test_more_than_the_total_is_held(make: Maker) -> None:
    world = make()
    shop = Shop(world)
    shop.carry()
    job = shop.carry(refunds=[shop.refund(5, "36.19")])
    assert (job.state, job.error_class) == ("held", "money")
    assert seen(world) == {"Approved": "36.18", "bills": []}


Late = tuple[dict[str, Any], dict[str, Any]]
LATE: dict[str, Late] = {
    "cancel": ({"invoiced": "cancel"}, {"Cancelled": "36.18", "bills": [("Cancel", "36.18")]}),
    "credit": (
        {"invoiced": "credit"},
        {"Cancelled": "36.18", "bills": [("Paid", "36.18"), ("Credit Invoice", "-36.18")]},
    ),
    "hold": ({"invoiced": "hold"}, {"Approved": "36.18", "bills": [("Paid", "36.18")]}),
}


@pytest.mark.parametrize("policy", LATE)
def test_a_cancellation_after_the_invoice(make: Maker, policy: str) -> None:
    cancel, wanted = LATE[policy]
    world = make(invoices="on_paid", cancel=cancel)
    shop = Shop(world)
    full = stock(world)
    shop.carry()
    assert stock(world) == full - 2
    sold = seen(world)
    job = shop.carry(status="cancelled")
    assert job.state == ("held" if policy == "hold" else "settled")
    assert seen(world) == wanted
    assert stock(world) == (full if policy == "cancel" else full - 2)
    world.forget_calls()
    world.drain()
    world.ledger.jobs.retry(job.id)
    world.drain()
    assert world.writes() == 0
    assert seen(world) == wanted, "looking again changes nothing"
    assert shop.carry(status="processing").state == "settled"
    back = seen(world)
    assert back.pop("Approved") == sold.pop("Approved")
    assert [bill for bill in back["bills"] if bill[0] != "Cancel"] == sold["bills"], "taken back with the cancellation"
    assert stock(world) == full - 2
    shop.carry(status="cancelled")
    assert [bill for bill in seen(world)["bills"] if bill[1] != "-36.18" or bill[0] != "Cancel"] == wanted["bills"]


def test_a_person_cancels_what_was_held(make: Maker) -> None:
    world = make(invoices="on_paid")
    shop = Shop(world)
    shop.carry()
    job = shop.carry(status="cancelled")
    assert (job.state, job.error_class) == ("held", "cancelled late")
    assert "What to do: cancel SO" in job.reason
    by_hand(make, world.order(1)["id"], sostatus="Cancelled")
    assert world.ledger.jobs.retry(job.id)
    world.drain()
    assert world.job("shop/order/1").state == "settled"
    assert seen(world) == {"Cancelled": "36.18", "bills": [("Paid", "36.18")]}, "the invoice is theirs"


def test_a_full_refund_is_nobodys_cancellation(make: Maker) -> None:
    """The order is Cancelled over there since then; that it is called off after all is still for a person to judge."""
    world = make(invoices="on_paid")
    shop = Shop(world)
    shop.carry()
    shop.carry(status="refunded", refunds=[shop.refund(5, "36.18")])
    bills = [("Paid", "36.18"), ("Credit Invoice", "-36.18")]
    assert seen(world) == {"Cancelled": "0.00", "bills": bills}
    job = shop.carry(status="cancelled", refunds=[])
    assert (job.state, job.error_class) == ("held", "cancelled late")
    assert "is Cancelled there since it was refunded" in job.reason
    assert "then skip this job" in job.reason
    assert seen(world) == {"Cancelled": "0.00", "bills": bills}
    assert shop.carry(status="processing").state == "settled"
    job = shop.carry(status="cancelled")
    assert (job.state, job.error_class) == ("held", "cancelled late")
    by_hand(make, world.order(1)["id"], sostatus="Cancelled")
    assert world.ledger.jobs.retry(job.id)
    world.drain()
    assert world.job("shop/order/1").state == "settled", "it came back meanwhile: now it was a person"


def by_hand(make: Maker, id: str, **fields: str) -> None:
    """A person changes a record over there."""
    assert make.app is not None
    service = make.app.service
    service.records.revise(service.people.users["admin"], {"id": id, **fields})


@pytest.mark.parametrize(
    ("cancel", "status", "state"),
    [({}, "completed", "held"), ({"shipped": "cancel"}, "completed", "settled"), ({}, "processing", "settled")],
)
def test_a_cancellation_after_the_goods_left(make: Maker, cancel: dict[str, str], status: str, state: str) -> None:
    """`completed` is Delivered over there."""
    world = make(cancel=cancel)
    shop = Shop(world)
    shop.carry(status=status)
    assert shop.carry(status="cancelled").state == state
    assert world.order(1)["sostatus"] == ("Cancelled" if state == "settled" else "Delivered")


def test_the_note_is_over_what_is_left(make: Maker) -> None:
    """Refunded before and after: the notes together are the invoice, whatever is refunded later."""
    world = make(invoices="on_paid", cancel={"invoiced": "credit"})
    shop = Shop(world)
    shop.carry()
    first, second = shop.refund(5, "11.90", (101, "10.00", "1.90")), shop.refund(6, "24.28")
    shop.carry(refunds=[first])
    shop.carry(status="cancelled")
    bills = [("Paid", "36.18"), ("Credit Invoice", "-11.90"), ("Credit Invoice", "-24.28")]
    assert seen(world) == {"Cancelled": "24.28", "bills": bills}
    shop.carry(refunds=[first, second])
    assert seen(world) == {"Cancelled": "0.00", "bills": bills}, "what is refunded of it then is credited already"
    shop.carry(status="refunded")
    closed = [*bills[:2], ("Cancel", "-24.28"), ("Credit Invoice", "-24.28")]
    assert seen(world) == {"Cancelled": "0.00", "bills": closed}


def test_the_store_deletes_the_order(make: Maker) -> None:
    world = make(invoices="on_paid", cancel={"invoiced": "cancel"})
    shop = Shop(world)
    shop.carry()
    gone = Change(Key("shop", "order", "1"), None, None, "gone", fetched_at=world.context.clock.now(), deleted=True)
    world.ledger.inbox.accept([gone], world.context.routes)
    world.drain()
    assert world.job("shop/order/1").state == "settled"
    assert seen(world) == {"Cancelled": "36.18", "bills": [("Cancel", "36.18")]}


def test_a_lost_answer_makes_no_second_note(make: Maker) -> None:
    world = make(clock=SkippingClock(), invoices="on_paid", hold=30.0)
    shop = Shop(world)
    shop.carry()
    world.faults(script=[{"fault": "lost_answer", "operation": "create", "module": "Invoice", "times": 1}])
    shop.carry(refunds=[shop.refund(5, "3.00")])
    world.finish()
    assert seen(world) == {"Approved": "33.18", "bills": [("Paid", "36.18"), ("Credit Invoice", "-3.00")]}


def test_a_rehearsal_tells_what_it_would_do(make: Maker) -> None:
    world = make(invoices="on_paid", cancel={"invoiced": "credit"})
    shop = Shop(world)
    shop.carry()
    world.ledger.flows.set("shop-orders", "rehearse")
    world.forget_calls()
    job = shop.carry(status="cancelled", refunds=[shop.refund(5, "3.00")])
    assert "would be changed (33.18 EUR)" in job.reason
    assert world.writes() == 0


def test_people_see_what_is_left_and_where_it_comes_from(make: Maker) -> None:
    world = make()
    shop = Shop(world)
    job = shop.carry(refunds=[shop.refund(5, "11.90", (101, "10.00", "1.90"))])
    key = Key("shop", "order", "1")
    record = world.ledger.inbox.record(key)
    assert record is not None
    found = explaining.amounts(world.context, key, record.raw)
    assert found is not None
    assert (found.balances, str(found.total), str(found.refunded)) == (True, "24.28", "0")
    assert [(one.name, str(one.amount)) for one in found.parts if one.part == "refund"] == [
        ("Refund 5: Article OF-100", "-10.00")
    ]
    told = explaining.explained(world.context, job, record.raw, [])
    assert (told.fault, list(told.missing)) == ("", [])
    (price,) = [row for row in told.sent if row.name == "LineItems[2].listprice"]
    assert price.value == "-10.00000000"
    assert "refunds" in {place.where for place in price.places}


def test_each_refund_is_asked_for_once(make: Maker) -> None:
    """A refund never changes. One that the shop does not have any more is none, whatever the order still says."""
    world = make()
    shop = Shop(world)
    refunds = [shop.refund(5, "1.00"), shop.refund(6, "2.00")]
    assert shop.carry(refunds=refunds).amount == "33.18"
    world.refunds.clear()
    world.deliver_raw(dumps({**shop.now, "date_modified_gmt": "2026-11-20T20:00:00", "status": "on-hold"}).encode())
    world.drain()
    assert world.job("shop/order/1").state == "settled", "nobody was asked again"
    assert world.ledger.inbox.record(Key("shop", "refund", "1/5")) is not None
    assert world.ledger.jobs.list(search="shop/refund") == [], "they are no jobs"
    named = [*refunds, shop.refund(7, "3.00")]
    world.refunds["1"] = []
    body = {**shop.now, "date_modified_gmt": "2026-11-20T21:00:00", "refunds": named}
    world.deliver_raw(dumps(body).encode())
    world.drain()
    assert world.job("shop/order/1").amount == "33.18"


def test_the_note_is_over_the_invoice_not_over_what_the_order_became(make: Maker) -> None:
    world = make(invoices="on_paid", cancel={"invoiced": "credit"})
    shop = Shop(world)
    shop.carry()
    more = order(1, [("OF-100", 5, "10.00")], date_paid_gmt=PAID)
    del more["date_modified_gmt"]
    shop.carry(**more)
    assert seen(world) == {"Approved": "65.33", "bills": [("Paid", "36.18")]}
    shop.carry(status="cancelled")
    assert seen(world) == {"Cancelled": "65.33", "bills": [("Paid", "36.18"), ("Credit Invoice", "-36.18")]}
