"""Where one order is: in its store, in every target, with all that came in and everything that was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from connectors.http import guarded
from connectors.roles import Addressed, Ref
from connectors.roles.looking import Readable
from core.errors import Held, OrderwireError
from core.keys import Key
from ledger.inbox import Record
from ledger.jobs import JobView
from ledger.links import Link
from ledger.papers import KeptPaper
from ledger.search import Attempt, Search
from mapping import explain
from mapping.canonical import SalesOrder
from mapping.cents import Cents
from pipelines import billing, customers, explaining, paperdesk
from pipelines.context import Context
from pipelines.editing import Difference, differences, nobodys_claim
from pipelines.explaining import State
from pipelines.rehearsal import Rehearsal
from pipelines.way import Way
from pipelines.way import of as way_of

KINDS = ("order", "invoice")
"""Kinds of links that carry the order's own key."""
COMPARED: Final = 12
"""So many of the newest deliveries are compared, each with the one before."""
LARGEST: Final = 1024 * 1024
"""Bytes of bodies that are compared for one page."""
MOST_CHANGES: Final = 25
ATTEMPTS: Final = 3
"""Of each job on the order's page; the job's own page has them all."""


@dataclass(frozen=True, slots=True)
class Place:
    """A record over there. `url` opens it in a browser, "" where nobody can tell; `since`: when it got there."""

    target: str
    kind: str
    state: str
    number: str
    remote_id: str
    origin: str
    url: str
    since: datetime | None = None
    changed: datetime | None = None
    by: str = ""
    """Of a customer: by which identity it is known there (email, vat, erp, store); never the identity itself."""
    word: str = ""
    """Of an order: where it stands, in the system's own word, as we saw it last."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a delivery changed against the one before: None where it was not compared; `more`: so many more."""

    found: Sequence[Difference] | None
    more: int = 0


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """One order everywhere. `record`: None when only its job is known; `url` opens it in its store. `cents`: None where the
    order cannot be read; `fault` says why. `changes`: by the event's id.
    """

    key: Key
    number: str
    record: Record | None
    url: str
    jobs: Sequence[JobView]
    places: Sequence[Place]
    events: Sequence[Mapping[str, Any]]
    cents: Cents | None = None
    fault: str = ""
    word: str = ""
    """The store's own word for the order's state."""
    came: datetime | None = None
    changes: Mapping[int, Change] | None = None
    attempts: Mapping[int, Sequence[Attempt]] | None = None
    invoices: Sequence[billing.Shown] = ()
    papers: Sequence[KeptPaper] = ()
    letters: Sequence[paperdesk.ShownLetter] = ()
    way: Way | None = None
    """To the customer."""

    @property
    def total(self) -> Decimal | None:
        """What the store wants for it."""
        return self.cents.total if self.cents is not None else None


def of(context: Context, search: Search, key: Key) -> Whereabouts:
    """Everything we know of this record, from the ledger alone."""
    record = context.ledger.inbox.record(key)
    jobs = search.of_record(key)
    targets = sorted({*context.crms, *(job.target for job in jobs)})
    number = (record.number if record else "") or next((job.number for job in jobs if job.number), "")
    events = list(reversed(context.ledger.inbox.events(key)))
    order, fault = _read(context, key, record)
    return Whereabouts(
        key=key,
        number=number or key.id,
        record=record,
        url=address(context.stores.get(key.connection), key.kind, key.id),
        jobs=jobs,
        places=[*_customers(context, order, jobs), *places(context, key, targets)],
        events=events,
        cents=explaining.amounts(context, key, record.raw) if record is not None and order is not None else None,
        fault=fault,
        word=order.source_status if order is not None else "",
        came=events[-1]["received_at"] if events else None,
        papers=paperdesk.papers_of(context, key),
        letters=paperdesk.letters_of(context, key),
        invoices=billing.of_order(context, key, (job.flow for job in jobs)),
        way=way_of(context, key, (job.flow for job in jobs), order),
    )


def closely(context: Context, search: Search, key: Key) -> Whereabouts:
    """The same with what each delivery changed, and the last attempts of each job."""
    found = of(context, search, key)
    return replace(
        found,
        changes=_changes(search, found.events),
        attempts={job.id: search.attempts(job.id, ATTEMPTS)[0] for job in found.jobs},
    )


def _read(context: Context, key: Key, record: Record | None) -> tuple[SalesOrder | None, str]:
    """The order as its store has it, whether it balances or not; else why it cannot be read."""
    store = context.stores.get(key.connection)
    value = explaining.parsed(record.raw) if record is not None else None
    if value is None or store is None or not isinstance(store, Readable):
        return None, ""
    try:
        return store.read(value), ""
    except Held as error:
        return None, error.message


# -- over there --------------------------------------------------------------------------------------------------------


def places(context: Context, key: Key, targets: Sequence[str]) -> list[Place]:
    """What the order became in each of these systems."""
    found: list[Place] = []
    for target in targets:
        for kind in KINDS:
            link = context.ledger.links.get(target, kind, str(key))
            if link is not None:
                found.append(_place(context, link))
    return found


def _place(context: Context, link: Link) -> Place:
    url = address(context.crms.get(link.target), link.kind, link.remote_id) if link.linked else ""
    return Place(
        target=link.target,
        kind=link.kind,
        state=link.state,
        number=link.remote_number,
        remote_id=link.remote_id,
        origin=link.origin,
        url=url,
        since=link.created_at,
        changed=link.updated_at,
        word=_word(context, link),
    )


def _word(context: Context, link: Link) -> str:
    """What people made of an order in the CRM: the status that was seen there last, "" where none was."""
    if link.kind != "order" or not link.linked:
        return ""
    return next((one.crm_status for one in context.ledger.orders.of_remote(link.target, link.remote_id)), "")


def _customers(context: Context, order: SalesOrder | None, jobs: Sequence[JobView]) -> list[Place]:
    """Account, contact and lead of the customer in each target that the order goes to."""
    found: list[Place] = []
    for job in jobs if order is not None else ():
        flow = context.flows.get(job.flow)
        if flow is None or order is None or any(place.target == flow.target for place in found):
            continue
        keys = customers.identity_keys(order.customer, flow.region)
        links = context.ledger.links.find(flow.target, customers.KIND, keys)
        found += _of_customer(context, [links[key] for key in keys if key in links])
    return found


def _of_customer(context: Context, links: Sequence[Link]) -> list[Place]:
    """One place for each record, by the strongest identity that names it."""
    found: dict[str, Place] = {}
    for kind in ("lead", "account", "contact"):
        for link in links:
            record_id = link.refs.get(kind, "")
            if not record_id or record_id in found:
                continue
            url = address(context.crms.get(link.target), kind, record_id)
            by = link.key.partition("/")[0]
            found[record_id] = Place(
                target=link.target,
                kind=kind,
                state="converted" if kind == "lead" and link.linked else "linked" if link.linked else link.state,
                number="",
                remote_id=record_id,
                origin="created" if kind in link.refs.get("made", "").split() else "found" if link.linked else "",
                url=url,
                since=link.created_at,
                changed=link.updated_at,
                by=by,
            )
    return list(found.values())


def address(system: object, kind: str, record_id: str) -> str:
    """Where a person opens this record; only http and https, whatever a connector says."""
    if not isinstance(system, Addressed) or not record_id:
        return ""
    url = system.web_page(kind, record_id)
    return url if url.startswith(("https://", "http://")) else ""


# -- what came in ------------------------------------------------------------------------------------------------------


def states(search: Search, events: Sequence[Mapping[str, Any]]) -> list[State]:
    """The record as each of the newest deliveries brought it, oldest first."""
    found = []
    for event, value in _bodies(search, events):
        if value is not None and event["verdict"] in {"newest", "same"}:
            seen = dict(explain.leaves(explain.trimmed(value)))
            found.append(State(event["id"], event["received_at"], event["via"], seen))
    return found


def _changes(search: Search, events: Sequence[Mapping[str, Any]]) -> dict[int, Change]:
    """What each of the newest deliveries changed against the one before it."""
    found: dict[int, Change] = {}
    before: dict[str, Any] | None = None
    for event, value in _bodies(search, events):
        if value is None:
            continue
        if before is not None:
            every = differences(before, value)
            found[event["id"]] = Change(every[:MOST_CHANGES], max(len(every) - MOST_CHANGES, 0))
        before = value
    return found


def _bodies(
    search: Search, events: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], dict[str, Any] | None]]:
    """The newest deliveries with their bodies, oldest first; older ones than fit are left out. `events`: newest first."""
    found: list[tuple[Mapping[str, Any], dict[str, Any] | None]] = []
    size = 0
    for event in events[:COMPARED]:
        one = search.event(event["id"])
        raw = one.raw if one is not None else None
        size += len(raw or b"")
        if size > LARGEST:
            break
        found.append((event, explaining.parsed(raw)))
    return found[::-1]


# -- asked now ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """What a target holds of the order now. `total` None: it is gone. `fault`: it could not be asked."""

    place: Place
    total: Decimal | None = None
    word: str = ""
    fault: str = ""

    def difference(self, total: Decimal | None) -> Decimal | None:
        """What it holds beyond the store's total, to the cent; None where one of both is not known."""
        if self.total is None or total is None or not self.total.is_finite():
            return None
        return self.total.quantize(total) - total if self.total.quantize(total) == self.total else self.total - total


def standing(context: Context, found: Whereabouts, job: JobView, *, actor: str) -> list[Standing]:
    """Ask each target that has the order for its total and state. Reads only: the transport asks a rehearsal's guard."""
    asked = []
    guard = Rehearsal(context, nobodys_claim(job))
    context.ledger.audit.note(actor, "job.compare", f"job/{job.id}", {"number": job.number, "record": job.key})
    for place in found.places:
        crm = context.crms.get(place.target)
        if place.kind != "order" or place.state != "linked" or crm is None:
            continue
        try:
            with guarded(guard):
                answer = crm.order_total(Ref(place.remote_id, place.number))
        except OrderwireError as error:
            asked.append(Standing(place, fault=error.message))
            continue
        total, word = answer if answer is not None else (None, "")
        asked.append(Standing(place, total, word))
    return asked
