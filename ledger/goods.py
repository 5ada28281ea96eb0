"""Goods taken off a CRM's stock for orders: intended, then done. What a crash or a lost answer leaves intended is looked at
before anybody moves the same product again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Row

from core.clock import from_micros, to_micros
from ledger import goodstables as t
from ledger.database import SECOND, Database

State = Literal["done", "intended", "doubtful"]


@dataclass(frozen=True, slots=True)
class Taken:
    """One product of one order."""

    flow: str
    order_key: str
    product_id: str
    target: str
    sku: str = ""
    taken: Decimal = Decimal(0)
    """How many are off the stock for this order, as far as that is certain."""
    state: State = "done"
    wanted: Decimal = Decimal(0)
    """How many are to be off by the last movement."""
    before: Decimal | None = None
    """The product's stock as it was read for the last movement; None: there was none."""
    after: Decimal | None = None
    modified: datetime | None = None
    """The product's own time when `before` was read."""
    seen: Decimal | None = None
    """Doubtful: what the stock was then."""
    hold_left: float = 0.0
    """Seconds for which an intended movement may still land."""
    updated_at: datetime | None = None


class Goods:
    """One row an order and product."""

    def __init__(self, db: Database) -> None:
        self.db = db
        row = t.goods_taken.c
        hold_left = sa.case((row.hold_until.is_(None), 0), else_=row.hold_until - db.now).label("hold_left")
        every = sa.select(t.goods_taken, hold_left)
        mine = (row.flow == sa.bindparam("b_flow")) & (row.order_key == sa.bindparam("b_key"))
        self._of_order = db.prepare(every.where(mine).order_by(row.product_id))
        of_product = (row.target == sa.bindparam("b_target")) & (row.product_id == sa.bindparam("b_product"))
        # The state is written out, so that the partial index serves it.
        unsettled = of_product & (row.state == sa.literal_column("'intended'"))
        self._unsettled = db.prepare(every.where(unsettled).order_by(row.updated_at))

    def of_order(self, flow: str, order_key: str) -> list[Taken]:
        """What was moved for one order."""
        return [_taken(row) for row in self.db.rows(self._of_order, {"b_flow": flow, "b_key": order_key})]

    def unsettled(self, target: str, product_id: str) -> list[Taken]:
        """Movements of this product of which nobody knows yet whether they arrived, whichever order they are for."""
        return [_taken(row) for row in self.db.rows(self._unsettled, {"b_target": target, "b_product": product_id})]

    def intend(self, movement: Taken, *, hold: float) -> Taken:
        """Commit what is about to be written, before it is. `hold`: seconds for which it may land late."""
        now = self.db.micros()
        values: dict[str, Any] = {
            "flow": movement.flow,
            "order_key": movement.order_key,
            "product_id": movement.product_id,
            "target": movement.target,
            "sku": movement.sku,
            "state": "intended",
            "wanted": str(movement.wanted),
            "before": str(movement.before),
            "after": str(movement.after),
            "modified": to_micros(movement.modified) if movement.modified is not None else None,
            "seen": "",
            "hold_until": now + int(hold * SECOND),
            "updated_at": now,
        }
        keys = ["flow", "order_key", "product_id"]
        insert = self.db.insert(t.goods_taken).values(taken=str(movement.taken), **values)
        said = {name: insert.excluded[name] for name in values if name not in keys}
        self.db.execute(insert.on_conflict_do_update(index_elements=keys, set_=said))
        return replace(movement, state="intended", hold_left=hold)

    def done(self, movement: Taken) -> None:
        """It arrived: so many are off the stock now."""
        self._set(movement, state="done", taken=str(movement.wanted), hold_until=None)

    def withdraw(self, movement: Taken) -> None:
        """It certainly did not arrive."""
        self._set(movement, state="done", wanted=str(movement.taken), before="", after="", hold_until=None)

    def doubt(self, movement: Taken, seen: Decimal) -> None:
        """Nobody can tell: a person has to look. It hinders nobody else."""
        self._set(movement, state="doubtful", seen=str(seen), hold_until=None)

    def _set(self, movement: Taken, **values: Any) -> None:
        row = t.goods_taken.c
        this = (
            (row.flow == movement.flow)
            & (row.order_key == movement.order_key)
            & (row.product_id == movement.product_id)
            # Whatever somebody else has made of it meanwhile stays.
            & (row.state == movement.state)
            & (row.wanted == str(movement.wanted))
        )
        self.db.execute(sa.update(t.goods_taken).where(this).values(updated_at=self.db.now, **values))


def _taken(row: Row[Any]) -> Taken:
    return Taken(
        flow=row.flow,
        order_key=row.order_key,
        product_id=row.product_id,
        target=row.target,
        sku=row.sku,
        taken=Decimal(row.taken),
        state=row.state,
        wanted=Decimal(row.wanted),
        before=_number(row.before),
        after=_number(row.after),
        modified=from_micros(row.modified) if row.modified is not None else None,
        seen=_number(row.seen),
        hold_left=max(float(row.hold_left) / SECOND, 0.0),
        updated_at=from_micros(row.updated_at),
    )


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text else None
