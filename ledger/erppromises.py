"""Days that an ERP promised: kept by what it calls the order, so that they are known before the order comes as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.keys import Key
from ledger import erppromisetables as t
from ledger.database import Database

LONGEST: Final = 120
"""Characters of a name that are compared."""


@dataclass(frozen=True, slots=True)
class ErpPromise:
    """What one sale of an ERP promises. `names`: what it may call the order by; `own`: these are the ERP's own numbers, which
    count only where the sums are the same.
    """

    promised_on: date
    names: tuple[str, ...]
    own: bool = False
    currency: str = ""
    total: Decimal | None = None

    def fits(self, currency: str, total: Decimal) -> bool:
        """Whether it can be for an order of this sum."""
        return not self.own or (self.total == total and self.currency in {"", currency})


class ErpPromises:
    """A row for each name of a sale, in each flow."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def keep(self, flow: str, sale: Key, new: ErpPromise | None) -> tuple[str, ...]:
        """Keep what the sale promises now; None: nothing. The names that it had before."""

        def work(connection: Connection) -> tuple[str, ...]:
            mine = _of(flow, sale)
            before = connection.execute(self.db.lock_rows(sa.select(t.erp_promise).where(mine))).all()
            names = dict.fromkeys(name[:LONGEST] for name in new.names) if new is not None else ()
            wanted = [_row(flow, sale, new, name) for name in names] if new is not None else []
            if {_facts(row) for row in before} != {_told(row) for row in wanted}:
                connection.execute(sa.delete(t.erp_promise).where(mine))
                now = self.db.micros()
                if wanted:
                    connection.execute(sa.insert(t.erp_promise), [{**row, "updated_at": now} for row in wanted])
            return tuple(row.name for row in before)

        return self.db.transact(work)

    def day(self, flow: str, system: str, names: Sequence[str], currency: str, total: Decimal) -> date | None:
        """The day by which the order of these names was promised; the last one, where it is several sales over there. A sale
        that names it as the store does is not overruled by a number.
        """
        row = t.erp_promise.c
        called = (row.flow == flow) & (row.system == system) & row.name.in_([name[:LONGEST] for name in names])
        found = [_promise(one) for one in self.db.rows(sa.select(t.erp_promise).where(called))]
        named = [one for one in found if not one.own]
        return max((one.promised_on for one in named or found if one.fits(currency, total)), default=None)

    def forget(self, system: str, before: date) -> None:
        """What was promised for an earlier day."""
        row = t.erp_promise.c
        self.db.execute(sa.delete(t.erp_promise).where(row.system == system, row.promised_on < before.isoformat()))


def _of(flow: str, sale: Key) -> sa.ColumnElement[bool]:
    row = t.erp_promise.c
    return (row.flow == flow) & (row.system == sale.connection) & (row.remote_id == sale.id)


def _facts(row: Row[Any]) -> tuple[object, ...]:
    return row.name, bool(row.own), row.promised_on, row.currency, row.total


def _told(row: dict[str, Any]) -> tuple[object, ...]:
    return row["name"], row["own"], row["promised_on"], row["currency"], row["total"]


def _row(flow: str, sale: Key, new: ErpPromise, name: str) -> dict[str, Any]:
    return {
        "flow": flow,
        "system": sale.connection,
        "remote_id": sale.id,
        "name": name,
        "own": new.own,
        "promised_on": new.promised_on.isoformat(),
        "currency": new.currency,
        "total": str(new.total) if new.total is not None else "",
    }


def _promise(row: Row[Any]) -> ErpPromise:
    return ErpPromise(
        promised_on=date.fromisoformat(row.promised_on),
        names=(row.name,),
        own=bool(row.own),
        currency=row.currency,
        total=Decimal(row.total) if row.total else None,
    )


__all__ = ["LONGEST", "ErpPromise", "ErpPromises"]
