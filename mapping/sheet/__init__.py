"""Rows of files to the common language: fields by our own names, each a text, whatever the columns were called."""

from mapping.sheet.fields import FIELDS, REQUIRED, Fields, Words, fault, key_of
from mapping.sheet.goods import invoice_from_sheet, product_from_sheet, stock_from_sheet
from mapping.sheet.party import customer_from_sheet, region_from_sheet, rep_from_sheet
from mapping.sheet.rows import fields_from_columns, stored_columns

__all__ = [
    "FIELDS",
    "REQUIRED",
    "Fields",
    "Words",
    "customer_from_sheet",
    "fault",
    "fields_from_columns",
    "invoice_from_sheet",
    "key_of",
    "product_from_sheet",
    "region_from_sheet",
    "rep_from_sheet",
    "stock_from_sheet",
    "stored_columns",
]
