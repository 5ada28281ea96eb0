"""What orders say of articles: how much was ordered, and what open orders still wait for. Of an order that several flows carry
the first counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from core.clock import from_micros, to_micros
from ledger import ordertables as o
from ledger.database import Database
from ledger.goodstables import goods_taken
from ledger.invoicetables import invoice_state

TOGETHER: Final = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """An open order and how much of one article it waits for. `total`: of the whole order."""

    sku: str
    quantity: Decimal
    order_key: str
    number: str
    total: Decimal
    currency: str
    rush: bool
    promised_on: date | None
    placed_at: datetime
    status: str = ""
    """mapping.canonical.OrderStatus."""


class StockOrders:
    """Reads the orders' lines by article."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def ordered(self, skus: Sequence[str], since: datetime, called_off: Collection[str]) -> dict[str, Decimal]:
        """How much of each of these was ordered since, without orders in the statuses `called_off`."""
        state, line = o.order_state.c, o.order_line.c
        chosen = (state.placed_at >= to_micros(since)) & state.status.not_in(called_off)
        found: dict[str, Decimal] = {}
        for row in self._lines(skus, chosen, line.sku, line.quantity):
            found[row.sku] = found.get(row.sku, Decimal(0)) + Decimal(row.quantity)
        return found

    def waiting(self, skus: Sequence[str], source: str = "", *, lying: bool = False) -> dict[str, list[Wanted]]:
        """The open orders that hold each of these and have not left, rush orders first, then by promise, then by age. `source`:
        whose levels they are held against; what a CRM took off its stock by an invoice waits for nothing. `lying`: with those
        that have left and that this CRM carries, on whose stock their goods are until it gives them.
        """
        state, line, invoice = o.order_state.c, o.order_line.c, invoice_state.c
        carried = o.order_state.alias("carried").c
        taken = sa.exists().where(
            invoice.order_key == state.order_key,
            invoice.system == source,
            # A CRM's: it is where a flow carries the order. An ERP takes goods off when they leave, whenever it bills them.
            carried.order_key == state.order_key,
            carried.target == source,
            invoice.credit.is_(sa.false()),
            invoice.state.not_in(("cancelled", "deleted")),
        )
        said = (
            state.number,
            state.total,
            state.currency,
            state.rush,
            state.promised_on,
            state.placed_at,
            state.status,
        )
        in_house: sa.ColumnElement[bool] = state.shipped_at.is_(None)
        if lying:
            in_house |= sa.exists().where(carried.order_key == state.order_key, carried.target == source)
        found: dict[str, list[Wanted]] = {}
        for row in self._lines(skus, state.open & in_house & ~taken, line.sku, line.quantity, *said):
            found.setdefault(row.sku, []).append(
                Wanted(
                    sku=row.sku,
                    quantity=Decimal(row.quantity),
                    order_key=row.order_key,
                    number=row.number,
                    total=Decimal(row.total),
                    currency=row.currency,
                    rush=bool(row.rush),
                    promised_on=date.fromisoformat(row.promised_on) if row.promised_on else None,
                    placed_at=from_micros(row.placed_at),
                    status=row.status,
                )
            )
        for orders in found.values():
            orders.sort(key=lambda one: (not one.rush, one.promised_on or date.max, one.placed_at, one.order_key))
        return found

    def taken_off(
        self, flows: Collection[str], order_keys: Sequence[str], source: str
    ) -> dict[tuple[str, str], Decimal]:
        """How much of an article (order, SKU) is off the stock of this CRM already, by the order's status."""
        row = goods_taken.c
        found: dict[tuple[str, str], Decimal] = {}
        for start in range(0, len(order_keys), TOGETHER):
            some = row.order_key.in_(order_keys[start : start + TOGETHER])
            mine = row.flow.in_(flows) & (row.target == source)
            query = sa.select(row.order_key, row.sku, row.taken).where(mine, some)
            for order_key, sku, taken in self.db.rows(query):
                found[order_key, sku] = found.get((order_key, sku), Decimal(0)) + Decimal(taken)
        return found

    def _lines(
        self, skus: Sequence[str], chosen: sa.ColumnElement[bool], *columns: sa.ColumnElement[Any]
    ) -> Iterator[sa.Row[Any]]:
        state, line = o.order_state.c, o.order_line.c
        same = (state.flow == line.flow) & (state.order_key == line.order_key)
        for start in range(0, len(skus), TOGETHER):
            query = sa.select(line.order_key, line.flow, *columns).select_from(
                sa.join(o.order_line, o.order_state, same)
            )
            first: dict[str, str] = {}
            some = line.sku.in_(skus[start : start + TOGETHER])
            for row in self.db.rows(query.where(some, chosen).order_by(line.order_key, line.flow, line.place)):
                if first.setdefault(row.order_key, row.flow) == row.flow:
                    yield row
