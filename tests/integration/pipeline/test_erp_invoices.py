"""Invoices beside their orders: by every policy, from the ERP, and what the CRM says of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.vtiger.client import Client
from core.keys import Key
from core.papersettings import SellerSettings
from ledger.invoices import Seen
from ledger.jobs import JobView
from pipelines import billing, crmpolling, erppolling, schedules
from tests.erps import AsRole, Erp
from tests.integration.ledger import kit
from tests.orders import order
from tests.world import SkippingClock, World

D = Decimal
LATER = "2026-11-20T11:00:00"
FLOW = "shop-orders"
PRODUCTS = [{"productname": sku, "productcode": sku, "unit_price": "1", "tax1": "19"} for sku in ("OF-100", "OF-107")]


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Nothing here touches SQL that the ledger's own tests do not try on both engines."""
    return kit.migrated(request, tmp_path)


class Billed:
    """A world with an ERP that writes invoices. `shops`: as of the world."""

    def __init__(self, make: Callable[..., World], policy: str = "from_erp", **flow: Any) -> None:
        self.clock = SkippingClock()
        given = {"invoices": policy, "invoices_from": "erp", "shops": {"shop": {}}, **flow}
        self.world = make(clock=self.clock, **given)
        self.erp = Erp()
        self.erp.kinds = frozenset({"invoice"})
        self.world.context.erps = {"erp": AsRole(self.erp)}
        self.world.seed(products=PRODUCTS)

    def bill(self, id: str = "17", **over: Any) -> None:
        """As the ERP writes it: the order 1, its two articles and its freight, 35.64 EUR in all."""
        lines = [
            {"sku": "OF-100", "name": "Paper", "quantity": "2", "unit_price": "10.00", "net": "20.00"},
            {"sku": "OF-107", "name": "Pens", "quantity": "1", "unit_price": "5.50", "net": "5.50"},
            {"sku": "", "name": "Freight", "quantity": "1", "unit_price": "4.90", "net": "4.90"},
        ]
        facts = {
            "number": f"R-{id}", "order": "S0001", "reference": "WEB-1", "status": "open", "issued": "2026-11-20",
            "due": "2026-12-20", "currency": "EUR", "net": "30.40", "tax": "5.78", "total": "36.18", "balance": "36.18",
            "lines": lines, **over,
        }  # fmt: skip
        self.erp.put("invoice", id, **facts)
        erppolling.poll(self.world.context, "erp")
        self.world.drain()

    def job(self, id: str = "17") -> JobView:
        return self.world.job(f"erp/invoice/{id}")

    def shown(self, key: str = "shop/order/1") -> list[billing.Shown]:
        return billing.of_order(self.world.context, Key.parse(key), [FLOW])

    @property
    def invoices(self) -> list[dict[str, Any]]:
        return self.world.records("Invoice")


@pytest.fixture
def billed(make: Callable[..., World]) -> Billed:
    return Billed(make)


def test_the_erps_invoice_with_its_number_lines_and_total(billed: Billed) -> None:
    billed.world.carry(order(1))
    assert billed.invoices == []
    billed.bill()
    [row] = billed.invoices
    there = billed.world.order(1)
    assert (row["subject"], row["salesorder_id"]) == ("Invoice R-17 for order 1", there["id"])
    assert (row["account_id"], row["contact_id"]) == (there["account_id"], there["contact_id"])
    assert (row["invoicestatus"], row["invoicedate"], row["duedate"]) == ("Created", "2026-11-20", "2026-12-20")
    assert Decimal(row["hdnGrandTotal"]) == D("36.18")
    assert [Decimal(line["quantity"]) for line in row["LineItems"]] == [2, 1, 1]
    assert billed.job().state == "settled"
    [shown] = billed.shown()
    assert (shown.number, shown.state, shown.total, shown.paid, shown.balance) == (
        "R-17",
        "open",
        D("36.18"),
        D(0),
        D("36.18"),
    )
    assert shown.elsewhere is not None
    assert (shown.elsewhere.number, shown.elsewhere.word) == (row["invoice_no"], "Created")


def test_status_and_payments_follow_and_lines_are_not_written_again(
    billed: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    revised: list[bool] = []
    revise = Client.revise

    def spied(client: Client, module: Any, element: Any) -> Any:
        if module == "Invoice":
            revised.append("LineItems" in element)
        return revise(client, module, element)

    monkeypatch.setattr(Client, "revise", spied)
    billed.world.carry(order(1))
    billed.bill()
    for over, word, received in (
        ({"balance": "10.00"}, "Created", "26.18"),
        ({"balance": "0", "status": "paid"}, "Paid", "36.18"),
        ({"balance": "0", "status": "paid"}, "Paid", "36.18"),
        ({"balance": "0", "status": "cancelled"}, "Cancel", "36.18"),
    ):
        billed.world.forget_calls()
        billed.bill(**over)
        [row] = billed.invoices
        assert (row["invoicestatus"], Decimal(row["received"])) == (word, D(received))
        assert Decimal(row["hdnGrandTotal"]) == D("36.18")
        assert len(row["LineItems"]) == 3
        assert billed.world.writes() <= 1
    assert revised == [False, False, False], "the header alone, and only when it changed"
    [shown] = billed.shown()
    assert (shown.state, shown.balance) == ("cancelled", D(0))
    billed.bill(status="open", lines=[], net="20.00", tax="3.80", total="23.80")
    [row] = billed.invoices
    assert (Decimal(row["hdnGrandTotal"]), len(row["LineItems"])) == (D("23.80"), 1)
    assert revised[3:] == [True]


def test_words_and_fields_of_the_connection(make: Callable[..., World]) -> None:
    words = {"unpaid": "Sent", "cancelled": "Cancel", "draft": "AutoCreated"}
    fields = {"invoice_number_field": "customerno", "bill_subject": "{bill} ({number})", "invoice_statuses": words}
    billed = Billed(make, crm=fields)
    billed.world.carry(order(1))
    billed.bill()
    billed.bill(number="R-17a")
    [row] = billed.invoices
    assert (row["subject"], row["customerno"], row["invoicestatus"]) == ("R-17a (1)", "R-17a", "Sent")
    assert billed.shown()[0].elsewhere == billing.Elsewhere("crm", row["id"], row["invoice_no"], "Sent", "open")


def test_told_twice_it_is_there_once_and_unchanged_costs_nothing(billed: Billed) -> None:
    billed.world.carry(order(1))
    billed.bill()
    billed.world.forget_calls()
    billed.world.ledger.jobs.retry(billed.job().id)
    billed.world.drain()
    assert (len(billed.invoices), billed.world.writes()) == (1, 0)


def test_a_credit_note_takes_back_money_and_no_goods(billed: Billed) -> None:
    billed.world.carry(order(1))
    billed.bill()
    stock = {row["productcode"]: row["qtyinstock"] for row in billed.world.records("Products")}
    back = [{"sku": "OF-107", "name": "Pens", "quantity": "1", "unit_price": "5.50", "net": "5.50"}]
    billed.bill("18", credit=True, lines=back, net="5.50", tax="1.05", total="6.55", balance="6.55")
    credit = billed.invoices[1]
    assert (Decimal(credit["hdnGrandTotal"]), credit["invoicestatus"]) == (D("-6.55"), "Credit Invoice")
    now = {row["productcode"]: row["qtyinstock"] for row in billed.world.records("Products")}
    assert (now["OF-107"], now["OF-100"]) == (stock["OF-107"], stock["OF-100"])
    assert [(one.number, one.credit, one.state, one.balance) for one in billed.shown()] == [
        ("R-17", False, "open", D("36.18")),
        ("R-18", True, "credited", D(0)),
    ]


@pytest.mark.parametrize(
    ("over", "found"),
    [
        ({"reference": "1"}, True),
        ({"reference": "Order #1, thanks"}, True),
        ({"reference": "shop/order/1"}, True),
        # A number of the ERP's own counts only where the sums are the same.
        ({"reference": "", "order": "1"}, True),
        ({"reference": "", "order": "1", "total": "36.19", "tax": "5.79"}, False),
        ({"reference": "2", "order": "1"}, False),
    ],
)
def test_how_an_order_is_recognised(billed: Billed, over: dict[str, Any], found: bool) -> None:
    billed.world.carry(order(1))
    billed.bill(**over)
    assert len(billed.invoices) == found
    assert billed.job().state == ("settled" if found else "waiting")


def test_by_the_number_that_the_order_has_in_the_crm(billed: Billed) -> None:
    billed.world.carry(order(1))
    billed.bill(reference=billed.world.order(1)["salesorder_no"])
    assert len(billed.invoices) == 1


def test_one_that_comes_before_its_order_waits_and_goes_with_it(billed: Billed) -> None:
    billed.bill()
    waiting = billed.job()
    assert (waiting.state, waiting.error_class) == ("waiting", "waits for its order")
    assert "which is not in crm yet" in waiting.reason
    billed.world.carry(order(1))
    assert billed.job().state == "settled"
    assert len(billed.invoices) == 1


@pytest.mark.parametrize(("what", "state"), [("hold", "held"), ("skip", "skipped")])
def test_after_its_time_a_person_is_asked_and_the_order_still_frees_it(
    make: Callable[..., World], what: str, state: str
) -> None:
    billed = Billed(make, invoices_wait=3600, invoices_unknown=what)
    billed.bill()
    billed.clock.skip(1800)
    billed.world.ledger.jobs.retry(billed.job().id)
    billed.world.drain()
    assert billed.job().state == "waiting", "its time counts from when it came first"
    billed.clock.skip(1802)
    billed.world.drain()
    assert billed.job().state == state
    if state == "held":
        assert "no order of shop is called that" in billed.job().reason
    billed.world.carry(order(1))
    assert (billed.job().state, len(billed.invoices)) == ("settled", 1)


@pytest.mark.parametrize(
    ("over", "rule"),
    [
        ({"reference": "", "order": ""}, "no order"),
        ({"issued": "2020-01-01"}, "before start"),
        ({"status": "cancelled"}, "no order"),
    ],
)
def test_what_is_not_ours_to_wait_for_is_set_aside(billed: Billed, over: dict[str, Any], rule: str) -> None:
    billed.world.ledger.flows.set(FLOW, "live", start=datetime(2026, 11, 1, tzinfo=UTC))
    billed.bill(**over)
    assert (billed.job().state, billed.job().error_class) == ("skipped", f"rule {rule}")


def test_drafts_are_shown_and_not_written_until_they_are_issued(billed: Billed) -> None:
    billed.world.carry(order(1))
    billed.bill(number="", status="draft", balance=None)
    assert billed.invoices == []
    assert [(one.state, one.number) for one in billed.shown()] == [("draft", "")]
    billed.bill()
    assert len(billed.invoices) == 1


def test_one_bill_for_two_orders_stands_beside_both(billed: Billed) -> None:
    billed.world.carry(order(1))
    billed.world.carry(order(2))
    billed.bill(reference="1, 2")
    assert len(billed.invoices) == 1
    assert [one.number for key in ("1", "2") for one in billed.shown(f"shop/order/{key}")] == ["R-17", "R-17"]
    billed.bill(reference="2")
    assert [len(billed.shown(f"shop/order/{key}")) for key in ("1", "2")] == [0, 1]


def test_with_another_policy_the_erps_invoices_are_only_shown(make: Callable[..., World]) -> None:
    billed = Billed(make, "on_order")
    billed.world.carry(order(1))
    billed.bill(status="paid", balance="0")
    [row] = billed.invoices
    assert row["subject"] == "Invoice for order 1"
    assert {(one.origin, one.system, one.state, one.paid) for one in billed.shown()} == {
        ("ours", "crm", "open", None),
        ("erp", "erp", "paid", D("36.18")),
    }


def test_a_deleted_draft_is_forgotten_and_a_deleted_invoice_is_a_persons(billed: Billed) -> None:
    billed.world.carry(order(1))
    billed.bill("17")
    billed.bill("18", status="draft", number="")
    for id in ("17", "18"):
        billed.erp.drop("invoice", id)
    erppolling.compare(billed.world.context, "erp")
    billed.world.drain()
    assert (billed.job("18").state, billed.job("18").error_class) == ("skipped", "rule deleted")
    assert billed.job("17").state == "held"
    assert "has deleted this invoice" in billed.job("17").reason
    assert [one.number for one in billed.shown()] == ["R-17"]


def test_a_bill_that_is_wrong_writes_nothing(billed: Billed) -> None:
    billed.world.carry(order(1))
    billed.bill(total="36.00")
    assert (billed.job().state, billed.job().error_class) == ("held", "money")
    assert billed.invoices == []


def test_a_flow_that_is_not_live_writes_nothing(billed: Billed) -> None:
    billed.world.carry(order(1))
    billed.world.ledger.flows.set(FLOW, "rehearse")
    billed.bill()
    assert (billed.invoices, billed.shown()) == ([], [])
    billed.world.ledger.flows.set(FLOW, "live")
    billed.world.ledger.flows.wake_rehearsed(FLOW)
    billed.world.drain()
    assert len(billed.invoices) == 1


def test_the_history_of_an_erp_makes_no_invoices(billed: Billed) -> None:
    billed.world.carry(order(1))
    billed.world.ledger.flows.set(FLOW, "live", start=datetime(2026, 11, 21, tzinfo=UTC))
    billed.bill()
    assert (billed.invoices, [one.number for one in billed.shown()]) == ([], ["R-17"])


def test_a_lost_answer_leaves_one_invoice(billed: Billed) -> None:
    billed.world.carry(order(1))
    billed.world.faults(script=[{"fault": "lost_answer", "operation": "create", "module": "Invoice", "times": 1}])
    billed.bill()
    assert billed.job().state == "waiting"
    billed.world.finish()
    assert (len(billed.invoices), billed.job().state) == (1, "settled")
    billed.world.faults(script=[{"fault": "lost_answer", "operation": "revise", "times": 1}])
    billed.bill(status="paid", balance="0")
    billed.world.finish()
    [row] = billed.invoices
    assert (row["invoicestatus"], Decimal(row["received"]), len(row["LineItems"])) == ("Paid", D("36.18"), 3)


def test_two_shops_and_one_erp(make: Callable[..., World]) -> None:
    billed = Billed(make, shops={"shop": {}, "shop2": {}})
    billed.world.carry(order(1), shop="shop2")
    billed.bill()
    billed.bill("18", reference="99")

    def states(id: str) -> dict[str, str]:
        return {job.flow: job.state for job in billed.world.ledger.jobs.list(search=f"erp/invoice/{id}")}

    assert states("17") == {"shop2-orders": "settled", "shop-orders": "skipped"}
    assert states("18") == {"shop2-orders": "skipped", "shop-orders": "waiting"}, "one of them asks for it"
    assert len(billed.invoices) == 1
    billed.world.carry(order(99), shop="shop2")
    assert states("18")["shop2-orders"] == "settled"
    billed.erp.drop("invoice", "17")
    erppolling.compare(billed.world.context, "erp")
    billed.world.drain()
    assert states("17") == {"shop2-orders": "held", "shop-orders": "skipped"}


# -- what is made from orders ------------------------------------------------------------------------------------------


def test_when_it_is_delivered_by_store_or_crm(make: Callable[..., World]) -> None:
    world = make(invoices="on_delivered", clock=SkippingClock())
    world.carry(order(1))
    assert world.counts("Invoice") == (0,)
    [state] = world.ledger.orders.of_remote("crm", world.order(1)["id"])
    world.ledger.orders.crm_says(FLOW, state.order_key, "Delivered", seen_at=world.clock.now() if world.clock else None)
    world.ledger.jobs.retry(world.job("shop/order/1").id)
    world.drain()
    assert world.counts("Invoice") == (1,)
    world.carry(order(2, status="completed"))  # the store's word becomes Delivered in the CRM
    world.carry(order(2, status="completed", modified=LATER))
    assert world.counts("Invoice") == (2,)


def test_our_own_invoice_is_shown_and_the_crm_says_the_rest(make: Callable[..., World]) -> None:
    world = make(invoices="on_order", clock=SkippingClock())
    made = order(1)
    world.carry(made)
    [row] = world.records("Invoice")
    [shown] = billing.of_order(world.context, Key("shop", "order", "1"), [FLOW])
    assert (shown.number, shown.word, shown.state) == (row["invoice_no"], "Created", "open")
    assert (shown.total, shown.paid, shown.seen_at) == (D(made["total"]), None, None)
    now = world.ledger.clock.now()
    echo = Seen(row["id"], "Created", "open", total=D(row["hdnGrandTotal"]), received=D("0.00000000"), currency="EUR")
    assert world.ledger.invoices.crm_says("crm", echo, seen_at=now) == []
    paid = Seen(row["id"], "Paid", "paid", total=D(made["total"]), received=D(made["total"]))
    assert world.ledger.invoices.crm_says("crm", paid, seen_at=now) == [(FLOW, "shop/order/1")]
    assert world.job("shop/order/1").state == "waiting"
    world.drain()
    [shown] = billing.of_order(world.context, Key("shop", "order", "1"), [FLOW])
    assert (shown.state, shown.balance, shown.paid) == ("paid", D(0), D(made["total"]))
    assert world.counts("Invoice") == (1,)


def test_an_invoice_has_the_sellers_day_in_the_crm_in_the_ledger_and_on_paper(make: Callable[..., World]) -> None:
    """At 23:30 UTC it is tomorrow in Rome."""
    world = make(invoices="on_order", clock=SkippingClock())
    world.context.seller = SellerSettings(name="Firm", zone="Europe/Rome")
    late = "2026-11-20T23:30:00"
    world.carry(order(1, date_created_gmt=late, date_paid_gmt=late))
    [row] = world.records("Invoice")
    assert row["invoicedate"] == "2026-11-21"
    [kept] = world.ledger.invoices.of_order(FLOW, "shop/order/1")
    assert str(kept.issued) == "2026-11-21"
    (paper,) = [one for one in world.ledger.papers.of_order("shop/order/1") if one.kind == "invoice"]
    assert str(paper.issued_at.date()) == "2026-11-21"
    crmpolling.compare(world.context, "crm")
    [kept] = world.ledger.invoices.of_order(FLOW, "shop/order/1")
    assert str(kept.issued) == "2026-11-21", "the CRM says the same"


@pytest.mark.parametrize(("zone", "rule"), [("Europe/Rome", "rule before start"), ("UTC", "waits for its order")])
def test_the_start_of_a_flow_is_a_day_of_the_sellers(billed: Billed, zone: str, rule: str) -> None:
    """A bill of the 20th, where the flow began when it was the 21st in Rome already."""
    billed.world.context.seller = SellerSettings(zone=zone)
    billed.world.ledger.flows.set(FLOW, "live", start=datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
    billed.bill(issued="2026-11-20")
    assert billed.job().error_class == rule


def test_a_crash_before_it_was_noted_is_mended(make: Callable[..., World]) -> None:
    world = make(invoices="on_order", clock=SkippingClock())
    world.carry(order(1))
    [row] = world.records("Invoice")
    world.ledger.invoices.forget(FLOW, "crm", row["id"])
    world.carry(order(1, modified=LATER))
    [shown] = world.ledger.invoices.of_order(FLOW, "shop/order/1")
    assert (shown.remote_id, shown.origin, shown.number) == (row["id"], "ours", row["invoice_no"])
    assert world.counts("Invoice") == (1,)


def test_the_erp_is_asked_by_itself(billed: Billed) -> None:
    found = {one.name: one.every for one in schedules.of(billed.world.context)}
    assert (found["poll/erp"], "compare/erp" in found) == (300.0, True)
