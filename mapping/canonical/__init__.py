"""The common language: frozen models with the field's standard names. Vendor vocabulary never appears here."""

from mapping.canonical.base import Canonical, Key, Text
from mapping.canonical.goods import ErpInvoice, ErpProduct, ErpSale, InvoiceLine, StockLevel
from mapping.canonical.order import (
    Coupon,
    LineKind,
    OrderLine,
    OrderStatus,
    PaymentStatus,
    Refund,
    RefundedPart,
    SalesOrder,
    ShippingLine,
    TaxAmount,
    Tracking,
)
from mapping.canonical.party import Account, Address, Contact, Customer, Lead, Party, Person, Probe
from mapping.canonical.reps import Absence, Agency, ErpCustomer, Region, RepAssignment, SalesRep, ShipTo, Subject

__all__ = [
    "Absence",
    "Account",
    "Address",
    "Agency",
    "Canonical",
    "Contact",
    "Coupon",
    "Customer",
    "ErpCustomer",
    "ErpInvoice",
    "ErpProduct",
    "ErpSale",
    "InvoiceLine",
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
    "RefundedPart",
    "Region",
    "RepAssignment",
    "SalesOrder",
    "SalesRep",
    "ShipTo",
    "ShippingLine",
    "StockLevel",
    "Subject",
    "TaxAmount",
    "Text",
    "Tracking",
]
