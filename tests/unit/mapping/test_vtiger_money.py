from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keys import Key
from core.money import DECIMALS
from mapping.canonical import (
    Address,
    Customer,
    OrderLine,
    OrderStatus,
    SalesOrder,
    ShippingLine,
    TaxAmount,
)
from mapping.vtiger import represent, server_total
from mapping.vtiger.money import rate_of

CENT = Decimal("0.01")
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def tax(amount: str, rate: str | None = None, *, compound: bool = False) -> TaxAmount:
    return TaxAmount(amount=Decimal(amount), rate=None if rate is None else Decimal(rate), compound=compound)


def order_of(
    lines: list[OrderLine], shipping: list[ShippingLine], rounding: str = "0", currency: str = "EUR"
) -> SalesOrder:
    total = sum((line.net + line.tax for line in lines), Decimal(rounding))
    total += sum((line.net + line.tax for line in shipping), Decimal(0))
    return SalesOrder(
        key=Key("shop", "order", "1"), stamp=NOW, number="1", status=OrderStatus.PENDING, placed_at=NOW, currency=currency,
        customer=Customer(key=Key("shop", "customer", "1")), billing=Address(), shipping=Address(), lines=tuple(lines),
        shipping_lines=tuple(shipping), total=total, rounding=Decimal(rounding),
    )  # fmt: skip


def line_of(quantity: str, subtotal: str, net: str, *taxes: TaxAmount) -> OrderLine:
    before, after = Decimal(subtotal), Decimal(net)
    discount = before - after
    return OrderLine(
        id="1", sku="A", quantity=Decimal(quantity), subtotal=before, discount=discount, net=after, taxes=taxes
    )


@pytest.mark.parametrize(
    ("net", "taxes", "rate"),
    [
        ("100", [tax("19.00", "19")], "19"),
        ("9.99", [tax("1.90", "19")], "19"),  # explained to the cent
        ("100", [tax("18.00", "19")], "18"),  # not explained: the effective one
        ("100", [tax("8.88", "8.875")], "8.875"),
        ("100", [tax("5.00", "5"), tax("10.47", "9.975", compound=True)], "15.47"),
        ("100", [tax("5.00", "5", compound=True)], "5"),
        ("100", [tax("5.00", "5"), tax("0", "7")], "5"),
        ("100", [tax("0", "19")], "0"),  # exempt
        ("100", [tax("19.00")], "19"),  # the source names no rate
        ("100", [], "0"),
        ("0", [tax("0.20", "19")], "0"),
        ("-1.50", [tax("-0.29", "19")], "19"),
        ("0.01", [tax("0.50")], "0"),  # no field holds 5000 %
        ("100", [tax("-19.00")], "0"),
        ("3", [tax("1.00")], "33.333"),
    ],
)
def test_the_one_percentage(net: str, taxes: list[TaxAmount], rate: str) -> None:
    assert rate_of(Decimal(net), tuple(taxes), CENT) == Decimal(rate)


def test_a_discount_stands_beside_the_price() -> None:
    line = represent(order_of([line_of("3", "74.85", "67.36", tax("12.80", "19"))], [])).lines[0]
    assert (line.quantity, line.price, line.discount) == (Decimal(3), Decimal("24.95"), Decimal("7.49"))
    assert line.net == Decimal("67.36")


def test_a_surcharge_is_part_of_the_price() -> None:
    line = represent(order_of([line_of("2", "10", "12")], [])).lines[0]
    assert (line.price, line.discount) == (Decimal(6), Decimal(0))


@pytest.mark.parametrize("quantity", ["0.3333333", "0", "1.0005"])
def test_a_quantity_that_cannot_be_kept_stands_once(quantity: str) -> None:
    line = represent(order_of([line_of(quantity, "10", "10")], [])).lines[0]
    assert (line.quantity, line.price, line.folded) == (Decimal(1), Decimal(10), True)


def test_several_shipping_lines_become_one_charge() -> None:
    same = represent(order_of([], [])).shipping
    assert same == 0
    order = order_of(
        [line_of("1", "1", "1")],
        [
            ShippingLine(id="1", net=Decimal(10), taxes=(tax("1.90", "19"),)),
            ShippingLine(id="2", net=Decimal(10), taxes=(tax("0.70", "7"),)),
        ],
    )
    money = represent(order)
    assert (money.shipping, money.shipping_rate) == (Decimal(20), Decimal(13))


def test_shipping_alone_or_negative_becomes_a_line() -> None:
    shipping = ShippingLine(id="1", title="DHL", net=Decimal(5), taxes=(tax("0.95", "19"),))
    alone = represent(order_of([], [shipping]))
    assert alone.total == Decimal("5.95")
    assert (alone.shipping, [line.price for line in alone.lines]) == (Decimal(0), [Decimal(5)])
    back = represent(
        order_of([line_of("1", "9", "9")], [shipping.model_copy(update={"net": Decimal(-5), "taxes": ()})])
    )
    assert back.total == Decimal(4)
    assert (back.shipping, [line.price for line in back.lines]) == (Decimal(0), [Decimal(9), Decimal(-5)])


def test_the_shops_rounding_is_the_adjustment() -> None:
    assert represent(
        order_of([line_of("1", "10", "10", tax("1.90", "19"))], [], rounding="-0.01")
    ).adjustment == Decimal("-0.01")


amounts = st.decimals(min_value=-500, max_value=5000, places=2)
taxes_of_lines = st.lists(
    st.builds(
        TaxAmount,
        rate=st.sampled_from([None, Decimal(19), Decimal("8.875"), Decimal(0), Decimal(7)]),
        amount=st.decimals(min_value=-100, max_value=900, places=3),
        compound=st.booleans(),
    ),
    max_size=3,
).map(tuple)
lines = st.builds(
    OrderLine,
    id=st.just("1"),
    sku=st.just("A"),
    quantity=st.decimals(min_value=0, max_value=1000, places=4),
    subtotal=amounts,
    net=amounts,
    taxes=taxes_of_lines,
)
shippings = st.builds(ShippingLine, id=st.just("1"), net=amounts, taxes=taxes_of_lines)


@given(
    st.lists(lines, min_size=1, max_size=8),
    st.lists(shippings, max_size=3),
    st.decimals(min_value=-1, max_value=1, places=2),
    st.sampled_from(["EUR", "JPY", "BHD"]),
)
def test_every_order_reaches_its_total(
    parts: list[OrderLine], ship: list[ShippingLine], rounding: Decimal, currency: str
) -> None:
    """Whatever a shop says, as vtiger keeps it: quantities and percentages with three decimals, the rest with eight."""
    order = order_of(parts, ship, str(rounding), currency)
    money = represent(order)
    eight, three = Decimal("0.00000001"), Decimal("0.001")
    for line in money.lines:
        assert line.quantity > 0
        assert line.quantity == line.quantity.quantize(three)
        assert line.price == line.price.quantize(eight)
        assert 0 <= line.discount == line.discount.quantize(eight)
        assert 0 <= line.rate == line.rate.quantize(three)
    assert money.shipping >= 0
    assert 0 <= money.shipping_rate == money.shipping_rate.quantize(three)
    computed = server_total(
        [(line.net, line.rate) for line in money.lines], money.shipping, money.shipping_rate, money.adjustment
    )
    assert abs(computed - order.total) <= eight
    assert round(computed, DECIMALS[currency] + 3) == round(order.total, DECIMALS[currency] + 3)
