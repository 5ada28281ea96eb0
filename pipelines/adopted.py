"""Orders that stood in the CRM before us (typed by hand, or by another program) and were linked, not created.

They are somebody's work. As long as the store does not change the order, they are left alone; then its words follow by
the ownership table, and its lines and money are a person's to change, with both sides shown.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from connectors.roles import Ref
from core import jsontext
from core.errors import Held
from core.money import show
from ledger.jobs import Outcome
from ledger.links import Link
from mapping.canonical import LineKind, SalesOrder
from pipelines.run import Run

ORIGIN: Final = "adopted"
CENT: Final = Decimal("0.01")
NOT_OURS: Final = frozenset({"lines", "notes", "account", "contact", "owner", "subject"})
"""What whoever typed the order decided; the flow's ownership table speaks of the rest."""


def refs_of(order: SalesOrder) -> dict[str, str]:
    """What is kept with the link: how the order stood in the store when it was linked."""
    return {"money": _money(order), "words": _words(order)}


def _money(order: SalesOrder) -> str:
    """A digest of lines and money. A refund is told by the total: what it is for may not be known yet."""
    sold = [line for line in order.lines if line.kind is not LineKind.REFUND]
    lines = [[line.sku, line.name, str(line.quantity), str(line.net), str(line.tax)] for line in sold]
    return jsontext.fingerprint({"lines": lines, "total": str(order.total), "currency": order.currency})


def _words(order: SalesOrder) -> str:
    """A digest of everything else that can be changed in a store."""
    fields = ("status", "payment_status", "delivery_method", "payment_method", "purchase_order", "note")
    words = {name: str(getattr(order, name)) for name in fields}
    addresses = [order.billing.model_dump(mode="json"), order.shipping.model_dump(mode="json")]
    return jsontext.fingerprint({**words, "addresses": addresses})


def sync(run: Run, order: SalesOrder, link: Link, update_words: Callable[[], object]) -> Outcome:
    """Leave alone, update words, or hold. Raises Held with both totals."""
    now = refs_of(order)
    done = Outcome("settled", number=order.number, amount=str(order.total), currency=order.currency)
    if {name: link.refs.get(name) for name in now} == now:
        return done
    if link.refs.get("money") != now["money"]:
        _require_same_money(run, order, link)
    if link.refs.get("words") != now["words"]:
        update_words()
    run.ledger.links.set_refs(link, {**link.refs, **now})
    return done


def _require_same_money(run: Run, order: SalesOrder, link: Link) -> None:
    """A person may have followed already: then both sides are equal again."""
    there = run.crm.order_total(Ref(link.remote_id, link.remote_number))
    name = link.remote_number or link.remote_id
    if there is None:
        raise Held(
            f"The order is {name} in {run.flow.target}, which is not there any more. What to do: see whether it was deleted "
            "on purpose; then skip this job.",
            error_class="missing reference",
        )
    total = there[0]
    if not total.is_nan() and total.quantize(CENT) == order.total.quantize(CENT):
        return
    raise Held(
        f"The order was changed in the store: it is {show(order.total, order.currency)} there, and {name}, which was typed "
        f"into {run.flow.target} before Orderwire, is {show(total, order.currency)}. What to do: change {name} by hand, then "
        "retry; or skip this job if it is right as it is.",
        error_class="changed on both sides",
        field="total",
    )
