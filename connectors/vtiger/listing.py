"""Walking through a module by time: a listing that loses nobody, whatever moves meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.vtiger import query as q
from connectors.vtiger.canary import Canary
from connectors.vtiger.client import Client, Record
from core.errors import RetryLater


class Listing:
    """One module by one of its times (`modifiedtime`, `createdtime`).

    No offsets: a record that is modified meanwhile moves to the end, the others move up, an offset would skip one. Each
    page starts at the second where the one before ended; a second with more rows than a page is walked by id.
    """

    def __init__(self, client: Client, canary: Canary, columns: Sequence[str], module: str, by: str) -> None:
        self._client = client
        self._canary = canary
        self._columns = tuple(columns)
        self._module = module
        self._by = q.name(by)

    def walk(self, start: str) -> Iterator[tuple[list[Record], str]]:
        """Rows of `start` (as vtiger writes times; "" for all) or later, and how far each page reaches."""
        at, where = start, f"{self._by} >= {q.moment(start)}" if start else ""
        while True:
            rows = self._page(where, f"{self._by}, id")
            if not rows and not where:
                self._canary.witness(self._module)  # believed, an empty index would double every customer
            if not rows:
                return
            first, last = (self._time(row) for row in (rows[0], rows[-1]))
            if not at <= first <= last:
                raise self._unordered()
            yield rows, last
            if len(rows) < q.PAGE:
                return
            where = f"{self._by} >= {q.moment(last)}"
            if first == last:
                yield from self._rest_of_second(last, str(rows[-1].get("id")))
                where = f"{self._by} > {q.moment(last)}"
            at = last

    def _rest_of_second(self, second: str, id: str) -> Iterator[tuple[list[Record], str]]:
        """More than a page belongs to this very second (an import): on by id."""
        while True:
            rows = self._page(f"{self._by} = {q.moment(second)} AND id > {q.record_id(id)}", "id")
            if rows:
                yield rows, second
            if len(rows) < q.PAGE:
                return
            if q.crmid(str(rows[-1].get("id"))) <= q.crmid(id):
                raise self._unordered()
            id = str(rows[-1].get("id"))

    def _page(self, where: str, order: str) -> list[Record]:
        return self._client.query(q.select(self._columns, self._module, where, order, f"0,{q.PAGE}"))

    def _time(self, row: Record) -> str:
        time = str(row.get(self._by))
        try:
            q.moment(time)
        except ValueError:
            raise self._unordered() from None
        return time

    def _unordered(self) -> RetryLater:
        name = self._client.settings.name
        return RetryLater(
            f"{name} lists its records in no order. What to do: report this with vtiger's version.",
            seconds=300,
            connection=name,
            cause="remote 5xx",
            detail=f"listing not ordered at {self._module}",
        )


class WholeListing(Listing):
    """A listing by a time that never changes (`createdtime`), where a record that is missed would be doubled.

    Each page asks again for the last row of the one before: a page without it is no page but a failure that vtiger calls
    success, and is asked for once more when the module answers again. Each record comes once.
    """

    def each(self, start: str) -> Iterator[list[Record]]:
        """Rows of `start` (as vtiger writes times) or later, oldest first."""
        at, known, seen = start, "", frozenset[str]()
        where, order, second = f"{self._by} >= {q.moment(start)}", f"{self._by}, id", ""
        while True:
            rows = self._certain(where, order, known)
            fresh = [row for row in rows if row.get("id") not in seen]
            if fresh:
                yield fresh
            full = len(rows) >= q.PAGE
            if not full and not second:
                return
            first, last = (self._time(row) for row in (rows[0], rows[-1])) if rows else (at, at)
            if not at <= first <= last or (full and not fresh):
                raise self._unordered()
            seen = frozenset(str(row.get("id")) for row in rows)
            at, known = last, str(rows[-1].get("id")) if rows else known
            if second and not full:  # the rest of that second is told: on with the next
                where, order, second = (
                    f"{self._by} > {q.moment(last)} OR id={q.record_id(known)}",
                    f"{self._by}, id",
                    "",
                )
            elif first == last:  # more than a page belongs to this very second (an import): on by id
                where, order, second = f"{self._by} = {q.moment(last)} AND id >= {q.record_id(known)}", "id", last
            else:
                where = f"{self._by} >= {q.moment(last)}"

    def _certain(self, where: str, order: str, known: str) -> list[Record]:
        """A page that holds the record that must be in it; only a record that was deleted meanwhile may be missing."""
        rows = self._page(where, order)
        if any(row.get("id") == known for row in rows) if known else rows:
            self._canary.lives(self._module, str(rows[0].get("id")))
            return rows
        self._canary.witness(self._module)
        return self._page(where, order)
