"""A flow that is not live yet: what comes in is rehearsed, the result kept, and the job waits for the flow to go live."""

from __future__ import annotations

from typing import Final

from core.errors import Held
from core.money import show
from ledger import Ledger
from ledger.flows import REHEARSED
from ledger.jobs import Outcome
from ledger.runs import RunView
from mapping.canonical import SalesOrder
from pipelines.rehearsal import Plan, Rehearsal

UNTIL_LIVE: Final = 10 * 365 * 86_400.0
"""Seconds: going live makes these jobs due."""
OPTIONS: Final = {"standing": True}


def run_of(ledger: Ledger, flow: str) -> RunView:
    """The standing rehearsal of this flow: every order that came in since it was configured, or taken off live."""
    return ledger.runs.unfinished("rehearse", flow, OPTIONS) or ledger.runs.begin("rehearse", flow, OPTIONS)


def rehearse(run: Rehearsal, order: SalesOrder) -> Outcome:
    """Plan the order, note the plan, and wait."""
    return _noted(run, run.plan(order))


def unreadable(run: Rehearsal, error: Held) -> Outcome:
    """It would be held before anything is asked."""
    plan = Plan(str(run.claim.key), "hold", reason=error.message, error_class=error.error_class)
    return _noted(run, plan)


def deleted(run: Rehearsal) -> Outcome:
    """It was deleted in the store while nobody carried anything."""
    plan = Plan(
        str(run.claim.key),
        "skip",
        reason="The store deleted this order before it was carried over.",
        error_class="rule deleted",
    )
    return _noted(run, plan)


def _noted(run: Rehearsal, plan: Plan) -> Outcome:
    real = run.context.ledger
    real.runs.put(run_of(real, run.flow.name).id, [plan.item()])
    return Outcome(
        "retry",
        _sentence(run.flow.name, plan),
        error_class=REHEARSED,
        seconds=UNTIL_LIVE,
        burns=False,
        number=plan.number,
        amount=str(plan.amount) if plan.currency else "",
        currency=plan.currency,
    )


def _sentence(flow: str, plan: Plan) -> str:
    money = f" ({show(plan.amount, plan.currency)})" if plan.currency else ""
    would = {
        "post": f"would be written{money}",
        "change": f"would be changed{money}",
        "nothing": "would be left as it is",
        "hold": f"would be held: {plan.reason.partition(' What to do:')[0]}",
        "skip": f"would be skipped: {plan.reason}",
        "wait": f"would wait: {plan.reason.partition(' What to do:')[0]}",
    }[plan.verdict]
    return f"Rehearsed only: it {would}. What to do: see `orderwire rehearse {flow} --show`, then `orderwire flow live {flow}`."
