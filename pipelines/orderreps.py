"""Whose an order is, and why: who placed it, else who serves the customer, else the flow's owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.roles import Crm
from core.errors import Held
from core.keys import Key
from core.settings import FlowSettings, RepFlowSettings
from ledger.reps import OrderRep
from mapping.canonical import ErpCustomer, SalesOrder
from mapping.days import day_in
from mapping.reps import for_order
from pipelines.context import Context
from pipelines.customers import KIND, identity_keys
from pipelines.identities import accounts_of
from pipelines.repowners import name_of
from pipelines.run import Run

LEVELS = {"ship_to": "ship_to", "customer": "customer", "region": "region", "team": "team"}


def whose(context: Context, crm: Crm, flow: FlowSettings, order: SalesOrder) -> OrderRep | None:
    """The rep of an order, by its day in the zone of the reps' flow; None: no flow of sales reps feeds this CRM, or the flow's
    owner is fixed, and the flow's own words decide. Never holds an order because of its customer's rep.
    """
    reps = next((one for one in context.reps.values() if one.target == flow.target), None)
    if reps is None or flow.owner_by == "fixed":
        return None
    return _Asking(context, crm, flow, reps, order).answer()


def keep(context: Context, key: Key, rep: OrderRep) -> None:
    """Remember it with the order."""
    known = context.ledger.reps.orders_rep(key.connection, key.id)
    if rep not in known:
        context.ledger.reps.put_order(key.connection, key.id, rep)


def given(run: Run, owner: str, records: Sequence[str]) -> None:
    """What this order created belongs to whom we said, and not to somebody's choice: it follows when the rep changes."""
    if owner and records and not run.rehearsed:
        run.ledger.reps.created(run.to, owner, records)


@dataclass(frozen=True, slots=True)
class _Asking:
    context: Context
    crm: Crm
    flow: FlowSettings
    reps: RepFlowSettings
    order: SalesOrder

    def answer(self) -> OrderRep | None:
        placed_by = self.order.placed_by
        try:
            book = self.context.books.get(self.reps.source)
        except Held as error:  # its customers are held for it, with what to do; an order never is
            return self._default(error.message.partition(" What to do:")[0])
        placer = book.directory.named(placed_by) if placed_by else None
        if placed_by and placer is None:
            # No rep: a name of the owners table, or one that nobody knows and the flow's own words hold.
            return (
                self._made(placed_by, "", placed_by, "placed_by", f"{placed_by} placed the order.")
                if self.crm.has_owner(placed_by)
                else None
            )
        customer = self._customer()
        day = day_in(self.order.placed_at, self.reps.zone)
        if customer is None and placer is None:
            return self._default("The customer is not known in the ERP.")
        served = for_order(book.directory, customer or _nobody(), day, placed_by=placed_by)
        if served is None:
            return self._default("Nobody serves the customer.")
        owner = name_of(self.crm, book, served.rep)
        if not owner:
            return self._default(
                f"{served.why} But {served.rep.code} has no name in the owners table of {self.flow.target}."
            )
        by = (
            "placed_by"
            if placed_by and served.code == placed_by and served.why.endswith("placed the order.")
            else LEVELS[served.level]
        )
        return self._made(served.rep.code, served.rep.name, owner, by, served.why)

    def _default(self, why: str) -> OrderRep:
        owner = self.flow.owner or self.reps.owner
        return self._made("", "", owner, "default", f"{why} It is the flow's owner's.")

    def _made(self, code: str, name: str, owner: str, by: str, reason: str) -> OrderRep:
        return OrderRep(self.flow.name, code, name, owner, by, reason)

    def _customer(self) -> ErpCustomer | None:
        """As the ERP last told it; None: it is not known, or cannot be read."""
        number = self.order.customer.erp_number or self._of_account()
        record = self.context.ledger.inbox.record(Key(self.reps.source, "customer", number)) if number else None
        if record is None or record.raw is None or record.deleted or self.reps.source not in self.context.erps:
            return None
        try:
            return self.context.erps[self.reps.source].customer(record.key, record.raw)
        except Held:
            return None

    def _of_account(self) -> str:
        """The number of the customer whose account the order's customer is linked to."""
        keys = identity_keys(self.order.customer, self.flow.region)
        accounts = accounts_of(self.context.ledger.links.find(self.flow.target, KIND, keys).values())
        return self.context.ledger.reps.seated_at(self.reps.name, accounts[0]) if accounts else ""


def _nobody() -> ErpCustomer:
    return ErpCustomer(key=Key("", "customer", ""))
