"""The service behind pages, API and command line for sales reps: who serves a customer and why, what is wrong,
and the directory as tables. Whoever may do it is decided before; each change is in the audit. By hand: pipelines.repediting.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from core.errors import ConfigurationProblem
from core.keys import Key
from core.settings import ConnectionSettings, RepFlowSettings
from ledger import Ledger
from ledger.reps import StoredCard
from mapping.canonical import ErpCustomer
from mapping.cards import Card, card_of
from mapping.reps import Resolution, resolve
from pipelines import repcheck, repsheets
from pipelines.context import Context
from pipelines.repcheck import Complaint
from pipelines.reprun import day_in
from pipelines.repsheets import Imported, Table
from pipelines.sheets import Line


class Noting(Protocol):
    """The audit."""

    def note(self, actor: str, action: str, subject: str, facts: Mapping[str, Any]) -> object:
        """Write it down."""
        ...


@dataclass(frozen=True, slots=True)
class Resolved:
    """Who serves a customer on a day. `kept`: what was answered last; None: no job has looked yet."""

    source: str
    customer: ErpCustomer
    day: date
    resolution: Resolution
    card: Card
    kept: StoredCard | None


class RepDesk:
    """Over the ledger; what maps a customer needs the context."""

    def __init__(
        self,
        ledger: Ledger,
        flows: Mapping[str, RepFlowSettings],
        connections: Mapping[str, ConnectionSettings],
        audit: Noting | None = None,
    ) -> None:
        self.ledger = ledger
        self.flows = flows
        self.connections = connections
        self.audit = audit or ledger.audit

    @classmethod
    def of(cls, context: Context, audit: Noting | None = None) -> RepDesk:
        """The desk of a process."""
        return cls(context.ledger, context.reps, context.connections, audit)

    def flow(self, source: str = "") -> RepFlowSettings:
        """The flow of an ERP (or of this name); "": the only ERP there is. Raises ConfigurationProblem."""
        fitting = [flow for flow in self.flows.values() if not source or source in {flow.source, flow.name}]
        sources = sorted({flow.source for flow in self.flows.values()})
        if not fitting or (not source and len(sources) > 1):
            what = f"No flow of sales reps reads {source}" if source else "Which ERP is meant is not clear"
            if not sources:
                what = "No flow of sales reps is configured"
            raise ConfigurationProblem(
                f"{what}. What to do: "
                + (
                    f"name one with --source: {', '.join(sources)}."
                    if sources
                    else "add [[reps]] to the configuration."
                )
            )
        return fitting[0]

    # -- looking -------------------------------------------------------------------------------------------------------

    def resolve(
        self, context: Context, number: str, *, source: str = "", day: date | None = None, ship_to: str = ""
    ) -> Resolved:
        """Who serves this customer today (or on another day), by the record we have and the directory as it is now. Raises
        ConfigurationProblem for a customer that we do not know, `Held` for one that cannot be read.
        """
        flow = self.flow(source)
        record = self.ledger.inbox.record(Key(flow.source, "customer", number))
        if record is None or record.raw is None or record.deleted:
            raise ConfigurationProblem(
                f"{flow.source} has no customer {number}, as far as was read. What to do: look at the number; a new one is "
                f"read with the next poll."
            )
        customer = context.erp(flow.source).customer(record.key, record.raw)
        if ship_to and all(place.number != ship_to for place in customer.ship_tos):
            known = ", ".join(place.number for place in customer.ship_tos) or "none"
            raise ConfigurationProblem(f"{number} has no ship-to {ship_to}. What to do: use one of {known}.")
        on = day or day_in(context, flow.zone)
        directory = context.books.get(flow.source).directory
        found = resolve(directory, customer, on, ship_to)
        card = card_of(found, directory, customer, on)
        return Resolved(flow.source, customer, on, found, card, self.ledger.reps.card(flow.source, number))

    def check(self, day: date, *, source: str = "") -> list[Complaint]:
        """Everything that is wrong with an ERP's reps."""
        flow = self.flow(source)
        return repcheck.check(self.ledger, flow, day, self._owners(flow))

    def _owners(self, flow: RepFlowSettings) -> Collection[str] | None:
        owners = getattr(self.connections.get(flow.target), "owners", None) if flow.target else None
        return owners if isinstance(owners, Mapping) else None

    # -- tables --------------------------------------------------------------------------------------------------------

    def take_in(
        self, actor: str, source: str, table: Table, lines: Sequence[Line], *, dry_run: bool = False
    ) -> Imported:
        """A table from a spreadsheet. Raises ConfigurationProblem where its columns are wrong."""
        done = repsheets.take_in(self.ledger, source, table, lines, by=actor, dry_run=dry_run)
        if done.taken and not dry_run:
            facts = {"source": source, "lines": done.taken, "bad": len(done.bad)}
            self.audit.note(actor, "reps.import", table, facts)
        return done

    def export(self, source: str, table: Table) -> str:
        """The table for a spreadsheet."""
        return repsheets.export(self.ledger, source, table)
