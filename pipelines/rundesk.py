"""What people do with runs: begin one, stop it, let it go on, take back what it created. A worker carries it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from core.settings import FlowSettings, RepFlowSettings
from ledger.runs import CARRIED, GOING, RATE, STOPPED_BY, RunKind, RunView
from ledger.search import LARGEST_ID
from pipelines import backfill, bulk, carrier, reassign, rehearse, undo
from pipelines.backfill import Wanted
from pipelines.context import Context
from pipelines.desk import Desk, Notes, Refused, Unknown
from pipelines.rehearse import Span

SILENT: Final = timedelta(minutes=15)
"""A command that has noted nothing for so long has ended, whatever its run says."""
LONGEST: Final = 3660
"""Days that a rehearsal looks back at most."""


class Action(StrEnum):
    """What can be done with a run."""

    STOP = "stop"
    GO_ON = "go-on"
    BACKFILL = "backfill"
    """After a look: do it."""
    PREVIEW = "preview"
    """See what would be taken back."""
    UNDO = "undo"
    """After that: take it back."""
    REASSIGN = "reassign"
    """After a plan: do it."""
    RESTORE = "restore"
    """Take a reassignment back."""


def silent(run: RunView, now: datetime) -> bool:
    """It says that it runs, and nobody is at work with it (pure): a command was interrupted."""
    ours = run.options.get(CARRIED) or run.options.get("standing") or run.kind in bulk.KINDS
    return run.state == "running" and not ours and now - run.updated_at > SILENT


def actions_for(run: RunView, now: datetime) -> frozenset[Action]:
    """What makes sense for this run as it is now (pure). Pages offer these, the services refuse everything else."""
    if run.kind in bulk.KINDS:
        return frozenset({Action.STOP}) if run.state in GOING else frozenset()
    if not carrier.schedule_of(run.kind) or run.options.get("standing"):
        return frozenset()
    found: set[Action] = set()
    if run.state in GOING:
        found.add(Action.STOP)
    if run.state in {"stopped", "failed"} or silent(run, now):
        found.add(Action.GO_ON)
    if run.kind == "backfill" and run.state != "queued":
        found.add(Action.PREVIEW)
    if run.state == "done":
        offered = {"survey": {Action.BACKFILL}, "preview": {Action.UNDO}, "plan": {Action.REASSIGN}}
        found |= offered.get(run.kind, set())
    if run.kind == "reassign" and run.state != "queued":
        found.add(Action.RESTORE)
    return frozenset(found)


class RunDesk:
    """The services. Each takes who asks, refuses what makes no sense, writes the audit."""

    def __init__(self, context: Context, audit: Notes, bell: Callable[[], object] = lambda: None) -> None:
        self.context, self.ledger = context, context.ledger
        self.audit, self.bell = audit, bell

    def run(self, run_id: int) -> RunView:
        """One run. Raises Unknown."""
        run = self.ledger.runs.get(run_id) if 0 < run_id <= LARGEST_ID else None
        if run is None:
            raise Unknown(f"There is no run {run_id}. What to do: see the list of runs.")
        return run

    def flow(self, name: str) -> FlowSettings:
        """A configured flow. Raises Unknown."""
        flow = self.context.flows.get(name)
        if flow is None:
            raise Unknown(f"There is no flow named {name!r}. What to do: see the configuration.")
        return flow

    # -- beginning -------------------------------------------------------------------------------------------------

    def rehearse(self, flow: str, days: int, *, actor: str) -> RunView:
        """Rehearse the orders of the last so many days. Nothing is written to the target."""
        settings = self.flow(flow)
        if not 0 < days <= LONGEST:
            raise Refused(f"{days} days cannot be rehearsed. What to do: give a number from 1 to {LONGEST}.")
        rehearse.require_askable(self.context, settings)
        self._only_one("rehearse", flow)
        now = self.context.clock.now()
        span = Span(now - timedelta(days=days), now, days * 86_400)
        return self._queue("rehearse", flow, span.options(), actor)

    def survey(self, flow: str, wanted: Wanted, *, actor: str) -> RunView:
        """Look what a backfill would find: the store alone is asked, nothing is stored but the numbers."""
        settings = self.flow(flow)
        now = self.context.clock.now()
        until = min(wanted.until or now, now)
        if until <= wanted.since:
            raise Refused("The end is not after the beginning. What to do: look at the two times.")
        fixed = Wanted(wanted.since, until, create=wanted.create, invoices=wanted.invoices, rate=wanted.rate)
        rehearse.require_askable(self.context, settings)
        backfill.require_ready(self.context, settings, fixed)
        self._only_one("survey", flow)
        return self._queue("survey", flow, {**fixed.options(), RATE: fixed.rate}, actor)

    def backfill(self, survey_id: int, *, actor: str) -> RunView:
        """Do what this look was for."""
        look = self.allowed(survey_id, Action.BACKFILL)
        settings, wanted = self.flow(look.flow), carrier.wanted_of(look.options)
        backfill.require_ready(self.context, settings, wanted)
        self._only_one("backfill", look.flow)
        options = {**wanted.options(), RATE: wanted.rate, "survey": look.id}
        return self._queue("backfill", look.flow, options, actor)

    def preview(self, run_id: int, *, actor: str) -> RunView:
        """Look what taking this run back would delete, and what it would leave."""
        self.allowed(run_id, Action.PREVIEW)
        run, flow = undo.of_run(self.context, run_id)
        self._only_one("preview", flow.name)
        return self._queue("preview", flow.name, {"run": run.id}, actor)

    def undo(self, preview_id: int, *, actor: str) -> RunView:
        """Take back what this look was about, as far as nobody has touched it by then. What still goes is stopped first."""
        look = self.allowed(preview_id, Action.UNDO)
        run, flow = undo.of_run(self.context, int(look.options["run"]))
        self._only_one("undo", flow.name)
        if run.state in GOING:  # the undoing would wait behind it
            self._stop(run, actor)
        return self._queue("undo", flow.name, {"run": run.id, "preview": look.id}, actor)

    def rep_flow(self, name: str) -> RepFlowSettings:
        """A configured flow of sales reps. Raises Unknown."""
        flow = self.context.reps.get(name)
        if flow is None:
            raise Unknown(f"There is no flow of sales reps named {name!r}. What to do: see the configuration.")
        return flow

    def plan(self, flow: str, wanted: reassign.Wanted, *, actor: str) -> RunView:
        """Look what a reassignment would change. Nothing is written anywhere."""
        known = reassign.fixed(self.context, self.rep_flow(flow), wanted)
        return self._queue("plan", flow, known.options(), actor)

    def reassign(self, plan_id: int, *, actor: str) -> RunView:
        """Do what this look was for."""
        look = self.allowed(plan_id, Action.REASSIGN)
        known = reassign.fixed(self.context, self.rep_flow(look.flow), reassign.wanted_of(look.options))
        self._only_one("reassign", look.flow)
        return self._queue("reassign", look.flow, {**known.options(), "plan": look.id}, actor)

    def restore(self, run_id: int, *, actor: str) -> RunView:
        """Take this reassignment back. If it still goes on it is stopped first."""
        run = self.allowed(run_id, Action.RESTORE)
        self.rep_flow(run.flow)
        self._only_one("restore", run.flow)
        if run.state in GOING:
            self._stop(run, actor)
        return self._queue("restore", run.flow, {"run": run.id}, actor)

    def _only_one(self, kind: RunKind, flow: str) -> None:
        """Two of a kind at once would only do the same twice."""
        now = self.context.clock.now()
        going = [one for one in self.ledger.runs.going([kind]) if one.flow == flow and not one.options.get("standing")]
        busy = next((one for one in going if not silent(one, now)), None)
        if busy is not None:
            raise Refused(f"Run {busy.id} does that already. What to do: see how far it is, or stop it first.")

    def _queue(self, kind: RunKind, flow: str, options: Mapping[str, Any], actor: str) -> RunView:
        known = {**options, CARRIED: True}
        run = self.ledger.runs.begin(kind, flow, known, by=actor, state="queued")
        self.audit.note(actor, f"run.{kind}", f"run/{run.id}", {"flow": flow, **options})
        self._wake(kind)
        return run

    def _wake(self, kind: str) -> None:
        self.ledger.schedules.run_now(carrier.schedule_of(kind))
        self.bell()

    # -- on the way ------------------------------------------------------------------------------------------------

    def allowed(self, run_id: int, action: Action) -> RunView:
        """The run, if this may be done with it now. Raises Unknown or Refused."""
        run = self.run(run_id)
        if action not in actions_for(run, self.context.clock.now()):
            raise Refused(
                f"Run {run_id} is {run.state}, so this cannot be done now. What to do: look at it again; it may have moved on."
            )
        return run

    def stop(self, run_id: int, *, actor: str) -> RunView:
        """No further step. What was done so far stays done, and is kept."""
        run = self.allowed(run_id, Action.STOP)
        if run.kind in bulk.KINDS:
            Desk(self.ledger, self.audit, bell=self.bell).stop_bulk(run_id, actor=actor)
            return self.run(run_id)
        if not self._stop(run, actor):
            raise Refused(f"Run {run_id} has ended already. What to do: nothing.")
        return self.run(run_id)

    def _stop(self, run: RunView, actor: str) -> bool:
        if not self.ledger.runs.stop(run.id, f"{STOPPED_BY}{actor}."):
            return False
        self.audit.note(actor, "run.stop", f"run/{run.id}", {"flow": run.flow, "kind": run.kind})
        return True

    def go_on(self, run_id: int, *, actor: str) -> RunView:
        """From where it stopped, carried out by a worker."""
        run = self.allowed(run_id, Action.GO_ON)
        if run.flow not in self.context.reps:
            self.flow(run.flow)
        if not self.ledger.runs.queue(run_id, options={**run.options, CARRIED: True}, whatever=run.state):
            raise Refused(f"Run {run_id} has moved on. What to do: look at it again.")
        self.audit.note(actor, "run.go_on", f"run/{run_id}", {"flow": run.flow, "kind": run.kind})
        self._wake(run.kind)
        return self.run(run_id)
