"""Orders in lists: each view has its own, the newest first, and pages lose and repeat nothing."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger import Ledger
from ledger.invoices import InvoiceState
from ledger.orderlist import CALLED_OFF, VIEWS, Bill, OrderLists, Wanted, query_of
from ledger.orderstates import OrderState
from ledger.watches import Watched
from mapping.canonical import OrderStatus
from pipelines import life
from tests.integration.ledger.kit import plans
from tests.integration.ledger.test_orderstates import PLACED, STATE

ALL = Wanted("all")


def placed(ledger: Ledger, number: int, **over: Any) -> OrderState:
    made = replace(
        STATE,
        **{
            "order_key": f"shop/order/{number}",
            "number": str(number),
            "placed_at": PLACED + timedelta(hours=number),
            "remote_id": f"13x{number}",
            "rush": False,
            **over,
        },
    )
    ledger.orders.keep(made)
    return made


def listed(ledger: Ledger, wanted: Wanted) -> list[str]:
    return [one.number for one in OrderLists(ledger.db).part(wanted).orders]


def test_what_is_called_off_is_what_the_pipelines_call_off() -> None:
    assert {OrderStatus(word) for word in CALLED_OFF} == life.CALLED_OFF


def test_each_view_has_its_own(ledger: Ledger) -> None:
    left, arrived = PLACED + timedelta(days=1), PLACED + timedelta(days=3)
    placed(ledger, 1)
    placed(ledger, 2, payment="paid", shipped_at=left)
    placed(ledger, 3, payment="paid", shipped_at=left, delivered_at=arrived, open=False)
    placed(ledger, 4, open=False, shipped_at=left, crm_status="Delivered")
    for number, word in enumerate(CALLED_OFF, 5):
        placed(ledger, number, status=word, open=False)
    found = {view: listed(ledger, Wanted(view)) for view in VIEWS}
    assert found == {
        "current": ["2", "1"],
        "to_ship": ["1"],
        "under_way": ["2"],
        "unpaid": ["4", "1"],
        "delivered": ["4", "3"],
        "called_off": ["9", "8", "7", "6", "5"],
        "all": ["9", "8", "7", "6", "5", "4", "3", "2", "1"],
    }
    offered = OrderLists(ledger.db).offered()
    assert offered.counts == {view: len(found[view]) for view in offered.counts}  # type: ignore[index]
    assert (offered.owners, offered.words) == (("sales",), ("Created",))


def test_filters_narrow(ledger: Ledger) -> None:
    placed(ledger, 1, owner="anna", crm_status="Approved")
    placed(ledger, 2, flow="other", rush=True)
    assert listed(ledger, replace(ALL, owner="anna")) == ["1"]
    assert listed(ledger, replace(ALL, word="Approved")) == ["1"]
    assert listed(ledger, replace(ALL, flow="other")) == ["2"]
    assert listed(ledger, replace(ALL, rush=True)) == ["2"]
    assert listed(ledger, replace(ALL, flow="other", owner="anna")) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_lose_and_repeat_nothing_while_orders_come(ledger: Ledger, limit: int) -> None:
    """Also of one moment: flow and record decide then."""
    for number in range(6):
        placed(ledger, number, placed_at=PLACED, flow="orders" if number % 2 else "other")
    placed(ledger, 6, placed_at=PLACED + timedelta(microseconds=1))
    seen, after, rounds = [], "", 0
    while rounds == 0 or after:
        part = OrderLists(ledger.db).part(ALL, after=after, limit=limit)
        seen += [(one.flow, one.number) for one in part.orders]
        after, rounds = part.after, rounds + 1
        placed(ledger, 100 + rounds)
    assert seen[0] == ("orders", "6")
    assert seen[1:] == [("other", n) for n in ("4", "2", "0")] + [("orders", n) for n in ("5", "3", "1")]


@pytest.mark.parametrize("nonsense", ["", "x", "1", "1/", "1/a", "/a/b", "9" * 30 + "/a/b", "²/a/b", "--1/a/b"])
def test_a_place_that_cannot_be_read_is_the_beginning(ledger: Ledger, nonsense: str) -> None:
    placed(ledger, 1)
    assert [one.number for one in OrderLists(ledger.db).part(ALL, after=nonsense).orders] == ["1"]


def test_it_is_told_with_its_bills_and_its_promise(ledger: Ledger) -> None:
    made = placed(ledger, 1, total=Decimal("-0.005"))
    bill = InvoiceState(made.flow, made.order_key, "crm", "7x1", "ours", number="INV1", state="open")
    for kept in (
        bill,
        replace(bill, remote_id="7x2", number="", state="paid", credit=True),
        replace(bill, remote_id="7x3", number="GONE", state="deleted"),
        replace(bill, remote_id="7x4", number="TWIN", same_as="erp/invoice/17"),
        replace(bill, order_key="shop/order/2", remote_id="7x5", number="ANOTHER"),
    ):
        ledger.invoices.keep(kept)
    due = datetime(2026, 11, 25, tzinfo=UTC)
    watched = Watched(made.flow, made.order_key, date(2026, 11, 24), "store", due, due, "late", due)
    ledger.watches.keep(watched, None)
    [one] = OrderLists(ledger.db).part(ALL).orders
    assert one.bills == (Bill("INV1", "open", False), Bill("7x2", "paid", True))
    assert (one.total, one.level, one.promised_on, one.placed_at) == (
        *(Decimal("-0.005"), "late", "2026-11-24"),
        made.placed_at,
    )


INDEXES = (
    (Wanted(), "ix_order_state_current"),
    (Wanted("unpaid"), "ix_order_state_unpaid"),
    (ALL, "ix_order_state_placed"),
)


@pytest.mark.parametrize(("wanted", "index"), INDEXES)
def test_a_page_walks_the_index_of_the_newest(ledger: Ledger, wanted: Wanted, index: str) -> None:
    """Among a million old orders those are read that are shown, and none is sorted."""
    for number in range(30):
        placed(ledger, number, open=number > 25, payment="unpaid" if number > 25 else "paid")
    dialect = ledger.db.engine.dialect
    options = {"render_postcompile": True}
    compiled = query_of(wanted, "99/orders/shop/order/7", 51).compile(dialect=dialect, compile_kwargs=options)
    given: Any = [compiled.params[name] for name in compiled.positiontup] if compiled.positiontup else compiled.params
    explain = "EXPLAIN QUERY PLAN" if ledger.db.is_sqlite else "EXPLAIN"
    with closing(ledger.db.engine.raw_connection()) as raw:
        cursor = raw.cursor()
        if not ledger.db.is_sqlite:
            cursor.execute("ANALYZE order_state")
            cursor.execute("SET enable_seqscan = off")  # so few rows are read quicker without an index
        cursor.execute(f"{explain} {compiled}", given)
        plan = "\n".join(str(row) for row in cursor.fetchall())
        raw.rollback()
        cursor.close()
    assert index in plan, plan
    assert "B-TREE" not in plan, plan
    assert "Sort" not in plan, plan


def test_the_bills_of_a_page_are_found_by_their_orders(ledger: Ledger) -> None:
    """However many invoices there are; another flow's of the same order is not shown with it."""
    made, other = placed(ledger, 1), placed(ledger, 2, flow="other")
    bill = InvoiceState(made.flow, made.order_key, "crm", "7x1", "ours", number="INV1", state="open")
    for kept in (
        bill,
        replace(bill, order_key=other.order_key, remote_id="7x2", number="NOT SHOWN"),
        replace(bill, flow="other", order_key=other.order_key, remote_id="7x3", number="INV3"),
    ):
        ledger.invoices.keep(kept)
    with plans(ledger, "invoice_state") as found:
        listed = OrderLists(ledger.db).part(ALL).orders
    assert [[one.number for one in order.bills] for order in listed] == [["INV3"], ["INV1"]]
    assert ["ix_invoice_state_order" in plan for plan in found] == [True] * ledger.db.is_sqlite, found
