"""Tryton's words (search_read over its JSON-RPC) to the common language."""

from mapping.tryton.goods import invoice_from_tryton, product_from_tryton, sale_from_tryton, stock_from_tryton
from mapping.tryton.party import customer_from_tryton, rep_from_tryton
from mapping.tryton.wire import code_of, rep_code, stock_id, stored

__all__ = [
    "code_of",
    "customer_from_tryton",
    "invoice_from_tryton",
    "product_from_tryton",
    "rep_code",
    "rep_from_tryton",
    "sale_from_tryton",
    "stock_from_tryton",
    "stock_id",
    "stored",
]
