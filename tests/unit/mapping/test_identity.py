from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keys import Key
from mapping.canonical import Address, Customer, Party, Person
from mapping.identity import (
    MatchKind,
    customer_entries,
    fold_company,
    fold_email,
    fold_erp,
    fold_person,
    fold_phone,
    fold_postal_code,
    fold_vat,
    index_entries,
    strong_identities,
)

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("einkauf@mueller.example", "einkauf@mueller.example"),
        ("  EINKAUF@MUELLER.example\n", "einkauf@mueller.example"),
        ("mailto:Jane@ONeill.example", "jane@oneill.example"),
        ("anna+shop@mail.example", "anna+shop@mail.example"),
        ("Einkauf@Müller.example", "einkauf@xn--mller-kva.example"),
        ("einkauf@xn--mller-kva.example", "einkauf@xn--mller-kva.example"),
        ("ivan@канцторг.рф", "ivan@xn--80agtnfmm5a.xn--p1ai"),
        ("иван@example.org", "иван@example.org"),
        ("jane@example.org.", "jane@example.org"),
        ("ｊａｎｅ@example.org", "jane@example.org"),
        ("", ""),
        ("not an address", ""),
        ("a b@example.org", ""),
        ("@example.org", ""),
        ("jane@", ""),
        ("jane@@example.org", ""),
        ("jane@straße.example", "jane@xn--strae-oqa.example"),
        ("jane@ß" + "x" * 80 + ".example", ""),
    ],
)
def test_email(text: str, folded: str) -> None:
    assert fold_email(text) == folded


def test_a_plus_part_is_another_address() -> None:
    assert fold_email("anna+shop@mail.example") != fold_email("anna@mail.example")


@pytest.mark.parametrize(
    ("text", "country", "folded"),
    [
        ("(212) 555-0101", "US", "+12125550101"),
        ("212.555.0101", "us", "+12125550101"),
        ("030 1234567", "DE", "+49301234567"),
        ("030/1234567", "DE", "+49301234567"),
        ("+49 (30) 123-45-67", "", "+49301234567"),
        ("+49 (0)30 1234567", "", "+49301234567"),
        ("0049 30 1234567", "DE", "+49301234567"),
        ("0049 30 1234567", "US", "+49301234567"),
        ("+49 30 1234567", "US", "+49301234567"),
        ("8 (495) 123-45-67", "RU", "+74951234567"),
        ("+7 495 1234567", "", "+74951234567"),
        ("02 1234567", "IT", "+39021234567"),
        ("+1 418 555 0199", "CA", "+14185550199"),
        ("(212) 555-0101 x77", "US", "+12125550101"),
        ("(212) 555-0101 ext. 77", "US", "+12125550101"),
        ("8 495 1234567 доб. 12", "RU", "+74951234567"),
        ("030 1234567 / 0171 2345678", "DE", "+49301234567"),
        ("030 1234567; 0171 2345678", "DE", "+49301234567"),
        ("0151 😀 23456789", "DE", "+4915123456789"),
        ("Tel. 030 1234567", "DE", "+49301234567"),
        ("\u202a+49 30 1234567\u202c", "", "+49301234567"),
        ("030 1234567", "", ""),
        ("030 1234567", "Germany", ""),
        ("112", "DE", ""),
        ("0000000", "DE", ""),
        ("call me", "US", ""),
        ("", "DE", ""),
        ("1" * 5000, "US", ""),
    ],
)
def test_phone(text: str, country: str, folded: str) -> None:
    assert fold_phone(text, country) == folded


@pytest.mark.parametrize(
    ("text", "country", "folded"),
    [
        ("DE136695976", "", "DE136695976"),
        ("de 136 695 976", "DE", "DE136695976"),
        ("136695976", "DE", "DE136695976"),
        ("USt-IdNr.: DE 136.695.976", "", "DE136695976"),
        ("DE136695976", "AT", "DE136695976"),
        ("DE136695977", "DE", ""),
        ("DE000000000", "DE", ""),
        ("136695976", "", ""),
        ("ATU13585627", "", "ATU13585627"),
        ("U13585627", "AT", "ATU13585627"),
        ("FR 40 303265045", "FR", "FR40303265045"),
        ("IT 00743110157", "", "IT00743110157"),
        ("P.IVA 00743110157", "IT", "IT00743110157"),
        ("EL094259216", "", "EL094259216"),
        ("094259216", "GR", "EL094259216"),
        ("GB 980 7806 84", "", "GB980780684"),
        ("CHE-107.787.577 MWST", "", "CHE107787577"),
        ("CHE-107.787.577 TVA", "CH", "CHE107787577"),
        ("107.787.577", "CH", "CHE107787577"),
        ("NO 995 525 828 MVA", "", "NO995525828"),
        ("7707083893", "RU", "RU7707083893"),
        ("ИНН 7707083893", "RU", "RU7707083893"),
        ("RU7707083893", "", "RU7707083893"),
        ("500100732259", "RU", "RU500100732259"),
        ("7707083894", "RU", ""),
        ("12-3456789", "US", ""),
        ("none", "DE", ""),
        ("", "DE", ""),
    ],
)
def test_vat(text: str, country: str, folded: str) -> None:
    assert fold_vat(text, country) == folded


def test_erp() -> None:
    assert fold_erp("  k-007\t") == "K-007"
    assert fold_erp("K-007") != fold_erp("K7")
    assert fold_erp(" ") == ""


@pytest.mark.parametrize(
    "spellings",
    [
        (
            "Müller & Co KG",
            "Mueller und Co. KG",
            "MÜLLER UND CO KG",
            "Muller and Co. KG",
            "müller + co kg",
            "Mu\u0308ller & Co KG",
        ),
        (
            "ООО Канцторг",
            'ООО "Канцторг"',
            "OOO Kanctorg",
            "Kantstorg, OOO",
            "Kantstorg LLC",
            "Канцторг",
            "«КАНЦТОРГ» ООО",
            "Kantztorg",
        ),
        ("Общество с ограниченной ответственностью «Канцторг»", "ООО Канцторг"),
        ("АО Хозяйство", "AO Khozyaystvo", "Hozjajstvo", "Хозяйство"),
        ("ИП Щербаков", "Shcherbakov", "Scherbakov"),
        ("Rossi Ufficio Srl", "ROSSI UFFICIO S.R.L.", "Rossi Ufficio S. r. l.", "Rossi ufficio"),
        ('O\'Neill & Sons "Office"', "O’Neill and Sons Office Ltd.", "ONEILL + SONS OFFICE"),
        ("Québec Bureau", "Quebec  Bureau Inc."),
        ("Straße AG", "STRASSE"),
        ("Rossi e Figli SpA", "Rossi & Figli S.p.A."),
        ("Иванов и сыновья", "Ivanov & synovya", "Ivanov and synov'ja"),
        ("Müller GmbH & Co. KG", "Müller GmbH", "Fa. Müller"),
        ("Møller A/S", "Moeller AS", "Moller"),
        ("Ｆｕｌｌ　Ｗｉｄｔｈ", "full width"),
        ("Alexandrov Ltd", "Александров"),
    ],
)
def test_spellings_of_one_company(spellings: tuple[str, ...]) -> None:
    assert len({fold_company(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", "Müller Office"),
        ("IP Systems", "Systems"),
        ("Too Good Ltd", "Good Ltd"),
        ("Müller & Söhne", "Müller & Töchter"),
        ("West Ltd", "Vest Ltd"),
        ("Nord 1 GmbH", "Nord 2 GmbH"),
        ("文具店", "事務所"),
    ],
)
def test_different_companies_stay_different(one: str, other: str) -> None:
    assert fold_company(one) != fold_company(other)


@pytest.mark.parametrize("text", ["GmbH", "Co KG", "ООО", "Ltd. Ltd.", "AG & Co", "ИП", "Firma"])
def test_a_legal_form_alone_is_a_name(text: str) -> None:
    assert fold_company(text)


@pytest.mark.parametrize("text", ["", "  ", "-", "&", "«»", "..."])
def test_no_word_is_no_name(text: str) -> None:
    assert fold_company(text) == ""


def test_person() -> None:
    assert fold_person("Jörg", "Müller") == fold_person("MUELLER", "Joerg") == fold_person("", "Müller Jörg")
    assert fold_person("Иван", "Петров") == fold_person("Petrov", "Ivan")
    assert fold_person("Jane", "O'Neill") != fold_person("Jane", "Neill")
    assert fold_person("", "") == ""


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        (" 10 115 ", "10115"),
        ("１０１１５", "10115"),
        ("sw1a 1aa", "SW1A1AA"),
        ("D-10115", "D-10115"),
        ("", ""),
        ("-", ""),
        ("00000", ""),
        ("1" * 201, ""),
    ],
)
def test_postal_codes(text: str, folded: str) -> None:
    assert fold_postal_code(text) == folded


_PIECES = ["GmbH ", "& ", "Co ", "KG ", "e ", "и ", "ООО ", "ИП ", "s.r.l. ", "u n d ", "Müller ", "x", "ТОО "]
ANY_TEXT = (
    st.text()
    | st.text(st.sampled_from("aeiouyxtszckhjüöäßé&+. '«»\"-Ооцщёы123"))
    | st.lists(st.sampled_from(_PIECES)).map("".join)
)
COUNTRY = st.sampled_from(["", "DE", "US", "RU", "IT", "CH", "NO", "GR", "FR", "XX", "Deutschland"])


@given(ANY_TEXT)
def test_folding_what_is_folded_changes_nothing(text: str) -> None:
    for fold in (fold_email, fold_erp, fold_company, fold_postal_code):
        folded = fold(text)
        assert fold(folded) == folded, fold.__name__
    person = fold_person(text, "")
    assert fold_person("", person) == person


@given(ANY_TEXT | st.from_regex(r"[A-Z]{0,2}[ .-]?[0-9 .]{0,14}"), COUNTRY)
def test_numbers_are_folded_once(text: str, country: str) -> None:
    phone = fold_phone(text, country)
    assert fold_phone(phone, country) == phone
    assert fold_phone(phone) == phone
    vat = fold_vat(text, country)
    assert fold_vat(vat, country) == fold_vat(vat) == vat


@given(st.text(st.sampled_from("абвгдеёжзийклмнопрстуфхцчшщъыьэюя -"), max_size=40))
def test_cyrillic_leaves_no_cyrillic(text: str) -> None:
    assert fold_company(text).isascii()


def _customer(**fields: object) -> Customer:
    return Customer.model_validate({"key": Key("shop", "customer", "1"), **fields})


def test_strong_identities() -> None:
    customer = _customer(
        company="Müller & Co KG",
        vat_number="136 695 976",
        erp_number="k-100",
        person=Person(email="Einkauf@Mueller.example", phone="030 1234567"),
        billing=Address(country="DE"),
    )
    assert strong_identities(customer) == (
        ("erp", "K-100"),
        ("vat", "DE136695976"),
        ("email", "einkauf@mueller.example"),
    )
    assert strong_identities(_customer(person=Person(phone="030 1234567"), company="X AG"), "DE") == ()


def test_customer_entries() -> None:
    customer = _customer(
        person=Person(email="a@b.example", phone="030 1234567"),
        billing=Address(company="Müller GmbH", phone="+49 30 1234567"),
    )
    assert customer_entries(customer, "DE") == [
        ("email", "a@b.example"),
        ("phone", "+49301234567"),
        ("company", "muller"),
    ]
    assert customer_entries(customer) == [("email", "a@b.example"), ("phone", "+49301234567"), ("company", "muller")]


def test_a_postal_code_is_kept_but_nobody_is_looked_up_by_it() -> None:
    customer = _customer(company="Müller KG", billing=Address(postal_code="10115", country="DE"))
    assert customer_entries(customer) == [("company", "muller")]
    assert set(get_args(MatchKind)) == {"erp_number", "vat", "email", "phone", "company"}


@pytest.mark.parametrize("word", ["-", "n/a", "privat", "Нет", "None"])
def test_no_company_is_no_identity(word: str) -> None:
    assert customer_entries(_customer(company=word)) == []


def test_index_entries() -> None:
    account = Party(
        kind="account",
        id="11x8",
        name="Mueller und Co. KG",
        emails=("A@b.example", "a@b.example", ""),
        phones=("030 1234567", "nonsense"),
        vat_number="DE136695976",
        erp_number="K-1",
        country="DE",
        postal_code="10 115",
    )
    assert index_entries(account) == [
        ("erp_number", "K-1"),
        ("vat", "DE136695976"),
        ("email", "a@b.example"),
        ("phone", "+49301234567"),
        ("company", "muller"),
        ("postal_code", "10115"),
    ]
    contact = Party(
        kind="contact", id="12x9", account_id="11x8", name="Jörg Müller", emails=("j@b.example",), postal_code="10115"
    )
    assert index_entries(contact) == [("email", "j@b.example")]
    assert index_entries(account.model_copy(update={"deleted": True})) == []


def test_the_recorded_orders_know_six_companies() -> None:
    corpus = json.loads((FIXTURES / "woocommerce" / "orders-corpus.json").read_text(encoding="utf-8"))
    orders = [case["order"] for case in corpus]
    folded = {fold_company(order["billing"]["company"]) for order in orders}
    assert folded == {"", "muller", "oneill & sons office", "qubec bureau", "rossi ufficio", "kanctorg"}
    spellings = {order["billing"]["company"] for order in orders}
    assert {"Müller & Co KG", "Mueller und Co. KG", "ООО Канцторг"} <= spellings
    emails = {
        fold_email(order["billing"]["email"])
        for order in orders
        if fold_company(order["billing"]["company"]) == "muller"
    }
    assert emails == {"einkauf@mueller.example"}
    phones = {
        fold_phone(order["billing"]["phone"], order["billing"]["country"])
        for order in orders
        if fold_company(order["billing"]["company"]) == "muller"
    }
    assert phones == {"+49301234567"}
