"""Who takes care of a problem, what was said of it, and its spells: from when to when it was open, and how it ended.

A problem itself is no row (see `ledger.problems`): everything here is keyed by its fingerprint. What people change is in the
audit, in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import from_micros, to_micros
from ledger import tables as t
from ledger.audit import MACHINE, Audit
from ledger.database import SECOND, Database
from ledger.problems import Problem

Ending = Literal["", "itself", "works again", "retried", "skipped", "other reason"]
"""How a spell ended; "" while it is open."""
KEPT: Final = 20
"""Jobs of a spell that are kept, the newest: they tell afterwards how it ended."""
PAUSE: Final = 300 * SECOND
"""A problem that is back within this time (µs) had not ended: its orders were only being tried."""
LONGEST: Final = 2000
"""Characters of a remark."""


@dataclass(frozen=True, slots=True)
class Care:
    """What is arranged about one problem. `snoozed_count`, `snoozed_grade`: what it was like when it was snoozed."""

    problem: str
    assignee_id: int | None = None
    assignee: str = ""
    snoozed_until: datetime | None = None
    snoozed_at: datetime | None = None
    snoozed_by: str = ""
    snoozed_count: int = 0
    snoozed_grade: int = 0
    acknowledged_since: datetime | None = None
    """Beginning of the outage that somebody knows of: a later one is another."""
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    acknowledged_why: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """What somebody wrote down about a problem. Plain text."""

    id: int
    at: datetime
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class Spell:
    """One time that a problem was open. `most`: orders at its height, `amounts` by currency as they were then."""

    id: int
    problem: str
    flow: str
    target: str
    error_class: str
    message: str
    most: int
    amounts: Mapping[str, Decimal]
    customers: int | None
    """How many different people had placed `customers_of` of its orders; None: nobody has counted yet."""
    customers_of: int
    jobs: Sequence[int]
    opened_at: datetime
    ended_at: datetime | None = None
    ending: Ending = ""
    ended_by: str = ""
    ended_why: str = ""
    run_id: int | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """A connection that is out at present."""

    connection: str
    since: datetime
    error_class: str


@dataclass(frozen=True, slots=True)
class End:
    """How a spell ended: by whom and why, where it was somebody; the bulk action, where it was one."""

    ending: Ending
    by: str = ""
    why: str = ""
    run_id: int | None = None


@dataclass(frozen=True, slots=True)
class Doing:
    """What somebody did with one job."""

    actor: str
    action: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Cares:
    """Arrange, remark, follow."""

    def __init__(self, db: Database, audit: Audit) -> None:
        self.db = db
        self.audit = audit

    # -- looking ---------------------------------------------------------------------------------------------------

    def all(self) -> dict[str, Care]:
        """Every problem that anything is arranged about."""
        return {row.problem: _care(row) for row in self.db.rows(self._cares())}

    def get(self, problem: str) -> Care:
        """One problem's; an empty one where nothing is arranged."""
        rows = self.db.rows(self._cares().where(t.care.c.problem == problem))
        return _care(rows[0]) if rows else Care(problem)

    @staticmethod
    def _cares() -> sa.Select[Any]:
        named = t.person.c.name.label("assignee")
        return sa.select(t.care, named).outerjoin(t.person, t.person.c.id == t.care.c.assignee_id)

    def remarks(self, problem: str, limit: int = 100) -> list[Remark]:
        """The newest first."""
        query = sa.select(t.remark).where(t.remark.c.problem == problem).order_by(t.remark.c.id.desc()).limit(limit)
        return [Remark(row.id, from_micros(row.at), row.by, row.text) for row in self.db.rows(query)]

    def outages(self) -> dict[str, Outage]:
        """Connections that are out, by name."""
        state = t.connection_state.c
        rows = self.db.rows(
            sa.select(state.connection, state.blocked_since, state.blocked_class).where(
                state.faults > 0, state.blocked_since.is_not(None)
            )
        )
        return {
            row.connection: Outage(row.connection, from_micros(row.blocked_since), row.blocked_class) for row in rows
        }

    def spell(self, problem: str) -> Spell | None:
        """The present one, or the last."""
        query = sa.select(t.spell).where(t.spell.c.problem == problem).order_by(t.spell.c.id.desc()).limit(1)
        rows = self.db.rows(query)
        return _spell(rows[0]) if rows else None

    def open_spells(self) -> dict[str, Spell]:
        """Those that have not ended, by problem."""
        return {
            row.problem: _spell(row) for row in self.db.rows(sa.select(t.spell).where(t.spell.c.ended_at.is_(None)))
        }

    def ended(self, since: datetime, limit: int = 50) -> list[Spell]:
        """Spells that have ended since, the last one first."""
        query = sa.select(t.spell).where(t.spell.c.ended_at >= to_micros(since)).order_by(t.spell.c.ended_at.desc())
        return [_spell(row) for row in self.db.rows(query.limit(limit))]

    # -- what people arrange ---------------------------------------------------------------------------------------

    def assign(self, problem: str, person_id: int | None, name: str, *, by: str) -> None:
        """Whose it is; None: nobody's."""
        self._arrange(problem, {"assignee_id": person_id}, by, "problem.assign", {"to": name})

    def snooze(self, problem: str, until: datetime, *, count: int, grade: int, by: str) -> None:
        """Out of sight until then, as long as it stays what it is."""
        values = {
            "snoozed_until": to_micros(until),
            "snoozed_at": self.db.micros(),
            "snoozed_by": by[:120],
            "snoozed_count": count,
            "snoozed_grade": grade,
        }
        self._arrange(problem, values, by, "problem.snooze", {"until": until.isoformat(), "orders": count})

    def wake(self, problem: str, *, by: str = MACHINE, why: str = "", before: datetime | None = None) -> bool:
        """The snooze is over. False when there was none any more (`before`: when it is not that one any more)."""
        care = t.care.c
        same = care.snoozed_until.is_not(None) if before is None else care.snoozed_until == to_micros(before)
        statement = (
            sa.update(t.care)
            .where(care.problem == problem, same)
            .values(snoozed_until=None, updated_at=self.db.micros())
            .returning(care.problem)
        )

        def work(connection: Connection) -> bool:
            if connection.execute(statement).first() is None:
                return False
            action = "problem.back" if by == MACHINE else "problem.wake"
            self.audit.append(connection, by, action, f"problem/{problem}", {"reason": why} if why else {})
            return True

        return self.db.transact(work)

    def acknowledge(self, problem: str, since: datetime, why: str, *, by: str) -> None:
        """Somebody knows of the outage that began then."""
        values = {
            "acknowledged_since": to_micros(since),
            "acknowledged_at": self.db.micros(),
            "acknowledged_by": by[:120],
            "acknowledged_why": why,
        }
        self._arrange(problem, values, by, "problem.acknowledge", {"reason": why})

    def remark(self, problem: str, text: str, *, by: str) -> int:
        """Write it down; its number. The audit tells that it was, not what: it may be about customers."""
        values = {"problem": problem, "at": self.db.micros(), "by": by[:120], "text": text[:LONGEST]}
        insert = self.db.insert(t.remark).values(values).returning(t.remark.c.id)

        def work(connection: Connection) -> int:
            made = int(connection.execute(insert).one().id)
            self.audit.append(connection, by, "problem.note", f"problem/{problem}", {"note": made})
            return made

        return self.db.transact(work)

    def _arrange(self, problem: str, values: Mapping[str, Any], by: str, action: str, facts: Mapping[str, Any]) -> None:
        changed = {**values, "updated_at": self.db.micros()}
        insert = self.db.insert(t.care).values(problem=problem, **changed)
        upsert = insert.on_conflict_do_update(index_elements=["problem"], set_=changed)

        def work(connection: Connection) -> None:
            connection.execute(upsert)
            self.audit.append(connection, by, action, f"problem/{problem}", facts)

        self.db.transact(work)

    # -- spells ----------------------------------------------------------------------------------------------------

    def see(self, problems: Sequence[Problem]) -> None:
        """These are open now: begin their spells, or go on with them. Writes only what has changed."""
        known = self.open_spells()
        works = [self._seen(one, known.get(one.id)) for one in problems]
        changes = [work for work in works if work is not None]
        if changes:
            self.db.transact(lambda connection: [change(connection) for change in changes])

    def _seen(self, one: Problem, known: Spell | None) -> Callable[[Connection], object] | None:
        jobs = list(dict.fromkeys([*(job for job, _ in one.samples), *(known.jobs if known else ())]))[:KEPT]
        grown = known is None or one.count >= known.most
        values: dict[str, Any] = {
            "message": one.message,
            "jobs": json.dumps(jobs),
            "seen_at": self.db.micros(),
        }
        if grown:
            values["most"] = one.count
            values["amounts"] = json.dumps({name: str(amount) for name, amount in sorted(one.amounts.items())})
        if known is None:
            return lambda connection: self._begin(connection, one, values)
        same = known.message == one.message and list(known.jobs) == jobs
        if same and (not grown or (one.count == known.most and dict(one.amounts) == dict(known.amounts))):
            return None
        return lambda connection: connection.execute(sa.update(t.spell).where(t.spell.c.id == known.id).values(values))

    def _begin(self, connection: Connection, one: Problem, values: Mapping[str, Any]) -> None:
        """A new spell, or on with the last one if that had hardly ended."""
        now, spell = self.db.micros(), t.spell.c
        last = sa.select(spell.id, spell.ended_at).where(spell.problem == one.id).order_by(spell.id.desc()).limit(1)
        row = connection.execute(last).first()
        if row is not None and row.ended_at is not None and row.ended_at > now - PAUSE:
            back = {"ended_at": None, "ending": "", "ended_by": "", "ended_why": "", "run_id": None}
            connection.execute(sa.update(t.spell).where(spell.id == row.id).values(**values, **back))
            return
        insert = self.db.insert(t.spell).values(
            problem=one.id,
            flow=one.flow[:32],
            target=one.target[:32],
            error_class=one.error_class[:40],
            opened_at=min(to_micros(one.first_seen), now),
            **values,
        )
        still = t.spell.c.ended_at.is_(None)
        connection.execute(insert.on_conflict_do_nothing(index_elements=["problem"], index_where=still))

    def end(self, spell: Spell, end: End) -> bool:
        """It is over. False when somebody else has noticed before."""
        statement = (
            sa.update(t.spell)
            .where(t.spell.c.id == spell.id, t.spell.c.ended_at.is_(None))
            .values(
                ended_at=self.db.micros(),
                ending=end.ending,
                ended_by=end.by[:120],
                ended_why=end.why[:LONGEST],
                run_id=end.run_id,
            )
            .returning(t.spell.c.id)
        )
        return bool(self.db.execute(statement))

    def counted(self, spell: Spell, customers: int, of: int) -> None:
        """Note how many different people its orders are of."""
        values = {"customers": customers, "customers_of": of}
        self.db.execute(sa.update(t.spell).where(t.spell.c.id == spell.id).values(values))

    def forget(self, before: timedelta) -> int:
        """What was arranged about problems that have been gone for so long. How many."""
        spell, care, limit = t.spell.c, t.care.c, self.db.micros() - int(before.total_seconds() * SECOND)
        lives = sa.select(spell.problem).where(spell.ended_at.is_(None) | (spell.ended_at >= limit))
        rests = care.snoozed_until.is_(None) | (care.snoozed_until < self.db.micros())
        old = sa.delete(t.care).where(care.updated_at < limit, rests, care.problem.not_in(lives))
        return len(self.db.execute(old.returning(care.problem)))

    def doings(self, jobs: Sequence[int], since: datetime) -> list[Doing]:
        """What people did with these jobs since, the newest first."""
        audit = t.audit.c
        query = (
            sa.select(audit.actor, audit.action, audit.facts)
            .where(audit.subject.in_([f"job/{job}" for job in jobs]), audit.at >= to_micros(since))
            .where(audit.action.in_(("job.retry", "job.skip", "job.edit")))
            .order_by(audit.id.desc())
            .limit(KEPT)
        )
        rows = self.db.rows(query)
        return [Doing(row.actor, row.action, json.loads(row.facts) if row.facts else {}) for row in rows]

    # -- jobs ------------------------------------------------------------------------------------------------------

    def skip_as_seen(self, job_id: int, seen_at: datetime, reason: str) -> bool:
        """Skip this job if nothing happened with it since it was looked at (its `updated_at` then): neither a try nor a newer
        state of its order. False otherwise.
        """
        job = t.job.c
        statement = (
            sa.update(t.job)
            .where(job.id == job_id, job.state.in_(("held", "waiting")), job.updated_at == to_micros(seen_at))
            .values(state="skipped", reason=reason, error_class="skipped by hand", updated_at=self.db.now)
            .returning(job.id)
        )
        return bool(self.db.execute(statement))


def _care(row: Any) -> Care:
    return Care(
        problem=row.problem,
        assignee_id=row.assignee_id,
        assignee=row.assignee or "",
        snoozed_until=_moment(row.snoozed_until),
        snoozed_at=_moment(row.snoozed_at),
        snoozed_by=row.snoozed_by,
        snoozed_count=row.snoozed_count,
        snoozed_grade=row.snoozed_grade,
        acknowledged_since=_moment(row.acknowledged_since),
        acknowledged_at=_moment(row.acknowledged_at),
        acknowledged_by=row.acknowledged_by,
        acknowledged_why=row.acknowledged_why,
    )


def _spell(row: Any) -> Spell:
    amounts = json.loads(row.amounts) if row.amounts else {}
    return Spell(
        id=row.id,
        problem=row.problem,
        flow=row.flow,
        target=row.target,
        error_class=row.error_class,
        message=row.message,
        most=row.most,
        amounts={name: Decimal(amount) for name, amount in amounts.items()},
        customers=row.customers,
        customers_of=row.customers_of,
        jobs=tuple(json.loads(row.jobs)) if row.jobs else (),
        opened_at=from_micros(row.opened_at),
        ended_at=_moment(row.ended_at),
        ending=row.ending,
        ended_by=row.ended_by,
        ended_why=row.ended_why,
        run_id=row.run_id,
    )


def _moment(micros: int | None) -> datetime | None:
    return from_micros(micros) if micros is not None else None
