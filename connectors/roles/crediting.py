"""A CRM in which what was invoiced can be taken back: by a credit note, or by the word for a cancelled invoice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, Protocol, runtime_checkable

from connectors.roles.common import Ref, Written
from connectors.roles.crm import OrderRefs
from connectors.roles.invoicing import Invoicing
from mapping.canonical import SalesOrder

CREDIT: Final = "credit"
"""The kind of their links."""


@dataclass(frozen=True, slots=True)
class Issued:
    """An invoice as the CRM has it now. `total` is not rounded: compare it at the currency's decimals."""

    total: Decimal
    status: str
    """The CRM's own word."""


@runtime_checkable
class Crediting(Invoicing, Protocol):
    """Credit notes are invoices over there: `Crm.find_invoice` finds them by their external id."""

    def issued(self, ref: Ref) -> Issued | None:
        """An invoice or credit note as it is now; None: it is gone."""
        ...

    def create_credit(self, credit: SalesOrder, refs: OrderRefs, order_ref: Ref, issued: date | None) -> Written:
        """Create a credit note. `credit`: the order with nothing but its lines and total, which are negative
        (mapping.refunds.credit_of); `refs.external_id` is the note's own. It moves no goods.
        """
        ...

    def set_invoice_status(self, ref: Ref, status: str) -> Written:
        """Give an invoice or credit note another word, touching nothing else."""
        ...
