"""Tryton's rows to the common language: values, agents, addresses, amounts, times."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Held
from core.keys import Key
from mapping.tryton import (
    code_of,
    customer_from_tryton,
    invoice_from_tryton,
    product_from_tryton,
    rep_code,
    rep_from_tryton,
    stock_from_tryton,
    stored,
)
from mapping.tryton.wire import day, flag, moment_of, newest, number, quantity

KEY = Key("erp", "customer", "C1")


def decimal(text: str) -> dict[str, str]:
    return {"__class__": "Decimal", "decimal": text}


def on(year: int, month: int, number: int) -> dict[str, Any]:
    return {"__class__": "date", "year": year, "month": month, "day": number}


def at(*parts: int) -> dict[str, Any]:
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **dict(zip(names, parts, strict=True))}


def agent(
    number: int, code: str | None, *, sequence: int | None = None, company: int = 1, **dates: Any
) -> dict[str, Any]:
    person = {"id": 100 + number, "code": code}
    return {"id": number, "sequence": sequence, "agent.": {"id": number, "company": company, "party.": person}, **dates}


def customer(**values: Any) -> Any:
    return customer_from_tryton(KEY, {"id": 4, "code": "C1", "name": "Rossi", **values})


@pytest.mark.parametrize(("value", "found"), [(1, True), (0, False), (True, True), (False, False), (None, True)])
def test_booleans_of_sqlite_and_postgresql(value: object, found: bool) -> None:
    assert flag({"active": value}, "active", absent=True) is found


@pytest.mark.parametrize("value", [2, "1", [], {}, Decimal("0.5")])
def test_what_is_no_boolean_is_held(value: object) -> None:
    with pytest.raises(Held, match="should be true or false"):
        flag({"active": value}, "active", absent=True)


@pytest.mark.parametrize(
    ("value", "found"), [(decimal("142.80"), "142.80"), (3, "3"), ("1.50", "1.50"), (decimal("-0.01"), "-0.01")]
)
def test_amounts_keep_their_digits(value: object, found: str) -> None:
    assert str(number({"x": value}, "x")) == found


@pytest.mark.parametrize("value", [decimal("NaN"), decimal("1e400"), {"__class__": "float"}, {}, [], True, decimal("")])
def test_what_is_no_amount_is_held(value: object) -> None:
    with pytest.raises(Held, match="is not a number"):
        number({"x": value}, "x")


@pytest.mark.parametrize(
    ("value", "digits", "found"),
    [
        ("6.199999999999999", 2, "6.20"),
        ("0.30000000000000004", 1, "0.3"),
        (5, 0, "5"),
        ("-0.0000000001", 2, "0.00"),
        ("-3.0", 0, "-3"),
    ],
)
def test_sums_of_floats_are_rounded_to_the_unit(value: object, digits: int, found: str) -> None:
    assert str(quantity({"quantity": value}, "quantity", digits)) == found


@given(st.dates())
def test_every_date_comes_back(value: date) -> None:
    assert day({"d": on(value.year, value.month, value.day)}, "d") == value


@pytest.mark.parametrize(
    "value", [at(2026, 13, 1, 0, 0, 0, 0), on(2026, 1, 1), {"__class__": "datetime"}, "2026-01-01", None]
)
def test_a_time_that_is_none(value: object) -> None:
    assert moment_of(value) is None


def test_the_newest_time_of_all_rows_of_a_record() -> None:
    row = {
        "write_date": at(2026, 1, 1, 0, 0, 0, 0),
        "agents.": [{"create_date": at(2026, 3, 1, 1, 2, 3, 4), "write_date": None}],
    }
    assert newest(row) == datetime(2026, 3, 1, 1, 2, 3, 4, tzinfo=UTC)
    assert newest({}) is None


# -- customers and reps ------------------------------------------------------------------------------------------------


def test_agents_come_in_trytons_order() -> None:
    rows = [
        agent(1, "A", sequence=20),
        agent(2, "B", sequence=10),
        agent(3, "C"),
        agent(4, "D"),
        agent(5, "A", sequence=10),
    ]
    found = customer(**{"agents.": rows[::-1]}).assignments
    assert [(one.rep, one.rank) for one in found] == [("C", 0), ("D", 1), ("B", 2), ("A", 3), ("A", 4)]
    assert {(one.subject, one.subject_id, one.role) for one in found} == {("customer", "C1", "primary")}


def test_the_same_agent_twice_with_other_dates() -> None:
    rows = [
        agent(1, "A", start_date=on(2026, 1, 1), end_date=on(2026, 3, 31)),
        agent(2, "A", start_date=on(2026, 9, 1), end_date=None),
    ]
    found = customer(**{"agents.": rows}).assignments
    assert [(one.rep, one.first, one.last) for one in found] == [
        ("A", date(2026, 1, 1), date(2026, 3, 31)),
        ("A", date(2026, 9, 1), None),
    ]


def test_agents_of_another_company_are_not_ours() -> None:
    rows = [agent(1, "A", company=2), agent(2, "B")]
    assert [(one.rep, one.rank) for one in customer(_company=1, **{"agents.": rows}).assignments] == [("B", 1)]


def test_an_agent_without_a_code_and_one_that_is_not_shown() -> None:
    assert customer(**{"agents.": [agent(1, None)]}).assignments[0].rep == "party-101"
    with pytest.raises(Held, match=r"agents\.agent\.party is not there.*What to do: "):
        customer(**{"agents.": [{"id": 1, "agent.": None}]})


@pytest.mark.parametrize(("word", "business"), [("own", "own"), ("agent", "rep"), ("", "customer"), (None, "customer")])
def test_whose_entry_a_party_is(word: str | None, business: str) -> None:
    assert customer(_is=word).business == business


def test_addresses() -> None:
    rows = [
        {"id": 1, "street": "Old", "city": "Rome", "active": 0},
        {
            "id": 2,
            "street": "Via Roma 1\n\nScala B\nInterno 3",
            "city": "Rome",
            "postal_code": "00100",
            "country.": {"code": "IT"},
        },
        {"id": 3, "street": "Dock 5", "city": "Ostia", "delivery": True},
        {"id": 4, "street": "Accounts", "city": "Milan", "invoice": 1},
    ]
    found = customer(**{"addresses.": rows})
    assert (found.billing.line1, found.billing.city) == ("Accounts", "Milan")
    assert [(one.number, one.address.city) for one in found.ship_tos] == [("3", "Ostia")]
    plain = customer(**{"addresses.": rows[:2]})
    assert (plain.billing.line1, plain.billing.line2, plain.billing.country) == (
        "Via Roma 1",
        "Scala B, Interno 3",
        "IT",
    )
    assert [one.number for one in plain.ship_tos] == ["2"]
    assert customer().billing.empty


def test_ways_to_reach_somebody() -> None:
    rows = [
        {"type": "email", "value": "old@x.example", "active": False},
        {"type": "email", "value": " new@x.example ", "active": 1},
        {"type": "mobile", "value": "+39 333", "active": True},
    ]
    found = customer(**{"contact_mechanisms.": rows, "tax_identifier.": {"id": 1, "code": "IT01234567890"}})
    assert (found.email, found.phone, found.vat_number) == ("new@x.example", "+39 333", "IT01234567890")


def test_a_rep_is_active_while_one_of_its_agents_is() -> None:
    key, row = Key("erp", "rep", "R1"), {"id": 7, "code": "R1", "name": "Anna", "lang.": {"code": "pt_BR"}}
    agents = [{"active": 0}, {"active": 1}]
    assert rep_from_tryton(key, {**row, "_agents": agents}).active
    assert not rep_from_tryton(key, {**row, "_agents": agents[:1]}).active
    assert not rep_from_tryton(key, {**row, "_agents": agents, "active": False}).active
    assert rep_from_tryton(key, {**row, "_agents": agents}).languages == ("pt-BR",)


@pytest.mark.parametrize(
    ("row", "code"), [({"code": " R1 "}, "R1"), ({"code": None, "id": 7}, "party-7"), ({}, ""), (None, ""), ("x", "")]
)
def test_codes_of_reps(row: object, code: str) -> None:
    assert rep_code(row) == code


def test_codes_are_text_that_databases_take() -> None:
    assert code_of({"code": "A\x00B"}) == "AB"
    assert code_of({"code": "9" * 5000}) == ""


# -- goods and bills ---------------------------------------------------------------------------------------------------


def test_a_product_without_a_price() -> None:
    row = {
        "id": 1,
        "code": "S",
        "name": "Widget",
        "list_price_used": None,
        "default_uom.": {"symbol": "kg"},
        "_currency": "EUR",
    }
    found = product_from_tryton(Key("erp", "product", "S"), row)
    assert (found.price, found.unit, found.currency) == (None, "kg", "EUR")
    with pytest.raises(Held, match="is not a currency"):
        product_from_tryton(Key("erp", "product", "S"), {**row, "_currency": "XXY"})


def test_a_sku_with_a_slash() -> None:
    row = {"id": 1, "code": "A/1", "quantity": 3, "_warehouse": "WH", "_read_at": "2026-11-22T10:00:00+00:00"}
    found = stock_from_tryton(Key("erp", "stock", "WH/A/1"), row)
    assert (found.sku, found.on_hand, found.available, found.stamp) == ("A/1", Decimal(3), None, None)
    assert found.read_at == datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
    with pytest.raises(Held, match="quantity is missing"):
        stock_from_tryton(Key("erp", "stock", "WH/A/1"), {**row, "quantity": None})


def invoice(**values: Any) -> Any:
    row = {"id": 9, "state": "posted", "untaxed_amount": decimal("120.00"), "total_amount": decimal("142.80"), **values}
    return invoice_from_tryton(Key("erp", "invoice", "9"), row)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("draft", "draft"),
        ("validated", "draft"),
        ("posted", "open"),
        ("paid", "paid"),
        ("cancelled", "cancelled"),
        ("new", "unknown"),
    ],
)
def test_states_of_invoices(state: str, status: str) -> None:
    assert invoice(state=state).status == status


def test_a_credit_note_is_positive() -> None:
    line = {
        "type": "line",
        "quantity": "-2.0",
        "unit_price": decimal("60"),
        "amount": decimal("-120.00"),
        "unit.": {"digits": 0},
    }
    found = invoice(untaxed_amount=decimal("-120.00"), total_amount=decimal("-142.80"), **{"lines.": [line]})
    assert (found.credit, found.net, found.tax, found.total) == (
        True,
        Decimal("120.00"),
        Decimal("22.80"),
        Decimal("142.80"),
    )
    assert (found.lines[0].quantity, found.lines[0].net, found.lines[0].unit_price) == (
        2,
        Decimal("120.00"),
        Decimal(60),
    )
    assert not invoice(untaxed_amount=decimal("0"), total_amount=decimal("0")).credit


def test_comments_are_no_lines_and_terms_have_a_last_day() -> None:
    lines = [{"type": "title"}, {"type": "comment", "description": "Thanks"}, {"type": "line", "product.": None}]
    terms = [{"maturity_date": on(2026, 12, 1)}, {"maturity_date": on(2027, 1, 1)}, {"maturity_date": None}]
    found = invoice(
        **{"lines.": lines, "lines_to_pay.": terms, "sales.": [{"number": "S1"}, {"number": None, "reference": "W"}]}
    )
    assert (len(found.lines), found.due, found.order) == (1, date(2027, 1, 1), "S1, W")


def test_text_of_people_is_in_no_message() -> None:
    with pytest.raises(Held) as caught:
        customer(name=["Maria Rossi"])
    assert "Rossi" not in caught.value.message
    assert "What to do: " in caught.value.message


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{", b"\xff"])
def test_what_is_no_row_is_held(raw: bytes) -> None:
    with pytest.raises(Held, match="What to do: "):
        stored(raw)
