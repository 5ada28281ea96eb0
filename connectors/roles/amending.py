"""An order that changes after it was written: what the CRM shows, what we wrote there, and what the store says now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from connectors.roles.common import Ref, Written
from connectors.roles.crm import OrderRefs, Ownership
from mapping.canonical import SalesOrder

Shown = Mapping[str, Any]
"""What a connector keeps with an order's link to tell our own echo from other people's work. JSON; opaque to pipelines."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One field of a part that both sides have changed. Values are texts for people; None: it is not there."""

    field: str
    """What people call it over there, with the line it stands on."""
    wrote: str | None
    """What we wrote last; None where it was not there, or is not known."""
    theirs: str | None
    stores: str | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """A part of an order (connectors.roles.OWNED) that was changed over there and in the store, to different things.

    `theirs` and `stores` are digests of the two sides: an answer is good for exactly this pair.
    """

    part: str
    theirs: str
    stores: str
    rows: tuple[Disagreement, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """An order over there against what we wrote and what the store says now. All words are of OWNED."""

    differ: frozenset[str] = frozenset()
    """Parts of the store's or of whoever changed them last that stand otherwise over there than the store has them."""
    there: frozenset[str] = frozenset()
    """Parts that somebody else has changed over there since we wrote them, or may have."""
    store: frozenset[str] = frozenset()
    """Parts that the store has changed since it was followed last."""
    send: frozenset[str] = frozenset()
    """Parts to be written."""
    conflicts: tuple[Conflict, ...] = ()
    """Parts that only a person can decide; none of them is in `send`."""
    word: str = ""
    """The CRM's word for where the order stands there now."""
    state: Shown = field(default_factory=dict, compare=False, repr=False)
    """The connector's own, for `sending` and `amend`."""


@runtime_checkable
class Amending(Protocol):
    """A CRM that tells who changed what in an order."""

    def compare(
        self, ref: Ref, order: SalesOrder, refs: OrderRefs, ownership: Ownership, shown: Shown | None
    ) -> Comparison:
        """Read the order there and compare. `shown`: what was kept with its link; None for an order from before that was
        kept. Writes nothing. Raises `Held` (class "missing reference") for an order that is gone.
        """
        ...

    def sending(self, comparison: Comparison, parts: Collection[str]) -> Shown:
        """What to keep with the link before these parts are written: a crash must not make a stranger of us."""
        ...

    def amend(
        self,
        ref: Ref,
        order: SalesOrder,
        refs: OrderRefs,
        ownership: Ownership,
        comparison: Comparison,
        parts: Collection[str],
    ) -> Written:
        """Write these parts and nothing else, or nothing at all where there are none. `Written.shown` is to be kept."""
        ...
