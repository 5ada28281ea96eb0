"""What is wrong now, grouped: one problem for every cause, with whose orders and how much money it keeps waiting.

A problem is no row of its own. It is computed from the jobs that are held, that wait after an error, or whose target is out;
so it is gone by itself as soon as its jobs are.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from core.clock import from_micros
from ledger.database import Database
from ledger.failing import LOOKED_AT, OUTAGE, Failing, Look, fingerprint, normalised, outage
from ledger.search import Member, money_of

__all__ = ["LOOKED_AT", "OUTAGE", "Problem", "Problems", "fingerprint", "normalised", "outage"]

SAMPLES: Final = 5


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


class _Sums:
    """Problems as they were added up last: a group in which nothing changed is not added up again."""

    def __init__(self, db: Database) -> None:
        self.failing = db.shared(Failing)
        self._known: dict[str, tuple[int, Problem]] = {}

    def all(self, look: Look) -> list[Problem]:
        """Every problem, while the look is held."""
        for gone in self._known.keys() - look.groups.keys():
            del self._known[gone]
        return [self.one(look, name) for name in look.groups]

    def one(self, look: Look, name: str) -> Problem:
        """The problem of one group."""
        version, found = self._known.get(name, (0, None))
        if found is None or version != look.versions[name]:
            found = _problem(name, list(look.groups[name].values()))
            self._known[name] = (look.versions[name], found)
        return _as_outage(replace(found, capped=look.capped), look)


class Problems:
    """Reading only. However many there are of these, they share what they know (`Database.shared`)."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._sums = db.shared(_Sums)

    def open(self) -> list[Problem]:
        """Every problem, outages first, then the largest."""
        with self._sums.failing.present() as look:
            found = self._sums.all(look)
        return sorted(found, key=lambda one: (one.error_class != OUTAGE, -one.count, one.id))

    def get(self, problem_id: str) -> tuple[Problem, list[Member]] | None:
        """One problem and its jobs, the oldest order first: they are retried in this order. None when it is gone."""
        with self._sums.failing.present() as look:
            if problem_id not in look.groups:
                return None
            problem, rows = self._sums.one(look, problem_id), list(look.groups[problem_id].values())
        return problem, _members(rows)

    def members(self, problem_ids: Iterable[str]) -> dict[str, list[Member]]:
        """The jobs of many problems by one look, the oldest order first; those that are gone are left out."""
        with self._sums.failing.present() as look:
            found = {name: list(look.groups[name].values()) for name in problem_ids if name in look.groups}
        return {name: _members(rows) for name, rows in found.items()}


def _members(rows: Iterable[Any]) -> list[Member]:
    return [Member(row.id, row.number, row.amount, row.currency) for row in sorted(rows, key=lambda row: row.id)]


def _as_outage(problem: Problem, look: Look) -> Problem:
    """What waits for a connection that is out waits because of it, whatever its own reason says."""
    state = look.out.get(problem.target)
    if state is None or problem.id != outage(problem.target):
        return problem
    return replace(problem, flow="", error_class=OUTAGE, message=state.blocked_reason)


def _problem(name: str, rows: Sequence[Any]) -> Problem:
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
        unknown=sum(not row.amount for row in rows),
    )


def _tally(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return found
