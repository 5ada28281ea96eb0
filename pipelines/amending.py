"""An order that changed after it was carried over: what of it is written, what stays as people made it, what a person
must decide.

Three states are compared: what we wrote last, what the CRM shows now, what the store says now. Where the CRM still shows
what we wrote, the store is followed; what only the CRM has changed stays; what both changed to different things is held,
and the answer holds for exactly these two values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast

from connectors.roles import Amending, Conflict, Crm, OrderRefs, Ownership, Ref, Written
from core.errors import Held
from core.settings import FlowSettings
from ledger.amendments import CHANGED, Asked, Side
from ledger.links import Link
from mapping.canonical import SalesOrder
from pipelines.run import Ensured, Run

KIND: Final = "order"
WORDS: Final = {
    "lines": "lines and amounts",
    "billing": "billing address",
    "shipping": "delivery address",
    "delivery_method": "delivery method",
    "payment_method": "payment method",
    "purchase_order": "purchase order number",
    "notes": "description",
    "custom": "custom fields",
}
"""Parts of an order as people call them, where that is not the part's own word."""


def ownership_of(flow: FlowSettings) -> Ownership:
    """Whose the parts of an order are when it is updated, in this flow."""
    rules = flow.ownership
    return Ownership(keep=rules.parts("crm"), fill=rules.parts("empty"), ask=rules.parts("ask"))


def ensure(run: Run, order: SalesOrder, refs: OrderRefs, link: Link | None) -> Ensured:
    """The order over there, once, as far as it is the store's. Raises Held (class "changed there")."""
    amendment = Amendment(run, order, refs, link)
    ensured = run.ensure(
        KIND,
        str(order.key),
        payload_hash=run.crm.payload_fingerprint(order, refs, amendment.ownership),
        find=lambda: run.crm.find_order(refs.external_id),
        create=lambda: run.crm.create_order(order, refs),
        update=amendment.update,
        known=link,
    )
    if link is not None and not ensured.changed and not run.rehearsed:
        run.ledger.amendments.agreed(link)  # the store has gone back to what was followed already
    return replace(ensured, word=amendment.word)


class Amendment:
    """One update of one order. `word`: where the order stands in the CRM afterwards; "" where nothing was looked at."""

    def __init__(self, run: Run, order: SalesOrder, refs: OrderRefs, known: Link | None) -> None:
        self.run, self.order, self.refs, self.known = run, order, refs, known
        self.ownership = ownership_of(run.flow)
        self.word = ""

    def update(self, ref: Ref) -> Written:
        """In the lane, the mark that an update is under way set: compare, decide, write."""
        run = self.run
        if not amends(run.context.crms[run.to]):
            return run.crm.update_order(ref, self.order, self.refs, self.ownership)
        crm = cast("Amending", run.crm)  # a rehearsal's notes what would be written
        link = self._link()
        shown = run.ledger.amendments.shown(link) if link is not None else None
        found = crm.compare(ref, self.order, self.refs, self.ownership, shown)
        parts = found.send | self._decided(link, ref, found.conflicts)
        if parts and link is not None and not run.rehearsed:
            run.ledger.amendments.sending(run.claim, link, crm.sending(found, parts))
        written = crm.amend(ref, self.order, self.refs, self.ownership, found, parts)
        self.word = run.crm.order_word(self.refs, self.order) if "status" in parts else found.word
        if link is not None and not run.rehearsed:
            run.ledger.amendments.agreed(link)
        return written

    def _link(self) -> Link | None:
        """As it was before the mark that an update is under way."""
        known = self.known
        return (
            known
            if known is not None and known.linked
            else self.run.ledger.links.get(self.run.to, KIND, str(self.order.key))
        )

    def _decided(self, link: Link | None, ref: Ref, conflicts: Sequence[Conflict]) -> frozenset[str]:
        """The parts in conflict that are to be written over. Raises Held where a person has not answered yet."""
        if not conflicts or link is None:
            return frozenset()
        asked = [_asked(one) for one in conflicts]
        answers = self.run.ledger.amendments.answered(link, asked)
        left = [one for one in asked if one.part not in answers]
        if left:
            if not self.run.rehearsed:
                self.run.ledger.amendments.ask(link, left)
            raise self._held(ref, left)
        return frozenset(part for part, choice in answers.items() if choice == "store")

    def _held(self, ref: Ref, asked: Sequence[Asked]) -> Held:
        what = " and ".join(WORDS.get(one.part, one.part) for one in asked)
        store = self.order.key.connection
        return Held(
            f"This order was changed in {store} and, by somebody else, in {self.run.to} ({ref.number or ref.id}), to different "
            f"things: {what}. Nothing was written. What to do: compare both sides, then keep theirs (what {self.run.to} has) or "
            "take the store's.",
            error_class=CHANGED,
            field=asked[0].part,
        )


def amends(crm: Crm) -> bool:
    """Whether this CRM tells who changed what."""
    return isinstance(crm, Amending)


def _asked(conflict: Conflict) -> Asked:
    rows = tuple(Side(row.field, row.wrote, row.theirs, row.stores) for row in conflict.rows)
    return Asked(conflict.part, conflict.theirs, conflict.stores, rows)
