"""The review list: what only a person can decide (which of these is it?), and what they decided, for ever."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros
from ledger import tables as t
from ledger.database import Database

ReviewKind = Literal["order", "customer"]
Decision = Literal["link", "new"]
"""link: it is that record. new: it is none of them."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record over there that it may be. `score` 0 to 100; `reasons` in words for people."""

    id: str
    number: str = ""
    label: str = ""
    score: int = 0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """One question, open or decided. `facts`: what carrying the decision out needs."""

    id: int
    target: str
    kind: ReviewKind
    key: str
    label: str
    candidates: tuple[Candidate, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    decision: Decision | Literal[""] = ""
    remote_id: str = ""
    note: str = ""
    decided_by: str = ""
    decided_at: datetime | None = None
    run_id: int | None = None

    @property
    def decided(self) -> bool:
        """A person has answered."""
        return bool(self.decision)


class Reviews:
    """Ask, decide, take back, look."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._open = db.prepare(
            sa.select(t.review.c.id).where(
                t.review.c.target == sa.bindparam("b_target"),
                t.review.c.kind == sa.bindparam("b_kind"),
                t.review.c.key == sa.bindparam("b_key"),
                t.review.c.decision == "",
            )
        )

    def offer(
        self,
        target: str,
        kind: ReviewKind,
        key: str,
        label: str,
        candidates: Sequence[Candidate],
        *,
        facts: Mapping[str, Any] | None = None,
        run_id: int | None = None,
    ) -> None:
        """Ask, or ask anew with newer candidates. What was decided stays decided. Lists among the facts (identity keys, jobs
        that wait for the answer) grow: a question may be asked for several orders.
        """
        now = self.db.micros()
        keep = self.db.insert(t.review).values(target=target, kind=kind, key=key, created_at=now, updated_at=now)
        keep = keep.on_conflict_do_nothing(index_elements=["target", "kind", "key"])
        known = self.db.lock_rows(sa.select(t.review.c.decision, t.review.c.facts).where(*_is(target, kind, [key])))

        def work(connection: Connection) -> None:
            connection.execute(keep)
            row = connection.execute(known).first()
            if row is None or row.decision:
                return
            values = {
                "label": label,
                "candidates": json.dumps([asdict(one) for one in candidates], ensure_ascii=False),
                "facts": json.dumps(_grown(json.loads(row.facts or "{}"), facts or {}), ensure_ascii=False),
                "run_id": run_id,
                "updated_at": now,
            }
            connection.execute(sa.update(t.review).where(*_is(target, kind, [key])).values(**values))

        self.db.transact(work)

    def withdraw(self, target: str, kind: ReviewKind, key: str) -> None:
        """The question has answered itself."""
        self.db.execute(sa.delete(t.review).where(*_is(target, kind, [key]), t.review.c.decision == ""))

    def decide(self, review_id: int, decision: Decision, remote_id: str = "", *, by: str, note: str = "") -> bool:
        """Write an answer down. False: decided already, or no such question."""
        return bool(
            self.db.execute(
                sa.update(t.review)
                .where(t.review.c.id == review_id, t.review.c.decision == "")
                .values(
                    decision=decision,
                    remote_id=remote_id,
                    note=note,
                    decided_by=by[:80],
                    decided_at=self.db.now,
                    updated_at=self.db.now,
                )
                .returning(t.review.c.id)
            )
        )

    def undo(self, review_id: int, *, by: str) -> bool:
        """Take an answer back: the question is open again. False: there was none."""
        return bool(
            self.db.execute(
                sa.update(t.review)
                .where(t.review.c.id == review_id, t.review.c.decision != "")
                .values(
                    decision="",
                    remote_id="",
                    note=sa.literal(f"taken back by {by[:80]}"),
                    decided_by="",
                    decided_at=None,
                    updated_at=self.db.now,
                )
                .returning(t.review.c.id)
            )
        )

    def get(self, review_id: int) -> Review | None:
        """One question."""
        rows = self.db.rows(sa.select(t.review).where(t.review.c.id == review_id))
        return _review(rows[0]) if rows else None

    def list(
        self, *, decided: bool | None = False, target: str = "", kind: str = "", limit: int = 10_000
    ) -> Sequence[Review]:
        """Questions, oldest first; by default the open ones. `decided` None: all."""
        query = sa.select(t.review).order_by(t.review.c.id).limit(limit)
        if decided is not None:
            query = query.where(t.review.c.decision != "" if decided else t.review.c.decision == "")
        if target:
            query = query.where(t.review.c.target == target)
        if kind:
            query = query.where(t.review.c.kind == kind)
        return [_review(row) for row in self.db.rows(query)]

    def is_open(self, target: str, kind: ReviewKind, key: str) -> bool:
        """Whether this is being asked, and not answered yet."""
        rows = self.db.rows(self._open, {"b_target": target, "b_kind": kind, "b_key": key})
        return bool(rows)

    def decided(self, target: str, kind: ReviewKind, keys: Sequence[str]) -> dict[str, Review]:
        """What was decided about any of these keys."""
        rows = self.db.rows(sa.select(t.review).where(*_is(target, kind, keys), t.review.c.decision != ""))
        return {row.key: _review(row) for row in rows}


def _grown(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The new facts; what is a list in both is all of both, each once."""
    return {
        name: list(dict.fromkeys([*old.get(name, ()), *value])) if isinstance(value, list) else value
        for name, value in {**old, **new}.items()
    }


def _is(target: str, kind: str, keys: Sequence[str]) -> tuple[sa.ColumnElement[bool], ...]:
    return t.review.c.target == target, t.review.c.kind == kind, t.review.c.key.in_(list(keys))


def _review(row: Row[Any]) -> Review:
    found = [Candidate(**{**one, "reasons": tuple(one["reasons"])}) for one in json.loads(row.candidates or "[]")]
    return Review(
        id=row.id,
        target=row.target,
        kind=row.kind,
        key=row.key,
        label=row.label,
        candidates=tuple(found),
        facts=json.loads(row.facts) if row.facts else {},
        decision=row.decision,
        remote_id=row.remote_id,
        note=row.note,
        decided_by=row.decided_by,
        decided_at=from_micros(row.decided_at) if row.decided_at is not None else None,
        run_id=row.run_id,
    )
