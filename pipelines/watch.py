"""The delivery watch: each promise against what left and what arrived; where it is not kept, the rep is told once.

A promise at risk or broken is a row that people see; a job of its own tells of it (pipelines.latecomers).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from core.keys import Key
from core.settings import FlowSettings
from ledger.inbox import Route
from ledger.orderstates import OrderState
from ledger.watches import Watched
from mapping import promises
from mapping.promises import Promise
from pipelines import erporders, life
from pipelines.context import Context
from pipelines.run import Run

EVERY: Final = 30.0
"""Seconds between two looks at promises that time alone may have broken."""
TOGETHER: Final = 500
"""Promises that are looked at in one go."""
ROUNDS: Final = 20
"""Goes at one look: after a long silence the rest waits for the next."""


def follow(run: Run, state: OrderState) -> None:
    """How the order's promise stands now that it has come so far. A backfill tells nobody of what was so before it came."""
    if not run.rehearsed:
        keep(run.context, run.flow, state, silent=run.claim.queue == "backfill")


def look(context: Context) -> int:
    """Look at the promises that time may have broken. How many have changed."""
    changed = 0
    for _ in range(ROUNDS):
        found = context.ledger.watches.due(TOGETHER)
        changed += sum(_look_at(context, one) for one in found)
        if len(found) < TOGETHER:
            break
    return changed


def _look_at(context: Context, watched: Watched) -> bool:
    flow = context.flows.get(watched.flow)
    state = context.ledger.orders.get(watched.flow, watched.order_key)
    if flow is None or state is None:
        context.ledger.watches.drop(watched.flow, watched.order_key)
        return True
    return keep(context, flow, state)


def keep(context: Context, flow: FlowSettings, state: OrderState, *, silent: bool = False) -> bool:
    """Judge and keep; the job that tells is wanted where there is somebody to tell. The order and what its ERP promises come by
    ways of their own, at once: whoever wrote looks whether the other has told another day meanwhile.
    """
    erp_on, changed = _told_by_erp(context, flow, state), False
    while _keep(context, flow, state, erp_on, silent=silent):
        changed, known = True, erp_on
        erp_on = _told_by_erp(context, flow, state)
        if erp_on == known:
            break
    return changed


def _keep(context: Context, flow: FlowSettings, state: OrderState, erp_on: date | None, *, silent: bool) -> bool:
    """Whether it stands otherwise than before."""
    watched = _judged(flow, state, erp_on, context.ledger.clock.now())
    if watched is None:
        if context.ledger.watches.get(flow.name, state.order_key) is None:
            return False
        context.ledger.watches.drop(flow.name, state.order_key)
        return True
    route = Route(flow.name, flow.target, "live") if flow.promise is not None else None
    return context.ledger.watches.keep(watched, route, silent=silent)


def _told_by_erp(context: Context, flow: FlowSettings, state: OrderState) -> date | None:
    """The day that the flow's ERP promised; not asked for where the store has its own."""
    if flow.promise is None or not flow.promise.erp or state.promised_on is not None:
        return None
    link = context.ledger.links.get(flow.target, erporders.ORDER, state.order_key)
    crm_number = link.remote_number if link is not None else ""
    names = erporders.names_of(Key.parse(state.order_key), state.number, crm_number)
    return context.ledger.erp_promises.day(flow.name, flow.promise.erp, names, state.currency, state.total)


def _judged(flow: FlowSettings, state: OrderState, erp_on: date | None, now: datetime) -> Watched | None:
    """How its promise stands (pure); None: nothing is promised."""
    promise = promises.promise_of(
        flow.promise,
        promised_on=state.promised_on,
        erp_on=erp_on,
        method=state.method,
        rush=state.rush,
        placed_at=state.placed_at,
        paid_at=state.paid_at,
    )
    if promise is None:
        return None
    stands = promises.standing(
        promise,
        (flow.promise or promises.USUAL).proof,
        now,
        shipped=state.shipped_at is not None or state.crm_status in flow.shipped,
        delivered=state.delivered_at is not None or state.crm_status in flow.delivered,
        off=state.status in life.CALLED_OFF or state.crm_status in flow.called_off,
    )
    return _watched(flow, state, promise, stands, now)


def _watched(
    flow: FlowSettings, state: OrderState, promise: Promise, stands: promises.Standing, now: datetime
) -> Watched:
    return Watched(
        flow=flow.name,
        order_key=state.order_key,
        promised_on=promise.on,
        source=promise.source,
        ship_by=promise.ship_by,
        due=promise.due,
        level=stands.level.value,
        since=now,
        look_at=stands.again,
    )
