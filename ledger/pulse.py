"""How much came and was carried in each hour, by connection: what sparklines and charts draw.

Counting a day of events for each look at a page would take longer the better business is. So the rows behind a cursor are
counted once, in the same transaction that moves it, a few thousand at a time. It is a picture, not an account: on PostgreSQL a
row that commits after a later one was counted is missed. Outward calls are counted by each process in its memory and added
once a minute: what a killed process had not added yet is missing.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import from_micros, to_micros
from ledger import tables as t
from ledger.arrivals import before
from ledger.database import SECOND, Database

What = Literal["came", "carried", "failed", "held", "calls", "millis", "age"]
"""Records that came in; attempts that carried one, that failed, and those of the latter that a person must look at; outward
calls and how long they took together; the longest that an order waited (seconds, of all connections: the connection is "").
"""
DRAWN: Final = ("came", "carried", "failed")
"""What sparklines show."""
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
KEPT: Final = 8 * DAY
TOGETHER: Final = 5_000
"""Rows counted in one statement."""
ROUNDS: Final = 200
"""Statements at a time, at most: what is left is counted the next time."""
LOOKED_AT: Final = 2_000
"""Waiting jobs that are looked through for the one that waits longest: those that are due first."""
SOON: Final = DAY
"""A job that is due later than this waits for people (its flow is rehearsed), not for a worker."""
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


@dataclass(frozen=True, slots=True)
class Oldest:
    """The job that waits longest. `since`: when the newest state of its record came in."""

    job: int
    number: str
    key: str
    flow: str
    target: str
    since: datetime


def _sources() -> tuple[_Source, ...]:
    event, attempt, job = t.event.c, t.attempt.c, t.job.c
    came = sa.select(
        event.id.label("id"),
        event.received_at.label("at"),
        event.connection.label("connection"),
        sa.literal("came").label("what"),
    ).where(event.via != "backfill")
    what = sa.case(
        (attempt.outcome == "settled", "carried"),
        (attempt.outcome == "held", "held"),
        (attempt.error_class != "", "failed"),
        else_="other",
    )
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
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, int], tuple[int, float]] = {}

    # -- counting --------------------------------------------------------------------------------------------------

    def advance(self) -> int:
        """Count what came since the last time. How many rows that were."""
        counted = 0
        for source in self._all:
            for _ in range(ROUNDS):
                number = self.db.transact(partial(self._some, source=source))
                counted += number
                if number < TOGETHER:
                    break
        self._sample()
        self.db.execute(sa.delete(t.pulse).where(t.pulse.c.hour < self.db.micros() - KEPT))
        return counted

    def called(self, connection: str, milliseconds: float) -> None:
        """One outward call is over. Kept in memory until `flush`."""
        hour = self.db.micros() // HOUR * HOUR
        with self._lock:
            calls, together = self._calls.get((connection, hour), (0, 0.0))
            self._calls[connection, hour] = (calls + 1, together + milliseconds)

    def flush(self) -> None:
        """Add the calls of this process to those of the others. What cannot be written now is kept for the next time."""
        with self._lock:
            calls, self._calls = self._calls, {}
        if not calls:
            return
        try:
            self.db.transact(partial(self._add_calls, calls=calls))
        except Exception:
            with self._lock:
                for where, (count, together) in calls.items():
                    known = self._calls.get(where, (0, 0.0))
                    self._calls[where] = (known[0] + count, known[1] + together)
            raise

    def _add_calls(self, connection: Connection, calls: Mapping[tuple[str, int], tuple[int, float]]) -> None:
        for (name, hour), (count, together) in sorted(calls.items()):
            self._plus(connection, name, "calls", hour, count)
            self._plus(connection, name, "millis", hour, round(together))

    def _sample(self) -> None:
        """How long the longest waiting order waits now, if that is the longest of this hour."""
        oldest, now = self.oldest(), self.db.micros()
        if oldest is None:
            return
        seconds = max(now - to_micros(oldest.since), 0) // SECOND
        insert = self.db.insert(t.pulse).values(connection="", what="age", hour=now // HOUR * HOUR, number=seconds)
        longest = sa.case((insert.excluded.number > t.pulse.c.number, insert.excluded.number), else_=t.pulse.c.number)
        self.db.execute(
            insert.on_conflict_do_update(index_elements=["connection", "what", "hour"], set_={"number": longest})
        )

    # -- looking ---------------------------------------------------------------------------------------------------

    def day(self, until: datetime) -> Mapping[tuple[str, str], list[int]]:
        """(connection, what) -> 24 numbers, the hour of `until` last, of what sparklines show. Hours without anything are 0."""
        return {where: numbers for where, numbers in self.hours(until).items() if where[1] in DRAWN}

    def hours(self, until: datetime, number: int = 24) -> Mapping[tuple[str, str], list[int]]:
        """(connection, what) -> so many numbers, the hour of `until` last. Hours without anything are 0."""
        last = to_micros(until) // HOUR * HOUR
        found: dict[tuple[str, str], list[int]] = {}
        query = sa.select(t.pulse).where(t.pulse.c.hour > last - number * HOUR, t.pulse.c.hour <= last)
        for row in self.db.rows(query):
            numbers = found.setdefault((row.connection, row.what), [0] * number)
            numbers[number - 1 - (last - row.hour) // HOUR] = row.number
        return found

    def oldest(self) -> Oldest | None:
        """The order that waits longest, backfills aside; None: none waits."""
        job, record = t.job.c, t.record.c
        waiting: sa.ColumnElement[str] = sa.literal_column("'waiting'")  # written out: a partial index has these rows
        first = (
            sa.select(t.job)
            .where(job.state == waiting, job.rank.in_((-1, 0, 1)), job.due_at < self.db.micros() + SOON)
            .order_by(job.rank, job.due_at)
            .limit(LOOKED_AT)
            .subquery("first")
        )
        mine = first.c
        same = (
            (record.connection == mine.connection) & (record.kind == mine.kind) & (record.record_id == mine.record_id)
        )
        query = (
            sa.select(mine.id, mine.number, mine.connection, mine.kind, mine.record_id, mine.flow, mine.target)
            .add_columns(record.updated_at.label("since"))
            .select_from(first.join(t.record, same))
            .order_by(record.updated_at, mine.id)
            .limit(1)
        )
        for row in self.db.rows(query):
            key = f"{row.connection}/{row.kind}/{row.record_id}"
            return Oldest(row.id, row.number, key, row.flow, row.target, from_micros(row.since))
        return None

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
        last = int(known) if known else before(connection, source.table, source.at, now - DAY)
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
        self._plus(connection, group.connection, group.what, group.hour, group.number)
        if group.what == "held":
            self._plus(connection, group.connection, "failed", group.hour, group.number)

    def _plus(self, connection: Connection, name: str, what: str, hour: int, number: int) -> None:
        insert = self.db.insert(t.pulse).values(connection=name, what=what, hour=hour, number=number)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["connection", "what", "hour"],
                set_={"number": t.pulse.c.number + insert.excluded.number},
            )
        )
