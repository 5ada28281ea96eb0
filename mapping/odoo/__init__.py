"""Odoo's words (search_read over JSON-RPC or JSON-2) to the common language."""

from mapping.odoo.goods import invoice_from_odoo, product_from_odoo, sale_from_odoo, stock_from_odoo
from mapping.odoo.party import customer_from_odoo, region_from_odoo, rep_from_odoo
from mapping.odoo.wire import code_of, reference, region_id, rep_code, stock_id, stored

__all__ = [
    "code_of",
    "customer_from_odoo",
    "invoice_from_odoo",
    "product_from_odoo",
    "reference",
    "region_from_odoo",
    "region_id",
    "rep_code",
    "rep_from_odoo",
    "sale_from_odoo",
    "stock_from_odoo",
    "stock_id",
    "stored",
]
