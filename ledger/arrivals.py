"""How many orders were heard of for the first time in each hour, for weeks: what tells an unusual silence from a usual one.

Asking all events for it takes longer with every year. So the events behind a cursor are counted once, a few thousand at a time,
and only the sums are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import from_micros, to_micros
from ledger import tables as t
from ledger.database import SECOND, Database

HOUR: Final = 3600 * SECOND
KEPT: Final = 46 * 24 * HOUR
TOGETHER: Final = 5_000
"""Events counted in one statement."""
ROUNDS: Final = 400
"""Statements at a time, at most: what is left is counted the next time."""
SETTLES: Final = 10 * SECOND
"""Events younger than this are left for the next time: by then those with lower numbers are there as well."""
CURSOR: Final = "arrivals/event"


class Arrivals:
    """Count, and look."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def per_hour(self, connection: str, *, since: datetime) -> dict[datetime, int]:
        """Orders first heard of in each hour (its beginning, UTC), backfills aside; hours without any are absent. Empty as long
        as not everything is counted: half a history would look like a silence.
        """
        if not self.advance():
            return {}
        arrival = t.arrival.c
        query = sa.select(arrival.hour, arrival.number).where(
            arrival.connection == connection, arrival.hour >= to_micros(since) // HOUR * HOUR
        )
        return {from_micros(row.hour): row.number for row in self.db.rows(query)}

    def advance(self) -> bool:
        """Count what came since the last time. True: that was all."""
        self.db.execute(sa.delete(t.arrival).where(t.arrival.c.hour < self.db.micros() - KEPT))
        return any(self._step() < TOGETHER for _ in range(ROUNDS))

    def _step(self) -> int:
        """Count the next few; how many events were looked at. Read outside of the transaction: SQLite has one writer."""
        now = self.db.micros()
        cursor = t.cursor.c
        begun = self.db.insert(t.cursor).values(name=CURSOR, value="", updated_at=now)
        self.db.execute(begun.on_conflict_do_nothing(index_elements=["name"]))
        known = str(self.db.rows(sa.select(cursor.value).where(cursor.name == CURSOR))[0].value)
        with self.db.read() as connection:
            last = int(known) if known else before(connection, t.event, t.event.c.received_at, now - KEPT)
        looked_at, end = self._next(last, now)
        groups = self.db.rows(self._firsts(last, end)) if looked_at else []
        if not self.db.transact(lambda connection: self._add(connection, known, end, groups)):
            return TOGETHER  # somebody else has counted these: look again
        return looked_at

    def _next(self, last: int, now: int) -> tuple[int, int]:
        """How many events come next, and the number of the last of them."""
        event = t.event.c
        some = (
            sa.select(event.id)
            .where(event.id > last, event.received_at < now - SETTLES)
            .order_by(event.id)
            .limit(TOGETHER)
            .subquery()
        )
        row = self.db.rows(sa.select(sa.func.count().label("number"), sa.func.max(some.c.id).label("end")))[0]
        return int(row.number), int(row.end or last)

    def _firsts(self, last: int, end: int) -> sa.Select[Any]:
        """Of the events between two numbers, those that told of an order for the first time, by connection and hour."""
        event, earlier = t.event.c, t.event.alias("earlier")
        known = (
            sa.select(sa.literal(1))
            .select_from(earlier)
            .where(
                earlier.c.connection == event.connection,
                earlier.c.kind == event.kind,
                earlier.c.record_id == event.record_id,
                earlier.c.id < event.id,
                earlier.c.via != "backfill",
            )
            .exists()
        )
        hour = (event.received_at - event.received_at % HOUR).label("hour")
        return (
            sa.select(event.connection, hour, sa.func.count().label("number"))
            .where(event.id > last, event.id <= end, event.kind == "order", event.via != "backfill", ~known)
            .group_by(event.connection, hour)
        )

    def _add(self, connection: Connection, known: str, end: int, groups: Sequence[Any]) -> bool:
        """Add them and move the cursor, if nobody has moved it meanwhile."""
        cursor = t.cursor.c
        move = (
            sa.update(t.cursor)
            .where(cursor.name == CURSOR, cursor.value == known)
            .values(value=str(end), updated_at=self.db.micros())
        )
        if connection.execute(move.returning(cursor.name)).first() is None:
            return False
        for group in groups:
            insert = self.db.insert(t.arrival).values(connection=group.connection, hour=group.hour, number=group.number)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["connection", "hour"],
                    set_={"number": t.arrival.c.number + insert.excluded.number},
                )
            )
        return True


def before(connection: Connection, table: sa.Table, at: sa.ColumnElement[int], moment: int) -> int:
    """A number below all rows since this moment, of a table that only grows. By halving: no first count begins years ago."""
    id = table.c.id
    low = 0
    high = int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(id), 0))).scalar_one())
    while low < high:
        middle = (low + high) // 2
        found = connection.execute(sa.select(at).where(id > middle).order_by(id).limit(1)).scalar()
        if found is not None and found < moment:
            low = middle + 1
        else:
            high = middle
    return max(low - 1, 0)
