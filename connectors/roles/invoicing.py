"""A CRM whose invoices have a life of their own: a status, payments, and bills that another system wrote."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, Protocol, runtime_checkable

from connectors.roles.common import Ref, Written
from connectors.roles.crm import OrderRefs
from mapping.canonical import SalesOrder

InvoiceWord = Literal["draft", "open", "paid", "cancelled", "credited", "unknown"]
"""Where an invoice stands. credited: a credit note, or an invoice that one has settled."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What an invoice has beyond the lines, addresses and customer of the order that it is written from."""

    number: str
    """The legal number, given by the system that issued it."""
    state: InvoiceWord
    issued: date | None = None
    due: date | None = None
    received: Decimal | None = None
    """None: not told, the CRM's own stays."""
    balance: Decimal | None = None


@runtime_checkable
class Invoicing(Protocol):
    """A CRM that keeps the bills of an ERP and tells where its own stand. Finding and creating: `Crm`."""

    def invoice_state(self, word: str) -> InvoiceWord:
        """The CRM's word in the common language. Calls nobody."""
        ...

    def invoice_word(self, order: SalesOrder) -> str:
        """The CRM's word that creating the invoice of this order sends. Calls nobody."""
        ...

    def mend_invoice(self, ref: Ref, order: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Written:
        """Make whole what creating the invoice of this order left by halves; nothing is written where it is whole."""
        ...

    def bill_word(self, state: InvoiceWord) -> str:
        """The CRM's word that a bill in this state is written with. Calls nobody."""
        ...

    def create_bill(self, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Written:
        """Create the invoice of an ERP. `billed`: the order with the bill's lines and total (mapping.erpinvoices)."""
        ...

    def update_bill(
        self, ref: Ref, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref, *, lines: bool
    ) -> Written:
        """Bring it to this state; `lines`: with its lines, else the header alone (vtiger keeps lines and totals then)."""
        ...

    def bill_fingerprints(self, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref) -> tuple[str, str]:
        """Digests of the header and of the lines that would be written. Calls nobody."""
        ...
