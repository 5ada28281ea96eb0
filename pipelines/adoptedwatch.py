"""Promises of orders that stood in the CRM before us: watched from their adoption on, where the store tells a day.

Of what was over by then nobody is told: an order that was delivered or called off on either side is not watched at all, and a
promise that was broken by then counts as told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from core.keys import Key
from core.settings import FlowSettings
from mapping.canonical import OrderStatus, SalesOrder
from pipelines import life, watch
from pipelines.context import Context
from pipelines.life import There

OVER: Final = life.CALLED_OFF | {OrderStatus.COMPLETED}
"""Statuses of the store in which nothing is to leave any more."""


def begin(context: Context, flow: FlowSettings, order: SalesOrder, there: There) -> bool:
    """It was adopted: watch it. Safe to repeat. Whether it is watched."""
    ledger, key = context.ledger, str(order.key)
    known = ledger.orders.get(flow.name, key)
    if known is None and (order.promised_on is None or _is_over(flow, order, there.word)):
        return False
    seen = known.crm_seen_at if known is not None else None
    if known is not None and seen is not None and there.seen_at is not None and seen > there.seen_at:
        there = replace(there, word=known.crm_status, seen_at=seen)  # the CRM's poll came after the listing
    state = life.state_of(flow, order, there)
    ledger.orders.keep(state, over=known)
    if known is not None and known.crm_status != there.word:
        ledger.orders.crm_says(flow.name, key, there.word, seen_at=there.seen_at)
    # Not watched yet: it was adopted just now, or a crash came between the two.
    watch.keep(context, flow, state, silent=ledger.watches.get(flow.name, key) is None)
    return True


def follow(context: Context, flow: FlowSettings, order: SalesOrder) -> None:
    """The store has changed it. What was not watched from its adoption on is not watched now: nobody knows what was over then."""
    known = context.ledger.orders.get(flow.name, str(order.key))
    if known is None:
        return
    there = There(known.remote_id, known.account, known.owner, known.crm_status, known.crm_seen_at)
    state = life.state_of(flow, order, there)
    context.ledger.orders.keep(state, over=known)
    watch.keep(context, flow, state)


def end(context: Context, target: str, order_key: str) -> None:
    """It is not that order after all."""
    source = Key.parse(order_key).connection
    for flow in context.flows.values():
        if (flow.target, flow.source) == (target, source):
            context.ledger.watches.drop(flow.name, order_key)
            context.ledger.orders.forget(flow.name, order_key)


def _is_over(flow: FlowSettings, order: SalesOrder, word: str) -> bool:
    gone = order.shipped_at is not None or order.delivered_at is not None or order.status in OVER
    return gone or word in {*flow.delivered, *flow.shipped, *flow.called_off}
