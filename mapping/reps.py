"""Who serves this customer on this day, and why. Pure: directory, customer and day in, people with reasons out.

The nearest level that has somebody answers: ship-to, customer, region, team. At a level several may serve, each with role
and rank. Who is away or has left is replaced by the deputy, and by the deputy's deputy; a level whose people are all away
without one is passed over. A region without reps of its own has those of the regions below it (KommerceServer's rule:
parents inherit), else those of the region above.

    found = resolve(directory, customer, day)
    found.primary.rep.name, found.primary.why
    found.until          # the first later day on which the answer may be another one
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, TypeVar

from mapping.canonical import Absence, Agency, ErpCustomer, Region, RepAssignment, SalesRep, Subject

PRIMARY: Final = "primary"
_DAY: Final = timedelta(days=1)
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Directory:
    """Everybody who may serve. `assignments`: what people entered here beside the ERP's own."""

    reps: tuple[SalesRep, ...] = ()
    agencies: tuple[Agency, ...] = ()
    absences: tuple[Absence, ...] = ()
    regions: tuple[Region, ...] = ()
    assignments: tuple[RepAssignment, ...] = ()
    _by_code: dict[str, list[SalesRep]] = field(init=False, repr=False, compare=False)
    _away: dict[tuple[str, str], list[Absence]] = field(init=False, repr=False, compare=False)
    _regions: dict[str, Region] = field(init=False, repr=False, compare=False)
    _below: dict[str, list[str]] = field(init=False, repr=False, compare=False)
    _entered: dict[tuple[str, str], list[RepAssignment]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_code", _grouped(self.reps, lambda rep: rep.code))
        object.__setattr__(self, "_away", _grouped(self.absences, lambda absence: (absence.agency, absence.rep)))
        object.__setattr__(self, "_regions", {region.key.id: region for region in self.regions})
        below = _grouped([region for region in self.regions if region.parent], lambda region: region.parent)
        object.__setattr__(
            self, "_below", {id: sorted(region.key.id for region in found) for id, found in below.items()}
        )
        object.__setattr__(self, "_entered", _grouped(self.assignments, lambda one: (one.subject, one.subject_id)))

    def named(self, code: str, agency: str = "") -> SalesRep | None:
        """The rep of this code: in this agency; else the own company's; else the only one there is."""
        found = self._by_code.get(code, [])
        exact = [rep for rep in found if rep.agency == agency]
        if exact:
            return exact[0]
        return found[0] if len(found) == 1 and not agency else None

    def entered(self, subject: Subject, subject_id: str) -> Sequence[RepAssignment]:
        """What people entered here for this subject."""
        return self._entered.get((subject, subject_id), ())

    def absences_of(self, rep: SalesRep) -> Sequence[Absence]:
        """All absences of a rep. One without an agency is of whom the code alone names."""
        own = self._away.get((rep.agency, rep.code), [])
        if rep.agency and ("", rep.code) in self._away and self.named(rep.code) == rep:
            return [*own, *self._away["", rep.code]]
        return own

    def deputy(self, rep: SalesRep, absence: Absence) -> SalesRep | None:
        """Who stands in: of the rep's own agency, else by the code alone."""
        code = absence.deputy
        return self.named(code, rep.agency) or self.named(code) if code else None

    def regions_of(self, region_id: str) -> Iterator[tuple[str, Sequence[Region]]]:
        """("", the region itself), ("below", the ones below, a level each time), ("above", the one above, each time)."""
        start = self._regions.get(region_id)
        if start is None:
            return
        yield "", [start]
        seen, level = {region_id}, [region_id]
        while level := sorted({below for id in level for below in self._below.get(id, ())} - seen):
            seen.update(level)
            yield "below", [self._regions[id] for id in level]
        above = start
        while above.parent and above.parent not in seen and above.parent in self._regions:
            seen.add(above.parent)
            above = self._regions[above.parent]
            yield "above", [above]


@dataclass(frozen=True, slots=True)
class Served:
    """One person who serves, and why it is this one."""

    rep: SalesRep
    role: str
    rank: int
    level: Subject
    code: str
    """The code that was assigned; another than the rep's own where this is a deputy."""
    why: str

    @property
    def stands_in(self) -> bool:
        """Whether this is a deputy."""
        return self.code != self.rep.code


@dataclass(frozen=True, slots=True)
class Resolution:
    """Who serves, the nearest first; what was passed over on the way; until when it surely stays so."""

    reps: tuple[Served, ...] = ()
    passed: tuple[str, ...] = ()
    """Sentences: what was looked at and led to nobody."""
    unknown: tuple[str, ...] = ()
    """Codes without a person."""
    until: date | None = None
    """The first later day on which the answer may be another one; None: it stays until something is changed."""

    @property
    def primary(self) -> Served | None:
        """Who is shown first, and owns the customer in the CRM."""
        return next((one for one in self.reps if one.role == PRIMARY), self.reps[0] if self.reps else None)


def resolve(directory: Directory, customer: ErpCustomer, day: date, ship_to: str = "") -> Resolution:
    """Who serves this customer (or this ship-to of it) on this day."""
    work = _Resolving(directory, day)
    for level, told, assignments in _levels(directory, customer, ship_to):
        served = work.level(level, told, assignments)
        if served:
            return Resolution(served, tuple(work.passed), tuple(work.unknown), work.until)
    return Resolution((), tuple(work.passed), tuple(work.unknown), work.until)


def for_order(
    directory: Directory, customer: ErpCustomer, day: date, *, ship_to: str = "", placed_by: str = ""
) -> Served | None:
    """The rep of an order: who placed it, else the customer's by the rules above. None: nobody at all."""
    if placed_by:
        rep = directory.named(placed_by)
        if rep is not None and rep.active:
            return Served(rep, PRIMARY, 0, "customer", placed_by, f"{placed_by} placed the order.")
    return resolve(directory, customer, day, ship_to).primary


def concerned(directory: Directory, customer: ErpCustomer) -> frozenset[tuple[str, str]]:
    """(agency, code) of everybody who may play a part for this customer on any day: when one of them changes, look again.
    A code that nobody has stands here with the agency it was assigned with.
    """
    ways = ("", *(one.number for one in customer.ship_tos))
    todo: list[SalesRep] = []
    seen: set[tuple[str, str]] = set()
    for one in (one for way in ways for _, _, found in _levels(directory, customer, way) for one in found):
        rep = directory.named(one.rep, one.agency)
        if rep is None:
            seen.add((one.agency, one.rep))
        else:
            todo.append(rep)
    while todo:
        rep = todo.pop()
        if (rep.agency, rep.code) not in seen:
            seen.add((rep.agency, rep.code))
            deputies = (directory.deputy(rep, absence) for absence in directory.absences_of(rep))
            todo.extend(deputy for deputy in deputies if deputy is not None)
    return frozenset(seen)


def holders(directory: Directory, customer: ErpCustomer, day: date) -> tuple[frozenset[tuple[str, str]], date | None]:
    """(agency, code) of everybody who is assigned to this customer, a ship-to of it, its territory or the team on that day or
    later, after what was taken over by then; and the first later day on which this may be another answer. A code that nobody has
    stands here with the agency it was assigned with.
    """
    found: set[tuple[str, str]] = set()
    edges: set[date] = set()
    for way in ("", *(one.number for one in customer.ship_tos)):
        for _, _, assignments in _levels(directory, customer, way):
            for one in assignments:
                edges |= {edge for edge in (one.first, _after(one.last)) if edge is not None and edge > day}
                if one.instead_of or (one.last is not None and one.last < day):
                    continue
                code, agency = holder(one, assignments, max(day, one.first) if one.first is not None else day)
                rep = directory.named(code, agency)
                found.add((rep.agency, rep.code) if rep is not None else (agency, code))
    return frozenset(found), min(edges, default=None)


def _after(last: date | None) -> date | None:
    return last + _DAY if last is not None and last < date.max else None


def holder(one: RepAssignment, beside: Sequence[RepAssignment], day: date) -> tuple[str, str]:
    """Code and agency of whose this assignment is on that day, after what was taken over. `beside`: all of the same subject."""
    counting = sorted((other for other in beside if other.instead_of and other.covers(day)), key=_taking_over)
    return _handed_over(one, counting)[:2]


def _grouped(values: Iterable[V], key: Callable[[V], K]) -> dict[K, list[V]]:
    found: dict[K, list[V]] = {}
    for value in values:
        found.setdefault(key(value), []).append(value)
    return found


def _levels(
    directory: Directory, customer: ErpCustomer, ship_to: str
) -> Iterator[tuple[Subject, str, Sequence[RepAssignment]]]:
    """Level, what it is called in a sentence, and everything assigned there, whatever the day."""
    place = next((one for one in customer.ship_tos if one.number == ship_to), None)
    if ship_to:
        own = [one for one in customer.assignments if one.subject == "ship_to" and one.subject_id == ship_to]
        entered = directory.entered("ship_to", f"{customer.number}/{ship_to}")
        yield "ship_to", f"ship-to {ship_to}", [*own, *entered]
    own = [one for one in customer.assignments if one.subject == "customer"]
    yield "customer", f"customer {customer.number}", [*own, *directory.entered("customer", customer.number)]
    region = (place.region if place else "") or customer.region
    for where, regions in directory.regions_of(region) if region else ():
        names = ", ".join(one.key.id for one in regions)
        told = f"region {names}" + (f", {where} {region}" if where else "")
        found = [one for each in regions for one in (*each.assignments, *directory.entered("region", each.key.id))]
        yield "region", told, found
    yield "team", "the team", directory.entered("team", "")


class _Resolving:
    """One resolution at work: what was passed over, which codes nobody has, and when to look again."""

    def __init__(self, directory: Directory, day: date) -> None:
        self.directory = directory
        self.day = day
        self.passed: list[str] = []
        self.unknown: list[str] = []
        self.until: date | None = None

    def level(self, level: Subject, told: str, assignments: Sequence[RepAssignment]) -> tuple[Served, ...]:
        found: dict[tuple[str, str, str], Served] = {}
        for one in assignments:
            self._may_change(one.first, one.last)
        today = [one for one in sorted(assignments, key=_order) if one.covers(self.day)]
        taken_over = sorted((one for one in today if one.instead_of), key=_taking_over)
        today = [one for one in today if not one.instead_of]
        for one in today:
            code, agency, handed = _handed_over(one, taken_over)
            rep, how = self._present(code, agency)
            how = ", ".join([*handed, how] if how else handed)
            if rep is None:
                self.passed.append(f"{told}: {how}")
                continue
            why = f"{one.rep} is {one.role} of {told}" + (f"; {how}" if how else "") + "."
            # The same person twice (an ERP may list an agent twice, two codes may have one deputy): the nearer counts.
            mark = (rep.agency, rep.code, one.role)
            found.setdefault(mark, Served(rep, one.role, one.rank, level, code, why))
        if not found and not today:
            self.passed.append(f"{told}: nobody is assigned.")
        return tuple(sorted(found.values(), key=lambda one: (one.role != PRIMARY, one.rank, one.role, one.rep.code)))

    def _present(self, code: str, agency: str) -> tuple[SalesRep | None, str]:
        """Who is there for this code, and how it came to be them; (None, why not)."""
        rep = self.directory.named(code, agency)
        if rep is None:
            if code not in self.unknown:
                self.unknown.append(code)
            return None, f"{code} is the code of nobody."
        said: list[str] = []
        seen: set[tuple[str, str]] = set()
        while (rep.agency, rep.code) not in seen:
            seen.add((rep.agency, rep.code))
            absence = self._absence(rep)
            if absence is None and rep.active:
                return rep, ", ".join(said)
            state = f"{rep.code} has left" if not rep.active else f"{rep.code} is away"
            deputy = self.directory.deputy(rep, absence) if absence is not None else None
            if deputy is None:
                return None, ", ".join([*said, f"{state} and nobody stands in."])
            said.append(f"{state}, {deputy.code} stands in")
            rep = deputy
        return None, ", ".join([*said, "and they stand in for each other."])

    def _absence(self, rep: SalesRep) -> Absence | None:
        """The absence of this day; of several the one that began last."""
        absences = self.directory.absences_of(rep)
        for absence in absences:
            self._may_change(absence.first, absence.last)
        today = [absence for absence in absences if absence.covers(self.day)]
        return max(today, key=lambda one: (one.first, one.last is None, one.last or date.max, one.deputy), default=None)

    def _may_change(self, first: date | None, last: date | None) -> None:
        for edge in (first, _after(last)):
            if edge is not None and edge > self.day and (self.until is None or edge < self.until):
                self.until = edge


def _handed_over(one: RepAssignment, taken_over: Sequence[RepAssignment]) -> tuple[str, str, list[str]]:
    """Whose this assignment is by now (code and agency), and how it came to be theirs."""
    code, agency = one.rep, one.agency
    said: list[str] = []
    for next_one in taken_over:
        # Regions of one level stand beside each other; any other level is a single subject.
        if next_one.instead_of == code and (one.subject != "region" or one.subject_id == next_one.subject_id):
            since = f" on {next_one.first}" if next_one.first else ""
            said.append(f"{next_one.rep} took over from {code}{since}")
            code, agency = next_one.rep, next_one.agency
    return code, agency, said


def _taking_over(one: RepAssignment) -> tuple[object, ...]:
    return (one.first or date.min, one.rank, one.instead_of, one.rep, one.agency, one.last or date.max)


def _order(one: RepAssignment) -> tuple[object, ...]:
    return (one.rank, one.role != PRIMARY, one.role, one.rep, one.agency, one.first or date.min, one.last or date.max)
