"""The rep directory in the common language, and what a resolution says, for the ledger, pages and the command line."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from core.errors import Held
from core.keys import Key
from ledger import Ledger
from ledger.reps import AbsenceRow, AssignmentRow, Concern, Entry
from mapping.canonical import Absence, Agency, Canonical, ErpCustomer, Region, RepAssignment, SalesRep
from mapping.reps import Directory, Resolution, concerned

WITHOUT: Final = frozenset({"key", "stamp"})
M = TypeVar("M", bound=Canonical)


@dataclass(frozen=True, slots=True)
class Book:
    """A directory as it stood at a version."""

    version: int
    directory: Directory
    owners: Mapping[tuple[str, str], str]
    """(agency, code) -> name in the CRM's owners table, as entered by people."""


def directory(ledger: Ledger, source: str) -> Directory:
    """Everybody who may serve customers of this ERP."""
    return book(ledger, source).directory


class Books:
    """The directories that a process has read; each is read anew when its version has risen."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._lock = threading.Lock()
        self._known: dict[str, Book] = {}

    def get(self, source: str) -> Book:
        """As it stands now: one indexed read where nothing changed."""
        version = self.ledger.reps.version(source)
        with self._lock:
            known = self._known.get(source)
        if known is not None and known.version == version:
            return known
        fresh = book(self.ledger, source)
        with self._lock:
            self._known[source] = fresh
        return fresh


def book(ledger: Ledger, source: str) -> Book:
    """Read the whole directory. What changes meanwhile is seen at the next look, since the version is read first."""
    kept = ledger.reps
    version = kept.version(source)
    reps = kept.reps(source)
    made = Directory(
        reps=tuple(rep_of(entry) for entry in reps),
        agencies=_agencies(kept.agencies(source)),
        absences=tuple(absence_of(row) for row in kept.absences(source)),
        regions=tuple(region_of(entry) for entry in kept.regions(source)),
        assignments=tuple(assignment_of(row) for row in kept.assignments(source)),
    )
    return Book(version, made, {(entry.agency, entry.code): entry.owner for entry in reps if entry.owner})


def _agencies(entries: list[Entry]) -> tuple[Agency, ...]:
    """One that people tied to a business of the ERP stands for the ERP's own entry of that business."""
    made = [agency_of(entry) for entry in entries]
    tied = {agency.business for agency, entry in zip(made, entries, strict=True) if entry.own and agency.business}
    return tuple(
        agency for agency, entry in zip(made, entries, strict=True) if entry.own or agency.business not in tied
    )


# -- rows to models ----------------------------------------------------------------------------------------------------


def rep_of(entry: Entry) -> SalesRep:
    """Raises `Held` where what was kept is no rep."""
    facts = {**entry.facts, "key": Key(entry.source, "rep", entry.code), "agency": entry.agency}
    return _made(SalesRep, facts, f"rep {entry.code}")


def agency_of(entry: Entry) -> Agency:
    """Raises `Held` where what was kept is no agency."""
    return _made(Agency, {**entry.facts, "code": entry.code}, f"agency {entry.code}")


def region_of(entry: Entry) -> Region:
    """Raises `Held` where what was kept is no region."""
    return _made(Region, {**entry.facts, "key": Key(entry.source, "region", entry.code)}, f"region {entry.code}")


def absence_of(row: AbsenceRow) -> Absence:
    """As entered."""
    return Absence(rep=row.rep, agency=row.agency, first=row.first, last=row.last, deputy=row.deputy)


def assignment_of(row: AssignmentRow) -> RepAssignment:
    """As entered."""
    return RepAssignment.model_validate({name: getattr(row, name) for name in RepAssignment.model_fields})


def _made(model: type[M], facts: Mapping[str, Any], what: str) -> M:
    try:
        return model.model_validate(facts)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"])
        raise Held(
            f"The {what} of the rep directory cannot be used: {field} is wrong. "
            "What to do: correct it on the reps page or import it again.",
            error_class="validation/value",
            field=field,
        ) from None


def facts_of(model: SalesRep | Region | Agency, *, without: frozenset[str] = WITHOUT) -> dict[str, Any]:
    """JSON of a model as the directory keeps it: without its key, and without a stamp, which changes nothing."""
    facts = model.model_dump(mode="json", exclude=set(without & set(type(model).model_fields)))
    if isinstance(model, SalesRep):
        facts.pop("agency", None)
        facts["released"] = sorted(model.released)
    if isinstance(model, Agency):
        facts.pop("code", None)
    return facts


# -- what a resolution says --------------------------------------------------------------------------------------------


def concerns_of(book: Book, customer: ErpCustomer) -> set[Concern]:
    """Whoever changes one of these has to look at the customer again."""
    found: set[Concern] = set()
    for agency, code in concerned(book.directory, customer):
        found.add(Concern("rep", code, agency))
        rep = book.directory.named(code, agency)
        # A deputy whom nobody knows yet, too: when there is such a person, they stand in.
        missing = [one.deputy for one in book.directory.absences_of(rep) if one.deputy] if rep is not None else []
        found |= {Concern("rep", deputy, agency) for deputy in missing if book.directory.named(deputy, agency) is None}
    places = {customer.region, *(one.region for one in customer.ship_tos)} - {""}
    for place in places:
        found.add(Concern("region", place))
        around = [region for _, regions in book.directory.regions_of(place) for region in regions]
        # The one above as well, also before the directory has it: when it comes, it may serve.
        found |= {Concern("region", id) for region in around for id in (region.key.id, region.parent) if id}
    return found


def told(resolution: Resolution) -> dict[str, Any]:
    """A resolution as JSON: who serves, why, what was passed over, which codes are nobody's."""
    return {
        "reps": [
            {
                "code": one.rep.code,
                "agency": one.rep.agency,
                "name": one.rep.name,
                "role": one.role,
                "rank": one.rank,
                "level": one.level,
                "assigned": one.code,
                "stands_in": one.stands_in,
                "why": one.why,
            }
            for one in resolution.reps
        ],
        "passed": list(resolution.passed),
        "unknown": list(resolution.unknown),
        "until": resolution.until.isoformat() if resolution.until else None,
    }
