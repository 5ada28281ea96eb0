"""Sales reps: who serves each customer, kept as a card, and given the customer's records in the CRM.

A job is one record of the ERP. Reps and regions fill the directory; a customer is resolved by the day in the flow's zone,
its card is kept, its owner follows. `look_again` makes due whom a change of the directory or a new day concerns.
"""

from __future__ import annotations

import json
from typing import Final

from core.errors import Held, RetryLater
from core.keys import content_hash
from ledger.flows import REHEARSED
from ledger.inbox import Record
from ledger.jobs import Outcome
from ledger.reps import Answer
from mapping.canonical import ErpCustomer
from mapping.cards import card_of
from mapping.reps import Resolution, holders, resolve
from pipelines import publishing, repowners
from pipelines.context import Context
from pipelines.repbook import Book, concerns_of, facts_of, told
from pipelines.reprun import RepRun, day_in
from pipelines.standing import UNTIL_LIVE

TRIES: Final = 5
"""Looks at one customer in one attempt, when the directory changes meanwhile."""


def carry(run: RepRun) -> Outcome:
    """Carry one record of the ERP. Raises the taxonomy of core.errors."""
    record = run.newest()
    work = {"rep": _rep, "region": _region}.get(record.key.kind, _customer)
    return work(run, record)


def look_again(context: Context, source: str) -> int:
    """Make due every customer of this ERP whose reps may be others now: something in the directory changed, a dated
    assignment or absence begins or ends, or an account came. How many reasons there were.
    """
    routes = context.rep_routes(source)
    flows = [context.reps[route.flow] for route in routes]
    if not flows:
        return 0
    kept = context.ledger.reps
    count = kept.wake(source, routes) + kept.wake_due(source, day_in(context, flows[0].zone), routes)
    return count + sum(
        kept.wake_seated(route, source, repowners.MATCH_KIND, repowners.LINK_KIND) for route in routes if route.target
    )


# -- the directory -----------------------------------------------------------------------------------------------------


def _rep(run: RepRun, record: Record) -> Outcome:
    if record.deleted or record.raw is None:
        run.ledger.reps.forget_rep(run.source, record.key.id)
        return _settled(record, f"{run.source} has the rep {record.key.id} no more.")
    rep = run.erp.rep(record.key, record.raw)
    run.ledger.reps.put_rep(
        run.source, rep.code, facts_of(rep), agency=rep.agency, told="erp", record_id=record.key.id, by=run.source
    )
    return _settled(record, f"{rep.code} {rep.name}".strip() + " is in the directory.")


def _region(run: RepRun, record: Record) -> Outcome:
    if record.deleted or record.raw is None:
        run.ledger.reps.put_region(run.source, record.key.id, None, told="erp")
        return _settled(record, f"{run.source} has the region {record.key.id} no more.")
    region = run.erp.region(record.key, record.raw)
    run.ledger.reps.put_region(run.source, region.key.id, facts_of(region), told="erp", by=run.source)
    return _settled(record, f"The region {region.key.id} {region.name}".strip() + " is in the directory.")


# -- a customer --------------------------------------------------------------------------------------------------------


def _customer(run: RepRun, record: Record) -> Outcome:
    number = record.key.id
    if record.deleted or record.raw is None:
        _not_an_agency(run, number)
        had = _forget(run, number)
        publishing.gone(run.context, run.flow, number)
        return _settled(
            record, f"{run.source} has this customer no more" + ("; its card is gone." if had else "; it had no card.")
        )
    customer = run.erp.customer(record.key, record.raw)
    if customer.business != "customer":
        return _agency(run, record, customer)
    _not_an_agency(run, number)
    book, resolution = kept(run, customer)
    untold = _told_to_portals(run, customer)
    who = _who(resolution)
    owned = repowners.follow(run, customer, resolution, book) if run.flow.target else None
    if untold is not None:
        raise untold  # only now: what a portal cannot take keeps no owner from following
    if owned is None:
        return _settled(record, who)
    if owned.rehearsed:
        return Outcome(
            "retry",
            f"Rehearsed only: {who} {owned.sentence} What to do: `orderwire flow live {run.flow.name}` lets it write.",
            error_class=REHEARSED,
            seconds=UNTIL_LIVE,
            burns=False,
            number=number,
        )
    return _settled(record, f"{who} {owned.sentence}")


def _told_to_portals(run: RepRun, customer: ErpCustomer) -> Held | None:
    """Why a portal cannot be told; None: all are, in time."""
    try:
        publishing.want(run.context, run.flow, customer)
    except Held as why:
        return why
    return None


def kept(run: RepRun, customer: ErpCustomer) -> tuple[Book, Resolution]:
    """Resolve, and keep the card with whom it concerns; anew where the directory changed meanwhile."""
    for _ in range(TRIES):
        book, day = run.context.books.get(run.source), run.day
        resolution = resolve(book.directory, customer, day)
        card = card_of(resolution, book.directory, customer, day).model_dump_json()
        primary = resolution.primary
        assigned, turns = holders(book.directory, customer, day)
        facts = {**told(resolution), "active": customer.active, "assigned": sorted(map(list, assigned))}
        answer = Answer(
            card=card,
            digest=content_hash(card.encode()),
            seen_on=day,
            until=min((one for one in (resolution.until, turns) if one is not None), default=None),
            resolution=json.dumps(facts, ensure_ascii=False, sort_keys=True),
            name=customer.name,
            region=customer.region,
            rep=primary.rep.code if primary else "",
            agency=primary.rep.agency if primary else "",
        )
        concerns = concerns_of(book, customer)
        if run.ledger.reps.save_card(run.source, customer.number, answer, concerns=concerns, version=book.version):
            return book, resolution
    raise RetryLater(
        "The rep directory is being changed. What to do: nothing, this customer follows by itself.",
        seconds=1.0,
        cause="busy",
        burns_attempt=False,
    )


def _agency(run: RepRun, record: Record, customer: ErpCustomer) -> Outcome:
    """A business of the ERP that sells: it is nobody's customer."""
    if customer.business == "rep":
        _not_an_agency(run, customer.number)
    else:
        facts = {"name": customer.name, "business": customer.number, "own": customer.business == "own"}
        run.ledger.reps.put_agency(run.source, customer.number, facts, told="erp", by=run.source)
    _forget(run, customer.number)
    publishing.gone(run.context, run.flow, customer.number)
    what = {"own": "the own company", "rep": "a rep"}.get(customer.business, "an outside firm that sells")
    return _settled(record, f"{customer.name or customer.number} is {what}, not a customer: it has no card.")


def _forget(run: RepRun, number: str) -> bool:
    return run.ledger.reps.forget_card(run.source, number, [route.flow for route in run.context.rep_routes(run.source)])


def _not_an_agency(run: RepRun, number: str) -> None:
    """A business that sold is a customer now, or gone."""
    if any(number in {agency.code, agency.business} for agency in run.context.books.get(run.source).directory.agencies):
        run.ledger.reps.put_agency(run.source, number, None, told="erp")


def _who(resolution: Resolution) -> str:
    primary = resolution.primary
    if primary is None:
        return "Nobody serves this customer: " + " ".join(
            _sentence(one) for one in resolution.passed or ("nobody is assigned",)
        )
    others = len(resolution.reps) - 1
    more = f" and {others} more" if others else ""
    name = f"{primary.rep.code} {primary.rep.name}".strip()
    return f"{name}{more}: {primary.why}"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _settled(record: Record, message: str) -> Outcome:
    return Outcome("settled", message, number=record.number or record.key.id[:120])
