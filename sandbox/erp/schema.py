"""The models the stand-in knows, with their fields, as an unchanged Tryton 8.2 has them: what a caller may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind`: plain, bool, one (a record of `model`), many (all records of `model` whose `back` is this one)."""

    kind: str = "plain"
    model: str = ""
    back: str = ""


def _plain(*names: str) -> dict[str, Field]:
    return {name: Field() for name in names}


def _flags(*names: str) -> dict[str, Field]:
    return {name: Field("bool") for name in names}


def _one(**models: str) -> dict[str, Field]:
    return {name: Field("one", model) for name, model in models.items()}


def _many(**models: tuple[str, str]) -> dict[str, Field]:
    return {name: Field("many", model, back) for name, (model, back) in models.items()}


_ALL: Final = _plain("id", "rec_name", "create_date", "write_date")
"""What every record has."""
MODELS: Final[dict[str, dict[str, Field]]] = {
    model: {**_ALL, **fields}
    for model, fields in {
        "party.party": {
            **_plain("code", "name"),
            **_flags("active"),
            **_one(lang="ir.lang", tax_identifier="party.identifier"),
            **_many(
                addresses=("party.address", "party"),
                agents=("commission.agent.selection", "party"),
                contact_mechanisms=("party.contact_mechanism", "party"),
                identifiers=("party.identifier", "party"),
            ),
        },
        "party.contact_mechanism": {
            **_plain("type", "value", "sequence"),
            **_flags("active"),
            **_one(party="party.party"),
        },
        "party.identifier": {**_plain("code", "type"), **_flags("active"), **_one(party="party.party")},
        "party.address": {
            **_plain("party_name", "street", "postal_code", "city", "full_address", "sequence"),
            **_flags("active", "invoice", "delivery"),
            **_one(party="party.party", country="country.country", subdivision="country.subdivision"),
        },
        "commission.agent": {
            **_plain("type_"),
            **_flags("active"),
            **_one(party="party.party", company="company.company"),
        },
        "commission.agent.selection": {
            **_plain("sequence", "start_date", "end_date"),
            **_one(party="party.party", agent="commission.agent"),
        },
        "company.company": _one(party="party.party", currency="currency.currency"),
        "currency.currency": _plain("code", "name", "digits"),
        "country.country": _plain("code", "name"),
        "country.subdivision": _plain("code", "name"),
        "ir.lang": _plain("code", "name"),
        "ir.module": _plain("name", "state", "version"),
        "product.uom": _plain("name", "symbol", "digits"),
        "product.configuration": _plain("default_lead_time"),
        "product.template": {**_plain("name", "type", "list_price"), **_flags("active", "salable")},
        "product.product": {
            **_plain("code", "name", "type", "list_price", "list_price_used", "quantity", "forecast_quantity"),
            **_plain("lead_time"),
            **_flags("active", "salable"),
            **_one(template="product.template", default_uom="product.uom"),
        },
        "stock.location": {
            **_plain("code", "name", "type"),
            **_flags("active"),
            **_one(storage_location="stock.location"),
        },
        "stock.move": {
            **_plain("quantity", "state", "planned_date", "origin_planned_date", "effective_date"),
            **_one(product="product.product", company="company.company", origin="sale.line"),
        },
        "account.invoice": {
            **_plain("number", "reference", "state", "type", "invoice_date"),
            **_plain("untaxed_amount", "total_amount", "amount_to_pay"),
            **_one(party="party.party", currency="currency.currency", company="company.company"),
            **_many(
                lines=("account.invoice.line", "invoice"),
                lines_to_pay=("account.move.line", "invoice"),
                sales=("sale.sale", "invoice"),
            ),
        },
        "account.invoice.line": {
            **_plain("type", "description", "quantity", "unit_price", "amount"),
            **_one(invoice="account.invoice", product="product.product", unit="product.uom"),
            **_many(taxes=("account.tax", "line")),
        },
        "account.tax": {**_plain("name", "rate"), **_one(line="account.invoice.line")},
        "account.move.line": {**_plain("maturity_date"), **_one(invoice="account.invoice")},
        "sale.sale": {
            **_plain("number", "reference", "state", "total_amount", "shipping_date"),
            **_one(invoice="account.invoice", currency="currency.currency", company="company.company"),
            **_many(lines=("sale.line", "sale")),
        },
        "sale.line": {
            **_plain("type", "quantity", "shipping_date"),
            **_one(sale="sale.sale", product="product.product"),
            **_many(moves=("stock.move", "origin")),
        },
    }.items()
}
MODULES: Final = (
    "party",
    "company",
    "currency",
    "country",
    "product",
    "stock",
    "account",
    "account_invoice",
    "sale",
    "commission",
)
"""Active in it."""
