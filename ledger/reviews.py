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
Sort = Literal["age", "score", "lately"]
"""The oldest first, the surest, or the last decided."""


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which questions. `decided` None: all; "" for everything else: any. `text` is anywhere in what people read of them."""

    decided: bool | None = False
    target: str = ""
    kind: str = ""
    text: str = ""

    def where(self) -> list[sa.ColumnElement[bool]]:
        """As conditions."""
        review = t.review.c
        found: list[sa.ColumnElement[bool]] = []
        if self.decided is not None:
            found.append(review.decision != "" if self.decided else review.decision == "")
        if self.target:
            found.append(review.target == self.target)
        if self.kind:
            found.append(review.kind == self.kind)
        if self.text:
            found.append(_has(self.text))
        return found


def _has(text: str) -> sa.ColumnElement[bool]:
    """SQLite folds only the letters of English: others are looked for as people write them."""
    spoken = dict.fromkeys((text, text.lower(), text.upper(), text.title()))
    kept = [(t.review.c[name], word) for name in ("key", "label", "note") for word in spoken]
    # Candidates are kept as JSON: what stands in their texts has its quotes and backslashes escaped there.
    kept += [(t.review.c.candidates, json.dumps(word, ensure_ascii=False)[1:-1]) for word in spoken]
    return sa.or_(*(column.icontains(word, autoescape=True) for column, word in kept))


class Reviews:
    """Ask, decide, take back, look."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._open = db.prepare(
            sa.select(t.review).where(
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
                "candidates": json.dumps([asdict(one) for one in _best_first(candidates)], ensure_ascii=False),
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
        self,
        *,
        decided: bool | None = False,
        target: str = "",
        kind: str = "",
        limit: int | None = None,
        after: int = 0,
    ) -> Sequence[Review]:
        """Questions, oldest first; by default the open ones. `decided` None: all. `after`: only those with a greater id."""
        where = Wanted(decided, target, kind).where()
        query = sa.select(t.review).where(t.review.c.id > after, *where).order_by(t.review.c.id).limit(limit)
        return [_review(row) for row in self.db.rows(query)]

    def count(self, wanted: Wanted) -> int:
        """How many there are."""
        return int(self.db.rows(sa.select(sa.func.count().label("all")).where(*wanted.where()))[0].all)

    def kinds(self) -> dict[str, int]:
        """How many are open, by kind."""
        review = t.review.c
        query = sa.select(review.kind, sa.func.count().label("all")).where(review.decision == "").group_by(review.kind)
        return {row.kind: row.all for row in self.db.rows(query)}

    def some(self, wanted: Wanted, *, sort: Sort = "age", limit: int, skip: int = 0) -> Sequence[Review]:
        """A part of them in an order that people asked for."""
        review = t.review.c
        first = {"age": review.id, "score": self._best().desc(), "lately": review.decided_at.desc()}[sort]
        then = review.id.desc() if sort == "lately" else review.id
        query = sa.select(t.review).where(*wanted.where()).order_by(first, then).limit(limit).offset(skip)
        return [_review(row) for row in self.db.rows(query)]

    def _best(self) -> sa.ColumnElement[int]:
        """The best candidate's score, which is the first one's. A text with `"score": ` in it has its quotes escaped in JSON,
        so the first place with these letters is the score.
        """
        text = t.review.c.candidates
        if not self.db.is_sqlite:
            return sa.func.coalesce(sa.cast(sa.func.substring(text, '"score": ([0-9]{1,9})'), sa.Integer), 0)
        place = sa.func.instr(text, '"score": ')
        return sa.case((place > 0, sa.cast(sa.func.substr(text, place + 9, 9), sa.Integer)), else_=0)

    def asked(self, target: str, kind: ReviewKind, key: str) -> Review | None:
        """The open question about this."""
        rows = self.db.rows(self._open, {"b_target": target, "b_kind": kind, "b_key": key})
        return _review(rows[0]) if rows else None

    def waited_for(self, target: str, job_id: int) -> Review | None:
        """The open question about a customer that this job waits for. Nothing is read but what names the number."""
        review = t.review.c
        mine = (review.target == target, review.kind == "customer", review.decision == "")
        query = sa.select(review.id, review.facts).where(*mine, review.facts.like(f'%"jobs": [%{job_id}%'))
        for row in self.db.rows(query.order_by(review.id)):
            if job_id in json.loads(row.facts).get("jobs", ()):
                return self.get(row.id)
        return None

    def is_open(self, target: str, kind: ReviewKind, key: str) -> bool:
        """Whether this is being asked, and not answered yet."""
        return self.asked(target, kind, key) is not None

    def decided(self, target: str, kind: ReviewKind, keys: Sequence[str]) -> dict[str, Review]:
        """What was decided about any of these keys."""
        rows = self.db.rows(sa.select(t.review).where(*_is(target, kind, keys), t.review.c.decision != ""))
        return {row.key: _review(row) for row in rows}


def _best_first(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    return sorted(candidates, key=lambda one: -one.score)


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
