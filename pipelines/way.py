"""An order's way to the customer, as its page shows it: what was promised, when it left and arrived, and its parcels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from core.keys import Key
from ledger.watches import Watched
from mapping.canonical import SalesOrder, Tracking
from pipelines.context import Context


@dataclass(frozen=True, slots=True)
class Way:
    """As the store told it last; how its promises stand, by flow."""

    rush: bool
    promised_on: date | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    tracking: Sequence[Tracking]
    promises: Sequence[Watched]


def of(context: Context, key: Key, flows: Iterable[str], order: SalesOrder | None) -> Way | None:
    """None: there is nothing to tell."""
    found = [context.ledger.watches.get(flow, str(key)) for flow in sorted(set(flows))]
    promises = [one for one in found if one is not None]
    if order is None:
        nothing = Way(rush=False, promised_on=None, shipped_at=None, delivered_at=None, tracking=(), promises=promises)
        return nothing if promises else None
    way = Way(order.rush, order.promised_on, order.shipped_at, order.delivered_at, order.tracking, promises)
    told = way.rush or way.promised_on or way.shipped_at or way.delivered_at or way.tracking or promises
    return way if told else None
