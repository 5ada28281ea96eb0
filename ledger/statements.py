"""The two statements of intake that need more than a line, and a condition that both engines answer from an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.dml import ReturningInsert

from ledger import tables as t
from ledger.database import Database, Insert

_KEY = ("connection", "kind", "record_id")
_EVENT = (*_KEY, "dedupe_key", "stamp", "topic", "via", "raw", "problem", "verdict", "correlation", "received_at")


def any_of(columns: Sequence[sa.Column[Any]], rows: Sequence[tuple[Any, ...]]) -> sa.ColumnElement[bool]:
    """Whether these columns together are one of these rows. Each column is compared by itself too: for a row of several columns
    alone SQLite uses no index, however good a one there is.
    """
    singly = (
        column.in_(list(dict.fromkeys(values))) for column, values in zip(columns, zip(*rows, strict=True), strict=True)
    )
    return sa.and_(sa.tuple_(*columns).in_(rows), *singly) if rows else sa.false()


def _bind(table: sa.Table, name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(f"{table.name}_{name}", type_=table.c[name].type)


def want_job(db: Database) -> ReturningInsert[Any]:
    """A job is wanted: a new one, or one generation more of the one there is. Built once a ledger: many rooms want jobs."""
    return db.shared(_want_job)


def _want_job(db: Database) -> ReturningInsert[Any]:
    # The database's own present: a due time that is a little ahead of it would miss the nudge that follows.
    return _unless_wanted(db.insert(t.job).values(due_at=db.now))


def _unless_wanted(insert: Insert) -> ReturningInsert[Any]:
    new = insert.excluded
    going = t.job.c.state == "running"
    return insert.on_conflict_do_update(
        index_elements=["flow", "connection", "kind", "record_id"],
        set_={
            "wanted": t.job.c.wanted + 1,
            "state": sa.case((going, t.job.c.state), else_=new.state),
            "due_at": sa.case((going, t.job.c.due_at), else_=new.due_at),
            "rank": sa.case((new.rank < t.job.c.rank, new.rank), else_=t.job.c.rank),
            "queue": sa.case((new.rank < t.job.c.rank, new.queue), else_=t.job.c.queue),
            "number": sa.case((new.number != "", new.number), else_=t.job.c.number),
            "failures": sa.case((going, t.job.c.failures), else_=0),
            "reason": sa.case((going, t.job.c.reason), else_=new.reason),
            "error_class": sa.case((going, t.job.c.error_class), else_=new.error_class),
            "waiting_for": None,
            "correlation": new.correlation,
            "updated_at": new.updated_at,
        },
    ).returning(t.job.c.id)


def keep_new(db: Database) -> sa.ClauseElement:
    """Event, record and job of a record that is not known yet, in one statement: PostgreSQL answers once instead of six
    times. No row comes back, and nothing is kept, where the record or the delivery is known. Two that keep the same new
    record at once: one of them fails as a whole (the record's key).
    """
    known = (
        sa.select(sa.literal(1))
        .select_from(t.record)
        .where(*(t.record.c[name] == _bind(t.event, name) for name in _KEY))
        .exists()
    )
    given = sa.select(*(_bind(t.event, name) for name in _EVENT)).where(~known)
    event = (
        db.insert(t.event)
        .from_select(list(_EVENT), given)
        .on_conflict_do_nothing(index_elements=["connection", "dedupe_key"])
        .returning(*(t.event.c[name] for name in ("id", *_KEY, "stamp", "raw", "correlation", "received_at")))
        .cte("event_kept")
    )
    same = {name: event.c[name] for name in _KEY}
    record_values = {
        **same,
        **{name: event.c[name] for name in ("stamp", "raw")},
        **{name: _bind(t.record, name) for name in ("content", "number")},
        "event_id": event.c.id,
        "updated_at": event.c.received_at,
    }
    record = (
        db.insert(t.record)
        .from_select(list(record_values), sa.select(*record_values.values()))
        .returning(t.record.c.event_id)
        .cte("record_kept")
    )
    job_values = {
        **same,
        **{name: _bind(t.job, name) for name in ("flow", "target", "queue", "rank", "state", "number")},
        "correlation": event.c.correlation,
        "created_at": event.c.received_at,
        "updated_at": event.c.received_at,
        "due_at": db.now,
    }
    wanted = sa.select(*job_values.values()).select_from(event).join(record, record.c.event_id == event.c.id)
    job = _unless_wanted(db.insert(t.job).from_select(list(job_values), wanted)).cte("job_wanted")
    return sa.select(event.c.id.label("event_id"), job.c.id.label("job_id")).select_from(event, job)
