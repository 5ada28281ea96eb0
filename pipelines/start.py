"""From which moment on a flow creates orders: what was placed before it was somebody else's to carry."""

from __future__ import annotations

from core.errors import Skipped
from core.keys import external_id
from ledger.links import Link
from mapping.canonical import SalesOrder
from pipelines.run import Run

RULE = "before start"


def require(run: Run, order: SalesOrder, link: Link | None) -> None:
    """An order from before the start that is not linked is never created, by whatever way it came. One that carries our
    external id over there (an older ledger was at work) goes on to be linked; raises Skipped for the others.
    """
    begun = run.ledger.flows.get(run.flow.name).start
    if begun is None or order.placed_at >= begun:
        return
    if link is not None and link.state == "sent":
        return  # we were about to create it once: the look-up decides, not the date
    if run.claim.queue == "backfill" and run.context.ledger.runs.creates(run.claim.flow, str(order.key)):
        return
    if run.crm.find_order(external_id(order.key.connection, order.key.kind, order.key.id)):
        return
    raise Skipped(
        f"The order was placed before this flow began to create orders ({begun:%Y-%m-%d %H:%M} UTC), and is not linked. "
        f"What to do: nothing if it is in {run.flow.target} already or not wanted there; else `orderwire adopt` links it, "
        "`orderwire backfill --create` creates it.",
        rule=RULE,
    )
