"""What runs at intervals: whoever is first when it is due runs it, and how its last rounds went is remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import from_micros
from ledger import tables as t
from ledger.database import SECOND, Database

RoundState = Literal["ok", "failed", "skipped", "lost"]
KEPT: Final = 100
"""Rounds of each schedule that are remembered: the newest."""
FAILED: Final = "failed"
"""What the outcome of a round that went badly begins with."""
NOT_ASKED: Final = "not asked"
"""What the outcome of a round begins with that left a paused connection alone."""


def not_asked(connection: str) -> str:
    """The outcome of such a round (pure)."""
    return f"{NOT_ASKED}: {connection} is paused"


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a schedule. skipped: it was paused when it was due; lost: the process that ran it ended in the middle.
    `missed`: how many more rounds should have begun by then.
    """

    name: str
    number: int
    state: RoundState
    due_at: datetime | None
    started_at: datetime
    ended_at: datetime
    missed: int
    outcome: str

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def late(self) -> float:
        """Seconds from when it was due to when it began."""
        return max((self.started_at - self.due_at).total_seconds(), 0.0) if self.due_at else 0.0


class Schedules:
    """Whichever process asks first when something is due runs it, the others do not."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._ours: dict[str, int] = {}
        """When we started what we run, by schedule: whoever starts it after our lease has another moment there."""

    # -- running ---------------------------------------------------------------------------------------------------

    def start_if_due(self, name: str, *, every: float, lease: float) -> bool:
        """True: it is due and ours to run now, nobody else will start it within the lease. A run that a killed process left
        unfinished is due again as soon as its lease is over.
        """
        due = self._due(name)
        if due is None:
            fresh = self.db.insert(t.schedule).values(name=name, next_at=self.db.now)
            self.db.execute(fresh.on_conflict_do_nothing(index_elements=["name"]))
        elif not due:
            return False
        started = self.db.transact(partial(self._start, name=name, every=every, lease=lease))
        if started is None:
            return False
        self._ours[name] = started
        return True

    def _due(self, name: str) -> bool | None:
        """A look without the write lock; None: never heard of."""
        rows = self.db.rows(sa.select(self._is_due()).where(t.schedule.c.name == name))
        return bool(rows[0][0]) if rows else None

    def _is_due(self) -> sa.ColumnElement[bool]:
        """Its time has come and nobody runs it, or whoever ran it is dead; and nobody has paused it."""
        schedule = t.schedule.c
        resting = schedule.running_until.is_(None)
        awake = schedule.paused_until.is_(None) | (schedule.paused_until <= self.db.now)
        return awake & ((resting & (schedule.next_at <= self.db.now)) | (schedule.running_until < self.db.now))

    def _start(self, connection: Connection, *, name: str, every: float, lease: float) -> int | None:
        """When it was started; None: it is not due any more."""
        query = sa.select(t.schedule, self.db.now.label("now"), self._is_due().label("is_due"))
        row = connection.execute(self.db.lock_rows(query.where(t.schedule.c.name == name))).one()
        if not row.is_due:
            return None
        step = max(int(every * SECOND), 1)
        runs = row.runs
        for gap in _gaps(row, step):
            runs += 1
            connection.execute(sa.insert(t.schedule_run).values(name=name, number=runs, **gap))
        due = max(row.next_at, row.paused_until or 0)
        connection.execute(
            sa.update(t.schedule)
            .where(t.schedule.c.name == name)
            .values(
                next_at=row.now + step,
                running_until=row.now + int(lease * SECOND),
                last_started_at=row.now,
                due_at=due,
                missed=max(row.now - due, 0) // step,
                runs=runs,
                paused_until=None,
                paused_by="",
                paused_why="",
            )
        )
        return int(row.now)

    def _is_ours(self, name: str) -> Sequence[sa.ColumnElement[bool]]:
        """It runs, and it is us who started it: nobody else has, since our lease ended."""
        schedule = t.schedule.c
        started = self._ours.get(name, 0)
        return schedule.name == name, schedule.running_until.is_not(None), schedule.last_started_at == started

    def renew(self, name: str, *, lease: float) -> None:
        """What we started still runs: nobody else starts it within another lease. It stays with whoever has started it since."""
        self.db.execute(
            sa.update(t.schedule).where(*self._is_ours(name)).values(running_until=self.db.now + int(lease * SECOND))
        )

    def ended(self, name: str, outcome: str, *, again: float | None = None) -> None:
        """What we started ran; `outcome` is a short sentence, "failed: ..." where it went badly. Where we lost it nothing is
        noted: whoever has started it since has noted that our round was lost. `again`: seconds until the next round, where that
        is sooner than planned.
        """
        self.db.transact(partial(self._end, name=name, outcome=outcome[:500], again=again))

    def _end(self, connection: Connection, *, name: str, outcome: str, again: float | None) -> None:
        schedule = t.schedule.c
        if again is not None:
            soon = self.db.now + int(again * SECOND)
            sooner = sa.update(t.schedule).where(*self._is_ours(name), schedule.next_at > soon)
            connection.execute(sooner.values(next_at=soon))
        rows = connection.execute(
            sa.update(t.schedule)
            .where(*self._is_ours(name))
            .values(running_until=None, last_ended_at=self.db.now, last_outcome=outcome, runs=schedule.runs + 1)
            .returning(
                schedule.runs, schedule.due_at, schedule.missed, schedule.last_started_at, schedule.last_ended_at
            )
        ).all()
        for row in rows:
            connection.execute(
                sa.insert(t.schedule_run).values(
                    name=name,
                    number=row.runs,
                    due_at=row.due_at,
                    started_at=row.last_started_at if row.last_started_at is not None else row.last_ended_at,
                    ended_at=row.last_ended_at,
                    state="failed" if outcome.startswith(FAILED) else "ok",
                    missed=row.missed,
                    outcome=outcome,
                )
            )
            old = t.schedule_run.c.number <= row.runs - KEPT
            connection.execute(sa.delete(t.schedule_run).where(t.schedule_run.c.name == name, old))

    # -- what people do --------------------------------------------------------------------------------------------

    def run_now(self, name: str) -> None:
        """Due at once. Since when it has been due stays."""
        next_at = t.schedule.c.next_at
        sooner = sa.case((next_at > self.db.now, self.db.now), else_=next_at)
        self.db.execute(sa.update(t.schedule).where(t.schedule.c.name == name).values(next_at=sooner))

    def ask_again(self, connection: str) -> None:
        """The pause of a connection has ended: what left it alone is due at once."""
        schedule = t.schedule.c
        left_alone = (schedule.last_outcome == not_asked(connection)) & (schedule.next_at > self.db.now)
        self.db.execute(sa.update(t.schedule).where(left_alone).values(next_at=self.db.now))

    def pause(self, name: str, seconds: float, *, by: str = "", why: str = "") -> None:
        """It does not begin for so long. What is under way goes on."""
        until = self.db.now + int(seconds * SECOND)
        self.db.execute(
            sa.update(t.schedule)
            .where(t.schedule.c.name == name)
            .values(paused_until=until, paused_by=by[:120], paused_why=why[:500])
        )

    def resume(self, name: str) -> None:
        """The pause ends now: what should have run meanwhile runs once."""
        paused = t.schedule.c.paused_until > self.db.now
        self.db.execute(sa.update(t.schedule).where(t.schedule.c.name == name, paused).values(paused_until=self.db.now))

    # -- looking ---------------------------------------------------------------------------------------------------

    def rounds(self, name: str = "", *, last: int = 20) -> Mapping[str, Sequence[Round]]:
        """The last rounds by name of the schedule, oldest first; of one of them or of all."""
        run = t.schedule_run.c
        query = sa.select(t.schedule_run).join(t.schedule, t.schedule.c.name == run.name)
        query = query.where(run.number > t.schedule.c.runs - last).order_by(run.name, run.number)
        if name:
            query = query.where(run.name == name)
        found: dict[str, list[Round]] = {}
        for row in self.db.rows(query):
            found.setdefault(row.name, []).append(_round(row))
        return found


def _gaps(row: sa.Row[Any], step: int) -> list[dict[str, Any]]:
    """What is to be told of the time before this start: a round that never ended, rounds that fell into a pause (pure)."""
    found: list[dict[str, Any]] = []
    if row.running_until is not None and row.last_started_at is not None:
        found.append(
            {
                "due_at": row.due_at,
                "started_at": row.last_started_at,
                "ended_at": max(row.running_until, row.last_started_at),
                "state": "lost",
                "missed": row.missed,
                "outcome": "The process that ran it ended in the middle.",
            }
        )
    if row.paused_until is not None and row.paused_until > row.next_at:
        by = f" by {row.paused_by}" if row.paused_by else ""
        found.append(
            {
                "due_at": row.next_at,
                "started_at": row.next_at,
                "ended_at": row.paused_until,
                "state": "skipped",
                "missed": (row.paused_until - row.next_at) // step,
                "outcome": f"Paused{by}{': ' + row.paused_why if row.paused_why else '.'}"[:500],
            }
        )
    return found


def _round(row: sa.Row[Any]) -> Round:
    return Round(
        name=row.name,
        number=row.number,
        state=row.state,
        due_at=from_micros(row.due_at) if row.due_at is not None else None,
        started_at=from_micros(row.started_at),
        ended_at=from_micros(row.ended_at),
        missed=row.missed,
        outcome=row.outcome,
    )
