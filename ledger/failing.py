"""The jobs that keep orders waiting, by cause, as they were at the last look.

Grouping thousands of sentences for each page would take longer the worse things are. So one look asks only for numbers and
moments of the jobs that are held or wait (an index has both), reads those that are new or have changed, and groups them anew; a
group in which nothing changed stays as it is. Each process remembers for itself; what it tells is as fresh as the look.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables as t
from ledger.database import Database
from ledger.flows import REHEARSED

LOOKED_AT: Final = 10_000
"""Held jobs, and waiting ones, that are looked at: the last changed. More are said to be "at least so many"."""
OUTAGE: Final = "outage"
"""The class of a problem that is a connection's, not an order's."""
_NO_PROBLEM: Final = frozenset({"", REHEARSED, "busy", "lease lost", "ledger away"})
"""Classes of waiting jobs that follow by themselves within seconds, or wait on purpose."""
CHUNK: Final = 500
"""Jobs read by one statement."""
_ADVICE: Final = " What to do:"
_LONGEST: Final = 200
_QUOTED: Final = re.compile(
    r"'[^']{0,200}'|\"[^\"]{0,200}\"|“[^”]{0,200}”|„[^“”]{0,200}[“”]|«[^»]{0,200}»|`[^`]{0,200}`"
)
_WORD: Final = re.compile(r"\S+")
_MARK: Final = "…"


@lru_cache(maxsize=1024)
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
    if word.isascii() and word.isalpha():  # nearly every word
        return False
    return any(letter.isnumeric() for letter in word) or _MARK in word or "@" in word or word.count("/") > 1


def fingerprint(flow: str, target: str, error_class: str, message: str) -> str:
    """Name of a problem: flow, target, class and what the message says of all of them."""
    text = "\x1f".join((flow, target, error_class, normalised(message)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def outage(connection: str) -> str:
    """The fingerprint of a connection's outage, whatever its faults say."""
    return fingerprint("", connection, OUTAGE, "")


@dataclass(slots=True)
class _Job:
    """A row, and the problem it belongs to where its target is not out ("": none)."""

    row: Any
    cause: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found. `groups`: job -> row by problem; `versions`: a number that is another one after a group has changed;
    `out`: connections with an outage; `capped`: there are more jobs than were looked at.
    """

    groups: Mapping[str, Mapping[int, Any]]
    versions: Mapping[str, int]
    out: Mapping[str, Any]
    capped: bool


@dataclass(slots=True)
class _Known:
    jobs: dict[int, _Job] = field(default_factory=dict)
    moments: dict[int, int] = field(default_factory=dict)
    groups: dict[str, dict[int, Any]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    placed: dict[int, str] = field(default_factory=dict)
    out: frozenset[str] = frozenset()
    changes: int = 0


def _listed(state: str) -> sa.Select[Any]:
    """Numbers and moments in one text, the last changed first. SQLite's driver lets another thread go first at every row, which
    takes longer than all the rest.
    """
    job = t.job.c
    # The state is written out: a plan for any state (PostgreSQL) could not know how few these are.
    some = sa.select(job.id, job.updated_at).where(job.state == sa.literal_column(f"'{state}'"))
    if state == "waiting":  # thousands may wait for going live, and would push out those that somebody waits for
        some = some.where(job.error_class != sa.literal_column(f"'{REHEARSED}'"))
    last = some.order_by(job.updated_at.desc()).limit(LOOKED_AT + 1).subquery()
    one = sa.cast(last.c.id, sa.String) + " " + sa.cast(last.c.updated_at, sa.String)
    return sa.select(sa.func.aggregate_strings(one, " ").label("all"))


def _pairs(text: str | None) -> list[tuple[int, int]]:
    numbers = list(map(int, (text or "").split()))
    return list(zip(numbers[::2], numbers[1::2], strict=True))


class Failing:
    """One for all who ask the same database in this process (`Database.shared`). Reading only; safe to share between threads."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._lock = threading.Lock()
        self._known = _Known()
        self._looked: tuple[float, Look] | None = None
        self._listed = [db.prepare(_listed(state)) for state in ("held", "waiting")]
        job = t.job.c
        self._columns = (
            job.id, job.flow, job.target, job.state, job.error_class, job.reason, job.number, job.record_id,
            job.amount, job.currency, job.updated_at,
        )  # fmt: skip

    @contextmanager
    def present(self) -> Iterator[Look]:
        """How it is now; nobody changes it within. Whoever waited for a look that began after they asked takes what it found."""
        asked = time.monotonic()
        with self._lock:
            if self._looked is None or self._looked[0] < asked:
                began = time.monotonic()
                self._looked = (began, self._look())
            yield self._looked[1]

    def _look(self) -> Look:
        state = t.connection_state.c
        out = {row.connection: row for row in self.db.rows(sa.select(t.connection_state).where(state.faults > 0))}
        listed = [_pairs(self.db.rows(statement)[0].all) for statement in self._listed]
        moments = {id: at for pairs in listed for id, at in pairs[:LOOKED_AT]}
        known = self._known
        changed = [id for id, _ in moments.items() - known.moments.items()]
        gone = known.moments.keys() - moments.keys()
        fresh = self._read(changed)  # all that may fail is over: nothing is left halfway
        self._forget(gone.union(changed))
        for job in fresh:
            known.jobs[job.row.id] = job
            known.moments[job.row.id] = job.row.updated_at
            self._place(job)
        if known.out != out.keys():
            self._place_all(frozenset(out))
        return Look(known.groups, known.versions, out, capped=any(len(pairs) > LOOKED_AT for pairs in listed))

    def _read(self, ids: Sequence[int]) -> list[_Job]:
        """These jobs, but for those that have gone on meanwhile."""
        found = []
        for start in range(0, len(ids), CHUNK):
            query = sa.select(*self._columns).where(t.job.c.id.in_(ids[start : start + CHUNK]))
            for row in self.db.rows(query):
                if row.state == "held" or (row.state == "waiting" and row.error_class not in _NO_PROBLEM):
                    found.append(_Job(row, fingerprint(row.flow, row.target, row.error_class, row.reason)))
                elif row.state == "waiting":
                    found.append(_Job(row, ""))
        return found

    def _forget(self, ids: Iterable[int]) -> None:
        known = self._known
        for id in ids:
            known.jobs.pop(id, None)
            known.moments.pop(id, None)
            group = known.placed.pop(id, "")
            if group:
                del known.groups[group][id]
                self._changed(group)

    def _changed(self, group: str) -> None:
        known = self._known
        known.changes += 1
        known.versions[group] = known.changes
        if not known.groups[group]:
            del known.groups[group], known.versions[group]

    def _place(self, job: _Job) -> None:
        row, known = job.row, self._known
        waits = row.state == "waiting" and row.target in known.out and row.error_class != REHEARSED
        group = outage(row.target) if waits else job.cause
        if group:
            known.groups.setdefault(group, {})[row.id] = row
            known.placed[row.id] = group
            self._changed(group)

    def _place_all(self, out: frozenset[str]) -> None:
        """An outage began or ended: what waits belongs elsewhere."""
        known = self._known
        known.out, known.groups, known.versions, known.placed = out, {}, {}, {}
        for job in known.jobs.values():
            self._place(job)
