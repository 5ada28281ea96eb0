"""Invoices beside their orders, on both engines: news is told once, an echo is none, and nothing newer is overwritten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from core.keys import Key
from ledger import Ledger
from ledger.inbox import Route
from ledger.invoices import InvoiceState, Seen
from ledger.jobs import Outcome
from ledger.orderstates import OrderState
from tests.integration.ledger.kit import claimed, view

D = Decimal
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MADE = InvoiceState(
    "f", "shop/order/1", "crm", "7x50", "ours", number="INV1", word="Created", state="open", currency="EUR", total=D("119.00"),
    issued=date(2026, 11, 20),
)  # fmt: skip
SEEN = Seen("7x50", "Created", "open", number="INV1", total=D("119.00000000"), received=D("0.00000000"))


def of_order(ledger: Ledger) -> list[InvoiceState]:
    return [replace(one, updated_at=None) for one in ledger.invoices.of_order("f", "shop/order/1")]


def test_what_we_wrote_is_kept_and_an_echo_is_no_news(ledger: Ledger) -> None:
    ledger.invoices.made(MADE)
    assert of_order(ledger) == [MADE]
    assert ledger.invoices.crm_says("crm", SEEN, seen_at=NOW) == []
    [kept] = of_order(ledger)
    assert kept == replace(MADE, received=D("0.00"), seen_at=NOW)
    assert kept.open_amount == D("119.00")


def test_news_is_told_once_and_wakes_the_order(ledger: Ledger) -> None:
    claim = claimed(ledger, "1")
    ledger.jobs.settle(claim, Outcome("settled"))
    flow = claim.flow
    ledger.invoices.made(replace(MADE, flow=flow))
    paid = replace(SEEN, word="Paid", state="paid", received=D("119"))
    assert ledger.invoices.crm_says("crm", paid, seen_at=NOW) == [(flow, "shop/order/1")]
    assert view(ledger, claim).state == "waiting"
    assert ledger.invoices.crm_says("crm", paid, seen_at=NOW) == []
    [kept] = ledger.invoices.of_remote("crm", "7x50")
    assert (kept.state, kept.word, kept.open_amount, kept.origin) == ("paid", "Paid", D(0), "ours")
    # What it does not tell stays; money is rounded as the currency has it.
    odd = Seen("7x50", "Paid", "paid", total=D("118.999999999"))
    assert ledger.invoices.crm_says("crm", odd, seen_at=NOW) == []
    [kept] = ledger.invoices.of_remote("crm", "7x50")
    assert (kept.total, kept.received, kept.number) == (D("119.00"), D("119.00"), "INV1")


def test_what_the_crm_said_meanwhile_is_newer_than_what_we_sent(ledger: Ledger) -> None:
    ledger.orders.keep(_order())
    by_hand = replace(SEEN, word="Approved", order_id="6x1", currency="EUR")
    assert ledger.invoices.crm_says("crm", by_hand, seen_at=NOW) == [("f", "shop/order/1")]
    [kept] = of_order(ledger)
    assert (kept.origin, kept.word, kept.total) == ("crm", "Approved", D("119.00"))
    ledger.invoices.made(replace(MADE, same_as="erp/invoice/1"))
    [kept] = of_order(ledger)
    assert (kept.origin, kept.word, kept.seen_at, kept.same_as) == ("ours", "Approved", NOW, "erp/invoice/1")


def test_one_of_no_order_of_ours_goes_nowhere(ledger: Ledger) -> None:
    assert ledger.invoices.crm_says("crm", SEEN, seen_at=NOW) == []
    assert ledger.invoices.crm_says("crm", replace(SEEN, order_id="6x9"), seen_at=NOW) == []
    assert ledger.invoices.of_remote("crm", "7x50") == []


def test_gone_is_told_once_and_seen_again_is_news(ledger: Ledger) -> None:
    ledger.invoices.made(MADE)
    assert ledger.invoices.crm_gone("crm", "7x50") == [("f", "shop/order/1")]
    assert ledger.invoices.crm_gone("crm", "7x50") == []
    [kept] = of_order(ledger)
    assert (kept.state, kept.open_amount) == ("deleted", D(0))
    assert ledger.invoices.crm_says("crm", SEEN, seen_at=NOW) == [("f", "shop/order/1")]


def test_kept_whole_it_tells_whether_it_was_news(ledger: Ledger) -> None:
    bill = replace(MADE, system="erp", remote_id="17", origin="erp", seen_at=NOW)
    assert ledger.invoices.keep(bill)
    assert not ledger.invoices.keep(bill)
    assert not ledger.invoices.keep(replace(bill, seen_at=NOW + timedelta(hours=1), due=date(2026, 12, 1)))
    assert ledger.invoices.keep(replace(bill, received=D(10)))
    ledger.invoices.keep(replace(bill, order_key="shop/order/2"))
    ledger.invoices.forget("f", "erp", "17", but=["shop/order/2"])
    assert of_order(ledger) == []
    assert [one.order_key for one in ledger.invoices.of_remote("erp", "17")] == ["shop/order/2"]


def test_a_bill_waits_for_any_of_its_names_and_keeps_its_place(ledger: Ledger) -> None:
    bill, route = Key("erp", "invoice", "17"), Route("f", "crm", "sync")
    since = ledger.invoices.wait("f", bill, ["WEB-1", "1", "1"])
    assert ledger.invoices.wait("f", bill, ["WEB-1", "2"]) == since
    assert ledger.invoices.came(route, ["1"]) == []
    assert ledger.invoices.came(Route("g", "crm", "sync"), ["2"]) == []
    for _ in range(2):
        assert ledger.invoices.came(route, ["2", "WEB-1"]) == [bill]
    [job] = ledger.jobs.list(search="erp/invoice/17")
    assert (job.flow, job.target, job.queue, job.state, job.wanted) == ("f", "crm", "sync", "waiting", 2)
    ledger.invoices.waits_no_more("f", bill)
    assert ledger.invoices.came(route, ["2"]) == []


def _order() -> OrderState:
    return OrderState(
        "f", "shop/order/1", "crm", "6x1", "1", "11x1", "sales", "confirmed", "unpaid", "EUR", D("119.00"), "", "", rush=False,
        open=True, placed_at=NOW, paid_at=None, shipped_at=None, delivered_at=None, promised_on=None,
    )  # fmt: skip
