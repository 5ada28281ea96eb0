"""One attempt at a job of sales reps: its flow, its ERP, and the day by which it looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from core.errors import Held, NotThere
from core.keys import Change, Key
from ledger.inbox import Record
from mapping import days
from pipelines.run import Attempt

if TYPE_CHECKING:
    from connectors.roles import Erp
    from core.clock import Clock
    from core.settings import RepFlowSettings
    from ledger.jobs import Claim
    from pipelines.context import Context


def today_in(clock: Clock, zone: str) -> date:
    """Today in this time zone, by this clock."""
    return days.day_in(clock.now(), zone)


def day_in(context: Context, zone: str) -> date:
    """The same by the process's clock."""
    return today_in(context.clock, zone)


class RepRun(Attempt):
    """A claimed job of a rep, a region or a customer of an ERP."""

    def __init__(self, context: Context, claim: Claim) -> None:
        self.flow: RepFlowSettings = context.rep_flow(claim.flow)
        super().__init__(context, claim, self.flow.target)

    @property
    def erp(self) -> Erp:
        """Where the record comes from."""
        return self.context.erp(self.claim.key.connection)

    @property
    def source(self) -> str:
        """The ERP's name."""
        return self.claim.key.connection

    @property
    def day(self) -> date:
        """By which assignments and absences count."""
        return day_in(self.context, self.flow.zone)

    def newest(self) -> Record:
        """The newest state; asked of the ERP where what we have cannot be trusted."""
        record = self.ledger.inbox.record(self.claim.key)
        if record is not None and not record.must_fetch:
            return record
        asked_at = self.ledger.clock.now()
        try:
            change = self.erp.fetch(self.claim.key)
        except NotThere:
            change = gone(self.claim.key)
        change = replace(change, fetched_at=asked_at, dedupe=f"{change.dedupe}:{asked_at.isoformat()}")
        self.ledger.inbox.accept(
            [change], self.context.routes, via="fetch", want_jobs=False, correlation=self.claim.correlation
        )
        record = self.ledger.inbox.record(self.claim.key)
        if record is None or (record.raw is None and not record.deleted):
            raise Held(
                "Only a hint of this record is known. What to do: see whether the ERP has it, then retry.",
                error_class="missing reference",
            )
        return record


def gone(key: Key) -> Change:
    """What we note when the ERP has no such record."""
    return Change(key, None, None, f"gone:{key.kind}:{key.id}", number=key.id[:120], deleted=True)
