"""Which records lost a row that belongs to them.

A deleted row leaves no trace in Tryton, nor does one that was given to another record: the record it left looks as before. So
rows are counted, in parts by the id of the record they belong to; where a count changed, the records of that part are read
again. That asks two small questions a poll while nothing happens.

What it cannot see: rows of two parts that trade places within one poll. The comparison with everything there finds them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from connectors.tryton.client import IDS_PER_PAGE, Client, Domain, Row
from connectors.tryton.cursor import Census, Range
from core.clock import to_micros

PARTS: Final = 32
MANY: Final = 5_000
"""Up to so many rows are read to be counted: it takes fewer requests."""
LAST_ID: Final = [["id", "DESC"]]


def wire_time(moment: datetime) -> dict[str, Any]:
    """As Tryton wants it."""
    second = to_micros(moment) // 1_000_000 * 1_000_000
    return {
        "__class__": "datetime",
        "year": moment.year,
        "month": moment.month,
        "day": moment.day,
        "hour": moment.hour,
        "minute": moment.minute,
        "second": moment.second,
        "microsecond": to_micros(moment) - second,
    }


def written_since(path: str, since: datetime) -> list[Domain]:
    """Clauses, of which one has to hold: a row at this path was created or written at or after this time."""
    prefix = f"{path}." if path else ""
    return [[f"{prefix}{stamp}", ">=", wire_time(since)] for stamp in ("write_date", "create_date")]


class Counter:
    """Counts the rows of one table."""

    def __init__(self, client: Client, model: str, field: str, owner: str) -> None:
        self._client, self._model, self._owner, self._owners = client, model, field, owner

    def look(self, old: Census | None, since: datetime | None) -> tuple[Census, list[Range]]:
        """How it is now, and the ids of records of which one may have lost a row since."""
        if old is None or since is None:
            return self._take(), []
        known: Domain = [["id", "<=", old.top], [self._owner, "!=", None]]
        moved: Domain = [*known, ["OR", *written_since("", since)]]
        total = self._client.count(self._model, known)
        if total == sum(old.counts) and not self._client.count(self._model, moved):
            return self._with_new(old), []
        now = self._tally(Census(old.top, old.width, (0,) * len(old.counts)), total)
        pairs = enumerate(zip(old.counts, now.counts, strict=True))
        return self._with_new(now), [old.range(part) for part, (before, after) in pairs if before != after]

    def _take(self) -> Census:
        """Everything counted from the beginning, in parts of equal width up to twice the last record; what comes later falls into
        the last part, until all is counted anew.
        """
        width = max(1, -(-2 * self._last(self._owners) // PARTS))
        bare = Census(self._last(self._model), width, (0,) * PARTS)
        return self._tally(bare, self._client.count(self._model, [["id", "<=", bare.top]]))

    def _tally(self, bare: Census, total: int) -> Census:
        """Count the rows up to `top`: read where they are few, else asked for part by part."""
        if total <= MANY:
            pages = self._client.listing(self._model, [["id", "<=", bare.top]], [self._owner])
            return bare.counting(bare.top, (owner for page in pages for owner in self._owners_of(page)))
        counts = (self._count(bare.top, *bare.range(part)) for part in range(len(bare.counts)))
        return Census(bare.top, bare.width, tuple(counts))

    def _count(self, top: int, first: int, end: int | None) -> int:
        owner = f"{self._owner}.id"
        domain: Domain = [["id", "<=", top], [owner, ">=", first]]
        return self._client.count(self._model, domain if end is None else [*domain, [owner, "<", end]])

    def _with_new(self, counted: Census) -> Census:
        """Rows that came since are added; very many are counted anew."""
        for number, rows in enumerate(self._client.listing(self._model, [], [self._owner], after=counted.top)):
            if number * IDS_PER_PAGE >= MANY:
                return self._take()
            if rows:
                counted = counted.counting(int(rows[-1]["id"]), self._owners_of(rows))
        return counted

    def _owners_of(self, rows: list[Row]) -> list[int]:
        return [row[self._owner] for row in rows if isinstance(row.get(self._owner), int)]

    def _last(self, model: str) -> int:
        rows = self._client.search_read(model, [], ["id"], limit=1, order=LAST_ID)
        return int(rows[0]["id"]) if rows else 0
