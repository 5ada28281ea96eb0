"""What an order becomes: invoices, import rules, parked lines, words of the tables, rounding, refunds."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import generate_latest

from tests.orders import corpus, order
from tests.world import World

LATER = "2026-11-20T11:00:00"
PAID = "2026-11-20T10:30:00"


@pytest.mark.parametrize(
    ("policy", "paid", "status", "invoices"),
    [
        ("never", PAID, "completed", 0),
        ("on_order", None, "processing", 1),
        ("on_order", None, "cancelled", 0),
        ("on_paid", None, "processing", 0),
        ("on_paid", PAID, "processing", 1),
    ],
)
def test_invoices_by_policy(
    make: Callable[..., World], policy: str, paid: str | None, status: str, invoices: int
) -> None:
    world = make(invoices=policy)
    made = order(1, date_paid_gmt=paid, status=status)
    world.carry(made)
    found = world.records("Invoice")
    assert len(found) == invoices
    for row in found:
        assert row["salesorder_id"] == world.order(1)["id"]
        assert Decimal(row["hdnGrandTotal"]) == Decimal(made["total"])
        assert (row["account_id"], row["contact_id"]) == (world.order(1)["account_id"], world.order(1)["contact_id"])


def test_an_invoice_when_the_payment_arrives_and_no_second_one(make: Callable[..., World]) -> None:
    world = make(invoices="on_paid")
    world.carry(order(1))
    assert world.counts("Invoice") == (0,)
    world.carry(order(1, modified=LATER, date_paid_gmt=PAID))
    world.carry(order(1, modified="2026-11-20T12:00:00", date_paid_gmt=PAID, status="completed"))
    assert world.counts("SalesOrder", "Invoice") == (1, 1)


@pytest.mark.parametrize(
    ("over", "rules", "rule"),
    [
        ({"status": "failed"}, {}, "statuses"),
        ({"status": "checkout-draft"}, {}, "statuses"),
        ({}, {"statuses": ["completed"]}, "statuses"),
        ({}, {"payment": ["paid"]}, "payment"),
        ({}, {"channels": ["phone"]}, "channels"),
        ({}, {"minimum": "100"}, "minimum"),
    ],
)
def test_rules_skip_with_their_name(
    make: Callable[..., World], over: dict[str, Any], rules: dict[str, Any], rule: str
) -> None:
    world = make(rules=rules)
    world.forget_calls()
    job = world.carry(order(1, **over))
    assert (job.state, job.error_class) == ("skipped", f"rule {rule}")
    assert job.reason
    assert world.writes() == 0
    assert world.counts() == (0, 0, 0, 0, 0)


def test_a_skipped_order_travels_once_it_passes(make: Callable[..., World]) -> None:
    """And is kept up to date whatever the rules say from then on."""
    world = make(rules={"statuses": ["completed"]}, cancel={"shipped": "cancel"})
    assert world.carry(order(1, status="processing")).state == "skipped"
    assert world.carry(order(1, status="completed", modified=LATER)).state == "settled"
    assert world.carry(order(1, status="cancelled", modified="2026-11-20T12:00:00")).state == "settled"
    assert world.order(1)["sostatus"] == "Cancelled"


def test_an_unknown_sku_parks_its_line(world: World) -> None:
    made = order(1, [("OF-100", 1, "10.00"), ("NOT-THERE", 3, "7.77"), ("", 1, "1.00")])
    job = world.carry(made)
    assert job.state == "settled"
    found = world.order(1)
    assert Decimal(found["hdnGrandTotal"]) == Decimal(made["total"])
    (carrier,) = [row["id"] for row in world.records("Products") if row["productcode"] == "OW-UNKNOWN"]
    parked = [row for row in found["LineItems"] if row["productid"] == carrier]
    assert len(parked) == 2
    assert "NOT-THERE" in parked[0]["comment"]
    assert Decimal(parked[0]["quantity"]) == 3
    assert "Unknown article: NOT-THERE" in found["description"]
    assert any("NOT-THERE" in warning and "What to do" in warning for warning in job.warnings)
    assert 'kind="unknown sku"' in generate_latest(world.metrics.registry).decode()


def test_a_parked_line_finds_its_product_later(world: World) -> None:
    world.carry(order(1, [("NEW-1", 3, "7.77")]))
    world.seed(products=[{"productname": "New", "productcode": "NEW-1", "unit_price": "7.77", "tax1": "19"}])
    world.context.products.forget()
    assert world.ledger.jobs.retry(world.job("shop/order/1").id)
    world.drain()
    (line,) = world.order(1)["LineItems"]
    assert line["productid"] == next(row["id"] for row in world.records("Products") if row["productcode"] == "NEW-1")
    assert world.job("shop/order/1").warnings == []


def test_methods_by_table(make: Callable[..., World]) -> None:
    """A known code gets its word, an unknown one the default and a warning that is counted."""
    world = make(delivery={"default": "UPS", "table": {"flat_rate": "FedEx"}})
    assert world.carry(order(1)).warnings == []
    assert world.order(1)["carrier"] == "FedEx"
    made = order(2)
    made["shipping_lines"][0]["method_id"] = "drone"
    job = world.carry(made)
    assert job.state == "settled"
    assert world.order(2)["carrier"] == "UPS"
    assert any("drone" in warning and "What to do" in warning for warning in job.warnings)
    counted = generate_latest(world.metrics.registry).decode()
    assert 'orderwire_warnings_total{flow="shop-orders",kind="unknown delivery method"} 1.0' in counted


def test_a_word_that_the_crm_does_not_have_is_held_before_anything_is_written(make: Callable[..., World]) -> None:
    world = make(delivery={"default": "Pigeon"})
    world.forget_calls()
    job = world.carry(order(1))
    assert job.state == "held"
    assert "Pigeon" in job.reason
    assert world.writes() == 0


def test_channel_purchase_order_and_payment(make: Callable[..., World]) -> None:
    world = make()
    world.carry(order(1, meta={"po_number": "PO-4711", "channel": "phone"}))
    found = world.order(1)
    assert found["vtiger_purchaseorder"] == "PO-4711"
    assert "(phone)" in found["description"]


def test_rounding_cents_stand_on_their_own(world: World) -> None:
    """The recorded orders whose lines miss the shop's total by a cent: it stands in the adjustment and in the text."""
    rounded = 0
    for made in corpus():
        world.deliver(made)
    world.drain()
    from connectors.woocommerce.store import WooCommerce
    from core.jsontext import dumps
    from core.keys import Key

    store = world.context.stores["shop"]
    assert isinstance(store, WooCommerce)
    for made in corpus():
        wanted = store.order(Key("shop", "order", str(made["id"])), dumps(made).encode())
        if not wanted.rounding:
            continue
        rounded += 1
        found = world.order(made["number"])
        assert "Rounding by the store" in found["description"]
        assert Decimal(found["txtAdjustment"]) != 0
        assert abs(Decimal(found["txtAdjustment"])) < Decimal("0.20")
    assert rounded == 3, "so many of the recorded orders miss their own total"


@pytest.mark.parametrize(("how", "off"), [("lines", "5.00"), ("note", "0")])
def test_a_refund_is_taken_off_or_kept_apart(make: Callable[..., World], how: str, off: str) -> None:
    world = make(refunds={"order": how})
    made = order(1)
    world.carry(made)
    refunded = {**made, "date_modified_gmt": LATER, "refunds": [{"id": 5, "reason": "broken", "total": "-5.00"}]}
    job = world.carry(refunded)
    wanted = Decimal(made["total"]) - Decimal(off)
    assert (job.state, Decimal(job.amount)) == ("settled", wanted)
    found = world.order(1)
    assert Decimal(found["hdnGrandTotal"]) == wanted
    assert "Refunded: 5.00" in found["description"]
    assert len(found["LineItems"]) == len(made["line_items"]) + (how == "lines")
