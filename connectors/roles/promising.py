"""An ERP that knows by which day the goods of a sale were promised."""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

from core.keys import Key
from mapping.canonical import ErpSale

SALE: Final = "sale"
"""The kind of its records (connectors.roles.Erp reads them): `erp/sale/<id>`."""


@runtime_checkable
class Promising(Protocol):
    """A source of promised days, beside `Erp`, whose `changes_since("sale", ...)` tells the records."""

    name: str

    def sale(self, key: Key, raw: bytes) -> ErpSale:
        """Map; raises `Held` with the field at fault."""
        ...


__all__ = ["SALE", "Promising"]
