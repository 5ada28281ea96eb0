"""Records by whatever people call them: a number, an id, a key, the number over there, the customer's address."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from core.emails import email_mark
from core.keys import Key
from ledger import tables as t
from ledger.database import Database
from ledger.jobs import JobView, view_of
from ledger.query import LONGEST, NOT_TEXT
from ledger.statements import any_of

KEPT: Final = 10.0
"""Seconds that is remembered where jobs are."""
MOST_PLACES: Final = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that was found. `why`: what matched (number, id, key, target: the number over there, or customer: the address)."""

    key: Key
    number: str
    why: str = field(compare=False)


class Records:
    """Reading only. Remembers for a few seconds where jobs are."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._known: dict[str, tuple[float, Any]] = {}

    def kept(self, name: str, read: Callable[[], T], *, age: float = KEPT, anew: bool = False) -> T:
        """What was read last, for a few seconds."""
        read_at, value = self._known.get(name, (0.0, None))
        if anew or value is None or time.monotonic() - read_at > age:
            value = read()
            self._known[name] = (time.monotonic(), value)
        found: T = value
        return found

    def records(self, text: str, limit: int = 20) -> list[Hit]:
        """Records that people call by this text: an order number, the store's id, a key, the number of what was made of it in
        a target system, the customer's e-mail address. What is about an order (that somebody is told of its promise) and has its
        number is no answer where there is the order itself.
        """
        text = NOT_TEXT.sub("", text).strip().lstrip("#")
        if not text or len(text) > LONGEST:
            return []
        mark = email_mark(text)
        if mark:
            return self._of_customer(mark, limit)
        found = self._of_key(text) or [*self._of_number(text, limit), *self._of_target(text, limit)]
        orders = [hit for hit in found if hit.key.kind == "order"]
        return list(dict.fromkeys(orders or found))[:limit]

    def _of_key(self, text: str) -> list[Hit]:
        try:
            key = Key.parse(text)
        except ValueError:
            return []
        jobs = self.of_record(key)
        if jobs:
            return [Hit(key, jobs[0].number, "key")]
        rows = self.db.rows(
            sa.select(t.record.c.number).where(
                t.record.c.connection == key.connection, t.record.c.kind == key.kind, t.record.c.record_id == key.id
            )
        )
        return [Hit(key, rows[0].number, "key")] if rows else []

    def _of_number(self, text: str, limit: int) -> list[Hit]:
        """By number (of record or job) and by the store's id: three looks into indexes, in one question."""
        names = ("connection", "kind", "record_id", "number")
        job = t.job.c
        parts = [
            sa.select(*(t.record.c[name] for name in names)).where(t.record.c.number == text),
            sa.select(*(job[name] for name in names)).where(job.number == text),
            sa.select(*(job[name] for name in names)).where(self._ids(text)),
        ]
        rows = [(row, part is parts[2]) for part in parts for row in self.db.rows(part.limit(limit))]
        found: dict[Key, Hit] = {}
        for row, by_id in rows:
            key = Key(row.connection, row.kind, row.record_id)
            if key not in found or (row.number and not found[key].number):
                found[key] = Hit(key, row.number, "id" if by_id and row.number != text else "number")
        return list(found.values())

    def _of_target(self, text: str, limit: int) -> list[Hit]:
        """By the number that the order or invoice has over there."""
        query = (
            sa.select(t.link.c.key).where(t.link.c.remote_number == text, sa.text("remote_number <> ''")).limit(limit)
        )
        found = []
        for row in self.db.rows(query):
            key = record_key(row.key)
            jobs = self.of_record(key) if key is not None else []
            if key is not None and jobs:
                found.append(Hit(key, jobs[0].number, "target"))
        return found

    def _of_customer(self, mark: str, limit: int) -> list[Hit]:
        """By the customer's address, the newest first: as far as it was read, since jobs have its mark."""
        job = t.job.c
        query = sa.select(job.connection, job.kind, job.record_id, job.number).where(
            job.customer == mark, sa.text("customer <> ''")
        )
        rows = self.db.rows(query.order_by(job.id.desc()).limit(limit))
        return [Hit(Key(row.connection, row.kind, row.record_id), row.number, "customer") for row in rows]

    def of_record(self, key: Key) -> list[JobView]:
        """Every job of one record, over all flows."""
        return self._of_records([key])

    def _of_records(self, keys: Sequence[Key]) -> list[JobView]:
        job = t.job.c
        wanted = [
            (flow, key.connection, key.kind, key.id)
            for key in dict.fromkeys(keys)
            for flow, connection, kind in self.places()
            if (connection, kind) == (key.connection, key.kind)
        ]
        query = sa.select(t.job).where(any_of((job.flow, job.connection, job.kind, job.record_id), wanted))
        return [view_of(row) for row in self.db.rows(query.order_by(job.id).limit(100))] if wanted else []

    def _ids(self, id: str) -> sa.ColumnElement[bool]:
        """Jobs of records with this id. The unique key of jobs begins with the flow: naming the few places where jobs are
        makes it answer, and spares an index on the busiest table.
        """
        job = t.job.c
        wanted = [(*place, id) for place in self.places()]
        return any_of((job.flow, job.connection, job.kind, job.record_id), wanted)

    def has_jobs(self, flow: str) -> bool:
        """Whether any job is this flow's: a walk through the newest for nothing is spared."""
        known = any(place[0] == flow for place in self.places())
        return known or any(place[0] == flow for place in self.places(anew=True))

    def places(self, *, anew: bool = False) -> list[tuple[str, str, str]]:
        """Every (flow, connection, kind) that jobs have."""
        return self.kept("places", self._read_places, anew=anew) or self._read_places()

    def _read_places(self) -> list[tuple[str, str, str]]:
        """By skipping from one to the next in the unique key: one after it in its own connection, in its own flow, or beyond.
        Asked for all three at once, SQLite walks through every job of the flow.
        """
        columns = [t.job.c.flow, t.job.c.connection, t.job.c.kind]
        query = sa.select(*columns).order_by(*columns).limit(1)
        found = [tuple(row) for row in self.db.rows(query)]
        while found and len(found) < MOST_PLACES:
            rows = self._after(query, columns, found[-1])
            if not rows:
                break
            found.append(tuple(rows[0]))
        return found

    def _after(self, query: sa.Select[Any], columns: Sequence[sa.Column[str]], last: tuple[str, ...]) -> list[Any]:
        for same in (2, 1, 0):
            rest = [column == value for column, value in zip(columns[:same], last, strict=False)]
            rows = self.db.rows(query.where(*rest, columns[same] > last[same]))
            if rows:
                return rows
        return []


def record_key(key: str) -> Key | None:
    """The record that a link's key names; None for a customer's identity (`email/...`)."""
    try:
        return Key.parse(key)
    except ValueError:
        return None
