"""What each store was last told of how much may be sold: one row an article, overwritten, written in bulk (ADR-0015)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Row

from core.clock import from_micros, to_micros
from ledger import offertables as t
from ledger.database import Database
from ledger.ordertables import order_line, order_state
from ledger.stocktables import stock_level

OfferProblem = Literal["", "doubtful", "unknown", "unkept", "refused"]
TOGETHER: Final = 500


@dataclass(frozen=True, slots=True)
class Told:
    """What a store has from us of one article. `tried`, `tried_at`: what was to be told and when, with a `problem`."""

    sku: str
    quantity: int | None = None
    at: datetime | None = None
    problem: OfferProblem = ""
    reason: str = ""
    tried: int | None = None
    tried_at: datetime | None = None

    def kept(self, quantity: int, at: datetime) -> Told:
        """The store has it now."""
        since = self.at if self.quantity == quantity and not self.problem else at
        return Told(self.sku, quantity, since)

    def failed(self, problem: OfferProblem, reason: str, tried: int, at: datetime) -> Told:
        """It was to be told, and the store has (or may have) something else."""
        return replace(self, problem=problem, reason=reason[:500], tried=tried, tried_at=at)


@dataclass(frozen=True, slots=True)
class Offering:
    """How far a store was told the levels of a source. `orders_at`: orders that changed since are looked at again."""

    source: str
    store: str
    mark: str = ""
    scanned_at: datetime | None = None
    orders_at: datetime | None = None
    problem: str = ""
    problem_at: datetime | None = None
    retry_at: datetime | None = None


class StockOffers:
    """One row an article, source and store; one row a source and store."""

    def __init__(self, db: Database) -> None:
        self.db = db
        insert = db.insert(t.stock_offer)
        said = ("quantity", "at", "problem", "reason", "tried", "tried_at")
        self._put = insert.on_conflict_do_update(
            index_elements=["store", "source", "sku"], set_={name: insert.excluded[name] for name in said}
        )
        among = "sku IN (SELECT value FROM json_each(:skus))" if db.is_sqlite else "sku = ANY(:skus)"
        self._of = sa.text(
            "SELECT sku, quantity, at, problem, reason, tried, tried_at FROM stock_offer "  # noqa: S608
            f"WHERE store = :store AND source = :source AND {among}"
        )

    # -- articles --------------------------------------------------------------------------------------------------

    def of(self, source: str, store: str, skus: Collection[str]) -> dict[str, Told]:
        """What the store was told of these; nothing of those of which it was told nothing."""
        wanted = list(skus)
        asked = {"store": store, "source": source, "skus": json.dumps(wanted) if self.db.is_sqlite else wanted}
        return {row.sku: _told(row) for row in self.db.rows(self._of, asked)}

    def put(self, source: str, store: str, told: Sequence[Told]) -> None:
        """Keep these."""
        if told:
            rows = [_row(source, store, one) for one in told]
            self.db.transact(lambda connection: connection.execute(self._put, rows))

    def doubtful(self, source: str, store: str, older: timedelta, limit: int = 1_000) -> list[str]:
        """Articles of which nobody said for so long what became of what was sent."""
        offer = t.stock_offer.c
        until = self.db.micros() - int(older.total_seconds() * 1_000_000)
        mine = (offer.source == source) & (offer.store == store) & (offer.problem == sa.literal_column("'doubtful'"))
        query = sa.select(offer.sku).where(mine, offer.tried_at <= until).order_by(offer.tried_at).limit(limit)
        return [row.sku for row in self.db.rows(query)]

    def without_level(self, source: str, store: str, size: int = 2_000) -> Iterator[list[str]]:
        """Articles that the store has some of by what we told, and of which the source tells no level any more."""
        offer, level = t.stock_offer.c, stock_level.c
        there = sa.exists().where(level.connection == offer.source, level.sku == offer.sku)
        mine = (offer.source == source) & (offer.store == store) & offer.quantity.is_not(None)
        query = sa.select(offer.id, offer.sku).where(mine, ~there, offer.id > sa.bindparam("after"))
        query, after = query.order_by(offer.id).limit(size), 0
        while rows := self.db.rows(query, {"after": after}):
            after = rows[-1].id
            yield [row.sku for row in rows]

    def counts(self, source: str, store: str) -> Mapping[str, int]:
        """Articles by problem."""
        offer = t.stock_offer.c
        query = sa.select(offer.problem, sa.func.count()).where(offer.source == source, offer.store == store)
        return {row[0]: row[1] for row in self.db.rows(query.group_by(offer.problem))}

    def troubled(self, source: str, store: str, limit: int) -> list[Told]:
        """Those that the store refuses or may not have, the oldest first."""
        offer = t.stock_offer
        bad = offer.c.problem.in_(("refused", "doubtful"))
        query = sa.select(offer).where(offer.c.source == source, offer.c.store == store, bad)
        return [_told(row) for row in self.db.rows(query.order_by(offer.c.tried_at, offer.c.id).limit(limit))]

    # -- orders ----------------------------------------------------------------------------------------------------

    def ordered_since(self, since: datetime) -> list[str]:
        """Articles of the orders that changed since."""
        line, state = order_line.c, order_state.c
        same = (state.flow == line.flow) & (state.order_key == line.order_key)
        query = sa.select(line.sku).distinct().select_from(sa.join(order_state, order_line, same))
        return [row.sku for row in self.db.rows(query.where(state.updated_at >= to_micros(since), line.sku != ""))]

    # -- how far ---------------------------------------------------------------------------------------------------

    def offering(self, source: str, store: str) -> Offering:
        """How far this store was told."""
        table = t.stock_offering
        rows = self.db.rows(sa.select(table).where(table.c.source == source, table.c.store == store))
        return _offering(rows[0]) if rows else Offering(source, store)

    def note(self, source: str, store: str, **values: Any) -> None:
        """Note `mark`, `scanned_at`, `orders_at`, `problem`, `problem_at`, `retry_at` (moments, or None)."""
        told = {name: to_micros(value) if isinstance(value, datetime) else value for name, value in values.items()}
        insert = self.db.insert(t.stock_offering).values(source=source, store=store, **told)
        self.db.execute(insert.on_conflict_do_update(index_elements=["source", "store"], set_=told))


def _row(source: str, store: str, told: Told) -> dict[str, Any]:
    return {
        "source": source,
        "store": store,
        "sku": told.sku,
        "quantity": told.quantity,
        "at": _micros(told.at),
        "problem": told.problem,
        "reason": told.reason,
        "tried": told.tried,
        "tried_at": _micros(told.tried_at),
    }


def _told(row: Row[Any]) -> Told:
    return Told(row.sku, row.quantity, _moment(row.at), row.problem, row.reason, row.tried, _moment(row.tried_at))


def _offering(row: Row[Any]) -> Offering:
    return Offering(
        source=row.source,
        store=row.store,
        mark=row.mark,
        scanned_at=_moment(row.scanned_at),
        orders_at=_moment(row.orders_at),
        problem=row.problem,
        problem_at=_moment(row.problem_at),
        retry_at=_moment(row.retry_at),
    )


def _micros(moment: datetime | None) -> int | None:
    return to_micros(moment) if moment is not None else None


def _moment(micros: int | None) -> datetime | None:
    return from_micros(micros) if micros is not None else None
