"""A system that knows how much of each article is there: an ERP, a CRM or a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mapping.canonical import StockLevel


@dataclass(frozen=True, slots=True)
class BadLevel:
    """A level that cannot be read. `id`: `<warehouse>/<SKU>`, or what else names the row over there."""

    id: str
    reason: str
    """A sentence for the operator."""


@dataclass(frozen=True, slots=True)
class StockPage:
    """Part of the levels. `cursor` is opaque text to go on from once this page is kept."""

    levels: Sequence[StockLevel]
    cursor: str
    gone: Sequence[str] = ()
    """Levels (`<warehouse>/<SKU>`) of which this very page says that they are no more; most systems never say so."""
    bad: Sequence[BadLevel] = ()
    whole: bool = True
    """Of a reading of everything: what it does not tell is gone. False: nothing of the kind follows."""


@runtime_checkable
class Stocked(Protocol):
    """A source of stock levels. Reading never writes."""

    name: str

    def stock_since(self, cursor: str | None) -> Iterator[StockPage]:
        """Levels that may have changed since the cursor, in bounded pages; None: all there are, and what is not among them is
        gone, unless a page says otherwise. A page's cursor may be stored once its levels are kept; reading from an older one
        tells levels again, which is harmless. The last page's cursor is where the next question begins (no page at all: it
        stays). Raises ConfigurationProblem where this connection is not set up to tell stock.
        """
        ...


__all__ = ["BadLevel", "StockPage", "Stocked"]
