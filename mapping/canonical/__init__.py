"""The common language: frozen models with the field's standard names. Vendor vocabulary never appears here."""

from mapping.canonical.base import Canonical, Key, Text
from mapping.canonical.order import (
    Coupon,
    LineKind,
    OrderLine,
    OrderStatus,
    PaymentStatus,
    Refund,
    SalesOrder,
    ShippingLine,
    TaxAmount,
)
from mapping.canonical.party import Account, Address, Contact, Customer, Lead, Party, Person, Probe

__all__ = [
    "Account",
    "Address",
    "Canonical",
    "Contact",
    "Coupon",
    "Customer",
    "Key",
    "Lead",
    "LineKind",
    "OrderLine",
    "OrderStatus",
    "Party",
    "PaymentStatus",
    "Person",
    "Probe",
    "Refund",
    "SalesOrder",
    "ShippingLine",
    "TaxAmount",
    "Text",
]
