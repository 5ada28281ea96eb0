"""A flow's three modes: rehearse (nothing is written), live (from a start on), paused (nothing runs)."""

from __future__ import annotations

from datetime import datetime

import structlog

from core.errors import ConfigurationProblem
from ledger import Ledger
from ledger.flows import FlowState
from pipelines import standing

log = structlog.get_logger(__name__)


def go_live(ledger: Ledger, flow: str, start: datetime | None, *, by: str, note: str = "") -> int:
    """From now on the flow writes; orders placed before `start` are linked or listed, never created (None: no such limit).
    What was rehearsed is run for real. How many jobs that woke.

    A start only ever moves on: what was listed as somebody else's is not created because a flow went off and on again.
    """
    require_later(ledger.flows.get(flow), start)
    ledger.flows.set(flow, "live", start=start, by=by, note=note)
    log.info("flow is live", flow=flow, start=start.isoformat() if start else "any")
    return _awake(ledger, flow)


def require_later(known: FlowState, start: datetime | None) -> None:
    """Raises ConfigurationProblem for a start that is before the one that the flow has."""
    if known.start is not None and (start is None or start < known.start):
        raise ConfigurationProblem(
            f"The flow {known.flow} went live with {known.start:%Y-%m-%d %H:%M} UTC as its start; an earlier one would create "
            f"orders that were listed as somebody else's. What to do: `orderwire flow resume {known.flow}` keeps the start, and "
            "`orderwire backfill --create` creates old orders that you name."
        )


def resume(ledger: Ledger, flow: str, *, by: str, note: str = "") -> int:
    """Live again, with the start it had. Raises ConfigurationProblem for a flow that never was."""
    known = ledger.flows.get(flow)
    if known.changed_at is None:
        raise ConfigurationProblem(
            f"The flow {flow} has never been live, so it has no start. What to do: `orderwire flow live {flow}`."
        )
    ledger.flows.set(flow, "live", by=by, note=note, keep=True)
    return _awake(ledger, flow)


def take_off(ledger: Ledger, flow: str, *, by: str, note: str = "") -> None:
    """Back to rehearsal: what comes in is planned and kept, nothing is written. A flow that was never live stays as it is:
    with a row but no start, `resume` would take it for one that creates orders of any age.
    """
    if ledger.flows.get(flow).changed_at is None:
        return
    ledger.flows.set(flow, "rehearse", by=by, note=note, keep=True)
    log.info("flow is rehearsed", flow=flow)


def pause(ledger: Ledger, flow: str, *, by: str, note: str = "") -> None:
    """Nothing of this flow runs; what comes in is kept and waits. Raises ConfigurationProblem for one that never was live."""
    if ledger.flows.get(flow).changed_at is None:
        raise ConfigurationProblem(
            f"The flow {flow} has never been live: it is rehearsed and writes nothing, so there is nothing to pause. "
            f"What to do: nothing; or `orderwire pause CONNECTION`, if a system is not even to be asked."
        )
    ledger.flows.set(flow, "paused", by=by, note=note, keep=True)
    log.info("flow is paused", flow=flow)


def _awake(ledger: Ledger, flow: str) -> int:
    """What was rehearsed while the flow could not write is done now."""
    run = ledger.runs.unfinished("rehearse", flow, standing.OPTIONS)
    if run is not None:
        ledger.runs.end(run.id, "done", "The flow went live.")
    return ledger.flows.wake_rehearsed(flow)
