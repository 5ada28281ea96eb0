"""Lists of orders as people work through them: what is to be done, what has not left, what is unpaid; the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Row
from sqlalchemy.sql import ColumnElement

from core.clock import from_micros
from ledger import invoicetables as i
from ledger import ordertables as o
from ledger import watchtables as w
from ledger.database import Database

View = Literal["current", "to_ship", "under_way", "unpaid", "delivered", "called_off", "all"]
"""current: neither delivered nor called off. to_ship: of these, not left yet. under_way: left. unpaid: not called off, no
money yet.
"""
VIEWS: Final[tuple[View, ...]] = get_args(View)
CALLED_OFF: Final = ("cancelled", "deleted", "draft", "failed", "refunded")
"""Statuses in which no goods will leave (pipelines.life.CALLED_OFF)."""
MOST: Final = 10_000
"""Open orders that are counted, the newest, and whose owners and words are offered as filters."""
PAGE: Final = 50

_OPEN: Final = sa.text("order_state.open")
"""Written out: a partial index has these rows."""
_UNPAID: Final = sa.text("order_state.payment = 'unpaid'")
"""Likewise: where most is paid at once, they are few among all that ever was."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; "" and False: whichever."""

    view: View = "current"
    flow: str = ""
    owner: str = ""
    word: str = ""
    """The CRM's own word for where the order stands."""
    rush: bool = False


@dataclass(frozen=True, slots=True)
class Bill:
    """An invoice or a credit note, as a list shows it."""

    number: str
    state: str
    credit: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """One order of one flow. Nothing in it is personal."""

    flow: str
    order_key: str
    number: str
    target: str
    remote_id: str
    owner: str
    status: str
    payment: str
    crm_status: str
    method: str
    rush: bool
    open: bool
    total: Decimal
    """What is left after refunds."""
    currency: str
    placed_at: datetime
    shipped_at: datetime | None
    delivered_at: datetime | None
    promised_on: str
    """A day, YYYY-MM-DD; "": none is promised."""
    level: str
    """Of the promise: on_time, at_risk, late, kept, off; "": none is watched."""
    bills: tuple[Bill, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A page of orders. `after`: where the next one begins; "": this is the last."""

    orders: list[Listed] = field(default_factory=list)
    after: str = ""


@dataclass(frozen=True, slots=True)
class Offered:
    """What the current orders can be narrowed by, and how many there are in each view that only has current ones."""

    owners: tuple[str, ...]
    words: tuple[str, ...]
    counts: dict[str, int]


_SHOWN: Final = (
    *(
        "flow",
        "order_key",
        "number",
        "target",
        "remote_id",
        "owner",
        "status",
        "payment",
        "crm_status",
        "method",
        "rush",
    ),
    *("open", "total", "currency", "placed_at", "shipped_at", "delivered_at", "promised_on"),
)


class OrderLists:
    """Reads alone."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def part(self, wanted: Wanted, *, after: str = "", limit: int = PAGE) -> Part:
        """Orders of a view, the newest first. `after`: of the part before; what cannot be read is the beginning."""
        query = query_of(wanted, after, limit + 1)
        rows = self.db.rows(query)
        bills = self._bills(rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        return Part(
            [_listed(row, bills.get((row.flow, row.order_key), ())) for row in rows[:limit]],
            f"{last.placed_at}/{last.flow}/{last.order_key}" if last is not None else "",
        )

    def offered(self) -> Offered:
        """From the newest MOST current orders."""
        order = o.order_state.c
        newest = (
            sa.select(order.owner, order.crm_status, order.shipped_at.is_not(None).label("left"))
            .where(_OPEN)
            .order_by(order.placed_at.desc(), order.flow.desc(), order.order_key.desc())
            .limit(MOST + 1)
            .subquery()
        )
        grouped = sa.select(newest, sa.func.count().label("number")).group_by(*newest.c)
        rows = self.db.rows(grouped)
        counts = {"current": 0, "to_ship": 0, "under_way": 0}
        for row in rows:
            counts["current"] += row.number
            counts["under_way" if row.left else "to_ship"] += row.number
        return Offered(
            tuple(sorted({row.owner for row in rows if row.owner})),
            tuple(sorted({row.crm_status for row in rows if row.crm_status})),
            counts,
        )

    def _bills(self, rows: Sequence[Row[Any]]) -> dict[tuple[str, str], tuple[Bill, ...]]:
        """The bills of these orders that are not gone."""
        if not rows:
            return {}
        bill = i.invoice_state.c
        # Flows and orders by themselves: of pairs SQLite makes a look at every invoice that there is.
        shown = {(row.flow, row.order_key) for row in rows}
        query = (
            sa.select(bill.flow, bill.order_key, bill.number, bill.remote_id, bill.state, bill.credit)
            .where(bill.flow.in_({flow for flow, _ in shown}), bill.order_key.in_({key for _, key in shown}))
            .where(bill.same_as == "", bill.state != "deleted")
            .order_by(bill.issued, bill.remote_id)
        )
        found: dict[tuple[str, str], tuple[Bill, ...]] = {}
        for row in self.db.rows(query):
            if (row.flow, row.order_key) not in shown:
                continue  # another flow's of the same order
            one = Bill(row.number or row.remote_id, row.state, bool(row.credit))
            found[row.flow, row.order_key] = (*found.get((row.flow, row.order_key), ()), one)
        return found


def query_of(wanted: Wanted, after: str, limit: int) -> sa.Select[Any]:
    """The orders from a place on; walks an index of the newest, and sorts nothing."""
    order, watch = o.order_state.c, w.watch.c
    beside = (watch.flow == order.flow) & (watch.order_key == order.order_key)
    place = (order.placed_at, order.flow, order.order_key)
    query = (
        sa.select(*(order[name] for name in _SHOWN), watch.level)
        .select_from(o.order_state.outerjoin(w.watch, beside))
        .where(*_conditions(wanted))
        .order_by(*(column.desc() for column in place))
        .limit(limit)
    )
    begin = _place(after)
    return query.where(sa.tuple_(*place) < sa.tuple_(*map(sa.literal, begin))) if begin is not None else query


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    order = o.order_state.c
    views: dict[View, list[Any]] = {
        "current": [_OPEN],
        "to_ship": [_OPEN, order.shipped_at.is_(None)],
        "under_way": [_OPEN, order.shipped_at.is_not(None)],
        "unpaid": [_UNPAID, order.status.not_in(CALLED_OFF)],
        "delivered": [sa.not_(order.open), order.status.not_in(CALLED_OFF)],
        "called_off": [order.status.in_(CALLED_OFF)],
        "all": [],
    }
    conditions = views[wanted.view]
    conditions += [
        column == value
        for column, value in ((order.flow, wanted.flow), (order.owner, wanted.owner), (order.crm_status, wanted.word))
        if value
    ]
    return [*conditions, order.rush] if wanted.rush else conditions


def _place(after: str) -> tuple[int, str, str] | None:
    moment, _, rest = after.partition("/")
    flow, _, key = rest.partition("/")
    digits = moment.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 19 and flow and key):
        return None
    return int(moment), flow, key


def _listed(row: Row[Any], bills: tuple[Bill, ...]) -> Listed:
    values = {name: getattr(row, name) for name in _SHOWN}
    moments = {
        name: from_micros(values[name]) if values[name] is not None else None
        for name in ("placed_at", "shipped_at", "delivered_at")
    }
    flags = {name: bool(values[name]) for name in ("rush", "open")}
    return Listed(**{**values, **moments, **flags, "total": Decimal(row.total)}, level=row.level or "", bills=bills)
