"""What is read of Tryton for each kind of record: the model, its fields, and every table whose rows are part of the record."""

from __future__ import annotations

from typing import Final

from connectors.walk import Belonging, Source

PARTY_FIELDS: Final = (
    "code",
    "name",
    "active",
    "lang.code",
    "write_date",
    "create_date",
    "tax_identifier.code",
    "identifiers.write_date",
    "contact_mechanisms.type",
    "contact_mechanisms.value",
    "contact_mechanisms.active",
    "contact_mechanisms.write_date",
)
CUSTOMER_FIELDS: Final = (
    *PARTY_FIELDS,
    "addresses.party_name",
    "addresses.street",
    "addresses.postal_code",
    "addresses.city",
    "addresses.country.code",
    "addresses.subdivision.name",
    "addresses.active",
    "addresses.write_date",
    "agents.sequence",
    "agents.start_date",
    "agents.end_date",
    "agents.write_date",
    "agents.create_date",
    "agents.agent.company",
    "agents.agent.active",
    "agents.agent.party.code",
)
ADDRESS_USE: Final = ("invoice", "delivery")
"""Fields of an address that come with the modules account_invoice and stock."""
PRODUCT_FIELDS: Final = (
    "code",
    "name",
    "active",
    "type",
    "list_price_used",
    "default_uom.symbol",
    "default_uom.digits",
    "write_date",
    "create_date",
    "template.write_date",
)
STOCK_FIELDS: Final = ("code", "name", "quantity", "forecast_quantity", "default_uom.digits")
INVOICE_FIELDS: Final = (
    "number",
    "state",
    "party.code",
    "currency.code",
    "invoice_date",
    "untaxed_amount",
    "total_amount",
    "sales.number",
    "sales.reference",
    "reference",
    "amount_to_pay",
    "lines_to_pay.maturity_date",
    "lines.type",
    "lines.description",
    "lines.product.code",
    "lines.product.name",
    "lines.quantity",
    "lines.unit.digits",
    "lines.unit_price",
    "lines.amount",
    "lines.taxes.rate",
    "write_date",
    "create_date",
)
SALE_FIELDS: Final = (
    "number",
    "reference",
    "state",
    "currency.code",
    "total_amount",
    "shipping_date",
    "lines.type",
    "lines.shipping_date",
    "lines.product.lead_time",
    "lines.moves.state",
    "lines.moves.planned_date",
    "lines.moves.origin_planned_date",
    "write_date",
    "create_date",
)
NEEDS: Final = {
    "customer": ("party", "commission"),
    "rep": ("party", "commission"),
    "product": ("product",),
    "stock": ("product", "stock"),
    "invoice": ("account_invoice",),
    "sale": ("sale",),
}
"""Kind -> Tryton's modules."""
READS: Final = {
    "customer": ("party.party", "party.address", "party.contact_mechanism", "commission.agent.selection"),
    "rep": ("commission.agent", "party.party"),
    "product": ("product.product", "product.template"),
    "stock": ("product.product", "stock.location", "stock.move"),
    "invoice": ("account.invoice", "account.invoice.line", "account.tax"),
    "sale": ("sale.sale", "sale.line", "stock.move", "product.configuration"),
}
"""Kind -> models that our user must be allowed to read."""


_PARTY_PATHS: Final = (
    ("contact_mechanisms", "party.contact_mechanism"),
    ("addresses", "party.address"),
    ("identifiers", "party.identifier"),
)
_MECHANISMS: Final = Belonging("party.contact_mechanism", "party", "party.party")

CUSTOMERS: Final = Source(
    "party.party",
    # `party.write_date` does not move when one of these changes.
    paths=(
        ("", "party.party"),
        *_PARTY_PATHS,
        ("agents", "commission.agent.selection"),
        ("agents.agent", "commission.agent"),
        ("agents.agent.party", "party.party"),
    ),
    belongings=(
        _MECHANISMS,
        Belonging("party.address", "party", "party.party"),
        Belonging("party.identifier", "party", "party.party"),
        Belonging("commission.agent.selection", "party", "party.party", "agents"),
    ),
)
REPS: Final = Source(
    "commission.agent",
    paths=(
        ("", "commission.agent"),
        ("party", "party.party"),
        ("party.contact_mechanisms", "party.contact_mechanism"),
        ("party.identifiers", "party.identifier"),
    ),
    belongings=(_MECHANISMS, Belonging("commission.agent", "party", "party.party")),
    owner="party",
    only=(["type_", "=", "agent"],),
    company=True,
)
PRODUCTS: Final = Source(
    "product.product",
    paths=(("", "product.product"), ("template", "product.template"), ("template.list_prices", "")),
)
GOODS: Final = Source(
    "product.product",
    paths=(("", "product.product"), ("template", "product.template")),
    only=(["type", "=", "goods"],),
)
MOVES: Final = Source("stock.move", paths=(("", "stock.move"),), company=True)
"""A movement does not touch the product it moves: whose stock changed is read from the movements."""
INVOICES: Final = Source(
    "account.invoice",
    paths=(("", "account.invoice"), ("lines", "account.invoice.line")),
    belongings=(Belonging("account.invoice.line", "invoice", "account.invoice"),),
    only=(["type", "=", "out"],),
    company=True,
)
SALES: Final = Source(
    "sale.sale",
    # A shipment that is planned for another day writes its movements, and neither the sale nor its lines.
    paths=(("", "sale.sale"), ("lines", "sale.line"), ("lines.moves", "stock.move")),
    belongings=(Belonging("sale.line", "sale", "sale.sale"),),
    company=True,
)
STAGES: Final[dict[str, tuple[Source, ...]]] = {
    "customer": (CUSTOMERS,),
    "rep": (REPS,),
    "product": (PRODUCTS,),
    "stock": (GOODS, MOVES),
    "invoice": (INVOICES,),
    "sale": (SALES,),
}
"""What is walked through, one after the other. When everything is read, the first alone tells it all."""
