"""Which records lost a row that belongs to them.

A deleted row leaves no trace in many systems, nor does one that was given to another record: the record it left looks as before.
So rows are counted, in parts by the id of the record they belong to; where a count changed, the records of that part are read
again. That asks two small questions a poll while nothing happens. A row given to a neighbour leaves the count of their part as it
was: where rows are few, a mark of each part tells (which row belongs to whom); where they are many, the parts in which rows were
written are read again too.

What it cannot see: among many rows, some of two parts that trade places within one poll.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

Row = dict[str, Any]
Domain = list[Any]
"""Clauses that all have to hold, in the words of the system that is asked."""
Range = tuple[int, int | None]
"""Ids from (included) to (excluded; None: no end)."""

PARTS: Final = 32
IDS_PER_PAGE: Final = 1_000
MANY: Final = 5_000
"""Up to so many rows are read to be counted: it takes fewer requests."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """Rows that belong to records, and may vanish or move without any trace there."""

    model: str
    field: str
    """Says to which record a row belongs."""
    owners: str
    """The model of those records."""
    path: str = ""
    """The field of the source through which the rows are seen; where the modules there bring none, there are no rows."""


@dataclass(frozen=True, slots=True)
class Census:
    """How many rows a table had, by where the id of the record they belong to lies: in parts of `width` ids from 1 on, the last
    without an end. Rows with an id above `top` were not counted.
    """

    top: int
    width: int
    counts: tuple[int, ...]
    marks: tuple[int, ...] = ()
    """One for each part, made of its rows and whom they belong to; empty: they were too many to be read."""

    def part(self, owner: int) -> int:
        """In which part a record lies."""
        return max(0, min((owner - 1) // self.width, len(self.counts) - 1))

    def range(self, part: int) -> Range:
        """The ids of this part."""
        first = 1 + self.width * part
        return first, None if part == len(self.counts) - 1 else first + self.width

    def counting(self, top: int, rows: Iterable[tuple[int, int]]) -> Census:
        """The same with further rows: (id, whom it belongs to)."""
        counts, marks = list(self.counts), list(self.marks)
        for id, owner in rows:
            part = self.part(owner)
            counts[part] += 1
            if marks:
                marks[part] ^= _mark(id, owner)
        return Census(top, self.width, tuple(counts), tuple(marks))

    def other_parts(self, now: Census) -> set[int]:
        """Parts that are not as they were."""
        then = [self.counts, self.marks] if self.marks and now.marks else [self.counts]
        later = [now.counts, now.marks]
        return {
            part
            for before, after in zip(then, later, strict=False)
            for part, (one, other) in enumerate(zip(before, after, strict=True))
            if one != other
        }


def _mark(id: int, owner: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{id}:{owner}".encode(), digest_size=8).digest(), "big")


class Counted(Protocol):
    """What a census asks of a system."""

    nothing: Any
    """How an empty field stands in a clause."""

    def count(self, model: str, domain: Domain) -> int:
        """How many rows there are."""
        ...

    def last_id(self, model: str) -> int:
        """The largest id of a row; 0 where there is none."""
        ...

    def listing(
        self, model: str, domain: Domain, fields: Sequence[str], *, after: int = 0, per_page: int = IDS_PER_PAGE
    ) -> Iterator[list[Row]]:
        """All rows, by id."""
        ...

    def reference(self, value: object) -> int | None:
        """The id of the record that a field refers to."""
        ...

    def written_since(self, path: str, since: datetime) -> list[Domain]:
        """Clauses, of which one has to hold: a row at this path was created or written at or after this time."""
        ...

    def either(self, domains: Sequence[Domain]) -> Domain:
        """A domain that holds where one of these does."""
        ...


class Counter:
    """Counts the rows of one table."""

    def __init__(self, tables: Counted, rows: Belonging) -> None:
        self._tables, self._model, self._owner, self._owners = tables, rows.model, rows.field, rows.owners

    def look(self, old: Census | None, since: datetime | None) -> tuple[Census, list[Range]]:
        """How it is now, and the ids of records of which one may have lost a row since."""
        if old is None or since is None:
            return self._take(), []
        tables = self._tables
        known: Domain = [["id", "<=", old.top], [self._owner, "!=", tables.nothing]]
        moved: Domain = [*known, *tables.either(tables.written_since("", since))]
        total = tables.count(self._model, known)
        if total == sum(old.counts) and not tables.count(self._model, moved):
            return self._with_new(old), []
        now = self._tally(Census(old.top, old.width, (0,) * len(old.counts)), total)
        parts = old.other_parts(now)
        if not (old.marks and now.marks):
            pages = tables.listing(self._model, moved, [self._owner])
            parts |= {old.part(owner) for page in pages for _, owner in self._rows_of(page)}
        return self._with_new(now), [old.range(part) for part in sorted(parts)]

    def _take(self) -> Census:
        """Everything counted from the beginning, in parts of equal width up to twice the last record; what comes later falls into
        the last part, until all is counted anew.
        """
        width = max(1, -(-2 * self._tables.last_id(self._owners) // PARTS))
        bare = Census(self._tables.last_id(self._model), width, (0,) * PARTS)
        return self._tally(bare, self._tables.count(self._model, [["id", "<=", bare.top]]))

    def _tally(self, bare: Census, total: int) -> Census:
        """Count the rows up to `top`: read where they are few, else asked for part by part."""
        if total <= MANY:
            pages = self._tables.listing(self._model, [["id", "<=", bare.top]], [self._owner])
            marked = Census(bare.top, bare.width, bare.counts, (0,) * len(bare.counts))
            return marked.counting(bare.top, (row for page in pages for row in self._rows_of(page)))
        counts = (self._count(bare.top, *bare.range(part)) for part in range(len(bare.counts)))
        return Census(bare.top, bare.width, tuple(counts))

    def _count(self, top: int, first: int, end: int | None) -> int:
        owner = f"{self._owner}.id"
        domain: Domain = [["id", "<=", top], [owner, ">=", first]]
        return self._tables.count(self._model, domain if end is None else [*domain, [owner, "<", end]])

    def _with_new(self, counted: Census) -> Census:
        """Rows that came since are added; very many are counted anew."""
        for number, rows in enumerate(self._tables.listing(self._model, [], [self._owner], after=counted.top)):
            if number * IDS_PER_PAGE >= MANY:
                return self._take()
            if rows:
                counted = counted.counting(int(rows[-1]["id"]), self._rows_of(rows))
        return counted

    def _rows_of(self, rows: list[Row]) -> list[tuple[int, int]]:
        found = ((int(row["id"]), self._tables.reference(row.get(self._owner))) for row in rows)
        return [(id, owner) for id, owner in found if owner is not None]
