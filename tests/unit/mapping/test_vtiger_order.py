from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.errors import Held
from core.keys import Key
from mapping.canonical import (
    Address,
    Customer,
    LineKind,
    OrderLine,
    OrderStatus,
    Refund,
    SalesOrder,
    ShippingLine,
    TaxAmount,
)
from mapping.vtiger import Item, OrderFields, Place, invoice_to_vtiger, order_to_vtiger

NOW = datetime(2026, 11, 22, 2, 43, tzinfo=UTC)
D = Decimal
BERLIN = Address(
    company="Müller KG", first_name="Jörg", last_name="Müller", line1="Straße 7\\a", line2="Hof 2", city="Berlin",
    postal_code="10115", country="DE",
)  # fmt: skip
PAPER = OrderLine(
    id="1", sku="OF-100", name="Paper", quantity=D(3), subtotal=D("12.87"), discount=D("0.87"), net=D("12.00"),
    taxes=(TaxAmount(rate=D(19), amount=D("2.28")),),
)  # fmt: skip
ODD = OrderLine(
    id="2", sku="NOPE", name="Odd thing", subtotal=D(5), net=D(5), taxes=(TaxAmount(rate=D(7), amount=D("0.35")),)
)
RUSH = OrderLine(id="3", kind=LineKind.FEE, name="Rush", subtotal=D(-2), net=D(-2))
DHL = ShippingLine(
    id="4", method="flat_rate", title="DHL", net=D("9.99"), taxes=(TaxAmount(rate=D(19), amount=D("1.90")),)
)
ALL = frozenset({"tax1", "tax2", "tax3"})
PLACE = Place(
    external_id="shop-order-1", account="11x1", contact="12x1", owner="19x5", currency="21x1", subject="Order 1001",
    status="Created", items={"OF-100": Item("14x2", ALL)}, unknown=Item("14x8", ALL), fee=Item("14x9", ALL),
)  # fmt: skip


def order(**changes: Any) -> SalesOrder:
    values: dict[str, Any] = {
        "key": Key("shop", "order", "1"), "stamp": NOW, "number": "1001", "status": OrderStatus.PENDING, "placed_at": NOW,
        "currency": "EUR", "customer": Customer(key=Key("shop", "customer", "1")), "billing": BERLIN, "shipping": BERLIN,
        "lines": (PAPER, ODD, RUSH), "shipping_lines": (DHL,), "total": D("29.52"),
    }  # fmt: skip
    return SalesOrder(**(values | changes))


def test_an_order() -> None:
    element = order_to_vtiger(order(purchase_order="PO-1", custom=(("cf_861", "x"),)), replace(PLACE, delivery="DHL"))
    assert element == {
        "subject": "Order 1001",
        "sostatus": "Created",
        "account_id": "11x1",
        "contact_id": "12x1",
        "assigned_user_id": "19x5",
        "currency_id": "21x1",
        "conversion_rate": "1",
        "cf_external_id": "shop-order-1",
        "vtiger_purchaseorder": "PO-1",
        "carrier": "DHL",
        "cf_861": "x",
        "productid": "14x2",
        "invoicestatus": "AutoCreated",
        "hdnTaxType": "individual",
        "txtAdjustment": "0.00190000",
        "shipping_&_handling": "9.99",
        "shipping_&_handling_shtax1": "19.000",
        "description": "Order 1001 of 2026-11-22 02:43 UTC (web)",
        "bill_street": "Straße 7\\a, Hof 2",
        "bill_city": "Berlin",
        "bill_state": "",
        "bill_code": "10115",
        "bill_country": "DE",
        "ship_street": "Straße 7\\a, Hof 2",
        "ship_city": "Berlin",
        "ship_state": "",
        "ship_code": "10115",
        "ship_country": "DE",
        "LineItems": [
            {"productid": "14x2", "quantity": "3", "listprice": "4.29000000", "discount_amount": "0.87000000",
             "comment": "Paper", "tax1": "19.000", "tax2": "0.000", "tax3": "0.000"},
            {"productid": "14x8", "quantity": "1", "listprice": "5.00000000",
             "comment": "NOPE Odd thing", "tax1": "7.000", "tax2": "0.000", "tax3": "0.000"},
            {"productid": "14x9", "quantity": "1", "listprice": "-2.00000000",
             "comment": "Rush", "tax1": "0.000", "tax2": "0.000", "tax3": "0.000"},
        ],
    }  # fmt: skip


def test_an_order_without_address_and_shipping() -> None:
    element = order_to_vtiger(order(billing=Address(), shipping=Address(), shipping_lines=(), total=D("17.63")), PLACE)
    assert (element["bill_street"], element["ship_street"]) == ("-", "-")
    assert not [name for name in element if name.startswith("shipping")]


def test_what_has_no_field_stands_in_the_description() -> None:
    place = replace(PLACE, payment="bacs", notes=("Line NOPE is parked.", "", "Line NOPE is parked."))
    there = Address(company="Depot", first_name="Anna", line1="Weg 1")
    refund = Refund(id="9", amount=D("12.00"), reason="broken")
    text = order_to_vtiger(
        order(shipping=there, refunds=(refund,), note="Ring twice", rounding=D("0.01"), total=D("29.53")), place
    )["description"]
    assert text.split("\n") == [
        "Order 1001 of 2026-11-22 02:43 UTC (web)",
        "Payment: bacs",
        "Deliver to: Depot, Anna",
        "Line NOPE is parked.",
        "Rounding 0.01 EUR: the store's own rounding, part of the adjustment",
        "Refunded 12.00 EUR, order total unchanged: broken",
        "Customer's note: Ring twice",
    ]


def test_a_tax_no_line_can_carry_is_named() -> None:
    free = OrderLine(
        id="1", sku="OF-100", subtotal=D(10), discount=D(10), net=D(0), taxes=(TaxAmount(amount=D("1.90")),)
    )
    text = order_to_vtiger(order(lines=(free,), shipping_lines=(), total=D("1.90")), PLACE)["description"]
    assert "The adjustment holds 1.90 EUR of tax that no line's percentage can carry" in text


def test_the_payment_method_has_its_field() -> None:
    place = replace(PLACE, payment="Invoice", fields=OrderFields(payment="cf_900", delivery="", purchase_order=""))
    element = order_to_vtiger(order(), replace(place, delivery="DHL"))
    assert element["cf_900"] == "Invoice"
    assert "carrier" not in element
    assert "vtiger_purchaseorder" not in element
    assert element["description"].endswith("Delivery: DHL")


def test_a_fee_without_its_product_goes_to_the_unknown_one() -> None:
    assert order_to_vtiger(order(), replace(PLACE, fee=None))["LineItems"][2]["productid"] == "14x8"


@pytest.mark.parametrize("line", [ODD, RUSH])
def test_no_product_to_carry_a_line_is_held(line: OrderLine) -> None:
    with pytest.raises(Held) as caught:
        order_to_vtiger(order(lines=(PAPER, line)), replace(PLACE, fee=None, unknown=None))
    assert caught.value.error_class == "missing reference"
    assert "unknown_product" in caught.value.message


def test_a_product_without_its_tax_is_held_before_anything_is_written() -> None:
    with pytest.raises(Held) as caught:
        order_to_vtiger(order(), replace(PLACE, items={"OF-100": Item("14x2")}))
    assert (caught.value.error_class, caught.value.field) == ("missing reference", "tax1")
    assert '"OF-100" has no tax1 configured' in caught.value.message


def test_without_tax_no_slot_is_needed() -> None:
    bare = PAPER.model_copy(update={"taxes": ()})
    element = order_to_vtiger(
        order(lines=(bare,), shipping_lines=(), total=D(12)), replace(PLACE, items={"OF-100": Item("14x2")})
    )
    assert set(element["LineItems"][0]) == {"productid", "quantity", "listprice", "discount_amount", "comment"}


def test_the_second_slot_is_taken_where_the_first_is_missing() -> None:
    place = replace(
        PLACE,
        items={"OF-100": Item("14x2", frozenset({"tax2", "tax9"}))},
        fields=OrderFields(tax_slots=("tax1", "tax2")),
    )
    line = order_to_vtiger(order(), place)["LineItems"][0]
    assert (line["tax2"], line["tax9"], "tax1" in line) == ("19.000", "0.000", False)


def test_an_order_of_nothing_is_held() -> None:
    with pytest.raises(Held) as caught:
        order_to_vtiger(order(lines=(), shipping_lines=(), total=D(0)), PLACE)
    assert caught.value.field == "lines"


def test_shipping_alone_stands_on_the_fee_product() -> None:
    element = order_to_vtiger(order(lines=(), total=D("11.89")), PLACE)
    assert element["LineItems"] == [
        {"productid": "14x9", "quantity": "1", "listprice": "9.99000000", "comment": "DHL", "tax1": "19.000",
         "tax2": "0.000", "tax3": "0.000"}
    ]  # fmt: skip


def test_a_quantity_that_cannot_be_kept_is_told() -> None:
    third = PAPER.model_copy(update={"quantity": D("0.3333333"), "note": "cut to size"})
    element = order_to_vtiger(order(lines=(third,), total=D("26.17")), PLACE)
    assert element["LineItems"][0]["comment"] == "Paper\nQuantity 0.3333333\ncut to size"


def test_an_invoice() -> None:
    paid = order(paid_at=datetime(2026, 12, 1, tzinfo=UTC))
    element = invoice_to_vtiger(paid, replace(PLACE, status="Paid", sales_order="6x9", external_id="shop-invoice-1"))
    assert (element["invoicestatus"], element["salesorder_id"], element["invoicedate"]) == ("Paid", "6x9", "2026-12-01")
    assert element["cf_external_id"] == "shop-invoice-1"
    assert "sostatus" not in element
    assert element["LineItems"] == order_to_vtiger(paid, PLACE)["LineItems"]
