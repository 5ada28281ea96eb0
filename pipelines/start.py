"""From which moment on a flow creates orders: what was placed before it was somebody else's to carry."""

from __future__ import annotations

from core.errors import Held, Skipped
from core.keys import external_id
from ledger.links import Link
from ledger.runs import UNDONE
from mapping.canonical import SalesOrder
from pipelines.run import Run

RULE = "before start"


def require(run: Run, order: SalesOrder, link: Link | None) -> None:
    """An order from before the start that is not linked is never created, by whatever way it came. One that carries our
    external id over there (an older ledger was at work) goes on to be linked; raises Skipped for the others. Nor is one that
    was taken back (`orderwire undo`), whenever it was placed.
    """
    _not_undone(run, order, link)
    begun = run.ledger.flows.get(run.flow.name).start
    if begun is None or order.placed_at >= begun:
        _not_asked(run, order, link)
        return
    if link is not None and link.state == "sent":
        return  # we were about to create it once: the look-up decides, not the date
    # A person has named it: whoever brings the news first, a backfill or a live change, carries that out.
    if run.context.ledger.runs.creates(run.claim.flow, str(order.key)):
        return
    if run.crm.find_order(external_id(order.key.connection, order.key.kind, order.key.id)):
        return
    raise Skipped(
        f"The order was placed before this flow began to create orders ({begun:%Y-%m-%d %H:%M} UTC), and is not linked. "
        f"What to do: nothing if it is in {run.flow.target} already or not wanted there; else `orderwire adopt` links it, "
        "`orderwire backfill --create` creates it.",
        rule=RULE,
    )


def _not_asked(run: Run, order: SalesOrder, link: Link | None) -> None:
    """While it is an open question whether somebody typed this order by hand, it is not created beside what they typed."""
    if link is not None and link.state == "sent":
        return
    if run.context.ledger.reviews.is_open(run.flow.target, "order", str(order.key)):
        raise Held(
            f"Somebody may have typed this order into {run.flow.target} already, and that is an open question. What to do: "
            "`orderwire review list`, then decide; the order follows by itself.",
            error_class="duplicate/conflict",
            field="order",
        )


def _not_undone(run: Run, order: SalesOrder, link: Link | None) -> None:
    if run.claim.generation == 1 or (link is not None and link.state == "sent"):
        return  # what was taken back was wanted before: the first time need not ask
    if run.context.ledger.runs.undone(run.claim.flow, [str(order.key)]):
        raise Skipped(
            "The order was taken back by `orderwire undo`, so it is not created again. What to do: nothing, or "
            "`orderwire backfill --create` for the day it was placed on if it is wanted after all.",
            rule=UNDONE,
        )
