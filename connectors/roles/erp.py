"""The system that runs the company: customers with rep codes, goods, stock, invoices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, runtime_checkable

from connectors.roles.common import Finding, Page
from core.keys import Change, Key
from mapping.canonical import ErpCustomer, ErpInvoice, ErpProduct, Region, SalesRep, StockLevel

ErpKind = Literal["customer", "rep", "region", "product", "stock", "invoice", "sale"]


@runtime_checkable
class Erp(Protocol):
    """A source of customers and who serves them. Reading never writes."""

    name: str
    kinds: frozenset[ErpKind]
    """What this system, as configured, tells."""

    def changes_since(self, kind: ErpKind, cursor: str | None) -> Iterator[Page]:
        """Records of a kind that changed since the cursor (None: all there are), in bounded pages.

        A page's cursor may be stored once its changes are committed; reading from an older one repeats changes, which is
        harmless, and never skips one: not within a second, not one whose rows changed in a table beside it.
        """
        ...

    def ids(self, kind: ErpKind) -> Iterator[Sequence[str]]:
        """The ids (`Key.id`) of all that are there now: what is deleted tells no change, it is found by what is missing."""
        ...

    def fetch(self, key: Key) -> Change:
        """The record's present state. Raises `NotThere`."""
        ...

    def customer(self, key: Key, raw: bytes) -> ErpCustomer:
        """Map; raises `Held` with the field at fault, like the next ones."""
        ...

    def rep(self, key: Key, raw: bytes) -> SalesRep:
        """Map."""
        ...

    def region(self, key: Key, raw: bytes) -> Region:
        """Map."""
        ...

    def product(self, key: Key, raw: bytes) -> ErpProduct:
        """Map."""
        ...

    def stock(self, key: Key, raw: bytes) -> StockLevel:
        """Map."""
        ...

    def invoice(self, key: Key, raw: bytes) -> ErpInvoice:
        """Map."""
        ...

    def check(self) -> Sequence[Finding]:
        """Address, login, rights, version, clock. Writes nothing."""
        ...

    def close(self) -> None:
        """Close the transport."""
        ...
