"""What people change in vtiger, found by its times: one call where nothing changed, and nothing lost where much did.

vtiger stamps a record before it commits it, in whole seconds: a row may appear behind one that was read already. So each
question goes back by the connection's `overlap`, until nothing has changed for that long; from then on it asks only for
what is later than the last row, and for that row itself: an answer without it is no answer (vtiger calls failures success).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, Self

from connectors.roles import ChangeKind, CrmPage, CrmRow, Ref
from connectors.vtiger import query as q
from connectors.vtiger.canary import Canary
from connectors.vtiger.client import Client, Record
from connectors.vtiger.describe import Modules
from connectors.vtiger.listing import Listing
from connectors.vtiger.settings import Module, VtigerSettings
from core.clock import Clock, parse_utc
from core.errors import RetryLater

MODULE: Final[dict[ChangeKind, Module]] = {"order": "SalesOrder", "invoice": "Invoice"}
NUMBER: Final[dict[ChangeKind, str]] = {"order": "salesorder_no", "invoice": "invoice_no"}
STATUS: Final[dict[ChangeKind, str]] = {"order": "sostatus", "invoice": "invoicestatus"}
ALSO: Final[dict[ChangeKind, tuple[str, ...]]] = {
    "order": ("modifiedby",),
    "invoice": ("modifiedby", "salesorder_id", "received", "balance", "invoicedate", "duedate"),
}
"""Asked for where the API user may see it. Of the header only: a column of a line would join the lines."""
BY: Final = "modifiedtime"
IDS: Final = 100
"""Ids in one question: as many as it gives rows."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a module was read. `at`: the last row's time, "" for a module without any; `id`: that row, "" where it is gone;
    `since`: the second (by our clock) in which that was reached, None once nothing can appear at or before it any more.
    """

    at: str
    id: str
    since: int | None

    @property
    def text(self) -> str:
        """As it is kept."""
        return f"{self.at}|{self.id}|{'' if self.since is None else self.since}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """As it was kept; None for anything else, which begins anew."""
        at, _, rest = text.partition("|")
        id, _, since = rest.partition("|")
        if (at and not _is_time(at)) or (id and not q.is_record_id(id)) or not (since.isdecimal() or not since):
            return None
        return cls(at, id, int(since) if since else None)


class Watch:
    """The changes of one module."""

    def __init__(
        self, client: Client, canary: Canary, columns: Sequence[str], module: str, *, clock: Clock, overlap: float
    ) -> None:
        self._client = client
        self._canary = canary
        self._columns = tuple(dict.fromkeys(("id", *columns, BY)))
        self._module = module
        self._clock = clock
        self._overlap = overlap

    def newest(self) -> Position:
        """Where it stands now."""
        rows = self._client.query(q.select(("id", BY), self._module, "", f"{BY} DESC, id DESC", "0,1"))
        if not rows:
            self._canary.witness(self._module)
            return Position("", "", self._now())
        return self._reached(rows)

    def since(self, cursor: str | None) -> Iterator[tuple[list[Record], str]]:
        """Rows and how far each page reaches. Nothing at all: as before."""
        position = Position.parse(cursor) if cursor is not None else None
        if position is None:
            yield [], self.newest().text
        elif position.since is None and position.id:
            yield from self._later(position)
        else:
            yield from self._again(position)

    def _later(self, position: Position) -> Iterator[tuple[list[Record], str]]:
        where = f"{BY} > {q.moment(position.at)} OR id={q.record_id(position.id)}"
        rows = self._client.query(q.select(self._columns, self._module, where, f"{BY}, id", f"0,{q.PAGE}"))
        there = any(row.get("id") == position.id for row in rows)
        if not there and len(rows) < q.PAGE:
            # Deleted by somebody, or the answer is a lie: the module must answer, and is asked without it.
            self._canary.witness(self._module)
            yield from self._again(replace(position, id=""))
            return
        fresh = [row for row in rows if str(row.get(BY)) > position.at]
        if not fresh:
            return
        yield fresh, self._reached(fresh).text
        if len(rows) >= q.PAGE:
            yield from self._again(self._reached(fresh))

    def _again(self, position: Position) -> Iterator[tuple[list[Record], str]]:
        """From the overlap on. Settled once a whole round that began so long after the last row has found nothing later."""
        began = self._now()
        last = position
        listing = Listing(self._client, self._canary, self._columns, self._module, BY)
        empty = True
        for rows, _ in listing.walk(self._back(position.at)):
            empty = False
            reached = self._reached(rows)
            if reached.at > last.at or not last.id:
                last = reached if reached.at > last.at else replace(last, id=reached.id)
            yield rows, last.text
        if empty and position.at:
            self._canary.witness(self._module)
            last = replace(last, id=self.newest().id)
        if last.at == position.at and last.since is not None and began - last.since > self._overlap:
            last = replace(last, since=None)
        if last != position:
            yield [], last.text

    def _reached(self, rows: Sequence[Record]) -> Position:
        last = max(rows, key=lambda row: (str(row.get(BY)), q.crmid(str(row.get("id")))))
        if not _is_time(str(last.get(BY))) or not q.is_record_id(str(last.get("id"))):
            raise RetryLater(
                f"{self._client.settings.name} lists its records without times. "
                "What to do: report this with vtiger's version.",
                seconds=300,
                connection=self._client.settings.name,
                cause="remote 5xx",
                detail=f"changes of {self._module}",
            )
        return Position(str(last[BY]), str(last["id"]), self._now())

    def _back(self, at: str) -> str:
        return f"{parse_utc(at) - timedelta(seconds=self._overlap):%Y-%m-%d %H:%M:%S}" if at else ""

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


class Changes:
    """Orders and invoices that people change."""

    def __init__(
        self,
        settings: VtigerSettings,
        client: Client,
        modules: Modules,
        canary: Canary,
        clock: Clock,
        ref: Callable[[str, Record, str], Ref],
    ) -> None:
        self._settings = settings
        self._client = client
        self._modules = modules
        self._canary = canary
        self._clock = clock
        self._ref = ref

    def since(self, kind: ChangeKind, cursor: str | None) -> Iterator[CrmPage]:
        watch = self.watch(MODULE[kind], self._columns(kind))
        for rows, reached in watch.since(cursor):
            yield CrmPage([self._row(kind, row) for row in rows], reached)

    def watch(self, module: str, columns: Sequence[str]) -> Watch:
        """The changes of any module."""
        return Watch(self._client, self._canary, columns, module, clock=self._clock, overlap=self._settings.overlap)

    def rows(self, kind: ChangeKind, ids: Sequence[str]) -> Mapping[str, CrmRow]:
        found: dict[str, CrmRow] = {}
        for row in self.records(MODULE[kind], self._columns(kind), ids):
            found[str(row.get("id"))] = self._row(kind, row)
        return found

    def records(self, module: str, columns: Sequence[str], ids: Sequence[str]) -> Iterator[Record]:
        """The rows of these ids; one that is missing is gone, and that is believed only of a module that answers."""
        wanted = [id for id in dict.fromkeys(ids) if q.is_record_id(id)]
        for start in range(0, len(wanted), IDS):
            portion = wanted[start : start + IDS]
            listed = ",".join(q.record_id(id) for id in portion)
            rows = self._client.query(q.select(columns, module, f"id IN ({listed})", "id", f"0,{q.PAGE}"))
            if not rows:
                self._canary.witness(module)
            yield from (row for row in rows if row.get("id") in portion)

    def _columns(self, kind: ChangeKind) -> tuple[str, ...]:
        module = MODULE[kind]
        extra = self._modules.present(module, (self._settings.external_field(module), *ALSO[kind]))
        return ("id", NUMBER[kind], STATUS[kind], "hdnGrandTotal", "currency_id", BY, *extra)

    def _row(self, kind: ChangeKind, row: Record) -> CrmRow:
        by, us = _text(row, "modifiedby"), _text(self._client.login(), "userId")
        return CrmRow(
            ref=self._ref(MODULE[kind], row, NUMBER[kind]),
            external_id=_text(row, self._settings.external_field(MODULE[kind])),
            status=_text(row, STATUS[kind]),
            modified=parse_utc(_text(row, BY)),
            by_us=by == us if by and us else None,
            currency=self._settings.currency_of(_text(row, "currency_id")),
            total=money(row.get("hdnGrandTotal")),
            received=money(row.get("received")),
            balance=money(row.get("balance")),
            order_id=_text(row, "salesorder_id"),
            issued=_day(_text(row, "invoicedate")),
            due=_day(_text(row, "duedate")),
        )


def money(value: object) -> Decimal | None:
    """An amount or quantity as vtiger lists it; None where there is none."""
    try:
        number = Decimal(str(value if value is not None else "").strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _is_time(text: str) -> bool:
    try:
        q.moment(text)
    except ValueError:
        return False
    return True


def _text(row: Record, name: str) -> str:
    return str(row.get(name) or "")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


__all__ = ["Changes", "Position", "Watch", "money"]
