"""Telling the rep of an order whose promise is not kept: a message, and a note on the account in the CRM, each once.

It is a job of its own: the order's job may be held for something else, and it is then that the rep must know. It looks once more
before it tells anybody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final
from zoneinfo import ZoneInfo

from connectors.roles import CustomerNote, Noting, Owning
from core.emails import fold_email
from core.errors import Held
from core.keys import Key, external_id
from core.money import show
from core.promisesettings import PromiseSettings
from core.visible import in_one_line
from ledger.flows import REHEARSED
from ledger.jobs import Outcome
from ledger.messages import NewMessage
from ledger.orderstates import OrderState
from ledger.requests import KIND as NOTE
from ledger.watches import OPEN, Watched
from mapping.canonical import OrderStatus
from pipelines import doubles, watch
from pipelines.repowners import name_of
from pipelines.run import Run
from pipelines.standing import UNTIL_LIVE

LINES: Final = 20
"""Lines of the order that are named."""


@dataclass(frozen=True, slots=True)
class _Rep:
    """Whose the order is."""

    owner: str
    """In the owners table of the CRM."""
    name: str = ""
    email: str = ""


def carry(run: Run) -> Outcome:
    """Tell the rep that the promise of an order is not kept: a message, and a note in the CRM. Raises the taxonomy."""
    key = str(Key(run.claim.key.connection, "order", run.claim.key.id))
    settings, state = run.flow.promise, run.ledger.orders.get(run.flow.name, key)
    if settings is None or state is None:
        return Outcome("settled", "Nobody is to be told of promises any more.")
    if run.rehearsed:
        return _waits(run, state)
    state = _as_it_came_last(run, state)
    watch.keep(run.context, run.flow, state)
    watched = run.ledger.watches.get(run.flow.name, key)
    if watched is None or watched.level not in OPEN:
        return Outcome("settled", "The order has come along meanwhile: nobody needs to be told.", number=state.number)
    rep = _rep(run, state)
    told = [to or settings.via for to in _mailed(run, settings, state, watched, rep)]
    task = _noted(run, settings, state, watched, rep)
    told += [f"{rep.owner} in {run.to}"] if task else []
    run.ledger.watches.told(run.flow.name, key, watched.promised_on, watched.level, task)
    said = f"Told {', '.join(told)}." if told else "Nobody was told: there is no address, and no note could be written."
    return Outcome("settled", f"{title(state, watched)}. {said}", number=state.number)


def _waits(run: Run, state: OrderState) -> Outcome:
    return Outcome(
        "retry",
        f"Rehearsed only: the rep would be told of order {state.number}. What to do: `orderwire flow live {run.flow.name}` "
        "has them told.",
        error_class=REHEARSED,
        seconds=UNTIL_LIVE,
        burns=False,
        number=state.number,
    )


def _as_it_came_last(run: Run, state: OrderState) -> OrderState:
    """With what the store said last, where the order's own job could not carry that yet."""
    record = run.ledger.inbox.record(Key.parse(state.order_key))
    if record is not None and record.deleted:
        return replace(state, status=OrderStatus.DELETED.value)
    if record is None or record.raw is None:
        return state
    try:
        order = run.store.order(record.key, record.raw)
    except Held:
        return state  # it cannot be read: its own job says so
    return replace(
        state,
        status=order.status.value,
        shipped_at=order.shipped_at,
        delivered_at=order.delivered_at,
        promised_on=order.promised_on,
        method=order.delivery_method,
        rush=order.rush,
        paid_at=order.paid_at,
    )


def _rep(run: Run, state: OrderState) -> _Rep:
    """Whose the order is now: the CRM is asked, people give orders away. Their address, where the directory has it."""
    owner = _owner_there(run, state) or state.owner or run.flow.owner
    for flow in run.context.reps.values():
        if flow.target != run.to or flow.source not in run.context.erps:
            continue
        book = run.context.books.get(flow.source)
        for rep in book.directory.reps:
            if rep.active and owner and name_of(run.crm, book, rep) == owner:
                return _Rep(owner, rep.name, rep.email if fold_email(rep.email) else "")
    return _Rep(owner)


def _owner_there(run: Run, state: OrderState) -> str:
    crm = run.crm
    if not isinstance(crm, Owning) or not state.account:
        return ""
    for record in crm.owned_records(state.account, {"order"}) or ():
        if record.ref.id == state.remote_id:
            return state.owner if state.owner in record.names else min(record.names, default="")
    return ""


def _mailed(run: Run, settings: PromiseSettings, state: OrderState, watched: Watched, rep: _Rep) -> list[str]:
    """Whom a message was kept for. The same one is never kept twice: once for each promise, level and address."""
    if not settings.via:
        return []
    to = [rep.email] if rep.email else list(settings.tell) or [""]  # "": whom the connection itself names
    for address in to:
        mark = fold_email(address)
        new = NewMessage(
            key=external_id("watch", watched.flow, watched.order_key, str(watched.promised_on), watched.level, mark),
            flow=watched.flow,
            via=settings.via,
            to=address,
            name=rep.name if rep.email else "",
            subject=title(state, watched),
            text=_text(settings, state, watched),
            concern=watched.order_key,
        )
        run.ledger.messages.want(new)
    return to


def _noted(run: Run, settings: PromiseSettings, state: OrderState, watched: Watched, rep: _Rep) -> str:
    """The note on the customer's account, once for each promise; "" where none can be written."""
    crm = run.crm
    if not settings.task:
        return ""
    if watched.task:
        return watched.task
    if not isinstance(crm, Noting) or not state.account or not rep.owner:
        run.warn(
            f"No note about order {state.number} could be written into {run.to}: it has no account or no owner there. "
            "What to do: see the order under Deliveries.",
            "no note",
        )
        return ""
    # Notes are found again by the same formula as what customers ask for (pipelines.doubles).
    order = Key.parse(watched.order_key)
    own = Key(order.connection, NOTE, f"promise-{watched.flow}-{order.id}-{watched.promised_on}")
    intent = run.ledger.links.get(run.to, NOTE, str(own))
    if intent is None or not intent.linked:
        intent = run.intend(NOTE, [str(own)], new_refs=json.dumps({"account": state.account})).links[0]
    accounts = doubles.accounts_of(intent, state.account)
    if state.account not in doubles.accounts_of(intent):
        before = ",".join(doubles.accounts_of(intent))
        run.ledger.links.note(intent, refs={"account": state.account, "before": before})
    note = CustomerNote(
        external_id(own.connection, NOTE, own.id),
        title(state, watched),
        _text(settings, state, watched),
        intent.created_at or watched.since,
    )
    ensured = run.ensure(
        NOTE,
        str(own),
        payload_hash=note.external_id,
        find=lambda: crm.find_request(note, accounts),
        create=lambda: crm.log_request(note, state.account, rep.owner),
        known=intent,
    )
    return ensured.ref.id


def title(state: OrderState, watched: Watched) -> str:
    """One line: which order, and what is wrong."""
    rush = "Rush order" if state.rush else "Order"
    what = "is late" if watched.level == "late" else "may not arrive in time"
    return in_one_line(f"{rush} {state.number} {what}: promised for {watched.promised_on}")


def _text(settings: PromiseSettings, state: OrderState, watched: Watched) -> str:
    zone = ZoneInfo(settings.zone)
    told = {"store": "the store", "erp": settings.erp or "the ERP"}
    promised = told.get(watched.source, f"the rules of the flow {watched.flow}")
    shipped = (
        f"It left on {state.shipped_at.astimezone(zone):%Y-%m-%d}." if state.shipped_at else "It has not left yet."
    )
    facts = [
        f"Promised for {watched.promised_on} by {promised}. {shipped}",
        f"Placed on {state.placed_at.astimezone(zone):%Y-%m-%d %H:%M}, {show(state.total, state.currency)}"
        + (f", delivery: {in_one_line(state.method)}" if state.method else ""),
        *(_line(line.quantity, line.name or line.sku) for line in state.lines[:LINES]),
        f"... and {len(state.lines) - LINES} more" if len(state.lines) > LINES else "",
    ]
    todo = "What to do: see what holds it up, send it, or explain it to the customer and agree on another day."
    return "\n".join([*(fact for fact in facts if fact), "", todo])


def _line(quantity: object, name: str) -> str:
    return f"  {quantity} x {in_one_line(name)}"
