"""Systems that know how much of each article is there (ERP, CRM or store), and stores that are told how much they may sell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol, runtime_checkable

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


ShelfProblem = Literal["", "unknown", "unkept", "refused"]
"""unknown: the store has no such article. unkept: it counts no stock of it. refused: nobody can tell which article is meant."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """An article as a store sells it now. `id`: its own, opaque; `quantity`: how much it says there is."""

    sku: str
    id: str = ""
    quantity: Decimal | None = None
    problem: ShelfProblem = ""
    reason: str = ""
    """With a problem: a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Offer:
    """So many of an article may be sold. `id`: of its shelf."""

    sku: str
    id: str
    quantity: int


@runtime_checkable
class Selling(Protocol):
    """A store that can be told how much of each article may be sold."""

    name: str

    def shelves(self, skus: Sequence[str]) -> Mapping[str, Shelf]:
        """How the store sells these (some fifty); each of them is in the answer. Only reads."""
        ...

    def parcels(self, offers: Sequence[Offer]) -> Sequence[Sequence[Offer]]:
        """The same offers, those together that one call can carry. Calls nobody."""
        ...

    def put_out(self, parcel: Sequence[Offer]) -> Mapping[str, str]:
        """One call: set the quantities, and nothing else. By SKU "" where the store has it now, else why it has not (a
        sentence for the operator); of what is missing nobody knows. Raises the taxonomy of core.errors where it is about the
        whole call: `Held` where all of it was refused.
        """
        ...


__all__ = ["BadLevel", "Offer", "Selling", "Shelf", "ShelfProblem", "StockPage", "Stocked"]
