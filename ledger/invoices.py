"""Invoices beside their orders: what we made, and what CRM and ERP say of status and payments."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros, to_micros
from core.keys import Key
from core.money import DECIMALS, round_to
from ledger import invoicetables as t
from ledger import statements, tables
from ledger.crmnews import CrmNews
from ledger.database import Database
from ledger.inbox import RANK, Route
from ledger.ordertables import order_state

State = Literal["draft", "open", "paid", "cancelled", "credited", "deleted", "unknown"]
"""credited: a credit note, or an invoice that one has settled: nothing is to be paid. deleted: its system has it no more."""
Origin = Literal["ours", "erp", "crm"]
_MONEY: Final = ("total", "received", "balance")
_DAYS: Final = ("issued", "due")
KIND: Final = "invoice"


@dataclass(frozen=True, slots=True)
class InvoiceState:
    """One invoice or credit note beside one order. `order_key` is the store's record (`shop/order/1001`)."""

    flow: str
    order_key: str
    system: str
    """The connection whose record it is: a CRM or an ERP."""
    remote_id: str
    origin: Origin
    """Who made it: we in the CRM, the ERP, or a person in the CRM."""
    number: str = ""
    word: str = ""
    """The system's own word for where it stands."""
    state: State = "unknown"
    credit: bool = False
    """A credit note: its amounts are positive, they go back."""
    currency: str = ""
    total: Decimal | None = None
    received: Decimal | None = None
    """What was paid of it, where the system tells."""
    balance: Decimal | None = None
    """What is still to be paid, where the system tells."""
    issued: date | None = None
    due: date | None = None
    same_as: str = ""
    """The same bill elsewhere: of a CRM's invoice the ERP's record (`erp/invoice/17`)."""
    seen_at: datetime | None = None
    """When the system itself was last seen to say so; None: it is what we wrote."""
    updated_at: datetime | None = None

    @property
    def open_amount(self) -> Decimal | None:
        """What is still to be paid, reckoned where the system does not tell; None where that cannot be known."""
        if self.state in {"paid", "cancelled", "credited", "deleted"}:
            return Decimal(0)
        if self.total is not None and self.received is not None:
            return self.total - self.received
        return self.balance


@dataclass(frozen=True, slots=True)
class Seen:
    """What a CRM shows of one of its invoices. None and "": it does not tell, what is known stays."""

    remote_id: str
    word: str
    state: State
    """`connectors.roles.Invoicing.invoice_state(word)`."""
    number: str = ""
    currency: str = ""
    total: Decimal | None = None
    received: Decimal | None = None
    balance: Decimal | None = None
    issued: date | None = None
    due: date | None = None
    order_id: str = ""
    """The CRM's order that it is for: by this an invoice that a person made finds its order."""


class Invoices:
    """One row an invoice, flow and order."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._news = CrmNews(db)
        row = t.invoice_state.c
        mine = (row.flow == sa.bindparam("b_flow")) & (row.order_key == sa.bindparam("b_key"))
        self._of_order = db.prepare(sa.select(t.invoice_state).where(mine).order_by(row.issued, row.remote_id))
        self._want_job = db.prepare(statements.want_job(db))

    def of_order(self, flow: str, order_key: str) -> list[InvoiceState]:
        """The invoices and credit notes of one order, whichever system keeps them."""
        return [_invoice(row) for row in self.db.rows(self._of_order, {"b_flow": flow, "b_key": order_key})]

    def of_remote(self, system: str, remote_id: str) -> list[InvoiceState]:
        """One invoice as it was told last, beside each order that it is for."""
        return [_invoice(row) for row in self.db.rows(sa.select(t.invoice_state).where(_this(system, remote_id)))]

    def keep(self, new: InvoiceState) -> bool:
        """Keep all of it as it is given here, and where that is news have the order's job run again. Whether it was."""

        def work(connection: Connection) -> bool:
            known = self._known(connection, new)
            if known is not None and known == replace(new, updated_at=known.updated_at):
                return False
            self._put(connection, new)
            if known is not None and _news(known) == _news(new):
                return False
            self._news.want_on(connection, [(new.flow, new.order_key)])
            return True

        return self.db.transact(work)

    def made(self, new: InvoiceState) -> None:
        """An invoice that we wrote. What its system was seen to say of it meanwhile stays: that is newer than what we sent."""

        def work(connection: Connection) -> None:
            known = self._known(connection, new)
            if known is not None and known.seen_at is not None:
                self._put(connection, replace(known, origin=new.origin, same_as=new.same_as, credit=new.credit))
            else:
                self._put(connection, new)

        self.db.transact(work)

    def _known(self, connection: Connection, new: InvoiceState) -> InvoiceState | None:
        row = t.invoice_state.c
        query = sa.select(t.invoice_state).where(
            _this(new.system, new.remote_id), row.flow == new.flow, row.order_key == new.order_key
        )
        found = connection.execute(self.db.lock_rows(query)).first()
        return _invoice(found) if found is not None else None

    def crm_says(self, target: str, seen: Seen, *, seen_at: datetime) -> list[tuple[str, str]]:
        """What the CRM `target` shows of one of its invoices. The orders (flow, key) for which that is news, whose jobs run
        again: an echo of what we wrote, or what was known, is none. One that a person made there is kept with the order it is
        for; one of no order of ours is nobody's and goes nowhere.
        """

        def work(connection: Connection) -> list[tuple[str, str]]:
            query = sa.select(t.invoice_state).where(_this(target, seen.remote_id))
            known = [_invoice(row) for row in connection.execute(self.db.lock_rows(query))]
            fresh = [] if known else _by_hand(connection, target, seen)
            news = []
            for before in known or fresh:
                after = _told(before, seen, seen_at)
                self._put(connection, after)
                if fresh or _news(after) != _news(before):
                    news.append((after.flow, after.order_key))
            self._news.want_on(connection, news)
            return news

        return self.db.transact(work)

    def crm_gone(self, target: str, remote_id: str) -> list[tuple[str, str]]:
        """The CRM has no such invoice any more. The orders (flow, key) for which that is news, whose jobs run again."""
        row = t.invoice_state
        there = _this(target, remote_id) & (row.c.state != "deleted")
        gone = sa.update(row).where(there).values(state="deleted", seen_at=self.db.now, updated_at=self.db.now)

        def work(connection: Connection) -> list[tuple[str, str]]:
            told = connection.execute(gone.returning(row.c.flow, row.c.order_key)).all()
            news = [(one.flow, one.order_key) for one in told]
            self._news.want_on(connection, news)
            return news

        return self.db.transact(work)

    def forget(self, flow: str, system: str, remote_id: str, *, but: Sequence[str] = ()) -> None:
        """It is for no other orders than these."""
        row = t.invoice_state.c
        here = _this(system, remote_id) & (row.flow == flow) & row.order_key.not_in(list(but))
        self.db.execute(sa.delete(t.invoice_state).where(here).returning(row.order_key))

    def orders_called(self, source: str, target: str, name: str) -> list[str]:
        """The keys of orders of this store whose record in the CRM has this number."""
        link = tables.link.c
        called = (link.remote_number == name) & (link.remote_number != "") & (link.target == target)
        query = sa.select(link.key).where(called, link.kind == "order", link.state == "linked").limit(5)
        return [row.key for row in self.db.rows(query) if row.key.startswith(f"{source}/")]

    # -- bills whose order is not known yet ------------------------------------------------------------------------

    def wait(self, flow: str, bill: Key, names: Sequence[str]) -> datetime:
        """A bill of an ERP waits for an order that is called by one of these names. Since when it does."""
        row = t.invoice_waiting

        def work(connection: Connection) -> int:
            mine = (row.c.flow == flow) & (row.c.system == bill.connection) & (row.c.remote_id == bill.id)
            first = connection.execute(sa.select(sa.func.min(row.c.since)).where(mine)).scalar()
            since = int(first) if first is not None else self.db.micros()
            connection.execute(sa.delete(row).where(mine))
            place = {"flow": flow, "system": bill.connection, "remote_id": bill.id, "since": since}
            wanted = [{**place, "name": name} for name in dict.fromkeys(name[:120] for name in names)]
            if wanted:
                connection.execute(self.db.insert(row).on_conflict_do_nothing(), wanted)
            return since

        return from_micros(self.db.transact(work))

    def came(self, route: Route, names: Sequence[str]) -> list[Key]:
        """An order of these names is there: the bills that wait for it are due, however long ago they were set aside. They
        wait on until they say that they do not: a name alone does not make it theirs.
        """
        row = t.invoice_waiting
        named = (row.c.flow == route.flow) & row.c.name.in_([name[:120] for name in names])
        query = sa.select(row.c.system, row.c.remote_id).where(named).distinct()
        if not self.db.rows(query):
            return []

        def work(connection: Connection) -> list[Key]:
            bills = [Key(found.system, KIND, found.remote_id) for found in connection.execute(query)]
            for bill in bills:
                self._want(connection, route, bill)
            return bills

        return self.db.transact(work)

    def waits_no_more(self, flow: str, bill: Key) -> None:
        """Its order was found, or it needs none."""
        row = t.invoice_waiting
        mine = (row.c.flow == flow) & (row.c.system == bill.connection) & (row.c.remote_id == bill.id)
        if self.db.rows(sa.select(row.c.since).where(mine).limit(1)):
            self.db.execute(sa.delete(row).where(mine).returning(row.c.since))

    def _want(self, connection: Connection, route: Route, bill: Key) -> None:
        now = self.db.micros()
        self._want_job.on(
            connection,
            {
                "flow": route.flow,
                "connection": bill.connection,
                "kind": bill.kind,
                "record_id": bill.id,
                "target": route.target,
                "queue": route.queue,
                "rank": RANK[route.queue],
                "state": "waiting",
                "reason": "",
                "error_class": "",
                "number": "",
                "correlation": uuid.uuid4().hex[:16],
                "created_at": now,
                "updated_at": now,
            },
        )

    def _put(self, connection: Connection, new: InvoiceState) -> None:
        values = {**_row(new), "updated_at": self.db.micros()}
        insert = self.db.insert(t.invoice_state).values(**values)
        keys = ["flow", "system", "remote_id", "order_key"]
        said = {name: insert.excluded[name] for name in values if name not in keys}
        connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=said))


def _this(system: str, remote_id: str) -> sa.ColumnElement[bool]:
    return (t.invoice_state.c.system == system) & (t.invoice_state.c.remote_id == remote_id)


def _by_hand(connection: Connection, target: str, seen: Seen) -> list[InvoiceState]:
    """An invoice that we did not make (or have not noted yet), at the orders it is for. Below zero it is a credit note."""
    if not seen.order_id:
        return []
    credit = seen.total is not None and seen.total < 0
    state = order_state.c
    query = sa.select(state.flow, state.order_key).where(state.target == target, state.remote_id == seen.order_id)
    return [
        InvoiceState(row.flow, row.order_key, target, seen.remote_id, "crm", credit=credit, currency=seen.currency)
        for row in connection.execute(query)
    ]


def _told(before: InvoiceState, seen: Seen, seen_at: datetime) -> InvoiceState:
    facts = {name: getattr(seen, name) for name in ("number", "currency", *_MONEY, *_DAYS)}
    told: dict[str, Any] = {name: value for name, value in facts.items() if value not in (None, "")}
    if (currency := seen.currency or before.currency) in DECIMALS:
        # CRMs keep more decimals than money has (119.00000000), and do not round what they reckon (7061.749999999999).
        told |= {name: round_to(told[name], currency) for name in _MONEY if name in told}
    if before.credit:  # over there its lines are negative
        told |= {name: abs(told[name]) for name in _MONEY if name in told}
    return replace(before, word=seen.word, state=seen.state, seen_at=seen_at, **told)


def _news(invoice: InvoiceState) -> tuple[object, ...]:
    """What makes news. Money counts by its value (20.00000000 is 20), and nothing received is nothing."""
    return invoice.word, invoice.state, invoice.total, invoice.received or Decimal(0), invoice.credit, invoice.same_as


def _row(invoice: InvoiceState) -> dict[str, Any]:
    values = asdict(invoice)
    for name in _MONEY:
        values[name] = str(values[name]) if values[name] is not None else ""
    for name in _DAYS:
        values[name] = values[name].isoformat() if values[name] is not None else ""
    values["seen_at"] = to_micros(invoice.seen_at) if invoice.seen_at is not None else None
    return values


def _invoice(row: Row[Any]) -> InvoiceState:
    values: dict[str, Any] = {column.name: getattr(row, column.name) for column in t.invoice_state.c}
    for name in _MONEY:
        values[name] = Decimal(values[name]) if values[name] else None
    for name in _DAYS:
        values[name] = date.fromisoformat(values[name]) if values[name] else None
    for name in ("seen_at", "updated_at"):
        values[name] = from_micros(values[name]) if values[name] is not None else None
    values["credit"] = bool(values["credit"])
    return InvoiceState(**values)
