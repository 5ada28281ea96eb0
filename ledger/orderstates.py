"""How far each order has come: its status here and in the CRM, its promise, and what it holds of each article."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros, to_micros
from ledger import ordertables as t
from ledger.database import Database


@dataclass(frozen=True, slots=True)
class StateLine:
    """One article line of an order. `net` is without tax."""

    sku: str
    name: str
    quantity: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True)
class OrderState:
    """One order of one flow. `order_key` is the store's record (`shop/order/1001`), `remote_id` the CRM's order."""

    flow: str
    order_key: str
    target: str
    remote_id: str
    number: str
    account: str
    """The CRM's account."""
    owner: str
    """Whose it is, by the owners table of the CRM's connection."""
    status: str
    """mapping.canonical.OrderStatus."""
    payment: str
    """mapping.canonical.PaymentStatus."""
    currency: str
    total: Decimal
    """What is left after refunds."""
    language: str
    method: str
    """The store's code of the delivery method."""
    rush: bool
    open: bool
    """Neither delivered nor called off: its goods are still to reach the customer."""
    placed_at: datetime
    paid_at: datetime | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    promised_on: date | None
    crm_status: str = ""
    """The CRM's own word, as we wrote or saw it last; "" while it was neither."""
    crm_seen_at: datetime | None = None
    """When the CRM itself was last seen to say so; None: it is what we wrote."""
    updated_at: datetime | None = None
    lines: tuple[StateLine, ...] = ()
    digest: bytes = field(default=b"", compare=False, repr=False)
    """Of the store's side of it, as it is kept."""


_OWN: Final = frozenset({"crm_status", "crm_seen_at", "updated_at", "lines", "digest"})
"""What is not part of the digest of the store's side, or stands elsewhere."""


class OrderStates:
    """One row an order and flow, with its lines."""

    def __init__(self, db: Database) -> None:
        self.db = db
        state, line = t.order_state.c, t.order_line.c
        one = (state.flow == sa.bindparam("b_flow")) & (state.order_key == sa.bindparam("b_key"))
        self._one = db.prepare(sa.select(t.order_state).where(one))
        mine = (line.flow == sa.bindparam("b_flow")) & (line.order_key == sa.bindparam("b_key"))
        self._lines = db.prepare(sa.select(t.order_line).where(mine).order_by(line.place))
        insert = db.insert(t.order_state)
        said = {
            column.name: insert.excluded[column.name]
            for column in t.order_state.c
            if column.name not in {"flow", "order_key", "crm_status", "crm_seen_at"}
        }
        self._put = db.prepare(insert.on_conflict_do_update(index_elements=["flow", "order_key"], set_=said))

    def get(self, flow: str, order_key: str) -> OrderState | None:
        """One order with its lines."""
        where = {"b_flow": flow, "b_key": order_key}
        rows = self.db.rows(self._one, where)
        return _state(rows[0], self.db.rows(self._lines, where)) if rows else None

    def of_remote(self, target: str, remote_id: str) -> list[OrderState]:
        """The orders of ours that this record of the CRM is (one, unless flows share it), without lines."""
        state = t.order_state.c
        query = sa.select(t.order_state).where(state.target == target, state.remote_id == remote_id)
        return [_state(row, ()) for row in self.db.rows(query)]

    def keep(self, new: OrderState, *, over: OrderState | None = None) -> bool:
        """Keep the store's side of it; what the CRM was seen to say stays. False: it is what was kept already. `over`: what is
        kept, where it has just been read.
        """
        digest = _digest(new)
        known = over.digest if over is not None else self._digest_of(new)
        if known == digest:
            return False

        def work(connection: Connection) -> bool:
            self._put.on(connection, {**_row(new), "digest": digest, "updated_at": self.db.micros()})
            mine = (t.order_line.c.flow == new.flow) & (t.order_line.c.order_key == new.order_key)
            connection.execute(sa.delete(t.order_line).where(mine))
            if new.lines:
                connection.execute(sa.insert(t.order_line), [_line(new, place) for place in range(len(new.lines))])
            return True

        return self.db.transact(work)

    def _digest_of(self, one: OrderState) -> bytes:
        rows = self.db.rows(self._one, {"b_flow": one.flow, "b_key": one.order_key})
        return bytes(rows[0].digest) if rows else b""

    def forget(self, flow: str, order_key: str) -> None:
        """It is gone from the CRM by our own doing: it holds no articles any more, and is made anew if it ever comes again."""

        def work(connection: Connection) -> None:
            for table in (t.order_line, t.order_state):
                mine = (table.c.flow == flow) & (table.c.order_key == order_key)
                connection.execute(sa.delete(table).where(mine))

        self.db.transact(work)

    def crm_says(self, flow: str, order_key: str, status: str, *, seen_at: datetime | None = None) -> str | None:
        """The CRM's word for where this order stands: as the CRM was seen to say (`seen_at`), or as we wrote it. What it was
        before; None: no such order is kept.
        """

        def work(connection: Connection) -> str | None:
            state = t.order_state
            mine = (state.c.flow == flow) & (state.c.order_key == order_key)
            row = connection.execute(self.db.lock_rows(sa.select(state.c.crm_status).where(mine))).first()
            if row is None:
                return None
            seen = to_micros(seen_at) if seen_at is not None else None
            connection.execute(sa.update(state).where(mine).values(crm_status=status, crm_seen_at=seen))
            return str(row.crm_status)

        return self.db.transact(work)


def _digest(state: OrderState) -> bytes:
    facts: dict[str, Any] = {name: str(value) for name, value in asdict(state).items() if name not in _OWN}
    facts["lines"] = [[line.sku, line.name, str(line.quantity), str(line.net)] for line in state.lines]
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).digest()


def _row(state: OrderState) -> dict[str, Any]:
    moments = ("placed_at", "paid_at", "shipped_at", "delivered_at", "crm_seen_at")
    values = {name: value for name, value in asdict(replace(state, lines=())).items() if name != "lines"}
    values |= {name: to_micros(values[name]) if values[name] is not None else None for name in moments}
    values["total"] = str(state.total)
    values["promised_on"] = state.promised_on.isoformat() if state.promised_on is not None else ""
    return values


def _line(state: OrderState, place: int) -> dict[str, Any]:
    line = state.lines[place]
    return {
        "flow": state.flow,
        "order_key": state.order_key,
        "place": place,
        "sku": line.sku,
        "name": line.name,
        "quantity": str(line.quantity),
        "net": str(line.net),
    }


def _state(row: Row[Any], lines: Sequence[Row[Any]]) -> OrderState:
    return OrderState(
        flow=row.flow,
        order_key=row.order_key,
        target=row.target,
        remote_id=row.remote_id,
        number=row.number,
        account=row.account,
        owner=row.owner,
        status=row.status,
        payment=row.payment,
        currency=row.currency,
        total=Decimal(row.total),
        language=row.language,
        method=row.method,
        rush=bool(row.rush),
        open=bool(row.open),
        placed_at=from_micros(row.placed_at),
        paid_at=_moment(row.paid_at),
        shipped_at=_moment(row.shipped_at),
        delivered_at=_moment(row.delivered_at),
        promised_on=date.fromisoformat(row.promised_on) if row.promised_on else None,
        crm_status=row.crm_status,
        crm_seen_at=_moment(row.crm_seen_at),
        updated_at=_moment(row.updated_at),
        lines=tuple(StateLine(line.sku, line.name, Decimal(line.quantity), Decimal(line.net)) for line in lines),
        digest=bytes(row.digest),
    )


def _moment(micros: int | None) -> datetime | None:
    return from_micros(micros) if micros is not None else None
