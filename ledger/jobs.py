"""The standing orders: one job per (flow, record), claimed under a lease with a fencing token, settled with its outcome."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros
from core.keys import Key
from ledger import tables as t
from ledger.crashes import Crashes
from ledger.database import SECOND, Database

State = Literal["waiting", "running", "settled", "held", "skipped"]
STATES: Final = ("waiting", "running", "settled", "held", "skipped")
RUSH: Final = -1
"""Rank of rush orders (ledger.inbox.RANK)."""
BUSY_WAIT: Final = 2.0
"""Seconds that a job waits at most for another one that is at work on the same link."""
_ATTEMPT: Final = tuple(column.name for column in t.attempt.c if column.name != "id")
_MAX_REASON: Final = 2000
AMONG: Final = 1_000
"""Jobs among which those of one kind are looked for."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is ours until the lease ends. `token` fences: a later claim has a greater one."""

    id: int
    flow: str
    key: Key
    target: str
    queue: str
    generation: int
    token: int
    failures: int
    crashes: int
    alone: bool
    worker: str
    correlation: str
    started_at: int
    lease: float
    asked_at: float
    """The monotonic moment before the claim was asked for: our lease ends at the latest `lease` seconds after it."""
    due_at: int = 0
    """Microseconds, as `started_at`: since when it could have run."""
    done: int = 0
    """The generation that was carried last; 0: none was yet."""

    @property
    def urgent(self) -> bool:
        """Somebody waits for it: it goes before polls, comparisons and backfills."""
        return self.queue in {"rush", "live"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `seconds` and `burns` matter for "retry" only."""

    kind: Literal["settled", "retry", "held", "skipped"]
    message: str = ""
    error_class: str = ""
    detail: str = ""
    field: str = ""
    seconds: float = 0.0
    burns: bool = True
    waiting_for: int | None = None
    number: str = ""
    amount: str = ""
    currency: str = ""
    customer: str = ""
    """The mark of the customer's e-mail address (core.emails)."""
    warnings: Sequence[str] = ()
    calls: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as people see it."""

    id: int
    flow: str
    key: str
    target: str
    queue: str
    state: str
    number: str
    reason: str
    error_class: str
    field: str
    failures: int
    crashes: int
    amount: str
    currency: str
    due_at: datetime
    created_at: datetime
    updated_at: datetime
    wanted: int
    done: int
    worker: str
    correlation: str
    warnings: Sequence[str] = ()


class Jobs:
    """Claim, renew, settle; and what people do with jobs."""

    def __init__(self, db: Database, *, lease: float = 60.0) -> None:
        self.db = db
        self.lease = lease
        self._claims = {alone: db.prepare(self._build_claim(alone=alone)) for alone in (False, True)}
        self._insert_attempt = db.prepare(
            db.insert(t.attempt).on_conflict_do_nothing(index_elements=["job_id", "token"])
        )
        mine = (
            (t.job.c.id == sa.bindparam("b_id"))
            & (t.job.c.token == sa.bindparam("b_token"))
            & (t.job.c.state == "running")
        )
        self._mine = mine
        self._crashes = Crashes(db, self._insert_attempt)
        self._settle = db.prepare(self._build_settle())
        self._settle_at_once = None if db.is_sqlite else db.prepare(self._build_settle_at_once())
        self._renew = db.prepare(
            sa.update(t.job)
            .where(mine, t.job.c.lease_until > db.now)
            .values(lease_until=db.now + sa.bindparam("b_lease", type_=sa.BigInteger))
            .returning(t.job.c.id)
        )

    # -- claiming --------------------------------------------------------------------------------------------------

    def _build_claim(self, *, alone: bool) -> sa.ClauseElement:
        candidate = t.job.alias("candidate")
        query = (
            sa.select(candidate.c.id)
            .where(
                *self._claimable(candidate),
                candidate.c.alone == sa.literal(alone),
                candidate.c.rank >= sa.bindparam("b_from"),
                candidate.c.rank <= sa.bindparam("b_rank"),
            )
            .order_by(candidate.c.rank, candidate.c.due_at)
            .limit(1)
        )
        if not self.db.is_sqlite:
            query = query.with_for_update(skip_locked=True, of=candidate)
        return (
            sa.update(t.job)
            .where(t.job.c.id == query.scalar_subquery())
            .values(
                state="running",
                token=t.job.c.token + 1,
                generation=t.job.c.wanted,
                worker=sa.bindparam("b_worker"),
                started_at=self.db.now,
                lease_until=self.db.now + sa.bindparam("b_lease", type_=sa.BigInteger),
                waiting_for=None,
            )
            .returning(t.job)
        )

    def _claimable(self, job: sa.FromClause) -> Sequence[sa.ColumnElement[bool]]:
        """Due, and neither its target blocked or paused nor its flow paused."""
        blocked = (
            sa.select(t.connection_state.c.connection)
            .where(
                t.connection_state.c.connection == job.c.target,
                (t.connection_state.c.blocked_until > self.db.now) | (t.connection_state.c.paused_until > self.db.now),
            )
            .exists()
        )
        resting = (
            sa.select(t.flow_state.c.flow)
            .where(t.flow_state.c.flow == job.c.flow, t.flow_state.c.mode == sa.literal("paused"))
            .exists()
        )
        # Written out: the index of what waits is a partial one. SQLite takes any equality for rare, and would read and sort all
        # that wait; with the hint it walks that index.
        waits: sa.ColumnElement[bool] = job.c.state == sa.literal_column("'waiting'")
        if self.db.is_sqlite:
            waits = sa.func.likely(waits)
        return waits, job.c.due_at <= self.db.now, ~blocked, ~resting

    def claim(self, worker: str, *, alone: bool = False, min_rank: int = RUSH, max_rank: int = 2) -> Claim | None:
        """The most urgent due job of these ranks, now ours for the lease; None when nothing is due. One statement, on both
        engines.
        """
        asked_at = time.monotonic()
        asked = {"b_worker": worker, "b_lease": int(self.lease * SECOND), "b_from": min_rank, "b_rank": max_rank}
        rows = self.db.execute(self._claims[alone], asked)
        if not rows:
            return None
        row = rows[0]
        return Claim(
            id=row.id,
            flow=row.flow,
            key=Key(row.connection, row.kind, row.record_id),
            target=row.target,
            queue=row.queue,
            generation=row.generation,
            token=row.token,
            failures=row.failures,
            crashes=row.crashes,
            alone=bool(row.alone),
            worker=worker,
            correlation=row.correlation,
            started_at=row.started_at,
            lease=self.lease,
            asked_at=asked_at,
            due_at=row.due_at,
            done=row.done,
        )

    def renew(self, claim: Claim) -> bool:
        """Another lease from now on; False when the job is not ours any more."""
        parameters = {"b_id": claim.id, "b_token": claim.token, "b_lease": int(self.lease * SECOND)}
        return bool(self.db.execute(self._renew, parameters))

    # -- settling --------------------------------------------------------------------------------------------------

    def _build_settle(self) -> sa.sql.dml.ReturningUpdate[Any]:
        # A newer state that came in meanwhile supersedes whatever this attempt ended in: due at once, and its own failures.
        newer = t.job.c.wanted > t.job.c.generation
        return (
            sa.update(t.job)
            .where(self._mine)
            .values(
                state=sa.case((newer, "waiting"), else_=sa.bindparam("b_state")),
                due_at=self.db.now + sa.case((newer, 0), else_=sa.bindparam("b_delay", type_=sa.BigInteger)),
                failures=sa.case((newer, 0), else_=sa.bindparam("b_failures")),
                done=sa.case((sa.bindparam("b_done") == 1, t.job.c.generation), else_=t.job.c.done),
                lease_until=None,
                updated_at=self.db.now,
                **{
                    name: sa.bindparam(f"b_{name}")
                    for name in (
                        "crashes",
                        "alone",
                        "waiting_for",
                        "reason",
                        "error_class",
                        "field",
                        "warnings",
                    )
                },
                **{
                    name: sa.case((sa.bindparam(f"b_{name}") != "", sa.bindparam(f"b_{name}")), else_=t.job.c[name])
                    for name in ("number", "amount", "currency", "customer")
                },
            )
            .returning(t.job.c.state)
        )

    def _build_settle_at_once(self) -> sa.ClauseElement:
        """Job and attempt in one statement, which spares PostgreSQL three round trips."""
        settled = self._build_settle().cte("settled")
        state = sa.select(settled.c.state).scalar_subquery()
        values: dict[str, Any] = {name: sa.bindparam(f"a_{name}", type_=t.attempt.c[name].type) for name in _ATTEMPT}
        values["outcome"] = sa.case((state.is_(None), "lost"), else_=values["outcome"])
        return (
            self.db.insert(t.attempt)
            .values(values)
            .on_conflict_do_nothing(index_elements=["job_id", "token"])
            .returning(state.label("state"))
            .add_cte(settled)
        )

    def settle(self, claim: Claim, outcome: Outcome, *, max_failures: int = 8) -> State | None:
        """Write the outcome and its attempt in one transaction, if the job is still ours. The state it is in now, or None
        when the lease was lost (then only the attempt is kept, as "lost").
        """
        failures = claim.failures + (1 if outcome.kind == "retry" and outcome.burns else 0)
        state: State = "waiting" if outcome.kind == "retry" else outcome.kind
        if outcome.kind == "retry" and failures >= max_failures:
            state = "held"
        if self._settle_at_once is not None and (state != "waiting" or outcome.waiting_for is None):
            values = self._settle_values(claim, outcome, state, failures, outcome.seconds, None)
            values |= {f"a_{name}": value for name, value in self._attempt(claim, outcome, outcome.kind).items()}
            rows = self.db.execute(self._settle_at_once, values)
            return rows[0].state if rows else None
        return self.db.transact(lambda connection: self._settle_within(connection, claim, outcome, state, failures))

    def _settle_within(
        self, connection: Connection, claim: Claim, outcome: Outcome, state: State, failures: int
    ) -> State | None:
        seconds, waiting_for = outcome.seconds, outcome.waiting_for if state == "waiting" else None
        if waiting_for is not None:
            seconds, waiting_for = self._still_waits(connection, waiting_for, seconds)
        values = self._settle_values(claim, outcome, state, failures, seconds, waiting_for)
        row = self._settle.on(connection, values).first()
        kind = "lost" if row is None else outcome.kind
        self._insert_attempt.on(connection, self._attempt(claim, outcome, kind))
        return None if row is None else row.state

    @staticmethod
    def _settle_values(
        claim: Claim, outcome: Outcome, state: State, failures: int, seconds: float, waiting_for: int | None
    ) -> dict[str, Any]:
        return {
            "b_id": claim.id,
            "b_token": claim.token,
            "b_state": state,
            "b_done": int(state in {"settled", "skipped"}),
            "b_delay": int(seconds * SECOND),
            "b_failures": 0 if state in {"settled", "skipped"} else failures,
            "b_crashes": claim.crashes if state == "waiting" and outcome.kind == "retry" else 0,
            "b_alone": False,
            "b_waiting_for": waiting_for,
            "b_reason": _reason(outcome, state, failures)[:_MAX_REASON],
            "b_error_class": outcome.error_class[:40],
            "b_field": outcome.field[:120],
            "b_warnings": json.dumps(list(outcome.warnings), ensure_ascii=False) if outcome.warnings else "",
            "b_number": outcome.number[:120],
            "b_amount": outcome.amount,
            "b_currency": outcome.currency,
            "b_customer": outcome.customer[:32],
        }

    def _still_waits(self, connection: Connection, link: int, seconds: float) -> tuple[float, int | None]:
        """How long to wait for this link, as it is now: it may have been settled after we looked, and before we could be
        woken. The lock makes whoever settles it right now go before us, or see us waiting.
        """
        query = sa.select(t.link.c.state).where(t.link.c.id == link)
        row = connection.execute(query if self.db.is_sqlite else query.with_for_update(read=True)).first()
        if row is None or row.state == "linked":
            return 0.0, None
        return (seconds if row.state == "sent" else min(seconds, BUSY_WAIT)), link

    def _attempt(self, claim: Claim, outcome: Outcome, kind: str) -> dict[str, Any]:
        return {
            "job_id": claim.id,
            "generation": claim.generation,
            "token": claim.token,
            "worker": claim.worker,
            "started_at": claim.started_at,
            "ended_at": self.db.micros(),
            "outcome": kind,
            "error_class": outcome.error_class[:40],
            "message": outcome.message[:_MAX_REASON],
            "detail": outcome.detail[:_MAX_REASON],
            "calls": json.dumps([dict(call) for call in outcome.calls]) if outcome.calls else "",
            "correlation": claim.correlation,
        }

    def hurry(self, claim: Claim) -> None:
        """It is a rush order, seen only now that it was read: what is left to do for it goes before all others."""
        mine = self._mine & (t.job.c.rank > RUSH)
        values = {"queue": "rush", "rank": RUSH}
        self.db.execute(sa.update(t.job).where(mine).values(**values), {"b_id": claim.id, "b_token": claim.token})

    # -- after crashes ---------------------------------------------------------------------------------------------

    def reap(self) -> int:
        """Take back jobs whose lease ran out (`ledger.crashes`). How many."""
        return self._crashes.reap()

    def release(self, claim: Claim) -> None:
        """Give a job back untouched (shut-down before anything was done)."""
        self.db.execute(
            sa.update(t.job).where(self._mine).values(state="waiting", due_at=self.db.now, lease_until=None),
            {"b_id": claim.id, "b_token": claim.token},
        )

    # -- looking ---------------------------------------------------------------------------------------------------

    def due(self, *, alone: bool | None = None) -> bool:
        """Whether something could be claimed right now (a cheap look, without taking the write lock)."""
        query = sa.select(sa.literal(1)).where(*self._claimable(t.job))
        if alone is not None:
            query = query.where(t.job.c.alone == sa.literal(alone))
        return bool(self.db.rows(query.limit(1)))

    def crowd(self, most: int) -> int:
        """How many that somebody waits for (live, rush) could be carried out right now; counted up to `most`."""
        some = (
            sa.select(sa.literal(1).label("one"))
            .where(*self._claimable(t.job), t.job.c.rank <= 0)
            .limit(most)
            .subquery()
        )
        return int(self.db.rows(sa.select(sa.func.count().label("number")).select_from(some))[0].number)

    def next_due(self) -> float | None:
        """Seconds until the next waiting job is due (0 or less: now); None when nothing waits."""
        query = sa.select(sa.func.min(t.job.c.due_at).label("first"), self.db.now.label("now"))
        row = self.db.rows(query.where(t.job.c.state == "waiting"))[0]
        return None if row.first is None else float(row.first - row.now) / SECOND

    def counts(self) -> dict[str, int]:
        """Jobs by state."""
        rows = self.db.rows(sa.select(t.job.c.state, sa.func.count().label("number")).group_by(t.job.c.state))
        return dict.fromkeys(STATES, 0) | {row.state: int(row.number) for row in rows}

    def list(
        self, *, state: str = "", flow: str = "", search: str = "", limit: int = 100, before: int | None = None
    ) -> Sequence[JobView]:
        """Jobs, newest first. `search` is an order number, a record id or a key `shop/order/1001`."""
        query = sa.select(t.job).order_by(t.job.c.id.desc()).limit(limit)
        if state:
            query = query.where(t.job.c.state == state)
        if flow:
            query = query.where(t.job.c.flow == flow)
        if before is not None:
            query = query.where(t.job.c.id < before)
        if search:
            query = query.where(self._matches(search.strip()))
        return [view_of(row) for row in self.db.rows(query)]

    def last(self, kind: str, limit: int) -> Sequence[JobView]:
        """The newest jobs of records of this kind, among the newest of all: where there are none, a large table is not read."""
        newest = sa.select(t.job).order_by(t.job.c.id.desc()).limit(AMONG).subquery()
        query = sa.select(newest).where(newest.c.kind == kind).order_by(newest.c.id.desc()).limit(limit)
        return [view_of(row) for row in self.db.rows(query)]

    @staticmethod
    def _matches(search: str) -> sa.ColumnElement[bool]:
        matches = (t.job.c.number == search) | (t.job.c.record_id == search)
        try:
            key = Key.parse(search)
        except ValueError:
            return matches
        return matches | (
            (t.job.c.connection == key.connection) & (t.job.c.kind == key.kind) & (t.job.c.record_id == key.id)
        )

    def get(self, job_id: int) -> JobView | None:
        """One job."""
        rows = self.db.rows(sa.select(t.job).where(t.job.c.id == job_id))
        return view_of(rows[0]) if rows else None

    def attempts(self, job_id: int, limit: int = 100) -> Sequence[dict[str, Any]]:
        """Every execution, oldest first."""
        query = sa.select(t.attempt).where(t.attempt.c.job_id == job_id).order_by(t.attempt.c.id).limit(limit)
        return [
            {
                **row._mapping,  # noqa: SLF001 - SQLAlchemy's public way to a mapping
                "started_at": from_micros(row.started_at),
                "ended_at": from_micros(row.ended_at),
                "calls": json.loads(row.calls) if row.calls else [],
            }
            for row in self.db.rows(query)
        ]

    # -- what people do --------------------------------------------------------------------------------------------

    def retry(self, job_id: int) -> bool:
        """Run it again from the newest state, with a fresh count of failures. False when it is running or unknown."""
        return self._by_hand(
            job_id,
            {
                "state": "waiting",
                "due_at": self.db.now,
                "failures": 0,
                "crashes": 0,
                "reason": "",
                "error_class": "",
                "waiting_for": None,
            },
            ("waiting", "held", "skipped", "settled"),
        )

    def skip(self, job_id: int, reason: str) -> bool:
        """Set it aside with a person's reason; a newer state of the record wakes it again. False when running or unknown."""
        return self._by_hand(
            job_id,
            {"state": "skipped", "reason": reason[:_MAX_REASON], "error_class": "skipped by hand"},
            ("waiting", "held"),
        )

    def _by_hand(self, job_id: int, values: Mapping[str, Any], states: Sequence[str]) -> bool:
        return bool(
            self.db.execute(
                sa.update(t.job)
                .where(t.job.c.id == job_id, t.job.c.state.in_(states))
                .values(updated_at=self.db.now, **values)
                .returning(t.job.c.id)
            )
        )


def _reason(outcome: Outcome, state: State, failures: int) -> str:
    if outcome.kind == "retry" and state == "held":
        what, _, _ = outcome.message.partition(" What to do:")
        return f"{what} It failed {failures} times. What to do: mend the cause, then retry the job."
    return outcome.message


def view_of(row: Row[Any]) -> JobView:
    """A row of `job` as people see it."""
    return JobView(
        id=row.id,
        flow=row.flow,
        key=str(Key(row.connection, row.kind, row.record_id)),
        target=row.target,
        queue=row.queue,
        state=row.state,
        number=row.number,
        reason=row.reason,
        error_class=row.error_class,
        field=row.field,
        failures=row.failures,
        crashes=row.crashes,
        amount=row.amount,
        currency=row.currency,
        due_at=from_micros(row.due_at),
        created_at=from_micros(row.created_at),
        updated_at=from_micros(row.updated_at),
        wanted=row.wanted,
        done=row.done,
        worker=row.worker,
        correlation=row.correlation,
        warnings=json.loads(row.warnings) if row.warnings else [],
    )
