"""Stock levels as their sources told them last. There may be a hundred thousand: they are kept in bulk, and a level that is as
before is written nowhere (ADR-0015).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros, to_micros
from ledger import stocktables as t
from ledger.audit import Audit
from ledger.database import Database, Insert
from ledger.statements import any_of
from ledger.stockalerts import StockAlerts, plain
from ledger.stockoffers import StockOffers
from ledger.thresholds import Thresholds

LISTED: Final = 500


@dataclass(frozen=True, slots=True)
class Level:
    """How much of one article is in one warehouse ("" where the source has none)."""

    warehouse: str
    sku: str
    name: str
    group: str
    on_hand: Decimal
    available: Decimal | None
    """As the source reckons it; None where it does not."""
    minimum: Decimal | None
    """The source's own threshold."""
    stamp: datetime | None
    read_at: datetime
    """When it was first read like this."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """How far a source of levels has been read. `judged`: by which thresholds and settings every level was compared last."""

    connection: str
    polled_at: datetime | None = None
    """Every level that is kept was true then."""
    full_at: datetime | None = None
    tried_at: datetime | None = None
    bad: int = 0
    bad_why: str = ""
    """Of the levels that cannot be read, why the first cannot."""
    revision: int = 0
    judged: str = ""
    changes: int = 0
    """Grows with each change of its levels."""


class Stock:
    """Levels, and beside them `thresholds`, `alerts`, and what stores were told (`offers`)."""

    def __init__(self, db: Database, audit: Audit) -> None:
        self.db = db
        self.thresholds = Thresholds(db, audit)
        self.alerts = StockAlerts(db, audit)
        self.offers = StockOffers(db)
        among = "sku IN (SELECT value FROM json_each(:skus))" if db.is_sqlite else "sku = ANY(:skus)"
        self._known = sa.text(
            f"SELECT sku, warehouse, digest FROM stock_level WHERE connection = :connection AND {among}"  # noqa: S608
        )
        self._put = _put(db)
        counted = db.insert(t.stock_source).values(connection=sa.bindparam("b_connection"), changes=1)
        self._changed = counted.on_conflict_do_update(
            index_elements=["connection"], set_={"changes": t.stock_source.c.changes + 1}
        )

    # -- levels ----------------------------------------------------------------------------------------------------

    def keep(self, connection: str, levels: Sequence[Level]) -> int:
        """Keep these as the newest. How many were new or other than before."""
        if not levels:
            return 0
        given = {(level.sku, level.warehouse): level for level in levels}

        def work(one: Connection) -> int:
            skus = list({sku for sku, _ in given})
            asked = {"connection": connection, "skus": json.dumps(skus) if self.db.is_sqlite else skus}
            known = {(sku, place): bytes(digest) for sku, place, digest in one.execute(self._known, asked).all()}
            other = [
                _row(connection, level, digest)
                for key, level in given.items()
                if known.get(key) != (digest := _digest(level))
            ]
            if other:
                one.execute(self._put, other if self.db.is_sqlite else {"rows": json.dumps(other, default=_bytea)})
                one.execute(self._changed, {"b_connection": connection})
            return len(other)

        return self.db.transact(work)

    def remove(self, connection: str, gone: Sequence[tuple[str, str]]) -> int:
        """These (warehouse, SKU) are no more. How many were there."""
        return sum(
            self.db.transact(partial(self._remove, connection, gone[start : start + LISTED]))
            for start in range(0, len(gone), LISTED)
        )

    def _remove(self, connection: str, gone: Sequence[tuple[str, str]], one: Connection) -> int:
        level = t.stock_level.c
        which = any_of((level.warehouse, level.sku), gone)
        query = sa.delete(t.stock_level).where(level.connection == connection, which).returning(level.id)
        count = len(one.execute(query).all())
        if count:
            one.execute(self._changed, {"b_connection": connection})
        return count

    def each(self, connection: str, size: int = 5_000) -> Iterator[list[Level]]:
        """All levels of a source, in bounded parts."""
        level = t.stock_level
        query = sa.select(level).where(level.c.connection == connection, level.c.id > sa.bindparam("after"))
        query, after = query.order_by(level.c.id).limit(size), 0
        while rows := self.db.rows(query, {"after": after}):
            after = rows[-1].id
            yield [_level(row) for row in rows]

    def items(self, connection: str, size: int = 5_000) -> Iterator[Sequence[tuple[str, str]]]:
        """Warehouse and SKU of all levels, in bounded parts."""
        level = t.stock_level.c
        query = sa.select(level.id, level.warehouse, level.sku).where(
            level.connection == connection, level.id > sa.bindparam("after")
        )
        query, after = query.order_by(level.id).limit(size), 0
        while rows := self.db.rows(query, {"after": after}):
            after = rows[-1].id
            yield [(row[1], row[2]) for row in rows]

    def search(
        self,
        connection: str,
        *,
        text: str = "",
        warehouse: str = "",
        after: tuple[str, str] | None = None,
        limit: int = 50,
    ) -> list[Level]:
        """Levels by article number, from behind `after` (SKU, warehouse). `text`: in the number or the name."""
        level = t.stock_level.c
        query = sa.select(t.stock_level).where(level.connection == connection)
        if text:
            query = query.where(
                level.sku.icontains(text, autoescape=True) | level.name.icontains(text, autoescape=True)
            )
        if warehouse:
            query = query.where(level.warehouse == warehouse)
        if after is not None:
            query = query.where(sa.tuple_(level.sku, level.warehouse) > sa.tuple_(*map(sa.literal, after)))
        return [_level(row) for row in self.db.rows(query.order_by(level.sku, level.warehouse).limit(limit))]

    def of(self, connection: str, skus: Sequence[str]) -> list[Level]:
        """The levels of these articles, in every warehouse."""
        found: list[Level] = []
        for start in range(0, len(skus), LISTED):
            level = t.stock_level.c
            query = sa.select(t.stock_level).where(
                level.connection == connection, level.sku.in_(skus[start : start + LISTED])
            )
            found += [_level(row) for row in self.db.rows(query.order_by(level.sku, level.warehouse))]
        return found

    def counts(self, connection: str) -> Mapping[str, int]:
        """Levels by warehouse."""
        level = t.stock_level.c
        query = sa.select(level.warehouse, sa.func.count()).where(level.connection == connection)
        return {row[0]: row[1] for row in self.db.rows(query.group_by(level.warehouse).order_by(level.warehouse))}

    # -- sources ---------------------------------------------------------------------------------------------------

    def source(self, connection: str) -> SourceState:
        """How far a source was read."""
        rows = self.db.rows(sa.select(t.stock_source).where(t.stock_source.c.connection == connection))
        return _source(rows[0]) if rows else SourceState(connection)

    def note(self, connection: str, **values: Any) -> None:
        """Note of a source: `polled_at`, `full_at`, `tried_at` (moments), `bad`, `bad_why`, `judged`."""
        told = {name: to_micros(value) if isinstance(value, datetime) else value for name, value in values.items()}
        insert = self.db.insert(t.stock_source).values(connection=connection, **told)
        self.db.execute(insert.on_conflict_do_update(index_elements=["connection"], set_=told))


def _put(db: Database) -> Insert:
    """Write levels over those there are. SQLite is given one row after the other. PostgreSQL, for which that is a message each,
    is given all as one JSON text, `rows`: keeping new levels costs our process a third of that.
    """
    insert, key = db.insert(t.stock_level), ("connection", "sku", "warehouse")
    columns = [column for column in t.stock_level.c if column.name != "id"]
    if not db.is_sqlite:
        given = sa.func.json_to_recordset(sa.cast(sa.bindparam("rows", type_=sa.Text), sa.JSON))
        row = given.table_valued(*(sa.column(one.name, one.type) for one in columns)).render_derived(with_types=True)
        insert = insert.from_select(columns, sa.select(row))
    told = {one.name: insert.excluded[one.name] for one in columns if one.name not in key}
    return insert.on_conflict_do_update(index_elements=key, set_=told)


def _bytea(value: bytes) -> str:
    """Bytes as PostgreSQL writes them."""
    return f"\\x{value.hex()}"


def _optional(quantity: Decimal | None) -> str | None:
    return plain(quantity) if quantity is not None else None


def _digest(level: Level) -> bytes:
    told = (level.name, level.group, plain(level.on_hand), _optional(level.available), _optional(level.minimum))
    return hashlib.blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _row(connection: str, level: Level, digest: bytes) -> dict[str, Any]:
    return {
        "connection": connection,
        "warehouse": level.warehouse,
        "sku": level.sku,
        "name": level.name,
        "grp": level.group,
        "on_hand": plain(level.on_hand),
        "available": _optional(level.available),
        "minimum": _optional(level.minimum),
        "stamp": to_micros(level.stamp) if level.stamp is not None else None,
        "read_at": to_micros(level.read_at),
        "digest": digest,
    }


def _number(text: str | None) -> Decimal | None:
    return Decimal(text) if text is not None else None


def _moment(micros: int | None) -> datetime | None:
    return from_micros(micros) if micros is not None else None


def _level(row: Row[Any]) -> Level:
    return Level(
        warehouse=row.warehouse,
        sku=row.sku,
        name=row.name,
        group=row.grp,
        on_hand=Decimal(row.on_hand),
        available=_number(row.available),
        minimum=_number(row.minimum),
        stamp=_moment(row.stamp),
        read_at=from_micros(row.read_at),
    )


def _source(row: Row[Any]) -> SourceState:
    return SourceState(
        connection=row.connection,
        polled_at=_moment(row.polled_at),
        full_at=_moment(row.full_at),
        tried_at=_moment(row.tried_at),
        bad=row.bad,
        bad_why=row.bad_why,
        revision=row.revision,
        judged=row.judged,
        changes=row.changes,
    )
