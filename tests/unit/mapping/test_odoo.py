"""Odoo's rows to the common language: values, empty fields, addresses, amounts, times."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Held
from core.jsontext import dumps
from core.keys import Key
from mapping.odoo import (
    customer_from_odoo,
    invoice_from_odoo,
    product_from_odoo,
    reference,
    region_from_odoo,
    rep_code,
    rep_from_odoo,
    sale_from_odoo,
    stock_from_odoo,
    stored,
)
from mapping.odoo.wire import day, label, moment_of, newest, number

KEY = Key("erp", "customer", "C1")
EMPTY = {"name": "A", "ref": "C1", "_number": "C1", "email": False, "vat": False, "user_id": False, "team_id": False}


def customer(**values: Any) -> Any:
    return customer_from_odoo(KEY, {**EMPTY, **values})


def test_empty_fields_are_false() -> None:
    found = customer(street=False, phone=False, mobile="+49 1", country_id=False, _children=[])
    assert (found.email, found.vat_number, found.region, found.phone, found.billing.line1) == ("", "", "", "+49 1", "")
    assert (found.assignments, found.ship_tos, found.stamp, found.active) == ((), (), None, True)


def test_the_address_for_invoices_is_the_billing_address() -> None:
    children = [
        {"id": 8, "type": "delivery", "name": "Yard", "street": "Yard 1", "_country": "FR", "team_id": [4, "North"]},
        {"id": 9, "type": "invoice", "name": "Accounts", "street": "Bill 1", "phone": "7"},
        {"id": 10, "type": "delivery", "name": "Old", "active": False},
    ]
    found = customer(street="Street 1", _children=children, vat="/")
    assert (found.billing.company, found.billing.line1, found.billing.phone) == ("Accounts", "Bill 1", "7")
    assert [(one.number, one.region, one.address.country) for one in found.ship_tos] == [("8", "team-4", "FR")]
    assert found.vat_number == ""
    assert customer(street="Street 1").billing.company == ""


def test_a_salesperson_whom_we_may_not_read_is_held_and_not_left_out() -> None:
    with pytest.raises(Held, match="nobody knows who the salesperson is"):
        customer(user_id=[5, "Anna"], _rep=None)
    assert customer(user_id=[5, "Anna"], _rep={"id": 5, "ref": False}).assignments[0].rep == "user-5"
    assert customer(user_id=[5, "Anna"], _rep={"id": 5, "ref": " R5 "}).assignments[0].rep == "R5"


@pytest.mark.parametrize(
    ("user", "code"),
    [
        ({"id": 5, "ref": "R5"}, "R5"),
        ({"id": 5}, "user-5"),
        ({"id": True}, ""),
        ({"id": -1}, ""),
        (None, ""),
        ([1], ""),
    ],
)
def test_codes_of_reps(user: Any, code: str) -> None:
    assert rep_code(user) == code


@pytest.mark.parametrize(("lang", "tags"), [("de_DE", ("de-DE",)), ("sr@latin", ("sr",)), (False, ())])
def test_languages_of_reps(lang: Any, tags: tuple[str, ...]) -> None:
    rep = rep_from_odoo(Key("erp", "rep", "R5"), {"id": 5, "ref": "R5", "name": "Anna", "lang": lang})
    assert rep.languages == tags


def test_regions_rank_their_reps_and_archived_ones_have_none() -> None:
    row = {"id": 4, "name": "North", "_reps": [{"id": 2, "ref": "R2"}, {"id": 1, "ref": "R1"}]}
    found = region_from_odoo(Key("erp", "region", "team-4"), row)
    assert [(one.subject, one.subject_id, one.rep, one.rank) for one in found.assignments] == [
        ("region", "team-4", "R2", 0),
        ("region", "team-4", "R1", 1),
    ]
    assert region_from_odoo(Key("erp", "region", "team-4"), {**row, "active": False}).assignments == ()


@pytest.mark.parametrize(
    ("value", "found"),
    [(False, None), (None, None), (0, Decimal(0)), ("5.1999999999999993", Decimal("5.2")), (Decimal("1e-17"), Decimal(0)),
     (Decimal("-0.0"), Decimal(0)), (-3, Decimal(-3)), ("142.79999999999998", Decimal("142.8"))],
)  # fmt: skip
def test_numbers_are_floats_over_there(value: Any, found: Decimal | None) -> None:
    read = number({"n": value}, "n")
    assert read == found
    assert read is None or not (read == 0 and read.is_signed())


@given(st.floats(allow_nan=False, min_value=-1e11, max_value=1e11))
def test_a_float_comes_back_to_six_decimals(value: float) -> None:
    row = stored(dumps({"n": Decimal(repr(value))}).encode())
    assert number(row, "n") == round(Decimal(repr(value)), 6)


@pytest.mark.parametrize("value", [True, [], {}, "NaN", "", "1,5", "1e400", 10**30])
def test_what_is_no_number_is_held(value: Any) -> None:
    with pytest.raises(Held, match=r"Odoo's field n.* is not a number\. What to do: "):
        number({"n": value}, "n")


def test_dates_times_and_references() -> None:
    assert day({"d": "2026-11-22"}, "d") == date(2026, 11, 22)
    assert day({"d": False}, "d") is None
    for wrong in ("2026-11-31", "20261122", "2026-11-22 01:00:00", 7, True):
        with pytest.raises(Held, match="is not a date"):
            day({"d": wrong}, "d")
    assert moment_of("2026-11-22 01:37:13") == datetime(2026, 11, 22, 1, 37, 13, tzinfo=UTC)
    assert [moment_of(wrong) for wrong in ("2026-11-22", False, None, 7, "x")] == [None] * 5
    assert [reference(value) for value in ([5, "Anna"], 5, False, [], ["x"], True, None)] == [
        5,
        5,
        None,
        None,
        None,
        None,
        None,
    ]
    assert label({"c": [1, "USD"]}, "c") == "USD"
    junk: Any
    for junk in (7, [1], ["x", "y"], [1, 2], {}):
        with pytest.raises(Held, match="should be a record"):
            label({"c": junk}, "c")
    rows = {
        "write_date": "2026-11-22 01:37:13",
        "_children": [{"write_date": "2026-11-23 00:00:00"}, {"write_date": False}],
    }
    assert newest(rows) == datetime(2026, 11, 23, tzinfo=UTC)


def test_goods() -> None:
    row = {"default_code": "S", "name": "Thing", "lst_price": "40.0", "currency_id": [1, "USD"], "uom_id": [1, "Units"]}
    product = product_from_odoo(Key("erp", "product", "S"), row)
    assert (product.price, product.currency, product.unit) == (Decimal(40), "USD", "Units")
    level = {"default_code": "S", "_warehouse": "WH", "qty_available": "5.1", "virtual_available": "-2.0"}
    stock = stock_from_odoo(Key("erp", "stock", "WH/S"), level)
    assert (stock.on_hand, stock.available) == (Decimal("5.1"), Decimal(-2))
    with pytest.raises(Held, match="Inventory"):
        stock_from_odoo(Key("erp", "stock", "WH/S"), {**level, "qty_available": False})


def test_money_has_its_currencys_decimals() -> None:
    row = {
        "id": 1, "name": "INV/1", "state": "posted", "payment_state": "paid", "currency_id": [7, "JPY"], "invoice_origin": False,
        "ref": "PO 7", "amount_untaxed": "100.00000000000001", "amount_tax": "10.0", "amount_total": "110.0", "_lines": [
            {"display_type": False, "quantity": "3.0", "price_unit": "33.333333333", "price_subtotal": "100.0", "name": False,
             "product_id": [4, "[S] Thing"], "_sku": "S"},
            {"display_type": "line_note", "name": "Thank you"},
        ],
    }  # fmt: skip
    found = invoice_from_odoo(Key("erp", "invoice", "1"), row)
    assert (str(found.net), str(found.tax), str(found.total), found.order) == ("100", "10", "110", "PO 7")
    ((sku, name, price),) = [(line.sku, line.name, line.unit_price) for line in found.lines]
    assert (sku, name, price) == ("S", "[S] Thing", Decimal("33.333333"))


# -- sales -------------------------------------------------------------------------------------------------------------


SOLD = {
    "id": 1, "name": "S00001", "client_order_ref": "WEB-1001", "state": "sale", "amount_total": Decimal("138.0"),
    "currency_id": [1, "EUR"], "commitment_date": "2026-11-25 23:30:00", "write_date": "2026-11-22 01:37:14",
}  # fmt: skip


@pytest.mark.parametrize(
    ("over", "promised"),
    [
        ({}, datetime(2026, 11, 25, 23, 30, tzinfo=UTC)),
        ({"state": "done"}, datetime(2026, 11, 25, 23, 30, tzinfo=UTC)),
        ({"state": "draft"}, None),
        ({"state": "sent"}, None),
        ({"state": "cancel"}, None),
        ({"commitment_date": False}, None),
    ],
)
def test_the_delivery_date_of_a_confirmed_sale_is_its_promise(over: dict[str, Any], promised: datetime | None) -> None:
    found = sale_from_odoo(Key("erp", "sale", "1"), {**SOLD, **over})
    assert found.promised == promised
    assert (found.number, found.reference, found.currency, found.total) == (
        "S00001",
        "WEB-1001",
        "EUR",
        Decimal("138.00"),
    )


def test_a_delivery_date_that_is_none_is_held() -> None:
    with pytest.raises(Held, match="commitment_date"):
        sale_from_odoo(Key("erp", "sale", "1"), {**SOLD, "commitment_date": "soon"})
