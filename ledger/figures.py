"""Counts and sums over the ledger, for alerts and pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import sqlalchemy as sa

from core.clock import from_micros, to_micros
from core.keys import Key
from ledger import tables as t
from ledger.database import Database
from ledger.flows import REHEARSED
from ledger.runs import mark
from ledger.statements import any_of

CHUNK: Final = 300
"""Values in one IN list."""


@dataclass(frozen=True, slots=True)
class HeldGroup:
    """Held jobs of one flow and class."""

    flow: str
    error_class: str
    count: int
    sample: str


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Orders that went through after waiting."""

    count: int
    amounts: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """Something that runs at intervals."""

    name: str
    next_at: datetime
    last_started_at: datetime | None
    last_ended_at: datetime | None
    last_outcome: str
    running: bool = False
    """Some process is at it."""
    paused_until: datetime | None = None
    """The end of a pause, which may be over."""
    paused_by: str = ""
    paused_why: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Jobs that wait for a target. `rehearsed`: they wait for their flow to go live, not for the target."""

    target: str
    rehearsed: bool
    count: int


@dataclass(frozen=True, slots=True)
class Numbered:
    """A record with the number that people call it, and its raw state."""

    key: Key
    number: str
    raw: bytes | None


class Figures:
    """Reading only."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def waiting_for(self, target: str, *, since: datetime | None = None) -> int:
        """Jobs that wait for this target; with `since` only those whose record wanted it by that moment or later and
        that failed or were never tried.
        """
        query = sa.select(sa.func.count().label("number")).where(
            t.job.c.target == target, t.job.c.state == "waiting", t.job.c.error_class != REHEARSED
        )
        if since is not None:
            query = query.where(t.job.c.updated_at >= to_micros(since))
        return int(self.db.rows(query)[0].number)

    def waiting(self, most: int = 10_000) -> list[Waiting]:
        """Jobs that wait, by target. Counts no further than `most` + 1 jobs in all: a page never waits for it."""
        some = (
            sa.select(t.job.c.target, (t.job.c.error_class == REHEARSED).label("rehearsed"))
            .where(t.job.c.state == sa.literal_column("'waiting'"))  # written out: a partial index has these rows
            .limit(most + 1)
            .subquery()
        )
        query = sa.select(some.c.target, some.c.rehearsed, sa.func.count().label("number")).group_by(
            some.c.target, some.c.rehearsed
        )
        return [Waiting(row.target, bool(row.rehearsed), int(row.number)) for row in self.db.rows(query)]

    def caught_up(self, target: str, *, since: datetime) -> CaughtUp:
        """Jobs for this target that settled since, with their money by currency."""
        rows = self.db.rows(
            sa.select(t.job.c.amount, t.job.c.currency).where(
                t.job.c.target == target, t.job.c.state == "settled", t.job.c.updated_at >= to_micros(since)
            )
        )
        amounts: dict[str, Decimal] = {}
        for row in rows:
            if row.currency:
                amounts[row.currency] = amounts.get(row.currency, Decimal(0)) + Decimal(row.amount or "0")
        return CaughtUp(len(rows), amounts)

    def held_groups(self) -> list[HeldGroup]:
        """Held jobs by flow and class, with the reason of the newest. Those that a run has woken are told by its report."""
        newest = sa.func.max(t.job.c.id).label("newest")
        query = (
            sa.select(t.job.c.flow, t.job.c.error_class, sa.func.count().label("number"), newest)
            .where(t.job.c.state == "held", ~t.job.c.correlation.startswith(mark(""), autoescape=True))
            .group_by(t.job.c.flow, t.job.c.error_class)
        )
        groups = self.db.rows(query)
        samples = {
            row.id: row.reason
            for row in self.db.rows(
                sa.select(t.job.c.id, t.job.c.reason).where(t.job.c.id.in_([g.newest for g in groups]))
            )
        }
        return [HeldGroup(g.flow, g.error_class, int(g.number), samples.get(g.newest, "")) for g in groups]

    def settled_totals(self, flow: str, keys: Sequence[Key]) -> dict[Key, Decimal]:
        """Totals of the settled jobs of these records."""
        found: dict[Key, Decimal] = {}
        for start in range(0, len(keys), CHUNK):
            some = [(key.connection, key.kind, key.id) for key in keys[start : start + CHUNK]]
            columns = (t.job.c.connection, t.job.c.kind, t.job.c.record_id)
            query = sa.select(*columns, t.job.c.amount).where(
                t.job.c.flow == flow, t.job.c.state == "settled", t.job.c.amount != "", any_of(columns, some)
            )
            for row in self.db.rows(query):
                found[Key(row.connection, row.kind, row.record_id)] = Decimal(row.amount)
        return found

    def schedules(self) -> list[ScheduleView]:
        """Everything that runs at intervals."""
        return [
            ScheduleView(
                name=row.name,
                next_at=from_micros(row.next_at),
                last_started_at=_moment(row.last_started_at),
                last_ended_at=_moment(row.last_ended_at),
                last_outcome=row.last_outcome,
                running=row.running_until is not None,
                paused_until=_moment(row.paused_until),
                paused_by=row.paused_by,
                paused_why=row.paused_why,
            )
            for row in self.db.rows(sa.select(t.schedule).order_by(t.schedule.c.name))
        ]

    def first_heard(self, connection: str) -> datetime | None:
        """When anything of this connection came in for the first time, backfills aside."""
        query = sa.select(sa.func.min(t.event.c.received_at).label("first"))
        row = self.db.rows(query.where(t.event.c.connection == connection, t.event.c.via != "backfill"))[0]
        return None if row.first is None else from_micros(row.first)

    def last_delivery(self, connection: str, *, within: int = 0) -> datetime | None:
        """When the last genuine delivery came in. `within`: look at no more than the newest so many events of all."""
        query = sa.select(t.event.c.received_at).where(t.event.c.via == "webhook")
        if within:
            newest = t.event.c.id > sa.select(sa.func.max(t.event.c.id) - within).scalar_subquery()
            # No index knows `connection || ''`: by that of the connection SQLite would sort its million events.
            query = query.where(newest, t.event.c.connection.concat("") == connection)
        else:
            query = query.where(t.event.c.connection == connection)
        rows = self.db.rows(query.order_by(t.event.c.id.desc()).limit(1))
        return from_micros(rows[0].received_at) if rows else None

    def records_since(self, connection: str, kind: str, since: datetime) -> Iterator[Numbered]:
        """Records of this kind that changed here since, a few at a time."""
        table, last = t.record.c, ""
        query = sa.select(table.record_id, table.number, table.raw).where(
            table.connection == connection, table.kind == kind, table.updated_at >= to_micros(since)
        )
        while rows := self.db.rows(query.where(table.record_id > last).order_by(table.record_id).limit(CHUNK)):
            for row in rows:
                yield Numbered(Key(connection, kind, row.record_id), row.number, row.raw)
            last = rows[-1].record_id

    def known_numbers(self, connection: str, numbers: Sequence[str]) -> set[str]:
        """Those of the numbers that a record of this connection has."""
        found: set[str] = set()
        for start in range(0, len(numbers), CHUNK):
            some = numbers[start : start + CHUNK]
            query = sa.select(t.record.c.number).where(t.record.c.connection == connection, t.record.c.number.in_(some))
            found |= {row.number for row in self.db.rows(query)}
        return found


def _moment(micros: int | None) -> datetime | None:
    return from_micros(micros) if micros is not None else None
