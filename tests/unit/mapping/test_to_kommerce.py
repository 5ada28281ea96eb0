"""Customers and reps as rows of KommerceServer's files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Held
from core.keys import Key
from mapping.canonical import Address, Agency, ErpCustomer, SalesRep
from mapping.cards import Card, CardRep
from mapping.kommerce.columns import CONTACTS, CUSTOMERS, cells_of, line, listed
from mapping.kommerce.to_kommerce import (
    REPS,
    business_of,
    contact_cells,
    contact_number,
    customer_cells,
    encoded,
    rep_codes,
    split_name,
)

LAYOUT = CUSTOMERS.with_columns({REPS: 25})
ADDRESS = Address(
    line1="Main Road 1", line2="Hall 2", city="Essen", state="NW", postal_code="45127", country="DE", phone="1"
)
CUSTOMER = ErpCustomer(key=Key("erp", "customer", "10017"), name="Blue Ltd", phone="+49 30 1", billing=ADDRESS)
MIA = SalesRep(
    key=Key("erp", "rep", "R7"),
    name="Mia Muster",
    title="Inside sales",
    email="mia@firm.example",
    phone="+49 30 7",
    mobile="+49 170 7",
)


def test_a_customer_stands_where_the_specification_says() -> None:
    cells = customer_cells(LAYOUT, CUSTOMER, ["R7", "R9"], ",")
    assert len(cells) == 25
    assert cells[:12] == [
        *("10017", "", "C", "Blue Ltd", "Main Road 1", "Hall 2", "", "Essen", "NW", "45127", "DE", "+49 30 1"),
    ]
    assert cells[24] == "R7,R9"
    assert not any(cells[12:24])


def test_reps_stand_in_the_order_of_the_card_each_once() -> None:
    reps = [CardRep(name="a", code="R9"), CardRep(name="b", code="R7"), CardRep(name="a", code="R9"), CardRep(name="t")]
    assert rep_codes(Card(customer="1", reps=tuple(reps))) == ["R9", "R7"]


def test_a_code_that_holds_the_separator_would_be_two() -> None:
    with pytest.raises(Held, match="What to do: change rep_separator"):
        customer_cells(LAYOUT, CUSTOMER, ["R7,R8"], ",")
    assert customer_cells(LAYOUT, CUSTOMER, ["R7,R8"], "|")[24] == "R7,R8"


def test_only_what_is_released_stands_with_a_rep() -> None:
    def cells(rep: SalesRep) -> dict[str, str]:
        made = contact_cells(CONTACTS, rep, None, business="900", prefix="REP-", business_type="C")
        return {name: CONTACTS.cell(made, name) for name in CONTACTS.columns}

    told = cells(MIA)
    assert told["mobile"] == ""  # private unless released
    assert (told["number"], told["name"], told["first"], told["last"]) == ("REP-R7", "Mia Muster", "Mia", "Muster")
    assert (told["position"], told["phone"], told["email"]) == ("Inside sales", "+49 30 7", "mia@firm.example")
    assert (told["company"], told["business_type"]) == ("900", "C")
    bare = cells(MIA.model_copy(update={"released": frozenset({"mobile"})}))
    assert (bare["position"], bare["phone"], bare["email"], bare["mobile"]) == ("", "", "", "+49 170 7")


def test_a_contact_is_of_its_agencys_business() -> None:
    assert business_of(None, "900") == "900"
    assert business_of(Agency(code="A", business="77", own=False), "900") == "77"
    assert business_of(Agency(code="A", own=False), "900") == ""  # a partner's people are not our own
    assert business_of(Agency(code="O", own=True), "900") == "900"


def test_two_agencies_may_use_one_code() -> None:
    other = MIA.model_copy(update={"agency": "A"})
    assert {contact_number(MIA, "REP-"), contact_number(other, "REP-")} == {"REP-R7", "REP-A-R7"}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Mia Muster", ("Mia", "Muster")),
        ("Muster, Mia", ("Mia", "Muster")),
        ("Anna Maria de Rossi", ("Anna Maria de", "Rossi")),
        ("Team", ("", "Team")),
        ("", ("", "")),
        ("Muster,", ("", "Muster,")),
    ],
)
def test_names_in_two_parts(name: str, parts: tuple[str, str]) -> None:
    assert split_name(name) == parts


def test_what_an_encoding_has_no_sign_for_becomes_readable() -> None:
    assert encoded("Čapek Łódź – 5 €", "windows-1252").decode("windows-1252") == "Capek ?ódz – 5 €"
    assert encoded("Čapek", "utf-8").decode() == "Čapek"


@given(st.lists(st.text(), min_size=3, max_size=3))
def test_no_value_moves_a_column_or_a_row(values: list[str]) -> None:
    name, street, city = values
    customer = CUSTOMER.model_copy(
        update={"name": name, "billing": ADDRESS.model_copy(update={"line1": street, "city": city})}
    )
    text = line(customer_cells(LAYOUT, customer, ["R7", "R9"], ","))
    assert text.splitlines() in ([text], [])
    cells = cells_of(text)
    assert len(cells) == 25
    assert listed(cells[24], ",") == ["R7", "R9"]
    assert (cells[0], cells[2]) == ("10017", "C")
