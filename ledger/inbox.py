"""What came in: kept as received, the newest state of each record found, and a job wanted for it. One transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from core.clock import from_micros, to_micros
from core.keys import Change, Key, content_hash
from ledger import statements
from ledger import tables as t
from ledger.database import Again, Database

Via = Literal["webhook", "poll", "fetch", "backfill", "form", "replay", "edit"]


class Verdict(StrEnum):
    """What a change meant for its record."""

    NEWEST = "newest"  # it is the record's state now
    SAME = "same"  # nothing new
    STALE = "stale"  # older than what we have
    DIRTY = "dirty"  # the source must be asked
    DUPLICATE = "duplicate"  # this very delivery was here before
    PROBLEM = "problem"  # genuine, but not understandable


@dataclass(frozen=True, slots=True)
class Route:
    """A flow that wants this record."""

    flow: str
    target: str
    queue: Queue = "live"


Queue = Literal["rush", "live", "sync", "backfill"]
Routes = Callable[[Key], Sequence[Route]]
RANK: Final[Mapping[Queue, int]] = {"rush": -1, "live": 0, "sync": 1, "backfill": 2}
"""The lower goes first. Rush orders came later than the others' numbers, which stand in rows."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """The changes of one delivery. `fetchable`: the source can be asked for the present state."""

    changes: Sequence[Change]
    fetchable: bool = True


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of one change."""

    change: Change
    verdict: Verdict
    event_id: int | None
    jobs: tuple[int, ...]
    correlation: str


@dataclass(frozen=True, slots=True)
class Record:
    """The newest raw state of one outside record."""

    key: Key
    raw: bytes | None
    stamp: int | None
    content: str
    fetched_at: int | None
    dirty_at: int | None
    deleted: bool
    number: str
    version: int

    @property
    def must_fetch(self) -> bool:
        """The stored state cannot be trusted until the source is asked."""
        return self.dirty_at is not None or (self.raw is None and not self.deleted)


def judge(old: Record | None, change: Change, content: str, *, fetchable: bool) -> Verdict:
    """Which of two states is the newest (pure).

    A later stamp wins. Equal stamps with different content: what was fetched later from the source wins; where only
    pushes are known the source is asked; where it cannot be asked, the greater content hash decides, so that any order
    of arrival ends in the same state (a deletion being the greatest). A hint changes nothing but that the source is to be
    asked; what the source answered about a deleted record holds whatever its stamp. Where there are neither stamps nor
    anybody to ask, the order of arrival is all there is.
    """
    fetched_at = to_micros(change.fetched_at) if change.fetched_at else None
    if fetched_at is None and change.raw is None and (fetchable or not change.deleted):
        return Verdict.DIRTY
    if old is None or (old.raw is None and not old.deleted):
        return Verdict.NEWEST
    if old.deleted != change.deleted and (fetched_at is not None or fetchable):
        return _asked(old, fetched_at)
    stamp = to_micros(change.stamp) if change.stamp else None
    if stamp is not None and old.stamp is not None and stamp != old.stamp:
        return Verdict.NEWEST if stamp > old.stamp else Verdict.STALE
    if content == old.content and change.deleted == old.deleted:
        return Verdict.SAME
    if fetched_at is not None or fetchable:
        return _asked(old, fetched_at)
    unstamped = stamp is None or old.stamp is None
    return Verdict.NEWEST if unstamped or (change.deleted, content) > (old.deleted, old.content) else Verdict.STALE


def _asked(old: Record, fetched_at: int | None) -> Verdict:
    """Stamps do not decide: the source does, by its latest answer."""
    if fetched_at is None:
        return Verdict.DIRTY
    return Verdict.NEWEST if fetched_at >= (old.fetched_at or 0) else Verdict.STALE


class Inbox:
    """Intake and the newest states."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._insert_event = db.prepare(
            db.insert(t.event)
            .on_conflict_do_nothing(index_elements=["connection", "dedupe_key"])
            .returning(t.event.c.id)
        )
        insert = (
            db.insert(t.record)
            .on_conflict_do_nothing(index_elements=["connection", "kind", "record_id"])
            .returning(t.record.c.version)
        )
        update = sa.update(t.record).where(
            t.record.c.connection == sa.bindparam("b_connection"),
            t.record.c.kind == sa.bindparam("b_kind"),
            t.record.c.record_id == sa.bindparam("b_id"),
        )
        # By whether the record becomes dirty: at the database's own present, since fetches are compared with it.
        self._insert_record = {False: db.prepare(insert), True: db.prepare(insert.values(dirty_at=db.now))}
        self._update_record = {False: db.prepare(update), True: db.prepare(update.values(dirty_at=db.now))}
        one_record = sa.select(t.record).where(
            t.record.c.connection == sa.bindparam("b_connection"),
            t.record.c.kind == sa.bindparam("b_kind"),
            t.record.c.record_id == sa.bindparam("b_id"),
        )
        self._one_record = db.prepare(one_record)
        self._locked_record = db.prepare(db.lock_rows(one_record))
        self._want_job = db.prepare(statements.want_job(db))
        self._keep_new = db.prepare(statements.keep_new(db))

    def accept(
        self,
        changes: Sequence[Change],
        routes: Routes,
        *,
        via: Via = "webhook",
        fetchable: bool = True,
        want_jobs: bool = True,
        correlation: str = "",
    ) -> list[Accepted]:
        """Commit changes; when this returns they are durable. Safe to repeat. At most one job per (flow, record) wakes."""
        return self.db.transact(
            self._work(changes, routes if want_jobs else _nobody, via, fetchable=fetchable, correlation=correlation)
        )

    def accept_over(self, seen: Record, change: Change, routes: Routes, *, via: Via) -> bool:
        """`accept` of one change made from a state that somebody looked at. False, and nothing is kept: it is not that state any
        more, or it is not known whether it is (the source is to be asked).
        """
        work = self._work([change], routes, via, fetchable=True)

        def unless_changed(connection: Connection) -> bool:
            now = self._locked(connection, change.key)
            if now is None or replace(now, fetched_at=None) != replace(seen, fetched_at=None):
                return False
            return work(connection)[0].verdict is Verdict.NEWEST

        return self.db.transact(unless_changed)

    def accept_each(self, arrivals: Sequence[Arrival], routes: Routes) -> list[list[Accepted] | Exception]:
        """`accept` for deliveries that came together; each is kept, or fails, by itself."""
        if not self.db.is_sqlite:
            return [self._at_once(arrival, routes) for arrival in arrivals]
        return self.db.transact_each(
            [self._work(arrival.changes, routes, "webhook", fetchable=arrival.fetchable) for arrival in arrivals]
        )

    def _at_once(self, arrival: Arrival, routes: Routes) -> list[Accepted] | Exception:
        """In one statement if it is the common case, an order not known yet for one flow; otherwise with all care."""
        try:
            return self._try_new(arrival, routes) or self.accept(arrival.changes, routes, fetchable=arrival.fetchable)
        except Exception as error:  # noqa: BLE001 - the caller looks at each
            return error

    def _try_new(self, arrival: Arrival, routes: Routes) -> list[Accepted]:
        if len(arrival.changes) != 1:
            return []
        change = arrival.changes[0]
        wanted = _hurried(routes(change.key), change)
        content = change.content or content_hash(change.raw or b"")
        plain = change.raw is not None and not change.problem and not change.deleted and change.fetched_at is None
        if len(wanted) != 1 or not plain or judge(None, change, content, fetchable=arrival.fetchable) != Verdict.NEWEST:
            return []
        correlation, route = uuid.uuid4().hex[:16], wanted[0]
        event = self._event_values(change, "webhook", Verdict.NEWEST, correlation, self.db.micros())
        job = {"flow": route.flow, "target": route.target, "queue": route.queue, "rank": RANK[route.queue]}
        values = {
            **{f"event_{name}": value for name, value in event.items()},
            **{f"job_{name}": value for name, value in job.items()},
            "job_state": "waiting",
            "job_number": change.number,
            "record_number": change.number,
            "record_content": content,
        }
        try:
            rows = self.db.execute(self._keep_new, values)
        except IntegrityError:  # somebody else kept the same record at this moment
            return []
        return [Accepted(change, Verdict.NEWEST, row.event_id, (row.job_id,), correlation) for row in rows]

    def _work(
        self, changes: Sequence[Change], routes: Routes, via: Via, *, fetchable: bool, correlation: str = ""
    ) -> Callable[[Connection], list[Accepted]]:
        # In the order of their keys: two transactions that lock the same records cannot wait for each other.
        ordered = sorted(changes, key=lambda change: change.key)
        return lambda connection: [
            self._accept_one(
                connection,
                change,
                _hurried(routes(change.key), change),
                via,
                fetchable=fetchable,
                correlation=correlation or uuid.uuid4().hex[:16],
            )
            for change in ordered
        ]

    def _accept_one(
        self,
        connection: Connection,
        change: Change,
        routes: Sequence[Route],
        via: Via,
        *,
        fetchable: bool,
        correlation: str,
    ) -> Accepted:
        now = self.db.micros()
        content = change.content or content_hash(change.raw or b"")
        old = self._locked(connection, change.key)
        verdict = Verdict.PROBLEM if change.problem else judge(old, change, content, fetchable=fetchable)
        values = self._event_values(change, via, verdict, correlation, now)
        event_id = self._insert_event.on(connection, values).scalar()
        if event_id is None and change.fetched_at is None:
            return Accepted(change, Verdict.DUPLICATE, None, (), correlation)
        bump = self._keep(connection, change, content, old, verdict, event_id, now)
        jobs = tuple(self._want(connection, change, route, correlation, now) for route in routes) if bump else ()
        return Accepted(change, verdict, event_id, jobs, correlation)

    @staticmethod
    def _event_values(change: Change, via: Via, verdict: Verdict, correlation: str, now: int) -> dict[str, Any]:
        return {
            "connection": change.key.connection,
            "dedupe_key": change.dedupe,
            "kind": change.key.kind,
            "record_id": change.key.id,
            "stamp": to_micros(change.stamp) if change.stamp else None,
            "topic": change.topic,
            "via": via,
            "raw": change.raw,
            "problem": change.problem,
            "verdict": verdict.value,
            "correlation": correlation,
            "received_at": now,
        }

    def _keep(
        self,
        connection: Connection,
        change: Change,
        content: str,
        old: Record | None,
        verdict: Verdict,
        event_id: int | None,
        now: int,
    ) -> bool:
        """Write the record as the verdict says; whether somebody should look at it."""
        values: dict[str, Any] = {"updated_at": now}
        if event_id is not None:
            values["event_id"] = event_id
        if verdict in {Verdict.NEWEST, Verdict.PROBLEM}:
            values |= {
                # What the source says of a record that is gone carries no stamp; the last one stays known.
                "stamp": to_micros(change.stamp) if change.stamp else (old.stamp if old and change.deleted else None),
                "raw": change.raw,
                "content": content,
                "number": change.number or (old.number if old else ""),
                "deleted": change.deleted,
            }
        elif verdict is not Verdict.DIRTY and (
            verdict is not Verdict.SAME or change.fetched_at is None or old is None or old.dirty_at is None
        ):
            return False
        if change.fetched_at is not None:
            fetched = to_micros(change.fetched_at)
            values["fetched_at"] = fetched
            if old is not None and old.dirty_at is not None and fetched >= old.dirty_at:
                values["dirty_at"] = None
        self._write_record(connection, change, old, values, verdict)
        return verdict in {Verdict.NEWEST, Verdict.DIRTY, Verdict.PROBLEM}

    def _write_record(
        self, connection: Connection, change: Change, old: Record | None, values: dict[str, Any], verdict: Verdict
    ) -> None:
        key, dirty = change.key, verdict is Verdict.DIRTY
        if old is None:
            row = {
                "connection": key.connection,
                "kind": key.kind,
                "record_id": key.id,
                "number": change.number,
                **values,
            }
            if self._insert_record[dirty].on(connection, row).first() is not None:
                return
            # Somebody else inserted it between our look and our insert (PostgreSQL): their transaction is over now.
            raise Again
        if verdict is Verdict.NEWEST:
            values = {**values, "version": old.version + 1}
        self._update_record[dirty].on(
            connection, {"b_connection": key.connection, "b_kind": key.kind, "b_id": key.id, **values}
        )

    def _want(self, connection: Connection, change: Change, route: Route, correlation: str, now: int) -> int:
        state, reason, error_class = ("held", change.problem, "parse") if change.problem else ("waiting", "", "")
        return int(
            self._want_job.on(
                connection,
                {
                    "flow": route.flow,
                    "connection": change.key.connection,
                    "kind": change.key.kind,
                    "record_id": change.key.id,
                    "target": route.target,
                    "queue": route.queue,
                    "rank": RANK[route.queue],
                    "state": state,
                    "reason": reason or "",
                    "error_class": error_class,
                    "number": change.number,
                    "correlation": correlation,
                    "created_at": now,
                    "updated_at": now,
                },
            )
            .rows[0]
            .id
        )

    def _locked(self, connection: Connection, key: Key) -> Record | None:
        row = self._locked_record.on(connection, _where(key)).first()
        return _record(row) if row is not None else None

    def record(self, key: Key) -> Record | None:
        """The newest state we know."""
        rows = self.db.rows(self._one_record, _where(key))
        return _record(rows[0]) if rows else None

    def by_number(self, number: str, connection: str = "") -> list[Record]:
        """Records that people call by this number (or have it as id)."""
        query = sa.select(t.record).where((t.record.c.number == number) | (t.record.c.record_id == number)).limit(50)
        if connection:
            query = query.where(t.record.c.connection == connection)
        return [_record(row) for row in self.db.rows(query)]

    def last_text(self, key: Key) -> bytes | None:
        """What was received of this record last, of all that had a text: also of one that was deleted since. None: it is not
        kept any more.
        """
        event = t.event.c
        mine = (event.connection == key.connection) & (event.kind == key.kind) & (event.record_id == key.id)
        kept = mine & event.raw.is_not(None) & event.verdict.in_([Verdict.NEWEST.value, Verdict.SAME.value])
        rows = self.db.rows(sa.select(event.raw).where(kept).order_by(event.id.desc()).limit(1))
        return bytes(rows[0].raw) if rows else None

    def events(self, key: Key, limit: int = 200) -> list[dict[str, Any]]:
        """Everything that was received about one record, oldest first; without the raw bytes."""
        columns = [column for column in t.event.c if column.name != "raw"]
        query = (
            sa.select(*columns)
            .where(t.event.c.connection == key.connection, t.event.c.kind == key.kind, t.event.c.record_id == key.id)
            .order_by(t.event.c.id)
            .limit(limit)
        )
        return [
            {**row._mapping, "received_at": from_micros(row.received_at), "stamp": _moment(row.stamp)}  # noqa: SLF001
            for row in self.db.rows(query)
        ]


def _hurried(routes: Sequence[Route], change: Change) -> Sequence[Route]:
    """A rush order goes before everything else. Old orders that are fetched in bulk are in no hurry any more."""
    if not change.rush:
        return routes
    return tuple(route if route.queue == "backfill" else replace(route, queue="rush") for route in routes)


def _nobody(_key: Key) -> Sequence[Route]:
    return ()


def _where(key: Key) -> dict[str, str]:
    return {"b_connection": key.connection, "b_kind": key.kind, "b_id": key.id}


def _moment(micros: int | None) -> object:
    return from_micros(micros) if micros is not None else None


def _record(row: Row[Any]) -> Record:
    return Record(
        key=Key(row.connection, row.kind, row.record_id),
        raw=row.raw,
        stamp=row.stamp,
        content=row.content,
        fetched_at=row.fetched_at,
        dirty_at=row.dirty_at,
        deleted=bool(row.deleted),
        number=row.number,
        version=row.version,
    )
