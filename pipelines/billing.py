"""The invoices of one order as people see them: each bill once, whichever systems keep it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from core.keys import Key
from ledger.invoices import KIND, InvoiceState, State
from mapping.days import day_in
from pipelines.context import Context


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The same bill in the CRM, where the ERP wrote it."""

    system: str
    remote_id: str
    number: str
    word: str
    state: State


@dataclass(frozen=True, slots=True)
class Shown:
    """One invoice or credit note. Amounts are positive; None where its system does not tell them."""

    flow: str
    system: str
    """Who keeps it: the ERP where it wrote it, else the CRM."""
    remote_id: str
    number: str
    origin: str
    state: State
    word: str
    """The system's own word."""
    credit: bool
    currency: str
    total: Decimal | None
    paid: Decimal | None
    balance: Decimal | None
    issued: date | None
    due: date | None
    age: int | None
    """Days since it was issued."""
    late: int
    """Days that it is overdue; 0: it is not, or nothing is owed."""
    seen_at: datetime | None
    """When its system said so; None: it is what we wrote."""
    elsewhere: Elsewhere | None = None


def of_order(context: Context, key: Key, flows: Iterable[str]) -> list[Shown]:
    """The bills of this order in these flows, the oldest first."""
    today = day_in(context.ledger.clock.now(), context.seller.zone)
    found: list[Shown] = []
    for flow in dict.fromkeys(flows):
        rows = context.ledger.invoices.of_order(flow, str(key))
        known = {f"{row.system}/{KIND}/{row.remote_id}": row for row in rows}
        # Who wrote a bill tells it better than who keeps a copy.
        own = [row for row in rows if row.system not in context.crms or row.same_as not in known]
        found += [_shown(row, known.get(row.same_as), today) for row in own]
    return sorted(found, key=lambda one: (one.issued or date.max, one.number))


def _shown(row: InvoiceState, other: InvoiceState | None, today: date) -> Shown:
    left = row.open_amount
    owed = row.state == "open" and not row.credit and bool(left if left is not None else row.total)
    late = (today - row.due).days if owed and row.due is not None else 0
    return Shown(
        flow=row.flow,
        system=row.system,
        remote_id=row.remote_id,
        number=row.number,
        origin=row.origin,
        state=row.state,
        word=row.word,
        credit=row.credit,
        currency=row.currency,
        total=row.total,
        paid=row.received if row.received is not None else row.total if row.state == "paid" else None,
        balance=left,
        issued=row.issued,
        due=row.due,
        age=max((today - row.issued).days, 0) if row.issued is not None else None,
        late=max(late, 0),
        seen_at=row.seen_at,
        elsewhere=_elsewhere(other) if other is not None else None,
    )


def _elsewhere(row: InvoiceState) -> Elsewhere:
    return Elsewhere(row.system, row.remote_id, row.number, row.word, row.state)
