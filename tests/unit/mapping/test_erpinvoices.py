"""An ERP's bill in terms of its order: the same total, the same tax, to the cent, whatever the ERP tells of it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Held
from core.keys import Key
from core.money import minor_unit
from mapping.canonical import (
    Address,
    Customer,
    ErpInvoice,
    InvoiceLine,
    LineKind,
    OrderLine,
    OrderStatus,
    PaymentStatus,
    SalesOrder,
    ShippingLine,
    TaxAmount,
)
from mapping.erpinvoices import billed, fits, named, split
from mapping.vtiger import Item, Place, invoice_to_vtiger, represent
from mapping.vtiger.words import invoice_state

D = Decimal
NOW = datetime(2026, 11, 22, tzinfo=UTC)
PRODUCTS = {sku: Item(sku, frozenset({"tax1"})) for sku in ("A", "B")}


def ordered(**over: Any) -> SalesOrder:
    """23.80 and 5.95 of shipping."""
    line = OrderLine(
        id="1", sku="A", name="Pen", quantity=D(2), subtotal=D(20), net=D(20), taxes=(TaxAmount(amount=D("3.80")),)
    )
    given: dict[str, Any] = {
        "key": Key("shop", "order", "1"), "stamp": NOW, "number": "1001", "status": OrderStatus.CONFIRMED, "placed_at": NOW,
        "currency": "EUR", "customer": Customer(key=Key("shop", "customer", "1")), "billing": Address(city="Berlin"),
        "shipping": Address(), "lines": (line,), "total": D("29.75"),
        "shipping_lines": (ShippingLine(id="9", net=D(5), taxes=(TaxAmount(amount=D("0.95")),)),),
    }  # fmt: skip
    return SalesOrder.model_validate({**given, **over})


def bill(*lines: InvoiceLine, **over: Any) -> ErpInvoice:
    given: dict[str, Any] = {
        "key": Key("erp", "invoice", "17"), "number": "R-17", "order": "S1", "reference": "1001", "status": "open",
        "currency": "EUR", "net": D(25), "tax": D("4.75"), "total": D("29.75"), "lines": lines,
    }  # fmt: skip
    return ErpInvoice.model_validate({**given, **over})


def line(net: str, sku: str = "A", **over: Any) -> InvoiceLine:
    return InvoiceLine(sku=sku, name=f"Thing {sku}", quantity=D(1), unit_price=D(net), net=D(net), **over)


@pytest.mark.parametrize(
    ("texts", "some"),
    [
        (("WEB-1001",), {"WEB-1001", "1001"}),
        (("S00012, #1001",), {"S00012", "1001"}),
        (("shop/order/7",), {"shop/order/7"}),
        (("", " "), set()),
        (("1",), {"1"}),
    ],
)
def test_what_a_bill_calls_its_order(texts: tuple[str, ...], some: set[str]) -> None:
    found = named(*texts)
    assert some <= set(found)
    assert len(found) == len(set(found))
    assert bool(found) == bool(some)


def test_a_number_of_the_erps_own_counts_only_with_the_same_sum() -> None:
    assert fits(bill(), ordered())
    assert not fits(bill(total=D("29.76")), ordered())
    assert not fits(bill(currency="USD"), ordered())
    assert fits(bill(currency=""), ordered())


def test_lines_tax_and_total_are_the_bills_and_addresses_the_orders() -> None:
    found = billed(ordered(), bill(line("20.00"), line("5.00", ""), status="paid"))
    assert [(one.kind, one.sku, one.net, one.tax) for one in found.lines] == [
        (LineKind.PRODUCT, "A", D("20.00"), D("3.80")),
        (LineKind.FEE, "", D("5.00"), D("0.95")),
    ]
    assert (found.total, found.rounding, found.shipping_lines) == (D("29.75"), D(0), ())
    assert (found.number, found.billing.city, found.payment_status) == ("1001", "Berlin", PaymentStatus.PAID)


def test_a_discount_of_a_line_is_kept_apart_from_its_price() -> None:
    cheap = InvoiceLine(sku="A", quantity=D(3), unit_price=D(10), net=D("27.00"))
    [found] = billed(ordered(), bill(cheap, net=D(27), tax=D("5.13"), total=D("32.13"))).lines
    assert (found.subtotal, found.discount, found.net) == (D(30), D("3.00"), D("27.00"))


@pytest.mark.parametrize(
    ("lines", "tax", "expected"),
    [
        # Told line by line; a cent that is missing goes to the line with the most tax.
        ((line("20.00", tax=D("3.80")), line("5.00", "B", tax=D("0.95"))), "4.75", ["3.80", "0.95"]),
        ((line("20.00", tax=D("3.80")), line("5.00", "B", tax=D("0.95"))), "4.76", ["3.81", "0.95"]),
        ((line("20.00", tax=D("3.80")), line("5.00", "B", tax=D("0.95"))), "4.73", ["3.79", "0.94"]),
        # Rates only: 19 % and 7 %.
        ((line("20.00", rate=D(19)), line("5.00", "B", rate=D(7))), "4.15", ["3.80", "0.35"]),
        # Nothing but the bill's tax: by what each line costs.
        ((line("10.00"), line("10.00", "B"), line("5.00", "")), "4.75", ["1.90", "1.90", "0.95"]),
        ((line("8.34"), line("8.33", "B"), line("8.33", "")), "0.01", ["0.01", "0.00", "0.00"]),
        # A free line, and one that is exempt.
        ((line("25.00", rate=D(19)), line("0.00", "B", rate=D(19))), "4.75", ["4.75", "0.00"]),
        ((line("20.00", rate=D(0)), line("5.00", "B", rate=D(0))), "0.00", ["0", "0"]),
    ],
)
def test_tax_is_split_exactly(lines: tuple[InvoiceLine, ...], tax: str, expected: list[str]) -> None:
    made = billed(ordered(), bill(*lines, tax=D(tax), total=D(25) + D(tax)))
    assert [one.tax for one in made.lines] == [D(one) for one in expected]
    assert (made.tax, made.rounding) == (D(tax), D(0))


def test_cash_rounding_stands_on_its_own() -> None:
    found = billed(ordered(), bill(line("20.00"), line("5.02", ""), net=D(25), tax=D("4.75")))
    assert (found.rounding, found.total) == (D("-0.02"), D("29.75"))
    assert found.rounding_reason


def test_a_credit_note_goes_below_zero_and_moves_no_goods() -> None:
    found = billed(ordered(), bill(line("20.00"), line("5.00", "B"), credit=True))
    assert found.total == D("-29.75") == found.lines_net + found.tax
    assert {(one.kind, one.sku) for one in found.lines} == {(LineKind.REFUND, "")}
    assert [one.name for one in found.lines] == ["A Thing A", "B Thing B"]


def test_sums_alone_take_the_orders_lines_where_they_are_the_same() -> None:
    same = billed(ordered(), bill())
    assert (same.lines, same.shipping_lines, same.total) == (ordered().lines, ordered().shipping_lines, D("29.75"))
    [part] = billed(ordered(), bill(net=D(20), tax=D("3.80"), total=D("23.80"))).lines
    assert (part.kind, part.name, part.net, part.tax) == (LineKind.FEE, "Invoice R-17", D(20), D("3.80"))


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"currency": "USD"}, "in USD, the order 1001 in EUR"),
        ({"total": D("29.74")}, "does not balance"),
        ({"net": D(30), "total": D("34.75")}, "come to 25.00 EUR, the invoice to 30.00 EUR"),
    ],
)
def test_a_bill_that_is_wrong_is_held_with_its_sums(over: dict[str, Any], words: str) -> None:
    with pytest.raises(Held, match=words) as caught:
        billed(ordered(), bill(line("20.00"), line("5.00", "B"), **over))
    assert "What to do: " in caught.value.message


AMOUNTS = st.integers(0, 500_000)


@given(
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
    rows=st.lists(st.tuples(AMOUNTS, st.sampled_from(["A", "B", ""]), st.integers(1, 9)), min_size=1, max_size=12),
    tax=AMOUNTS,
    rates=st.sampled_from(["none", "rates", "amounts"]),
    off=st.integers(-5, 5),
    credit=st.booleans(),
)
def test_whatever_is_billed_comes_to_the_same_in_the_crm(
    currency: str, rows: list[tuple[int, str, int]], tax: int, rates: str, off: int, credit: bool
) -> None:
    cent = minor_unit(currency)
    lines = []
    for coins, sku, quantity in rows:
        told: dict[str, Any] = (
            {"rate": D(19)} if rates == "rates" else {"tax": coins // 7 * cent} if rates == "amounts" else {}
        )
        lines.append(
            InvoiceLine(
                sku=sku,
                name="Thing",
                quantity=D(quantity),
                unit_price=coins * cent / quantity,
                net=coins * cent,
                **told,
            )
        )
    net = sum((one.net for one in lines), D(0)) + off * cent
    taxes = sum((one.tax or D(0) for one in lines), D(0)) if rates == "amounts" else tax * cent
    whole = bill(*lines, currency=currency, net=net, tax=taxes, total=net + taxes, credit=credit)
    found = billed(ordered(currency=currency), whole)
    sign = -1 if credit else 1
    assert found.total == sign * (net + taxes)
    assert found.tax == sign * taxes
    assert found.lines_net + found.tax + found.rounding == found.total
    money = represent(found)
    assert money.total.quantize(cent) == found.total
    place = Place(
        "x", "11x1", "", "19x1", "21x1", "S", "Created", items=PRODUCTS, fee=PRODUCTS["A"], unknown=PRODUCTS["A"]
    )
    assert len(invoice_to_vtiger(found, place)["LineItems"]) == len(lines)


@given(
    cents=st.integers(-10_000, 10_000),
    weights=st.lists(st.integers(0, 1_000), min_size=1, max_size=20).filter(lambda found: sum(found) > 0),
)
def test_parts_are_whole_cents_and_next_to_their_share(cents: int, weights: list[int]) -> None:
    amount, unit = D(cents) / 100, D("0.01")
    parts = split(amount, [D(one) for one in weights], unit)
    assert sum(parts, D(0)) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert part == part.quantize(unit)
        assert abs(part - amount * weight / sum(weights)) < unit


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Paid", "paid"), ("paid ", "paid"), ("Created", "open"), ("Approved", "open"), ("Sent", "open"), ("Cancel", "cancelled"),
        ("Credit Invoice", "credited"), ("AutoCreated", "draft"), ("Storniert", "cancelled"), ("", "unknown"), ("Neu", "unknown"),
    ],
)  # fmt: skip
def test_words_of_the_crm(word: str, state: str) -> None:
    assert invoice_state(word, {"Storniert": "cancelled"}) == state
