"""The rule of balance, case by case. (Hundreds of made-up orders: tests/unit/oracle.)"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.errors import Held
from core.keys import Key
from mapping.canonical import Address, Customer, LineKind, OrderLine, OrderStatus, SalesOrder, ShippingLine, TaxAmount
from mapping.canonical.totals import PER_ORDER, PER_RATE, UNROUNDED, balance, check_line, rounding_unit

D = Decimal
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def tax(amount: str, rate: str | None = "19", label: str = "VAT", *, compound: bool = False) -> TaxAmount:
    return TaxAmount(label=label, rate=None if rate is None else D(rate), amount=D(amount), compound=compound)


def line(net: str, *taxes: TaxAmount, id: str = "1", kind: LineKind = LineKind.PRODUCT) -> OrderLine:
    return OrderLine(id=id, kind=kind, subtotal=D(net), net=D(net), taxes=taxes)


def order(total: str, *lines: OrderLine, currency: str = "EUR", **fields: Any) -> SalesOrder:
    return SalesOrder(
        key=Key("shop", "order", "1"),
        stamp=NOON,
        number="1",
        status=OrderStatus.CONFIRMED,
        placed_at=NOON,
        currency=currency,
        customer=Customer(key=Key("shop", "guest", "1")),
        billing=Address(),
        shipping=Address(),
        lines=lines,
        total=D(total),
        **fields,
    )


def test_what_adds_up_is_left_alone() -> None:
    plain = order("16.79", line("10.00", tax("1.90")), shipping_lines=(ShippingLine(id="s", net=D("4.89")),))
    assert balance(plain) is plain


def test_a_cent_of_tax_rounded_per_rate() -> None:
    """Ten lines of 0.28: 0.05 tax each on the lines (0.0532), 0.53 in the header."""
    lines = tuple(line("0.28", tax("0.05"), id=str(n)) for n in range(10))
    balanced = balance(order("3.33", *lines, tax_totals=(tax("0.53"),)))
    assert (balanced.rounding, balanced.rounding_reason) == (D("0.03"), PER_RATE)
    assert balanced.lines_net + balanced.tax + balanced.rounding == balanced.total


def test_the_same_without_a_header_is_recomputed() -> None:
    lines = tuple(line("0.28", tax("0.05"), id=str(n)) for n in range(10))
    assert balance(order("3.33", *lines)).rounding == D("0.03")
    for total in ("3.32", "3.34", "3.31"):
        with pytest.raises(Held):
            balance(order(total, *lines))


def test_a_header_that_cannot_be_the_lines_tax_explains_nothing() -> None:
    lines = (line("100.00", tax("19.00")),)
    with pytest.raises(Held):
        balance(order("100.00", *lines, tax_totals=(tax("0.00"),)), shown_tax=D(0))
    with pytest.raises(Held):
        balance(order("119.05", *lines, tax_totals=(tax("19.05"),)), shown_tax=D("19.05"))


def test_a_wrong_tax_on_a_line_is_not_explained_by_a_right_header() -> None:
    good = (line("10.00", tax("1.90"), id="1"), line("10.00", tax("1.90"), id="2"))
    assert not balance(order("23.80", *good, tax_totals=(tax("3.80"),))).rounding
    for wrong in ("1.89", "1.91", "0.00", "2.40"):
        bad = (good[0], line("10.00", tax(wrong), id="2"))
        with pytest.raises(Held):
            balance(order("23.80", *bad, tax_totals=(tax("3.80"),)), shown_tax=D("3.80"))


def test_tax_rounded_once_for_the_order() -> None:
    lines = (
        line("1.02", tax("0.07", "7", "red"), id="1"),
        line("1.02", tax("0.19"), id="2"),
    )  # 0.0714 + 0.1938 = 0.2652
    balanced = balance(order("2.31", *lines), shown_tax=D("0.27"))
    assert (balanced.rounding, balanced.rounding_reason) == (D("0.01"), PER_ORDER)


def test_unrounded_nets_count_only_as_evidence() -> None:
    """Three pieces at 0.125: 0.13 each on show, 0.375 in all, 0.38 charged."""
    lines = tuple(line("0.13", id=str(n)) for n in range(3))
    exact = {str(n): D("0.125") for n in range(3)}
    balanced = balance(order("0.38", *lines), exact_nets=exact)
    assert (balanced.rounding, balanced.rounding_reason) == (D("-0.01"), UNROUNDED)
    assert [each.net for each in balanced.lines] == [D("0.13")] * 3
    for evidence in ({}, {"0": D("0.12")}, {"9": D("0.125")}, {str(n): D("0.1") for n in range(3)}):
        with pytest.raises(Held):
            balance(order("0.38", *lines), exact_nets=evidence)


def test_compound_rates_are_recomputed_one_after_the_other() -> None:
    taxes = (tax("0.14", "5", "GST"), tax("0.28", "9.975", "QST", compound=True))  # 2.71: 0.1355 + 0.28383 = 0.41933
    lines = tuple(line("2.71", *taxes, id=str(n)) for n in range(3))  # three: 0.4065 + 0.85149 = 1.25799
    assert balance(order("9.39", *lines)).rounding == 0
    assert balance(order("9.39", *lines), shown_tax=D("1.26")).rounding == 0
    header = (tax("0.41", "5", "GST"), tax("0.85", "9.975", "QST", compound=True))
    assert balance(order("9.39", *lines, tax_totals=header)).rounding == 0
    with pytest.raises(Held):
        balance(order("9.37", *lines, tax_totals=header))


def test_a_reduction_may_take_its_tax_from_several_rates() -> None:
    fee = line("-1.50", tax("-0.14"), tax("-0.05", "7", "red"), id="f", kind=LineKind.FEE)  # half and half
    goods = tuple(line("0.28", tax("0.05"), id=str(n)) for n in range(10))
    header = (tax("0.39"), tax("-0.05", "7", "red"))
    assert balance(order("1.64", *goods, fee, tax_totals=header)).rounding == D("0.03")
    too_much = line("-1.50", tax("-0.24"), tax("-0.15", "7", "red"), id="f", kind=LineKind.FEE)
    with pytest.raises(Held):
        balance(order("1.64", *goods, too_much, tax_totals=header))


def test_without_a_rate_nothing_is_recomputed() -> None:
    lines = tuple(line("0.28", tax("0.05", None), id=str(n)) for n in range(10))
    with pytest.raises(Held):
        balance(order("3.33", *lines))
    assert balance(order("3.33", *lines), shown_tax=D("0.53")).rounding == D("0.03"), "but what the order shows counts"


@pytest.mark.parametrize("number", [1, 10, 100, 1000])
def test_length_gives_no_room(number: int) -> None:
    lines = tuple(line("10.00", tax("1.90"), id=str(n)) for n in range(number))
    right = D("11.90") * number
    for cents in (-50, -1, 1, 50):
        with pytest.raises(Held):
            balance(order(str(right + D(cents) / 100), *lines, tax_totals=(tax(str(D("1.90") * number)),)))


def test_currencies_without_decimals_and_with_three() -> None:
    yen = order("330", line("301", tax("30", "10")), currency="JPY")
    with pytest.raises(Held, match="301 JPY"):
        balance(yen)
    assert not balance(order("331", line("301", tax("30", "10")), currency="JPY")).rounding
    lines = tuple(line("5", tax("0", "8"), id=str(n)) for n in range(3))  # 0.4 each, 1.2 in all
    assert balance(order("16", *lines, currency="JPY", tax_totals=(tax("1", "8"),))).rounding == 1
    assert rounding_unit(order("1.005", line("1.005"), currency="KWD")) == D("0.001")


def test_a_shop_that_sells_yen_with_two_decimals_is_taken_at_its_word() -> None:
    assert rounding_unit(order("7061.75", line("7061.75"), currency="JPY")) == D("0.01")
    assert rounding_unit(order("7061.00", line("7061.00"), currency="JPY")) == 1


def test_the_sentence_shows_every_sum_and_the_difference() -> None:
    with pytest.raises(Held) as held:
        balance(order("20", line("10.00", tax("1.90")), shipping_lines=(ShippingLine(id="s", net=D("4.90")),)))
    assert held.value.error_class == "money"
    for part in (
        "lines 10.00 EUR",
        "tax 1.90 EUR",
        "shipping 4.90 EUR",
        "rounding 0.00 EUR",
        "= 16.80 EUR",
        "total is 20.00 EUR",
    ):
        assert part in held.value.message
    assert "difference of 3.20 EUR" in held.value.message
    assert "What to do: " in held.value.message


def test_refunds_do_not_touch_the_balance() -> None:
    from mapping.canonical import Refund

    assert not balance(
        order("11.90", line("10.00", tax("1.90")), refunds=(Refund(id="r", amount=D("11.90")),))
    ).rounding


@pytest.mark.parametrize(
    ("quantity", "price", "discount", "net", "fits"),
    [
        ("3", "0.333", "0", "1.00", True),
        ("3", "0.333", "0", "0.99", False),
        ("100", "0.333", "4.65", "28.65", True),
        ("100", "0.333", "4.65", "28.66", False),
        ("0.5", "0.25", "0", "0.13", True),
        ("0.5", "0.25", "0", "0.12", True),
        ("1", "10", "12", "0", False),
    ],
)
def test_quantity_times_price_is_the_line(quantity: str, price: str, discount: str, net: str, fits: bool) -> None:
    made = OrderLine(id="1", quantity=D(quantity), subtotal=D(net), discount=D(discount), net=D(net))
    if fits:
        check_line(made, D(price), D("0.01"), "lines[0].net")
        return
    with pytest.raises(Held, match=r"does not add up.*What to do: ") as held:
        check_line(made, D(price), D("0.01"), "lines[0].net")
    assert (held.value.error_class, held.value.field) == ("money", "lines[0].net")
