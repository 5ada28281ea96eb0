from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mapping.canonical import Account, Address, Contact, Lead, Person
from mapping.vtiger import (
    PartyFields,
    account_from_vtiger,
    account_to_vtiger,
    contact_from_vtiger,
    contact_to_vtiger,
    lead_to_vtiger,
)
from mapping.vtiger.party import last_name
from mapping.vtiger.words import country_code

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "vtiger"
FIELDS = PartyFields("cf_external_id", vat="siccode", erp_number="tickersymbol")
BERLIN = Address(line1="Hauptstr. 1", city="Berlin", state="BE", postal_code="10115", country="DE", phone="030 1")
JOERG = Person(first_name="Jörg", last_name="Müller", email="j@example.test", phone="+49 30 1234567")


def recorded(name: str) -> dict[str, object]:
    answer: dict[str, object] = json.loads((FIXTURES / f"{name}.json").read_text())["response"]["json"]["result"]
    return answer


def test_a_lead() -> None:
    lead = Lead(external_id="lead-1", company="Müller KG", person=JOERG, address=BERLIN, source="shop")
    assert lead_to_vtiger(lead, "19x5", "Web Site", FIELDS) == {
        "lastname": "Müller",
        "firstname": "Jörg",
        "company": "Müller KG",
        "email": "j@example.test",
        "phone": "+49 30 1234567",
        "leadsource": "Web Site",
        "assigned_user_id": "19x5",
        "lane": "Hauptstr. 1",
        "city": "Berlin",
        "state": "BE",
        "code": "10115",
        "country": "DE",
        "description": "From shop",
        "cf_external_id": "lead-1",
    }


def test_a_private_lead_has_a_company_all_the_same() -> None:
    lead = Lead(
        external_id="l", company="", person=Person(first_name="Jörg", email="j@example.test"), address=Address()
    )
    element = lead_to_vtiger(lead, "19x5", "", FIELDS)
    assert (element["lastname"], element["company"]) == ("Jörg", "Jörg")
    assert "firstname" not in element
    assert "leadsource" not in element


def test_an_account_with_one_address_has_it_twice() -> None:
    account = Account(external_id="a", name="Müller KG", vat_number="DE1", erp_number="4711", billing=BERLIN)
    element = account_to_vtiger(account, "20x2", FIELDS)
    assert (element["bill_code"], element["ship_code"]) == ("10115", "10115")
    assert (element["siccode"], element["tickersymbol"], element["assigned_user_id"]) == ("DE1", "4711", "20x2")
    bare = account_to_vtiger(account, "20x2", PartyFields())
    assert "siccode" not in bare


def test_a_contact_carries_every_field_of_its_address() -> None:
    element = contact_to_vtiger(Contact(external_id="c", person=JOERG, address=BERLIN), "19x5", "11x8", FIELDS)
    assert element["account_id"] == "11x8"
    assert element["mailingzip"] == "10115"  # lead conversion does not copy it
    assert element["phone"] == "+49 30 1234567"
    phoneless = JOERG.model_copy(update={"phone": ""})
    assert (
        contact_to_vtiger(Contact(external_id="c", person=phoneless, address=BERLIN), "", "", FIELDS)["phone"]
        == "030 1"
    )


@pytest.mark.parametrize(
    ("person", "otherwise", "name"),
    [
        (Person(last_name="Müller"), "", "Müller"),
        (Person(first_name="Jörg"), "", "Jörg"),
        (Person(email="einkauf@x.test"), "", "einkauf"),
        (Person(), "Müller KG", "Müller KG"),
        (Person(), "", "-"),
    ],
)
def test_a_last_name_is_always_there(person: Person, otherwise: str, name: str) -> None:
    assert last_name(person, otherwise) == name


def test_an_account_as_recorded() -> None:
    party = account_from_vtiger(recorded("058-account-retrieve-from-lead"), FIELDS)
    assert (party.kind, party.id, party.name) == ("account", "11x8", 'Müller & Co "KG"')
    assert party.emails == ("joerg.mueller@example.test",)
    assert party.phones == ("+49 30 1234567",)
    assert party.country == "DE"  # written as "Germany"
    assert party.postal_code == "10115"
    assert party.stamp == datetime(2026, 11, 22, 1, 29, 46, tzinfo=UTC)


def test_a_contact_as_recorded() -> None:
    party = contact_from_vtiger(recorded("059-contact-retrieve-from-lead"), FIELDS)
    assert (party.kind, party.id, party.account_id, party.name) == ("contact", "12x9", "11x8", "Jörg Müller")
    assert party.phones == ("+49 30 1234567", "0170-5551234")
    assert contact_from_vtiger(recorded("307-contact-with-external-id"), FIELDS).external_id == "shop-42"


def test_a_row_may_lack_anything() -> None:
    party = contact_from_vtiger({"id": "12x1", "modifiedtime": "yesterday", "phone": None}, PartyFields())
    assert (party.name, party.phones, party.stamp, party.external_id) == ("", (), None, "")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("de", "DE"),
        ("Germany", "DE"),
        ("Российская Федерация", "RU"),
        ("UK", "GB"),
        ("Österreich", "AT"),
        ("Atlantis", ""),
    ],
)
def test_countries_are_free_text_there(text: str, code: str) -> None:
    assert country_code(text) == code
