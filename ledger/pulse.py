"""How much came and was carried in each hour, by connection: what sparklines draw.

Counting a day of events for each look at a page would take longer the better business is. So the rows behind a cursor are
counted once, in the same transaction that moves it, a few thousand at a time. It is a picture, not an account: on PostgreSQL a
row that commits after a later one was counted is missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import from_micros, to_micros
from ledger import tables as t
from ledger.database import SECOND, Database

What = Literal["came", "carried", "failed"]
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
KEPT: Final = 8 * DAY
TOGETHER: Final = 5_000
"""Rows counted in one statement."""
ROUNDS: Final = 200
"""Statements at a time, at most: what is left is counted the next time."""
SETTLES: Final = 10 * SECOND
"""Rows younger than this are left for the next time: by then those with lower numbers are there as well."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A table that only grows, and what its rows say."""

    name: str
    table: sa.Table
    at: sa.ColumnElement[int]
    rows: sa.Select[Any]
    """Columns id, at, connection, what."""


def _sources() -> tuple[_Source, ...]:
    event, attempt, job = t.event.c, t.attempt.c, t.job.c
    came = sa.select(
        event.id.label("id"),
        event.received_at.label("at"),
        event.connection.label("connection"),
        sa.literal("came").label("what"),
    ).where(event.via != "backfill")
    what = sa.case((attempt.outcome == "settled", "carried"), (attempt.error_class != "", "failed"), else_="other")
    tried = sa.select(
        attempt.id.label("id"), attempt.ended_at.label("at"), job.target.label("connection"), what.label("what")
    ).join_from(t.attempt, t.job, attempt.job_id == job.id)
    return (
        _Source("pulse/event", t.event, event.received_at, came),
        _Source("pulse/attempt", t.attempt, attempt.ended_at, tried),
    )


class Pulse:
    """Count, and look."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._all = _sources()

    def advance(self) -> int:
        """Count what came since the last time. How many rows that were."""
        counted = 0
        for source in self._all:
            for _ in range(ROUNDS):
                number = self.db.transact(partial(self._some, source=source))
                counted += number
                if number < TOGETHER:
                    break
        self.db.execute(sa.delete(t.pulse).where(t.pulse.c.hour < self.db.micros() - KEPT))
        return counted

    def day(self, until: datetime) -> Mapping[tuple[str, str], list[int]]:
        """(connection, what) -> 24 numbers, the hour of `until` last. Hours without anything are 0."""
        last = to_micros(until) // HOUR * HOUR
        found: dict[tuple[str, str], list[int]] = {}
        query = sa.select(t.pulse).where(t.pulse.c.hour > last - DAY, t.pulse.c.hour <= last)
        for row in self.db.rows(query):
            numbers = found.setdefault((row.connection, row.what), [0] * 24)
            numbers[23 - (last - row.hour) // HOUR] = row.number
        return found

    def counted_until(self) -> datetime | None:
        """When it was last counted; None: never."""
        moments = [row.updated_at for row in self.db.rows(sa.select(t.cursor).where(t.cursor.c.name == "pulse/event"))]
        return from_micros(moments[0]) if moments else None

    def _some(self, connection: Connection, source: _Source) -> int:
        """The next rows of one table, counted, and the cursor behind them."""
        now = self.db.micros()
        cursor = t.cursor.c
        # There must be a row to lock: two processes that count for the first time would both begin.
        begun = self.db.insert(t.cursor).values(name=source.name, value="", updated_at=now)
        connection.execute(begun.on_conflict_do_nothing(index_elements=["name"]))
        query = self.db.lock_rows(sa.select(cursor.value).where(cursor.name == source.name))
        known = connection.execute(query).scalar_one()
        last = int(known) if known else self._before(connection, source, now - DAY)
        some = (
            source.rows.where(source.table.c.id > last, source.at < now - SETTLES)
            .order_by(source.table.c.id)
            .limit(TOGETHER)
            .subquery()
        )
        hour = (some.c.at - some.c.at % HOUR).label("hour")
        grouped = sa.select(
            some.c.connection, some.c.what, hour, sa.func.count().label("number"), sa.func.max(some.c.id).label("last")
        ).group_by(some.c.connection, some.c.what, hour)
        groups = connection.execute(grouped).all()
        for group in groups:
            self._add(connection, group)
            last = max(last, group.last)
        move = sa.update(t.cursor).where(cursor.name == source.name).values(value=str(last), updated_at=now)
        connection.execute(move)
        return sum(int(group.number) for group in groups)

    def _add(self, connection: Connection, group: sa.Row[Any]) -> None:
        if group.what == "other":
            return
        insert = self.db.insert(t.pulse).values(
            connection=group.connection, what=group.what, hour=group.hour, number=group.number
        )
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["connection", "what", "hour"],
                set_={"number": t.pulse.c.number + insert.excluded.number},
            )
        )

    def _before(self, connection: Connection, source: _Source, moment: int) -> int:
        """A number below all rows since this moment, by halving: the first count does not begin years ago."""
        table = source.table.c
        low = 0
        high = int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.id), 0))).scalar_one())
        while low < high:
            middle = (low + high) // 2
            query = sa.select(source.at).where(table.id > middle).order_by(table.id).limit(1)
            found = connection.execute(query).scalar()
            if found is not None and found < moment:
                low = middle + 1
            else:
                high = middle
        return max(low - 1, 0)
