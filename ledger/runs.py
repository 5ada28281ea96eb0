"""Runs: a big piece of work that a person asked for (rehearse, adopt, link, backfill), counted, resumable, reported."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Row

from core.clock import from_micros
from core.errors import ConfigurationProblem, OrderwireError
from ledger import tables as t
from ledger.database import Database

RunKind = Literal[
    "rehearse", "adopt", "link", "survey", "backfill", "preview", "undo", "retry", "skip", "plan", "reassign", "restore"
]
"""survey: what a backfill would find; preview: what an undo would take back; plan: what a reassignment of reps would change;
restore: taking such a reassignment back.
"""
RunState = Literal["queued", "running", "done", "stopped", "failed"]
"""queued: a worker carries it out, as soon as one is free."""
GOING: Final[tuple[RunState, ...]] = ("queued", "running")
CHUNK: Final = 500
CREATE: Final = "create"
"""The verdict of orders from before the start that a backfill is to create."""
UNDONE: Final = "undone"
"""The verdict of orders that a backfill had brought, and that were taken back: only another `--create` brings them again."""
CARRIED: Final = "carried"
"""Among the options of a run that workers carry out: no command is at work with it."""
RATE: Final = "rate"
BESIDE: Final = frozenset({CARRIED, RATE})
"""Options by which no run is told from another: the same command finds its run whatever they are."""
STOPPED_BY: Final = "Stopped by "
"""What the summary of a run begins with that a person stopped: only a person lets it go on."""
BEAT: Final = timedelta(seconds=60)
"""Whoever is at work with a run lets that be seen so often at least."""
_MARK: Final = "run-"


class Lost(OrderwireError):
    """The run is not ours any more: somebody ended it, or another one goes on with it. Whoever lost it leaves it as it is."""

    error_class = "run lost"


def mark(run_id: int | Literal[""]) -> str:
    """The correlation of everything that a run does; "" gives what all of them begin with."""
    return f"{_MARK}{run_id}"


def marked(correlation: str) -> int | None:
    """The run that this correlation names."""
    number = correlation.removeprefix(_MARK)
    return int(number) if number != correlation and number.isdecimal() else None


@dataclass(frozen=True, slots=True)
class RunView:
    """One run. `cursor`: where it goes on after an interruption; `counts`: whatever its kind counts."""

    id: int
    kind: RunKind
    flow: str
    options: Mapping[str, Any]
    state: RunState
    cursor: str
    counts: Mapping[str, Any]
    summary: str
    by: str
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Item:
    """What a run has to say of one record. `facts` are for reports; `amount` is exact text, as in jobs."""

    key: str
    verdict: str
    number: str = ""
    amount: str = ""
    currency: str = ""
    reason: str = ""
    error_class: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sum:
    """How many records of a run have this verdict, and how much money that is."""

    verdict: str
    error_class: str
    currency: str
    count: int
    amount: Decimal


class Runs:
    """Begin, note, end, look."""

    def __init__(self, db: Database) -> None:
        self.db = db
        insert = db.insert(t.run_item)
        named = ("verdict", "number", "amount", "currency", "reason", "error_class", "facts", "updated_at")
        self._put = insert.on_conflict_do_update(
            index_elements=["run_id", "key"], set_={name: insert.excluded[name] for name in named}
        )

    def begin(
        self, kind: RunKind, flow: str, options: Mapping[str, Any], *, by: str = "", state: RunState = "running"
    ) -> RunView:
        """A new run."""
        now = self.db.micros()
        rows = self.db.execute(
            self.db.insert(t.run)
            .values(
                kind=kind,
                flow=flow,
                options=_dump(options),
                state=state,
                by=by[:80],
                started_at=now,
                updated_at=now,
            )
            .returning(t.run)
        )
        return _run(rows[0])

    def unfinished(self, kind: RunKind, flow: str, options: Mapping[str, Any]) -> RunView | None:
        """The newest run of these very options that was interrupted, to be gone on with."""
        query = (
            sa.select(t.run)
            .where(t.run.c.kind == kind, t.run.c.flow == flow, t.run.c.options == _dump(options))
            .where(t.run.c.state.in_((*GOING, "stopped", "failed")))
            .order_by(t.run.c.id.desc())
            .limit(1)
        )
        rows = self.db.rows(query)
        return _run(rows[0]) if rows else None

    def command(
        self,
        kind: RunKind,
        flow: str,
        options: Mapping[str, Any],
        *,
        by: str = "",
        beside: Mapping[str, Any] | None = None,
    ) -> RunView:
        """The run of somebody's command, running: the interrupted one that was asked for the same, else a new one. `beside`:
        options of BESIDE. Raises ConfigurationProblem where a worker is to carry that one out.
        """
        run, known = self._asked(kind, flow, options), {**options, **(beside or {})}
        if run is None:
            return self.begin(kind, flow, known, by=by)
        values = {"state": "running", "ended_at": None, "options": _dump(known), "updated_at": self.db.micros()}
        carried = run.state in GOING and run.options.get(CARRIED)
        if carried or not self._move(run.id, (run.state,), values):
            raise ConfigurationProblem(
                f"Run {run.id} does that already. What to do: see how far it is, `orderwire runs show {run.id}`, or stop it "
                "first."
            )
        return self.get(run.id) or run

    def _asked(self, kind: RunKind, flow: str, options: Mapping[str, Any]) -> RunView | None:
        """The newest unfinished run of these options, whatever is beside them."""
        query = (
            sa.select(t.run)
            .where(t.run.c.kind == kind, t.run.c.flow == flow, t.run.c.state.in_((*GOING, "stopped", "failed")))
            .order_by(t.run.c.id.desc())
        )
        for run in map(_run, self.db.rows(query)):
            if _dump({name: value for name, value in run.options.items() if name not in BESIDE}) == _dump(options):
                return run
        return None

    def require_ours(self, run: RunView) -> None:
        """Whoever is at work with a run asks before each step, whereby it is seen that he lives. Raises Lost."""
        now = self.get(run.id)
        if now is None or now.state != "running" or bool(now.options.get(CARRIED)) != bool(run.options.get(CARRIED)):
            why = (
                f"was ended by somebody else: {now.summary}"
                if now is not None and now.summary
                else "is not ours any more."
            )
            raise Lost(f"Run {run.id} {why} What to do: see `orderwire runs show {run.id}`.")
        if from_micros(self.db.micros()) - now.updated_at >= BEAT:
            self.progress(run.id)

    def progress(
        self,
        run_id: int,
        *,
        cursor: str | None = None,
        counts: Mapping[str, Any] | None = None,
        after: str | None = None,
    ) -> bool:
        """Where it is; call it after what was done up to here is committed. `after`: only if its cursor is still this one;
        False: it has moved on.
        """
        values: dict[str, Any] = {"updated_at": self.db.micros()}
        if cursor is not None:
            values["cursor"] = cursor
        if counts is not None:
            values["counts"] = _dump(counts)
        query = sa.update(t.run).where(t.run.c.id == run_id).values(**values)
        if after is not None:
            query = query.where(t.run.c.cursor == after)
        return bool(self.db.execute(query.returning(t.run.c.id)))

    def resume(self, run_id: int) -> None:
        """It goes on."""
        self.db.execute(
            sa.update(t.run)
            .where(t.run.c.id == run_id)
            .values(state="running", ended_at=None, updated_at=self.db.micros())
        )

    def end(
        self, run_id: int, state: RunState, summary: str = "", *, whatever: tuple[RunState, ...] = ("running",)
    ) -> bool:
        """It is over. False: it is in none of the states `whatever`; what a person stopped stays stopped."""
        now = self.db.micros()
        return self._move(run_id, whatever, {"state": state, "summary": summary, "ended_at": now, "updated_at": now})

    def stop(self, run_id: int, summary: str) -> bool:
        """Somebody ends what has not ended: whoever is at work with it notices. False: it had ended."""
        return self.end(run_id, "stopped", summary, whatever=GOING)

    def queue(self, run_id: int, *, options: Mapping[str, Any], whatever: RunState) -> bool:
        """A person lets a worker go on with it. False: it is not in the state `whatever` any more."""
        values = {"state": "queued", "summary": "", "ended_at": None, "updated_at": self.db.micros()}
        return self._move(run_id, (whatever,), {**values, "options": _dump(options)})

    def give_back(self, run_id: int, summary: str = "") -> bool:
        """A worker leaves off, another one is to go on; `summary`: why it rests. False: it had ended, or a person stopped it."""
        values = {"state": "queued", "summary": summary, "ended_at": None, "updated_at": self.db.micros()}
        by_nobody = ~t.run.c.summary.startswith(STOPPED_BY, autoescape=True)
        return self._move(run_id, ("running", "stopped"), values, by_nobody)

    def take(self, run_id: int) -> bool:
        """A worker begins, or goes on after one that died. False: somebody has stopped it meanwhile."""
        return self._move(run_id, GOING, {"state": "running", "summary": "", "updated_at": self.db.micros()})

    def _move(
        self, run_id: int, states: Sequence[str], values: Mapping[str, Any], *further: sa.ColumnElement[bool]
    ) -> bool:
        query = sa.update(t.run).where(t.run.c.id == run_id, t.run.c.state.in_(states), *further).values(**values)
        return bool(self.db.execute(query.returning(t.run.c.id)))

    def put(self, run_id: int, items: Sequence[Item]) -> None:
        """Note these records; one that was noted before is noted anew."""
        now = self.db.micros()
        rows = [
            {
                "run_id": run_id,
                "key": item.key,
                "verdict": item.verdict,
                "number": item.number[:120],
                "amount": item.amount,
                "currency": item.currency,
                "reason": item.reason,
                "error_class": item.error_class[:40],
                "facts": _dump(item.facts) if item.facts else "",
                "updated_at": now,
            }
            for item in items
        ]
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            self.db.transact(lambda connection, part=part: connection.execute(self._put, part))  # type: ignore[misc]

    # -- looking ---------------------------------------------------------------------------------------------------

    def get(self, run_id: int) -> RunView | None:
        """One run."""
        rows = self.db.rows(sa.select(t.run).where(t.run.c.id == run_id))
        return _run(rows[0]) if rows else None

    def list(
        self, *, kind: str = "", flow: str = "", state: str = "", before: int | None = None, limit: int = 50
    ) -> Sequence[RunView]:
        """Runs, newest first. `before`: the last number of the page before."""
        query = sa.select(t.run).order_by(t.run.c.id.desc()).limit(limit)
        if state:
            query = query.where(t.run.c.state == state)
        if before is not None:
            query = query.where(t.run.c.id < before)
        if kind:
            query = query.where(t.run.c.kind == kind)
        if flow:
            query = query.where(t.run.c.flow == flow)
        return [_run(row) for row in self.db.rows(query)]

    def going(self, kinds: Sequence[str]) -> Sequence[RunView]:
        """Queued or running ones of these kinds, oldest first."""
        query = sa.select(t.run).where(t.run.c.state.in_(GOING), t.run.c.kind.in_(list(kinds))).order_by(t.run.c.id)
        return [_run(row) for row in self.db.rows(query)]

    def items(self, run_id: int, *, verdict: str = "", after: str = "", limit: int = 1000) -> Sequence[Item]:
        """Its records by key, a page at a time (`after`: the last key of the page before)."""
        query = sa.select(t.run_item).where(t.run_item.c.run_id == run_id).order_by(t.run_item.c.key).limit(limit)
        if verdict:
            query = query.where(t.run_item.c.verdict == verdict)
        if after:
            query = query.where(t.run_item.c.key > after)
        return [_item(row) for row in self.db.rows(query)]

    def creates(self, flow: str, key: str) -> bool:
        """Whether a backfill that was told to create old orders is to create this one."""
        return self._said(flow, [key]).get(key) == CREATE

    def undone(self, flow: str, keys: Sequence[str]) -> set[str]:
        """Those of the orders that were taken back, and that nobody has asked for again since."""
        return {key for key, verdict in self._said(flow, keys).items() if verdict == UNDONE}

    def _said(self, flow: str, keys: Sequence[str]) -> dict[str, str]:
        """The last word of this flow's backfills: to be created, or taken back."""
        query = (
            sa.select(t.run_item.c.key, t.run_item.c.verdict)
            .join(t.run, t.run.c.id == t.run_item.c.run_id)
            .where(t.run.c.kind == "backfill", t.run.c.flow == flow)
            .where(t.run_item.c.key.in_(list(keys)), t.run_item.c.verdict.in_((CREATE, UNDONE)))
            .order_by(t.run.c.id)
        )
        return {row.key: row.verdict for row in self.db.rows(query)}

    def some(self, run_id: int, keys: Sequence[str]) -> dict[str, Item]:
        """Its records with these keys."""
        found: dict[str, Item] = {}
        for start in range(0, len(keys), CHUNK):
            some = list(keys[start : start + CHUNK])
            query = sa.select(t.run_item).where(t.run_item.c.run_id == run_id, t.run_item.c.key.in_(some))
            found |= {row.key: _item(row) for row in self.db.rows(query)}
        return found

    def all_items(self, run_id: int) -> Iterator[Item]:
        """All its records by key, read a page at a time."""
        last = ""
        while page := self.items(run_id, after=last):
            yield from page
            last = page[-1].key

    def sums(self, run_id: int) -> Sequence[Sum]:
        """Count and money by verdict, class and currency. Added up exactly, in Python: neither engine's sum of text is."""
        query = sa.select(
            t.run_item.c.verdict, t.run_item.c.error_class, t.run_item.c.currency, t.run_item.c.amount
        ).where(t.run_item.c.run_id == run_id)
        found: dict[tuple[str, str, str], tuple[int, Decimal]] = {}
        for row in self.db.rows(query):
            kind = (row.verdict, row.error_class, row.currency)
            count, amount = found.get(kind, (0, Decimal(0)))
            found[kind] = (count + 1, amount + Decimal(row.amount or 0))
        return [Sum(*kind, count, amount) for kind, (count, amount) in sorted(found.items())]


def _dump(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), ensure_ascii=False, sort_keys=True, default=str)


def _run(row: Row[Any]) -> RunView:
    return RunView(
        id=row.id,
        kind=row.kind,
        flow=row.flow,
        options=json.loads(row.options) if row.options else {},
        state=row.state,
        cursor=row.cursor,
        counts=json.loads(row.counts) if row.counts else {},
        summary=row.summary,
        by=row.by,
        started_at=from_micros(row.started_at),
        updated_at=from_micros(row.updated_at),
        ended_at=from_micros(row.ended_at) if row.ended_at is not None else None,
    )


def _item(row: Row[Any]) -> Item:
    return Item(
        key=row.key,
        verdict=row.verdict,
        number=row.number,
        amount=row.amount,
        currency=row.currency,
        reason=row.reason,
        error_class=row.error_class,
        facts=json.loads(row.facts) if row.facts else {},
    )
