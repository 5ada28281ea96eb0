"""The demo company: reps, the customers of the demo store and the articles of its catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sandbox.catalogue import ARTICLES
from sandbox.erp.tables import Tables


@dataclass(frozen=True, slots=True)
class Person:
    """A rep of the demo company."""

    code: str
    name: str
    email: str
    phone: str
    mobile: str
    language: str


@dataclass(frozen=True, slots=True)
class Buyer:
    """A customer of the demo company, known to the demo store by the same number."""

    number: str
    name: str
    email: str
    phone: str
    street: str
    postal_code: str
    city: str
    country: str
    reps: tuple[str, ...]


COMPANY = "Office Supplies Ltd"
REPS = (
    Person("R3", "Mara Lindqvist", "mara.lindqvist@office.example", "+49 30 5550103", "+49 170 5550103", "de"),
    Person("R7", "Jonas Weber", "jonas.weber@office.example", "+49 30 5550107", "+49 170 5550107", "de"),
    Person("R9", "Amélie Durand", "amelie.durand@office.example", "+33 1 55501009", "+33 6 55501009", "fr"),
)
BUYERS = (
    Buyer("10017", "Hafenkontor GmbH", "einkauf@hafenkontor.example", "+49 40 5550217",
          "Kai 7", "20457", "Hamburg", "DE", ("R7",)),
    Buyer("10023", "Atelier Nord", "bonjour@atelier-nord.example", "+33 3 55500223",
          "Rue du Port 3", "59000", "Lille", "FR", ("R9", "R3")),
    Buyer("10031", "Bergmann & Söhne", "buero@bergmann.example", "+49 351 555031",
          "Hauptstraße 12", "01097", "Dresden", "DE", ("R3",)),
    Buyer("10044", "Papeteria Wawel", "biuro@wawel.example", "+48 12 5550044",
          "Rynek 4", "31-042", "Kraków", "PL", ()),
)  # fmt: skip
COUNTRIES = (("DE", "Germany"), ("FR", "France"), ("PL", "Poland"))


def load_demo(tables: Tables) -> None:
    """Fill empty tables."""
    with tables.lock:
        languages = {code: tables.create("ir.lang", code=code, name=name) for code, name in _LANGUAGES}
        countries = {code: tables.create("country.country", code=code, name=name) for code, name in COUNTRIES}
        money = tables.create("currency.currency", code="EUR", name="Euro", digits=2)
        company = tables.create(
            "company.company", party=tables.create("party.party", code="1", name=COMPANY), currency=money
        )
        agents = {person.code: _rep(tables, person, company, languages) for person in REPS}
        for buyer in BUYERS:
            _customer(tables, buyer, countries, agents)
        _goods(tables, company)
        _invoice(tables, company, money)


_LANGUAGES = (("de", "German"), ("fr", "French"), ("en", "English"))


def _rep(tables: Tables, person: Person, company: int, languages: dict[str, int]) -> int:
    party = tables.create("party.party", code=person.code, name=person.name, lang=languages[person.language])
    for kind, value in (("email", person.email), ("phone", person.phone), ("mobile", person.mobile)):
        tables.create("party.contact_mechanism", party=party, type=kind, value=value)
    return tables.create("commission.agent", party=party, type_="agent", company=company)


def _customer(tables: Tables, buyer: Buyer, countries: dict[str, int], agents: dict[str, int]) -> None:
    party = tables.create("party.party", code=buyer.number, name=buyer.name)
    tables.create("party.contact_mechanism", party=party, type="email", value=buyer.email)
    tables.create("party.contact_mechanism", party=party, type="phone", value=buyer.phone)
    tables.create(
        "party.address", party=party, party_name=buyer.name, street=buyer.street, postal_code=buyer.postal_code,
        city=buyer.city, country=countries[buyer.country], invoice=True, delivery=True,
    )  # fmt: skip
    for sequence, code in enumerate(buyer.reps, 1):
        tables.create("commission.agent.selection", party=party, agent=agents[code], sequence=sequence)


def _goods(tables: Tables, company: int) -> None:
    unit = tables.create("product.uom", name="Unit", symbol="u", digits=0)
    tables.create("stock.location", code="WH", name="Warehouse", type="warehouse")
    for article in ARTICLES:
        template = tables.create(
            "product.template", name=article.name, type="goods", list_price=article.price, salable=True
        )
        product = tables.create(
            "product.product", code=article.sku, name=article.name, type="goods", list_price_used=article.price,
            salable=True, template=template, default_uom=unit,
        )  # fmt: skip
        tables.create(
            "stock.move", product=product, company=company, quantity=article.stock, state="done",
            effective_date=date(2026, 1, 2), planned_date=date(2026, 1, 2),
        )  # fmt: skip


def _invoice(tables: Tables, company: int, money: int) -> None:
    article = ARTICLES[0]
    party = next(row["id"] for row in tables.rows("party.party") if row["code"] == BUYERS[0].number)
    net = article.price * 10
    invoice = tables.create(
        "account.invoice", number="1", state="posted", type="out", invoice_date=date(2026, 1, 5), party=party,
        company=company, currency=money, untaxed_amount=net, total_amount=(net * Decimal("1.19")).quantize(Decimal("0.01")),
    )  # fmt: skip
    product = next(row["id"] for row in tables.rows("product.product") if row["code"] == article.sku)
    unit = tables.rows("product.uom")[0]["id"]
    tables.create(
        "account.invoice.line", invoice=invoice, type="line", description=article.name, quantity=10.0, unit=unit,
        product=product, unit_price=article.price, amount=net,
    )  # fmt: skip
    tables.create("account.move.line", invoice=invoice, maturity_date=date(2026, 1, 19))
