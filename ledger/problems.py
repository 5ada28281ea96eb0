"""What is wrong now, grouped: one problem for every cause, with whose orders and how much money it keeps waiting.

A problem is no row of its own. It is computed from the jobs that are held, that wait after an error, or whose target is out;
so it is gone by itself as soon as its jobs are.
"""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from core.clock import from_micros
from ledger import tables as t
from ledger.database import Database
from ledger.flows import REHEARSED
from ledger.search import Member, money_of

LOOKED_AT: Final = 10_000
"""Held jobs, and waiting ones, that are looked at: the last changed. More are said to be "at least so many"."""
SAMPLES: Final = 5
OUTAGE: Final = "outage"
"""The class of a problem that is a connection's, not an order's."""
_NO_PROBLEM: Final = ("", REHEARSED, "busy", "lease lost", "ledger away")
"""Classes of waiting jobs that follow by themselves within seconds, or wait on purpose."""
_ADVICE: Final = " What to do:"
_LONGEST: Final = 200
_QUOTED: Final = re.compile(
    r"'[^']{0,200}'|\"[^\"]{0,200}\"|“[^”]{0,200}”|„[^“”]{0,200}[“”]|«[^»]{0,200}»|`[^`]{0,200}`"
)
_WORD: Final = re.compile(r"\S+")
_MARK: Final = "…"


@dataclass(frozen=True, slots=True)
class Problem:
    """Jobs with one cause. `count` orders of `amounts`, at least, where `capped`."""

    id: str
    """The fingerprint: the same cause has the same one tomorrow."""
    flow: str
    """"" where a whole connection is out."""
    target: str
    error_class: str
    message: str
    """The newest sentence, as it is with its job."""
    count: int
    amounts: Mapping[str, Decimal]
    first_seen: datetime
    last_seen: datetime
    states: Mapping[str, int] = field(default_factory=dict)
    samples: Sequence[tuple[int, str]] = ()
    """(job, what people call its order) of the last few."""
    capped: bool = False
    unknown: int = 0
    """Orders whose amount is not in `amounts`: nobody could read, or has tried them yet."""


@lru_cache(maxsize=32_768)
def normalised(message: str) -> str:
    """The message without what differs from order to order (pure): quotes, numbers, ids, keys, addresses, and the advice.
    What is normalised stays as it is.
    """
    what = message.partition(_ADVICE)[0]
    plain = _QUOTED.sub(_MARK, what)
    words = [_MARK if _particular(word) else word for word in _WORD.findall(plain)]
    kept = [word for place, word in enumerate(words) if word != _MARK or place == 0 or words[place - 1] != _MARK]
    return " ".join(kept)[:_LONGEST].rstrip()


def _particular(word: str) -> bool:
    """Whether a word is one order's own: it has a digit, or is a mark, an address or a path."""
    return any(letter.isnumeric() for letter in word) or _MARK in word or "@" in word or word.count("/") > 1


@lru_cache(maxsize=32_768)
def fingerprint(flow: str, target: str, error_class: str, message: str) -> str:
    """Name of a problem: flow, target, class and what the message says of all of them."""
    text = "\x1f".join((flow, target, error_class, normalised(message)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Problems:
    """Reading only."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def open(self) -> list[Problem]:
        """Every problem, outages first, then the largest."""
        groups, capped = self._groups()
        found = [_problem(name, rows, capped) for name, rows in groups.items()]
        return sorted(found, key=lambda one: (one.error_class != OUTAGE, -one.count, one.id))

    def get(self, problem_id: str) -> tuple[Problem, list[Member]] | None:
        """One problem and its jobs, the oldest order first: they are retried in this order. None when it is gone."""
        groups, capped = self._groups()
        rows = groups.get(problem_id)
        if not rows:
            return None
        members = [Member(row.id, row.number, row.amount, row.currency) for row in sorted(rows, key=lambda row: row.id)]
        return _problem(problem_id, rows, capped), members

    def _groups(self) -> tuple[dict[str, list[Any]], bool]:
        out = self._out()
        groups: dict[str, list[Any]] = {}
        rows, capped = self._failed(out)
        for row in rows:
            if row.state == "waiting" and row.target in out:
                groups.setdefault(outage(row.target), []).append(_Out(row, out[row.target]))
            else:
                name = fingerprint(row.flow, row.target, row.error_class, row.reason)
                groups.setdefault(name, []).append(row)
        return groups, capped

    def _failed(self, out: Mapping[str, Any]) -> tuple[Sequence[Any], bool]:
        """Held jobs, and those that wait because something failed; whether there may be more."""
        job = t.job.c
        columns = (
            job.id, job.flow, job.target, job.state, job.error_class, job.reason, job.number, job.record_id,
            job.amount, job.currency, job.updated_at,
        )  # fmt: skip
        newest = {
            state: sa.select(*columns).where(job.state == state).order_by(job.updated_at.desc()).limit(LOOKED_AT)
            for state in ("held", "waiting")
        }
        held = self.db.rows(newest["held"])
        some = newest["waiting"].subquery()
        failed: sa.ColumnElement[bool] = some.c.error_class.not_in(_NO_PROBLEM)
        if out:
            failed |= some.c.target.in_(list(out)) & (some.c.error_class != REHEARSED)
        waiting = self.db.rows(sa.select(some).where(failed))
        beyond = sa.select(job.updated_at).where(job.state == "waiting").order_by(job.updated_at.desc())
        return (*held, *waiting), len(held) >= LOOKED_AT or bool(self.db.rows(beyond.offset(LOOKED_AT).limit(1)))

    def _out(self) -> dict[str, Any]:
        """Connections with an outage at present: everything that waits for them waits because of it."""
        state = t.connection_state.c
        return {row.connection: row for row in self.db.rows(sa.select(t.connection_state).where(state.faults > 0))}


def outage(connection: str) -> str:
    """The fingerprint of a connection's outage, whatever its faults say."""
    return fingerprint("", connection, OUTAGE, "")


class _Out:
    """A job that waits for a connection that is out: its problem is the outage, its reason the connection's."""

    __slots__ = ("_row", "error_class", "flow", "reason")

    def __init__(self, row: Any, state: Any) -> None:
        self._row = row
        self.flow = ""
        self.error_class = OUTAGE
        self.reason = state.blocked_reason

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


def _problem(name: str, rows: Sequence[Any], capped: bool) -> Problem:
    newest = heapq.nlargest(SAMPLES, rows, key=lambda row: (row.updated_at, row.id))
    first = newest[0]
    return Problem(
        id=name,
        flow=first.flow,
        target=first.target,
        error_class=first.error_class,
        message=first.reason,
        count=len(rows),
        amounts=money_of([Member(row.id, row.number, row.amount, row.currency) for row in rows]),
        first_seen=from_micros(min(row.updated_at for row in rows)),
        last_seen=from_micros(first.updated_at),
        states=_tally(row.state for row in rows),
        samples=tuple((row.id, row.number or row.record_id) for row in newest),
        capped=capped,
        unknown=sum(not row.amount for row in rows),
    )


def _tally(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return found
