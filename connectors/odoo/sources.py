"""What is read of Odoo for each kind of record: the model, its fields, and every table whose rows are part of the record."""

from __future__ import annotations

from typing import Final

from connectors.walk import Belonging, Source

ADDRESS_FIELDS: Final = ("street", "street2", "city", "zip", "state_id", "country_id")
PARTNER_FIELDS: Final = (
    "ref",
    "name",
    "active",
    "email",
    "phone",
    "mobile",  # until 18
    "vat",
    "user_id",
    "team_id",
    "write_date",
    *ADDRESS_FIELDS,
)
CHILD_FIELDS: Final = (
    "parent_id",
    "type",
    "name",
    "active",
    "phone",
    "user_id",
    "team_id",
    "write_date",
    *ADDRESS_FIELDS,
)
ADDRESSES: Final = ["type", "in", ["delivery", "invoice"]]
USER_FIELDS: Final = ("ref", "name", "function", "email", "phone", "mobile", "lang", "active", "write_date")
TEAM_FIELDS: Final = ("name", "active", "user_id", "member_ids", "write_date")
PRODUCT_FIELDS: Final = ("default_code", "name", "active", "lst_price", "currency_id", "uom_id", "write_date")
STOCK_FIELDS: Final = ("default_code", "name", "categ_id", "qty_available", "virtual_available")
INVOICE_FIELDS: Final = (
    "name",
    "move_type",
    "state",
    "payment_state",
    "commercial_partner_id",
    "currency_id",
    "invoice_date",
    "invoice_date_due",
    "invoice_origin",
    "ref",
    "amount_untaxed",
    "amount_tax",
    "amount_total",
    "amount_residual",
    "write_date",
)
LINE_FIELDS: Final = (
    "move_id",
    "sequence",
    "display_type",
    "product_id",
    "name",
    "quantity",
    "price_unit",
    "price_subtotal",
    "price_total",
    "write_date",
)
SALE_FIELDS: Final = (
    "name",
    "client_order_ref",
    "state",
    "currency_id",
    "amount_total",
    "commitment_date",
    "write_date",
)
READS: Final = {
    "customer": ("res.partner", "res.users", "res.company", "res.country", "res.country.state"),
    "rep": ("res.users", "res.partner"),
    "region": ("crm.team", "crm.team.member", "res.users"),
    "product": ("product.product", "product.template"),
    "stock": ("product.product", "stock.warehouse", "stock.quant", "stock.move"),
    "invoice": ("account.move", "account.move.line", "product.product", "res.partner"),
    "sale": ("sale.order",),
}
"""Kind -> models that our user must be allowed to read."""
APPS: Final = {
    "crm.team": "Sales",
    "sale.": "Sales",
    "stock": "Inventory",
    "account": "Invoicing",
    "product": "Products & Pricelists",
}
"""Beginning of a model's name -> the app that brings it."""

NOT_PEOPLE: Final = ["__system__", "default", "public", "portaltemplate"]
"""Logins of users that Odoo makes for itself."""

FAMILY: Final = Belonging("res.partner", "parent_id", "res.partner")
CUSTOMERS: Final = Source("res.partner", paths=(("", "res.partner"),), belongings=(FAMILY,), company=True)
"""Who has a customer number or was sold something (connectors/odoo/tables.py); not a person or address of somebody else."""
CHILDREN: Final = Source("res.partner", paths=(("", "res.partner"),), owner="", only=(["parent_id", "!=", False],))
"""Addresses of customers. The customer's own time does not move when one is written, and Odoo's field with its addresses leaves
out the archived ones: whose addresses changed is read from the addresses."""
REPS: Final = Source(
    "res.users",
    paths=(("", "res.users"), ("partner_id", "res.partner")),
    only=(["share", "=", False], ["login", "not in", NOT_PEOPLE]),
    company=True,
)
TEAMS: Final = Source(
    "crm.team",
    paths=(("", "crm.team"),),
    belongings=(Belonging("crm.team.member", "crm_team_id", "crm.team"),),
    company=True,
)
MEMBERS: Final = Source("crm.team.member", paths=(("", "crm.team.member"),), owner="")
PRODUCTS: Final = Source(
    "product.product",
    paths=(
        ("", "product.product"),
        ("product_tmpl_id", "product.template"),
        ("product_template_attribute_value_ids", "product.template.attribute.value"),
    ),
    company=True,
)
GOODS: Final = Source(
    "product.product", paths=(("", "product.product"), ("product_tmpl_id", "product.template")), company=True
)
"""What is stored (connectors/odoo/tables.py)."""
MOVES: Final = Source("stock.move", paths=(("", "stock.move"),), company=True)
QUANTS: Final = Source("stock.quant", paths=(("", "stock.quant"),), company=True)
"""Neither touches the product: whose stock changed is read from the movements and quantities."""
INVOICES: Final = Source(
    "account.move",
    paths=(("", "account.move"), ("invoice_line_ids", "account.move.line")),
    only=(["move_type", "in", ["out_invoice", "out_refund"]],),
    company=True,
)
SALES: Final = Source("sale.order", paths=(("", "sale.order"),), company=True)
STAGES: Final[dict[str, tuple[Source, ...]]] = {
    "customer": (CUSTOMERS, CHILDREN),
    "rep": (REPS,),
    "region": (TEAMS, MEMBERS),
    "product": (PRODUCTS,),
    "stock": (GOODS, MOVES, QUANTS),
    "invoice": (INVOICES,),
    "sale": (SALES,),
}
"""What is walked through, one after the other. When everything is read, the first alone tells it all."""
