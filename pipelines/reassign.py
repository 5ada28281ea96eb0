"""Reassigning: what one rep has is given to another, at once or from a day on, for everybody or within a region; and taken back.

The ERP is not written. For each subject (a customer, a ship-to, a region, the team) that is the old rep's on that day, a row says
that the new one takes it over (`RepAssignment.instead_of`), with role and rank. Where the ERP gives the subject to somebody else
later, that counts. The rows carry the run's number: taking back removes them. Cards and owners follow as after any change of
the directory, at once or on their day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from connectors.roles import Owning
from core.errors import Held
from core.keys import Key
from core.settings import RepFlowSettings
from ledger.reps import AssignmentRow
from ledger.runs import Item, RunState, RunView
from mapping.canonical import ErpCustomer, RepAssignment, SalesRep, Subject
from mapping.identity import fold_erp
from mapping.reps import Directory, holder
from pipelines.context import Context
from pipelines.desk import Refused
from pipelines.repowners import account_of
from pipelines.reprun import day_in

CHUNK: Final = 200
GIVEN: Final = "given"
PLANNED: Final = "planned"
UNFINISHED: Final[tuple[RunState, ...]] = ("queued", "running", "stopped", "failed")
TAKEN_BACK: Final = "taken back"
UNREADABLE: Final = "unreadable"
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asked for. `day` None: today."""

    old: str
    new: str
    region: str = ""
    """With everything below it; "": everywhere, the team included."""
    day: date | None = None
    new_agency: str = ""
    old_agency: str = ""

    def options(self) -> dict[str, Any]:
        """As a run keeps it."""
        day = self.day.isoformat() if self.day else ""
        kept = {
            "from": self.old, "from_agency": self.old_agency, "to": self.new, "agency": self.new_agency, "region": self.region,
            "on": day,
        }  # fmt: skip
        return {name: value for name, value in kept.items() if value}


def wanted_of(options: Mapping[str, Any]) -> Wanted:
    """What a run was asked for."""
    day = str(options.get("on") or "")
    return Wanted(
        str(options["from"]),
        str(options["to"]),
        str(options.get("region") or ""),
        date.fromisoformat(day) if day else None,
        str(options.get("agency") or ""),
        str(options.get("from_agency") or ""),
    )


@dataclass(frozen=True, slots=True)
class Part:
    """One subject that changes hands."""

    subject: Subject
    id: str
    customer: str = ""
    """Its number; "" for a region or the team."""
    name: str = ""
    region: str = ""
    roles: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Under which a run notes it."""
        return f"{self.subject}/{self.id}"[:320]


def fixed(context: Context, flow: RepFlowSettings, wanted: Wanted) -> Wanted:
    """The same with its day said, if it can be done. Raises Refused."""
    directory, today = context.books.get(flow.source).directory, day_in(context, flow.zone)
    if not wanted.old or not wanted.new:
        raise Refused("From whom to whom is missing. What to do: give the codes of two reps.")
    new = directory.named(wanted.new, wanted.new_agency)
    if new is None:
        raise Refused(f"{wanted.new} is the code of nobody. What to do: add the rep first, or look at the code.")
    day = wanted.day or today
    if day < today:
        raise Refused(f"{day} is over. What to do: choose today or a later day.")
    if not _works(directory, new, day):
        raise Refused(f"{wanted.new} is not there on {day}. What to do: choose somebody else, or another day.")
    old = directory.named(wanted.old, wanted.old_agency)
    namesakes = sorted(f"{rep.agency}/{rep.code}" for rep in directory.reps if rep.code == wanted.old)
    if old is None and namesakes:
        raise Refused(f"{wanted.old} is not one rep's code. What to do: give one of {', '.join(namesakes)}.")
    if old == new:
        raise Refused("Both are the same rep. What to do: choose another one.")
    if old is None and not context.ledger.reps.concerned_by(flow.source, wanted.old):
        raise Refused(f"Nobody has the code {wanted.old}, and nothing is theirs. What to do: look at the code.")
    if wanted.region and wanted.region not in {region.key.id for region in directory.regions}:
        raise Refused(f"There is no region {wanted.region}. What to do: choose one of the directory.")
    return Wanted(wanted.old, wanted.new, wanted.region, day, new.agency, old.agency if old is not None else "")


def _works(directory: Directory, rep: SalesRep, day: date) -> bool:
    """Neither left nor gone for good. Who is away for a while has a deputy."""
    gone = any(absence.last is None and absence.covers(day) for absence in directory.absences_of(rep))
    return rep.active and not gone


# -- what there is -----------------------------------------------------------------------------------------------------


class Parts:
    """The subjects that a reassignment is about, by what the ledger knows."""

    def __init__(self, context: Context, flow: RepFlowSettings, wanted: Wanted) -> None:
        self.context, self.flow, self.wanted = context, flow, wanted
        self.directory = context.books.get(flow.source).directory
        self.old = self.directory.named(wanted.old, wanted.old_agency)
        self.day = wanted.day or day_in(context, flow.zone)
        self.inside = _below(self.directory, wanted.region)
        self.customers = context.ledger.reps.concerned_by(flow.source, wanted.old)
        self.unreadable: list[str] = []

    def __iter__(self) -> Iterator[Part]:
        yield from self.of_directory()
        for number in self.customers:
            yield from self.of_customer(number)

    def of_directory(self) -> Iterator[Part]:
        """Regions, and the team."""
        for region in self.directory.regions:
            id = region.key.id
            rows = [*region.assignments, *self.directory.entered("region", id)]
            if not self.wanted.region or id in self.inside:
                yield from self._part("region", id, rows, name=region.name, region=id)
        if not self.wanted.region:
            yield from self._part("team", "", self.directory.entered("team", ""))

    def of_customer(self, number: str) -> Iterator[Part]:
        """A customer and its ship-tos."""
        customer = self._customer(number)
        if customer is None:
            return
        own = [one for one in customer.assignments if one.subject == "customer"]
        if self._is_inside(customer.region):
            rows = [*own, *self.directory.entered("customer", number)]
            yield from self._part("customer", number, rows, customer=number, name=customer.name, region=customer.region)
        for place in customer.ship_tos:
            region, id = place.region or customer.region, f"{number}/{place.number}"
            if self._is_inside(region):
                told = [
                    one for one in customer.assignments if (one.subject, one.subject_id) == ("ship_to", place.number)
                ]
                rows = [*told, *self.directory.entered("ship_to", id)]
                yield from self._part("ship_to", id, rows, customer=number, name=customer.name, region=region)

    def _part(self, subject: Subject, id: str, rows: Sequence[RepAssignment], **facts: str) -> Iterator[Part]:
        roles = tuple(dict.fromkeys(one.role for one in rows if self._is_theirs(one, rows)))
        if roles:
            yield Part(subject, id, roles=roles, **facts)

    def _is_theirs(self, one: RepAssignment, beside: Sequence[RepAssignment]) -> bool:
        """An assignment that counts on that day or later, and is the old rep's by then."""
        if one.instead_of or (one.last is not None and one.last < self.day):
            return False
        day = max(self.day, one.first) if one.first is not None else self.day
        code, agency = holder(one, beside, day)
        # Another firm may have a rep of the same code.
        return code == self.wanted.old and self.directory.named(code, agency) == self.old

    def _is_inside(self, region: str) -> bool:
        return not self.wanted.region or region in self.inside

    def _customer(self, number: str) -> ErpCustomer | None:
        key = Key(self.flow.source, "customer", number)
        record = self.context.ledger.inbox.record(key)
        if record is None or record.deleted or record.raw is None:
            return None
        try:
            return self.context.erp(self.flow.source).customer(key, record.raw)
        except Held:
            self.unreadable.append(number)  # its own job is held and says why
            return None


def _below(directory: Directory, region: str) -> frozenset[str]:
    """The region and all below it."""
    found, level = {region}, {region}
    while level := {one.key.id for one in directory.regions if one.parent in level} - found:
        found |= level
    return frozenset(found)


# -- a look ------------------------------------------------------------------------------------------------------------


def look(
    context: Context, flow: RepFlowSettings, wanted: Wanted, *, progress: Progress = lambda _done, _total: None
) -> list[Item]:
    """What would change hands, with the open orders that follow; the CRM is asked for these alone, and nothing is written."""
    parts = Parts(context, flow, wanted)
    items: list[Item] = [_planned(part, None) for part in parts.of_directory()]
    for done, number in enumerate(parts.customers):
        progress(done, len(parts.customers))
        found = list(parts.of_customer(number))
        orders = open_orders(context, flow, number) if found else None
        items += [_planned(part, orders if place == 0 else None) for place, part in enumerate(found)]
    return items + _unreadable(parts)


def _unreadable(parts: Parts) -> list[Item]:
    return [Item(f"customer/{number}"[:320], UNREADABLE, number[:120], reason=_HELD) for number in parts.unreadable]


_HELD: Final = "It cannot be read. What to do: see its job."


def _planned(part: Part, orders: int | None) -> Item:
    facts = {"name": part.name, "region": part.region, "roles": list(part.roles), "orders": orders or 0}
    words = [part.name, f"({', '.join(part.roles)})"] + ([f"{orders} open orders"] if orders else [])
    return Item(part.key, PLANNED, _number(part), reason=" ".join(word for word in words if word), facts=facts)


def _number(part: Part) -> str:
    return {"region": f"region {part.id}", "team": "the team"}.get(part.subject, part.id)[:120]


def open_orders(context: Context, flow: RepFlowSettings, number: str) -> int | None:
    """How many open orders the customer has in the CRM; None where it has no account there, or not a single one."""
    crm: object = context.crms.get(flow.target)
    if not isinstance(crm, Owning) or "order" not in flow.assign:
        return None
    try:
        account = account_of(context.ledger, flow.target, fold_erp(number))
    except Held:
        return None
    records = crm.owned_records(account, frozenset({"order"})) if account else None
    return None if records is None else sum(record.kind == "order" for record in records)


def summary(items: Sequence[Item], wanted: Wanted) -> str:
    """A sentence with the numbers (pure)."""
    counts = Counter(item.key.partition("/")[0] for item in items if item.verdict != UNREADABLE)
    orders = sum(int(item.facts.get("orders", 0)) for item in items)
    words = [
        f"{count} {one if count == 1 else many}"
        for kind, one, many in _KINDS
        if (count := counts.get(kind, 0))
    ]  # fmt: skip
    named = ", ".join(words) or "Nothing"
    with_orders = f" with {orders} open {'order' if orders == 1 else 'orders'}" if orders else ""
    return f"{named}{with_orders}: from {wanted.old} to {wanted.new} on {wanted.day}."


_KINDS: Final = (
    ("customer", "customer", "customers"),
    ("ship_to", "ship-to", "ship-tos"),
    ("region", "region", "regions"),
    ("team", "team", "teams"),
)


# -- doing it, and taking it back --------------------------------------------------------------------------------------


def reassign(
    context: Context,
    flow: RepFlowSettings,
    wanted: Wanted,
    run: RunView,
    *,
    by: str = "",
    progress: Progress = lambda _done, _total: None,
) -> list[Item]:
    """Enter what changes hands, a few hundred at a time; what this run entered before an interruption is left as it is."""
    kept = context.ledger.reps
    there = {(row.subject, row.subject_id) for row in kept.assignments(flow.source, origin=origin(run.id))}
    parts = Parts(context, flow, wanted)
    rest = list(parts)  # what was entered before an interruption is the new rep's by now
    total = len(rest) + len(there)
    for start in range(0, len(rest), CHUNK):
        progress(len(there) + start, total)
        some = rest[start : start + CHUNK]
        kept.add_assignments(flow.source, [_row(part, wanted, run) for part in some], by=by)
    progress(total, total)
    items = [Item(f"{kind}/{id}"[:320], GIVEN, id[:120]) for kind, id in sorted(there)]
    items += [Item(part.key, GIVEN, _number(part), reason=part.name) for part in rest]
    items += _unreadable(parts)
    return items


def origin(run_id: int) -> str:
    """What the rows of a run carry."""
    return f"run:{run_id}"


def _row(part: Part, wanted: Wanted, run: RunView) -> AssignmentRow:
    return AssignmentRow(
        part.subject, part.id, wanted.new, wanted.new_agency, rank=run.id, first=wanted.day, origin=origin(run.id),
        instead_of=wanted.old,
    )  # fmt: skip


def take_back(
    context: Context, flow: RepFlowSettings, run_id: int, *, progress: Progress = lambda _done, _total: None
) -> list[Item]:
    """Remove what the run entered; whoever served before serves again."""
    kept = context.ledger.reps
    rows = kept.assignments(flow.source, origin=origin(run_id))
    for start in range(0, len(rows), CHUNK):
        progress(start, len(rows))
        kept.remove_assignments(flow.source, [row.id for row in rows[start : start + CHUNK]])
    progress(len(rows), len(rows))
    return [Item(f"{row.subject}/{row.subject_id}"[:320], TAKEN_BACK, row.subject_id[:120]) for row in rows]


def take_back_run(
    context: Context,
    flow: RepFlowSettings,
    given: RunView,
    own: RunView,
    *,
    progress: Progress = lambda _done, _total: None,
) -> list[Item]:
    """The same of a run that may not have come to its end: it must not go on, and do again what is taken back."""
    context.ledger.runs.end(given.id, "done", f"Taken back by run {own.id}.", whatever=UNFINISHED)
    return take_back(context, flow, given.id, progress=progress)


def of_run(context: Context, run_id: int) -> tuple[RunView, RepFlowSettings]:
    """The reassignment and its flow, if it can be taken back. Raises Refused."""
    run = context.ledger.runs.get(run_id)
    if run is None or run.kind != "reassign":
        what = f"Run {run_id} is no reassignment" if run else f"There is no run {run_id}"
        raise Refused(f"{what}. What to do: see `orderwire runs list --kind reassign`.")
    flow = context.rep_flow(run.flow)
    later = _built_upon(context, flow, run)
    if later:
        runs = ", ".join(map(str, later))
        raise Refused(f"Run {runs} gave on what run {run_id} had given. What to do: take back run {later[-1]} first.")
    return run, flow


def _built_upon(context: Context, flow: RepFlowSettings, run: RunView) -> list[int]:
    """Later runs that took over from the new rep something that this run gave: without it they would say nothing."""
    mine = context.ledger.reps.assignments(flow.source, origin=origin(run.id))
    subjects, new = {(row.subject, row.subject_id) for row in mine}, wanted_of(run.options).new
    rows = context.ledger.reps.assignments(flow.source) if mine else []
    later = {
        int(row.origin.removeprefix("run:"))
        for row in rows
        if row.instead_of == new and (row.subject, row.subject_id) in subjects and row.origin.startswith("run:")
    }
    return sorted(number for number in later if number > run.id)
