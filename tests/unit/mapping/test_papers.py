"""Papers: every amount on them is the order's, in the customer's language; the text is read back from the file."""

from __future__ import annotations

import io
import re
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from core.jsontext import loads
from core.keys import Key
from core.papersettings import PaperLanguage, SellerSettings
from mapping.canonical import (
    Address,
    Customer,
    LineKind,
    OrderLine,
    OrderStatus,
    Person,
    SalesOrder,
    ShippingLine,
    TaxAmount,
)
from mapping.papers import LANGUAGES, Facts, language_of, letter_of, paper_of, pdf_of
from mapping.papers.formats import Formats
from mapping.woocommerce import WooOptions, order_from_woocommerce

D = Decimal
CORPUS = loads((Path(__file__).parents[2] / "fixtures" / "woocommerce" / "orders-corpus.json").read_bytes())
SELLER = SellerSettings(
    name="Lampenladen GmbH",
    address=("Ladenstraße 5", "20095 Hamburg"),
    vat="DE999999999",
    email="info@laden.example",
    bank=("Musterbank", "IBAN DE02 1203 0000 0000 2020 51"),
    facts=("HRB 4711",),
    zone="Europe/Berlin",
    closing={"de": "Vielen Dank für Ihr Vertrauen."},
)
ISSUED = date(2026, 11, 21)
WHERE = Address(company="Example GmbH", first_name="Ada", last_name="Пример", line1="Weg 1", city="Αθήνα", country="DE")


def tax(amount: str, rate: str | None = "19", label: str = "MwSt") -> TaxAmount:
    return TaxAmount(label=label, rate=None if rate is None else D(rate), amount=D(amount))


def line(id: str = "1", net: str = "20.00", *taxes: TaxAmount, **values: Any) -> OrderLine:
    facts = {"sku": f"SKU-{id}", "name": f"Lampe {id}", "quantity": D(2), "subtotal": D(net), **values}
    return OrderLine(id=id, net=D(net), taxes=taxes or (tax("3.80"),), **facts)


def order(*lines: OrderLine, rounding: str = "0", ways: tuple[ShippingLine, ...] = (), **values: Any) -> SalesOrder:
    lines = lines or (line(),)
    parts: tuple[OrderLine | ShippingLine, ...] = (*lines, *ways)
    total = sum((one.net + one.tax for one in parts), D(0)) + D(rounding)
    person = Person(first_name="Ada", last_name="Example", email="ada@office.example")
    facts: dict[str, Any] = {
        "key": Key("shop", "order", "1"),
        "stamp": datetime(2026, 11, 20, tzinfo=UTC),
        "number": "1001",
        "status": OrderStatus.CONFIRMED,
        "placed_at": datetime(2026, 11, 20, 23, 30, tzinfo=UTC),
        "currency": "EUR",
        "customer": Customer(key=Key("shop", "customer", "1"), person=person, erp_number="10017"),
        "billing": WHERE,
        "shipping": WHERE,
    }
    return SalesOrder(**(facts | values), lines=lines, shipping_lines=ways, total=total, rounding=D(rounding))


def facts(language: PaperLanguage = "de", kind: Any = "invoice") -> Facts:
    return Facts(kind, language, ISSUED, "INV17")


def text_of(
    made: SalesOrder, language: PaperLanguage = "de", kind: Any = "invoice", seller: SellerSettings = SELLER
) -> str:
    reader = PdfReader(io.BytesIO(pdf_of(paper_of(made, facts(language, kind), seller))))
    text = "\n".join(page.extract_text() for page in reader.pages)
    return re.sub(r"[\u00a0\u202f]", " ", text)


EVERYTHING = order(
    line("1", "20.00"),
    line("2", "9.50", tax("0.67", "7"), quantity=D("1.5"), subtotal=D("10.00"), discount=D("0.50")),
    line("3", "-5.00", tax("-0.95"), kind=LineKind.REFUND, name="Erstattung 77", sku=""),
    line("4", "2.00", tax("0.10", None, "Ökoabgabe"), kind=LineKind.FEE, name="Verpackung", sku=""),
    ways=(ShippingLine(id="s", title="DHL Express", net=D("4.90"), taxes=(tax("0.93"),)),),
    rounding="0.01",
    paid_at=datetime(2026, 11, 21, 9, tzinfo=UTC),
)

SAID: dict[PaperLanguage, tuple[str, ...]] = {
    "de": (
        "Rechnung INV17", "Rechnungsdatum 21. November 2026", "Bestelldatum 21. November 2026", "Kundennummer 10017",
        "Versand: DHL Express 19 % 4,90 €", "Erstattung 77 19 % -5,00 €", "Verpackung Ökoabgabe 2,00 €",
        "SKU-2 · Lampe 2 1,5 6,6667 € 0,50 € 7 % 9,50 €", "Nettosumme 31,40 €", "Steuer 19 % (MwSt) 3,78 €",
        "Steuer 7 % (MwSt) 0,67 €", "Ökoabgabe 0,10 €", "Rundung 0,01 €", "Gesamtbetrag 35,96 €",
        "Bezahlt am 21. November 2026", "Vielen Dank für Ihr Vertrauen.", "USt-IdNr. DE999999999", "Seite 1 von 1",
        "Ada Пример", "Αθήνα", "Deutschland",
    ),
    "en": ("Invoice INV17", "Invoice date 21 November 2026", "Net total €31.40", "Total €35.96", "Page 1 of 1", "Germany"),
    "it": ("Fattura INV17", "21 novembre 2026", "Totale netto 31,40 €", "Totale 35,96 €", "Pagina 1 di 1"),
    "fr": ("Facture INV17", "21 novembre 2026", "Total net 31,40 €", "Total 35,96 €", "Page 1 sur 1"),
    "ru": ("Счёт INV17", "21 ноября 2026 г.", "Итого без налога 31,40 €", "Итого 35,96 €", "Страница 1 из 1", "Германия"),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_invoice_says_it_all_in_the_customers_language(language: PaperLanguage) -> None:
    text = text_of(EVERYTHING, language)
    assert [said for said in SAID[language] if said not in text] == []


def test_a_confirmation_is_no_invoice() -> None:
    text = text_of(EVERYTHING, kind="order")
    assert "Auftragsbestätigung 1001" in text
    assert "Rechnung" not in text
    assert "Bezahlt" not in text


def test_an_unpaid_invoice_says_where_to_pay_and_one_of_nothing_does_not() -> None:
    assert "Bitte überweisen Sie" in text_of(order())
    assert "überweisen" not in text_of(order(line("1", "0.00", tax("0.00"))))
    assert "überweisen" not in text_of(order(), seller=SELLER.model_copy(update={"bank": ()}))


def test_amounts_of_every_recorded_order_add_up_on_paper() -> None:
    """Read back from the file, in a currency without a sign between them: net + taxes + rounding = total, to the cent."""
    totals: Counter[str] = Counter()
    for raw in (entry["order"] for entry in CORPUS[::8]):
        made = order_from_woocommerce(raw, WooOptions("shop"))
        text = text_of(made, "en", "order")
        sums = re.findall(r"^(Net total|Tax .*?|Rounding|Total) (-?)\S*?([\d,]+(?:\.\d+)?)$", text, re.MULTILINE)
        amounts = [(label, D(f"{sign}{number.replace(',', '')}")) for label, sign, number in sums]
        assert amounts[-1] == ("Total", made.total), text
        assert sum((amount for _, amount in amounts[:-1]), D(0)) == made.total, text
        totals[made.currency] += 1
    assert totals


def test_what_does_not_add_up_is_not_printed() -> None:
    with pytest.raises(ValueError, match="does not add up"):
        paper_of(EVERYTHING.model_copy(update={"total": D("35.97")}), facts(), SELLER)


@pytest.mark.parametrize(
    ("amount", "currency", "language", "shown"),
    [
        ("1234567.5", "EUR", "de", "1.234.567,50 €"),
        ("1234567.5", "EUR", "fr", "1 234 567,50 €"),
        ("100", "EUR", "en", "€100.00"),
        ("0", "EUR", "en", "€0.00"),
        ("-0.01", "EUR", "it", "-0,01 €"),
        ("1500", "JPY", "de", "1.500 ¥"),
        ("1500.25", "JPY", "de", "1.500,25 ¥"),
        ("1.125", "KWD", "en", "1.125 KWD"),
        ("1.5", "XYZ", "de", "1,50 XYZ"),
        ("0.0033", "EUR", "de", "0,0033 €"),
        ("999999999999999.123456789012", "EUR", "de", "999.999.999.999.999,123456789012 €"),
    ],
)
def test_money_is_written_exactly(amount: str, currency: str, language: PaperLanguage, shown: str) -> None:
    assert re.sub(r"[\u00a0\u202f]", " ", Formats(language, currency, "UTC").money(D(amount))) == shown


@pytest.mark.parametrize(
    ("said", "country", "language"),
    [
        ("it", "DE", "it"),
        ("it_IT", "", "it"),
        ("de-CH", "FR", "de"),
        ("", "at", "de"),
        ("", "RU", "ru"),
        ("", "JP", "fr"),
        ("xx", "IT", "it"),
        ("", "", "fr"),
    ],
)
def test_the_language_is_the_orders_then_the_countrys_then_the_flows(said: str, country: str, language: str) -> None:
    assert language_of(said, country, "fr") == language


def test_the_same_paper_is_the_same_bytes() -> None:
    first = pdf_of(paper_of(EVERYTHING, facts(), SELLER))
    assert pdf_of(paper_of(EVERYTHING, facts(), SELLER)) == first
    assert pdf_of(paper_of(EVERYTHING, Facts("invoice", "de", ISSUED, "INV18"), SELLER)) != first


def test_long_and_hostile_texts_stay_on_their_paper() -> None:
    hostile = ("x" * 3000, "\x1b[2J\u202e{page}{pages}%s\ue000", "**fett** <b>x</b>", "字 🧾 ﷽", "a\nb\r\nc")
    lines = [line(str(number), "1.00", tax("0.19"), name=text, sku=text[:50]) for number, text in enumerate(hostile)]
    lines += [line(str(number), "1.00", tax("0.19")) for number in range(100, 200)]
    long = Address(company="W" * 400, line1="y" * 400, city="Berlin", country="DE")
    made = order(*lines, number="N" * 100, billing=long, shipping=WHERE)
    text = text_of(made)
    assert "**fett** <b>x</b>" in text
    assert "\\x1b[2J\\u202e{page}{pages}%s?" in text
    assert text.count("Artikel Menge") == text.count("Seite ") > 2, "each page has its heading and its number"
    last = text.count("Seite ")
    assert f"Seite {last} von {last}" in text
    assert all(f"SKU-{number} · Lampe {number}" in text for number in range(100, 200))
    assert f"Gesamtbetrag {str(made.total).replace('.', ',')} €" in text


def test_what_the_font_does_not_have_is_seen_to_be_missing() -> None:
    """A name of which nothing is left would be an invoice to nobody."""
    where = Address(company="株式会社", city="東京 Tokyo", country="JP")
    label = tax("3.80", "10", "消費税")
    text = text_of(order(line("1", "20.00", label, name="ランプ"), billing=where, shipping=where))
    lost = "\N{REPLACEMENT CHARACTER}"
    assert f"{lost * 4}\n{lost * 2} Tokyo" in text
    assert f"SKU-1 · {lost * 3}" in text
    assert f"Steuer 10 % ({lost * 3})" in text


def test_five_hundred_lines_are_on_as_many_pages_as_it_says() -> None:
    """More than nine pages: warnings are errors here, and the number stays within the margin."""
    made = order(*[line(str(number), "1.00", tax("0.19")) for number in range(500)])
    text = text_of(made)
    assert [text.count(f"Seite {page} von 13") for page in range(1, 15)] == [1] * 13 + [0]
    assert all(text.count(f"SKU-{number} ·") == 1 for number in range(500))
    assert "Gesamtbetrag 595,00 €" in text


def test_a_logo_that_is_none_is_left_out() -> None:
    paper = paper_of(order(), facts(), SELLER)
    png = (
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde\x00\x00\x00\x0cIDATx"
        b"\x9cc\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xc9\xfe\x92\xef\x00\x00\x00\x00IEND\xaeB`\x82"
    )
    assert pdf_of(paper, b"<svg>") == pdf_of(paper)
    assert len(PdfReader(io.BytesIO(pdf_of(paper, png))).pages[0].images) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_letter_names_number_and_total(language: PaperLanguage) -> None:
    letter = letter_of(order(number="{seller}\nX: y"), facts(language), SELLER)
    assert "INV17" in letter.subject
    assert "\n" not in letter.subject
    assert "{seller}" in letter.text, "what a customer wrote is no template"
    assert "Ada Example" in letter.text
    assert "23" in letter.text
    assert letter.file.endswith(".pdf")
