"""Refunds taken off an order: exact, whatever was refunded."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Held
from core.jsontext import loads
from core.keys import Key
from core.money import minor_unit
from mapping.canonical import (
    Address,
    Customer,
    LineKind,
    OrderLine,
    OrderStatus,
    Refund,
    RefundedPart,
    SalesOrder,
    ShippingLine,
    TaxAmount,
)
from mapping.cents import cents
from mapping.orderform import FormOptions, order_from_orderform
from mapping.refunds import credit_of, less_refunds, lines_of, reversal, taken_off
from mapping.vtiger import Item, Place, invoice_to_vtiger, order_to_vtiger, represent
from mapping.woocommerce import WooOptions, order_from_woocommerce, refund_from_woocommerce

D = Decimal
FIXTURES = Path(__file__).parents[2] / "fixtures"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
CENT = D("0.01")


def tax(amount: str, rate: str | None = "19") -> TaxAmount:
    return TaxAmount(label="VAT" if rate else "", rate=D(rate) if rate else None, amount=D(amount))


def sold(**over: Any) -> SalesOrder:
    """Two articles, shipping and a cent of rounding: 23.80 + 11.90 + 5.95 + 0.01."""
    lines = (
        OrderLine(id="1", sku="A", name="Pen", quantity=D(2), subtotal=D(20), net=D(20), taxes=(tax("3.80"),)),
        OrderLine(id="2", sku="B", name="Ink", subtotal=D(10), net=D(10), taxes=(tax("1.90"),)),
    )
    given = {
        "key": Key("shop", "order", "1"), "stamp": NOW, "number": "1", "status": OrderStatus.CONFIRMED, "placed_at": NOW,
        "currency": "EUR", "customer": Customer(key=Key("shop", "customer", "1")), "billing": Address(),
        "shipping": Address(), "lines": lines, "total": D("41.66"), "rounding": CENT, "rounding_reason": "theirs",
        "shipping_lines": (ShippingLine(id="9", method="flat_rate", title="Parcel", net=D(5), taxes=(tax("0.95"),)),),
        "tax_totals": (tax("6.65"),),
    }  # fmt: skip
    return SalesOrder(**{**given, **over})


def part(of: str, net: str, *taxes: TaxAmount, quantity: str = "0") -> RefundedPart:
    return RefundedPart(of=of, quantity=D(quantity), net=D(net), taxes=taxes)


def refund(id: str, amount: str, *parts: RefundedPart, asked: bool = True, reason: str = "") -> Refund:
    return Refund(id=id, amount=D(amount), reason=reason, parts=parts if asked else None)


WHOLE = (
    part("1", "20", tax("3.80"), quantity="2"),
    part("2", "10", tax("1.90"), quantity="1"),
    part("9", "5", tax("0.95")),
)


@pytest.mark.parametrize(
    ("refunds", "total", "lines"),
    [
        ([], "41.66", []),
        ([refund("5", "41.66", *WHOLE)], "0.00", ["-20", "-10", "-5", "-0.01"]),
        ([refund("5", "11.90", part("1", "10", tax("1.90"), quantity="1"))], "29.76", ["-10"]),
        ([refund("5", "5.95", part("9", "5", tax("0.95")))], "35.71", ["-5"]),
        ([refund("5", "3.00")], "38.66", ["-3.00"]),
        ([refund("5", "3.00", asked=False)], "38.66", ["-3.00"]),
        ([refund("5", "13.00", part("1", "10", tax("1.90")))], "28.66", ["-10", "-1.10"]),
        ([refund("5", "11.91", part("1", "10", tax("1.90")))], "29.75", ["-10", "-0.01"]),
        ([refund("5", "11.89", part("1", "10", tax("1.90")))], "29.77", ["-10", "0.01"]),
        ([refund("5", "3.00"), refund("6", "11.90", part("2", "10", tax("1.90")))], "26.76", ["-3.00", "-10"]),
        ([refund("5", "0.00", part("1", "0", quantity="1"))], "41.66", []),
    ],
    ids=["none", "full", "a line", "shipping only", "amount only", "not asked", "a line and more", "rounded up",
         "rounded down", "several", "goods only"],
)  # fmt: skip
def test_what_is_left(refunds: list[Refund], total: str, lines: list[str]) -> None:
    order = sold()
    after = less_refunds(order, refunds)
    assert after.total == D(total)
    off = [line for line in after.lines if line.kind is LineKind.REFUND]
    assert [line.net for line in off] == [D(net) for net in lines]
    assert after.lines[:2] == order.lines
    assert after.shipping_lines == order.shipping_lines
    assert all((line.quantity, line.sku) == (D(1), "") for line in off), "no goods move"
    assert taken_off(after) == {refund.id for refund in refunds if refund.amount}
    assert cents(after).balances
    assert after.tax_totals[0].amount == D("6.65") + sum((line.tax for line in off), D(0))


def test_a_refund_says_what_it_is_for() -> None:
    parts = (part("1", "10", tax("1.90"), quantity="1"), part("77", "1"))
    after = less_refunds(sold(), [refund("5", "15.00", *parts, reason="broken")])
    first, second, rest = lines_of(after, "5")
    assert (first.name, first.note) == ("Refund 5: Pen", "A; 1 came back; broken")
    assert (second.name, rest.name) == ("Refund 5", "Refund 5, amount"), "of a line that is not there any more"


def test_tax_without_a_rate_has_that_of_what_was_sold() -> None:
    after = less_refunds(sold(), [refund("5", "11.90", part("1", "10", tax("1.90", None)))])
    assert lines_of(after, "5")[0].taxes == (TaxAmount(label="VAT", rate=D(19), amount=D("-1.90")),)
    both = part("1", "10", tax("1.00", None), tax("0.90", None))
    assert {tax.rate for tax in lines_of(less_refunds(sold(), [refund("5", "11.90", both)]), "5")[0].taxes} == {None}


@pytest.mark.parametrize(
    ("refunds", "says"),
    [
        ([refund("5", "41.67")], "more than its total"),
        ([refund("5", "30.00"), refund("6", "12.00")], "more than its total"),
        ([refund("5", "10.00", part("1", "10", tax("1.90")))], "its parts are 11.90 EUR"),
    ],
)
def test_what_cannot_be_is_held(refunds: list[Refund], says: str) -> None:
    with pytest.raises(Held, match=says) as caught:
        less_refunds(sold(), refunds)
    assert (caught.value.error_class, caught.value.field) == ("money", "refunds")
    assert "What to do: " in caught.value.message


def test_the_crm_carries_it_on_the_product_of_fees() -> None:
    items = {sku: Item(sku, frozenset({"tax1"})) for sku in "AB"}
    place = Place(
        external_id="x", account="11x1", contact="12x1", owner="19x1", currency="21x1", subject="Order 1", status="Approved",
        items=items, fee=Item("FEE", frozenset({"tax1"})),
    )  # fmt: skip
    after = less_refunds(
        sold(), [refund("5", "11.90", part("1", "10", tax("1.90"))), refund("6", "1.00", reason="late")]
    )
    element = order_to_vtiger(after, place)
    found = [(line["productid"], line["quantity"], line["listprice"], line["tax1"]) for line in element["LineItems"]]
    assert found[2:] == [("FEE", "1", "-10.00000000", "19.000"), ("FEE", "1", "-1.00000000", "0.000")]
    assert element["description"].split("\n")[-2:] == ["Refunded 11.90 EUR", "Refunded 1.00 EUR: late"]
    credit = credit_of(after, lines_of(after, "5"))
    assert credit.total == D("-11.90")
    document = invoice_to_vtiger(credit, replace(place, status="Credit Invoice"))
    assert [line["listprice"] for line in document["LineItems"]] == ["-10.00000000"]
    assert "shipping_&_handling" not in document


# -- from the stores ---------------------------------------------------------------------------------------------------


def _corpus() -> list[Any]:
    return [one for one in loads((FIXTURES / "woocommerce" / "orders-corpus.json").read_bytes()) if one["refunds"]]


def test_every_recorded_refund_of_woocommerce() -> None:
    found = _corpus()
    assert len(found) == 17
    for entry in found:
        order = order_from_woocommerce(entry["order"], WooOptions("shop"))
        refunds = [refund_from_woocommerce(raw) for raw in entry["refunds"]]
        after = less_refunds(order, refunds)
        assert after.total == order.total - sum(D(raw["amount"]) for raw in entry["refunds"])
        assert cents(after).balances
        (line,) = [line for line in after.lines if line.kind is LineKind.REFUND]
        assert entry["refunds"][0]["line_items"][0]["name"] in line.name, "it names what it is for"


def test_the_first_recorded_refund() -> None:
    raw = loads((FIXTURES / "woocommerce" / "16-refund.json").read_bytes())["response"]["body"]
    found = refund_from_woocommerce(raw)
    assert found.created == datetime(2026, 11, 22, 1, 36, 11, tzinfo=UTC)
    assert found.parts == (RefundedPart(of="1", quantity=D(1), net=D("40.00")),)
    assert (found.id, found.amount) == ("15", D("40.00"))


def test_a_refund_of_woocommerce_with_tax_shipping_and_a_fee() -> None:
    """In the shape of 16-refund: taxes by rate as they stand on orders, everything negative."""

    def row(of: str, total: str, tax: str, quantity: int = 0) -> dict[str, Any]:
        meta = [{"id": 1, "key": "_refunded_item_id", "value": of}]
        return {"total": total, "quantity": quantity, "taxes": [{"id": 1, "total": tax}], "meta_data": meta}

    rate = {"rate_id": 1, "label": "VAT", "compound": False, "rate_percent": 19}
    raw = {
        "id": 5, "amount": "18.45", "reason": "late", "tax_lines": [rate], "line_items": [row("1", "-10.00", "-1.90", -1)],
        "fee_lines": [row("3", "-0.50", "-0.10")], "shipping_lines": [row("9", "-5.00", "-0.95")],
    }  # fmt: skip
    found = refund_from_woocommerce(raw)
    assert found.parts == (
        part("1", "10.00", tax("1.90"), quantity="1"),
        part("3", "0.50", tax("0.10")),
        part("9", "5.00", tax("0.95")),
    )
    assert less_refunds(sold(), [found]).total == D("41.66") - D("18.45")


TYPICAL = json.loads((FIXTURES / "orderform" / "order__typical.json").read_text(encoding="utf-8"))


def test_a_form_names_its_refunds() -> None:
    raw = copy.deepcopy(TYPICAL)
    parts = [{"of": "1", "quantity": "1", "net": "5.00", "taxes": [{"rate": "19", "amount": "0.95"}]}]
    raw["order"]["refunds"] = [{"id": "R-1", "amount": "5.95", "reason": "broken", "parts": parts}]
    order = order_from_orderform(raw, FormOptions("form"))
    assert (order.total, order.refunded) == (D("55.33"), D("5.95"))
    assert less_refunds(order, order.refunds).total == D("49.38")
    raw["order"]["refunds"] *= 2
    with pytest.raises(Held, match="its own"):
        order_from_orderform(raw, FormOptions("form"))


# -- whatever is refunded ----------------------------------------------------------------------------------------------


@st.composite
def orders_with_refunds(draw: st.DrawFn) -> tuple[SalesOrder, list[Refund]]:
    currency = draw(st.sampled_from(["EUR", "JPY", "KWD"]))
    unit = minor_unit(currency)
    amount = st.integers(0, 100_000).map(lambda n: n * unit)
    rates = st.sampled_from([None, D(0), D(7), D("8.875"), D(19)])

    def taxes(net: Decimal) -> tuple[TaxAmount, ...]:
        rate = draw(rates)
        return () if rate is None else (TaxAmount(rate=rate, amount=(net * rate / 100).quantize(unit)),)

    lines = []
    for n in range(draw(st.integers(1, 4))):
        net = draw(amount)
        lines.append(OrderLine(id=f"l{n}", sku=f"S{n}", quantity=D(draw(st.integers(1, 9))), subtotal=net, net=net,
                               taxes=taxes(net)))  # fmt: skip
    shipping = [ShippingLine(id="s", net=net, taxes=taxes(net)) for net in draw(st.lists(amount, max_size=1))]
    parted: list[OrderLine | ShippingLine] = [*lines, *shipping]
    whole = sum((line.net + line.tax for line in parted), D(0))
    order = sold(
        currency=currency, lines=tuple(lines), shipping_lines=tuple(shipping), total=whole, rounding=D(0), tax_totals=()
    )
    left, refunds = whole, []
    for n in range(draw(st.integers(0, 4))):
        parts = []
        for line in draw(st.lists(st.sampled_from(parted), max_size=3)):
            net = draw(st.integers(0, int(line.net / unit))) * unit
            parts.append(RefundedPart(of=line.id, net=net, taxes=taxes(net)))
        known = sum((one.net + sum((tax.amount for tax in one.taxes), D(0)) for one in parts), D(0))
        back = known + draw(st.integers(0, 500)) * unit
        if back <= left:
            left -= back
            refunds.append(Refund(id=f"r{n}", amount=back, parts=tuple(parts) if draw(st.booleans()) else None))
    return order, refunds


@given(orders_with_refunds())
def test_it_is_exact(case: tuple[SalesOrder, list[Refund]]) -> None:
    order, refunds = case
    after = less_refunds(order, refunds)
    assert after.total == order.total - sum((refund.amount for refund in refunds), D(0))
    assert after.total == after.lines_net + after.tax + after.shipping_net + after.rounding
    unit = minor_unit(order.currency)
    assert represent(after).total.quantize(unit) == after.total
    for one in refunds:
        credit = credit_of(after, lines_of(after, one.id))
        assert credit.total == -one.amount
        assert represent(credit).total.quantize(unit) == credit.total
    rest = credit_of(after, reversal(after))
    assert rest.total == -after.total
    assert represent(rest).total.quantize(unit) == rest.total
    assert less_refunds(order, []) == order.model_copy(update={"refunds": ()})
