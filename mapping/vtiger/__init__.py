"""Between the common language and vtiger's fields: pure functions, named by direction."""

from mapping.vtiger.money import OrderMoney, PricedLine, represent, server_total
from mapping.vtiger.order import Item, OrderFields, Place, invoice_to_vtiger, order_to_vtiger
from mapping.vtiger.party import (
    PartyFields,
    account_from_vtiger,
    account_to_vtiger,
    contact_from_vtiger,
    contact_to_vtiger,
    lead_to_vtiger,
)
from mapping.vtiger.text import Cut, clean, clean_element

__all__ = [
    "Cut",
    "Item",
    "OrderFields",
    "OrderMoney",
    "PartyFields",
    "Place",
    "PricedLine",
    "account_from_vtiger",
    "account_to_vtiger",
    "clean",
    "clean_element",
    "contact_from_vtiger",
    "contact_to_vtiger",
    "invoice_to_vtiger",
    "lead_to_vtiger",
    "order_to_vtiger",
    "represent",
    "server_total",
]
