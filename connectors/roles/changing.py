"""A CRM that tells what people change in it, and one whose stock we keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol, runtime_checkable

from connectors.roles.common import Difference, Ref, Written

ChangeKind = Literal["order", "invoice"]


@dataclass(frozen=True, slots=True)
class CrmRow:
    """An order or invoice as the CRM lists it, its header only."""

    ref: Ref
    external_id: str
    status: str
    """The CRM's own word."""
    modified: datetime
    by_us: bool | None = None
    """Whether our login touched it last; None where it cannot be told."""
    currency: str = ""
    """ISO code; "" for one that the connection's table does not have."""
    total: Decimal | None = None
    received: Decimal | None = None
    """What was paid of it (invoices, where the CRM keeps that)."""
    balance: Decimal | None = None
    order_id: str = ""
    """The order that an invoice is for."""
    issued: date | None = None
    due: date | None = None


@dataclass(frozen=True, slots=True)
class CrmPage:
    """Part of what changed. `cursor` is opaque text to go on from once this page is kept."""

    rows: Sequence[CrmRow]
    cursor: str


@runtime_checkable
class Changing(Protocol):
    """A CRM that can be asked what changed. Reading never writes."""

    name: str

    def crm_changes(self, kind: ChangeKind, cursor: str | None) -> Iterator[CrmPage]:
        """What may have changed since the cursor, oldest change first, in bounded pages; a row may come again. None: begin with
        what changes from now on. An unchanged CRM costs one call. Deletions do not show here: see `crm_rows`.
        """
        ...

    def crm_rows(self, kind: ChangeKind, ids: Sequence[str]) -> Mapping[str, CrmRow]:
        """These records as they are now, by id. Those that are gone are absent; raises where that cannot be believed."""
        ...


@dataclass(frozen=True, slots=True)
class ProductStock:
    """How much of a product a CRM has, and what must be written back with it so that nothing else changes."""

    id: str
    sku: str
    name: str
    quantity: Decimal
    modified: datetime
    by_us: bool | None = None
    """Whether our login touched it last; None where it cannot be told."""
    kept: Mapping[str, str] | None = None
    """The connector's own: fields that a change of the stock would wipe out."""
    read_at: datetime | None = field(default=None, compare=False)
    """When we began to read it, by our clock."""


@runtime_checkable
class Stocking(Protocol):
    """A CRM whose products have a quantity that we may set. The caller holds the lane: nobody else of us writes meanwhile."""

    def stock_of(self, product_id: str) -> ProductStock | None:
        """A product's stock now; None: it is gone, or is nothing that has a stock (a service)."""
        ...

    def set_stock(self, before: ProductStock, quantity: Decimal) -> Written:
        """Set the quantity, and leave all else of the product as it was read. Raises Ambiguous where the answer was lost."""
        ...

    def overtaken(self, before: ProductStock, written: Written, quantity: Decimal, order: Ref) -> Sequence[Difference]:
        """Right after `set_stock`: goods that an invoice took between our reading and our writing may be in the quantity that
        we wrote. Nothing where there was no such invoice, or it counts all the same. `order`: whose goods were moved; its own
        invoices were counted before.
        """
        ...

    def invoiced_goods(self, order: Ref) -> Mapping[str, Decimal]:
        """How much of which product (by its id) the CRM itself has taken off the stock for this order: by invoices that people or
        we made of it, without cancelled ones. Credit notes with goods give back.
        """
        ...


__all__ = ["ChangeKind", "Changing", "CrmPage", "CrmRow", "ProductStock", "Stocking"]
