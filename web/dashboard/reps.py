"""`/reps`: the rep directory by hand. Who there is, of which agency, who is away and who stands in, and whom they serve."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request, Response

from core.cells import harmless
from core.rights import Right
from ledger.people import Person
from ledger.reps import AbsenceRow, AssignmentRow
from mapping.canonical import Absence, SalesRep
from mapping.reps import Directory
from pipelines.context import Context
from pipelines.desk import Refused
from pipelines.repdesk import RepDesk
from pipelines.repediting import RELEASABLE, Contact, RepEditing
from pipelines.reprun import day_in
from pipelines.repview import source_of
from web.access import require
from web.dashboard.common import Seeing, context_of, state_of
from web.dashboard.customers import day_of
from web.pages import back, page, translated

router = APIRouter()
_ = translated

SHOWN: Final = 200
"""Rows of each list; the files have all of them."""
SUBJECTS: Final = ("customer", "ship_to", "region", "team")
ROLES: Final = ("primary", "service", "inside", "field", "support", "accounting", "team")
Directing = Annotated[Person, Depends(require(Right.SETTINGS))]
Exporting = Annotated[Person, Depends(require(Right.EXPORT))]
Text = Annotated[str, Form(max_length=300)]


@dataclass(frozen=True, slots=True)
class Line:
    """One rep in the list."""

    rep: SalesRep
    away: Absence | None
    here: bool
    """People said something of it here."""
    there: bool
    """The ERP did."""
    owner: str


def editing(request: Request, flow: str) -> RepEditing:
    """The services over this process's state."""
    context = context_of(request)
    return RepEditing(context, source_of(context, flow), context.ledger.audit, state_of(request).nudge)


def address(path: str, flow: str, **more: str) -> str:
    """A page of a flow's directory."""
    return f"{path}?{urlencode({'flow': flow, **more})}"


@router.get("/reps")
def reps(request: Request, _person: Seeing, flow: str = "", q: str = "") -> Response:
    """Everybody, with what was entered."""
    context = context_of(request)
    if not context.reps:
        return page(request, "reps_none.html")
    mine = editing(request, flow)
    found = [line for line in lines(context, mine) if _fits(line.rep, q)]
    assignments, assigned = mine.kept.newest_assignments(mine.source, q, SHOWN)
    absences = [one for one in mine.kept.absences(mine.source) if q in {"", one.rep}]
    return page(
        request,
        "reps.html",
        flows=sorted(context.reps),
        flow=mine.flow.name,
        source=mine.source,
        q=q,
        lines=found[:SHOWN],
        count=len(found),
        shown=SHOWN,
        absences=absences[:SHOWN],
        assignments=assignments,
        assigned=assigned,
        agencies=mine.directory.agencies,
        regions=mine.directory.regions,
        today=day_in(context, mine.flow.zone),
        roles=ROLES,
        everybody=sorted(mine.directory.reps, key=lambda rep: (rep.name, rep.code)),
    )


def lines(context: Context, mine: RepEditing) -> list[Line]:
    """The reps by name, with who is away today."""
    directory, today = mine.directory, day_in(context, mine.flow.zone)
    kept = {(one.agency, one.code): one for one in mine.kept.reps(mine.source)}
    made = []
    for rep in sorted(directory.reps, key=lambda rep: (rep.name.casefold(), rep.code)):
        entry = kept.get((rep.agency, rep.code))
        made.append(Line(
            rep, _away(directory, rep, today), bool(entry and entry.own), bool(entry and entry.erp), entry.owner if entry else "",
        ))  # fmt: skip
    return made


def _away(directory: Directory, rep: SalesRep, today: date) -> Absence | None:
    return next((one for one in directory.absences_of(rep) if one.covers(today)), None)


def _fits(rep: SalesRep, q: str) -> bool:
    words = q.casefold().split()
    text = f"{rep.code} {rep.name} {rep.agency} {rep.email}".casefold()
    return all(word in text for word in words)


# -- what is wrong -----------------------------------------------------------------------------------------------------


@router.get("/reps/check")
def check(request: Request, _person: Seeing, flow: str = "") -> Response:
    """Everything that is wrong with who serves whom, each with what to do."""
    context = context_of(request)
    if not context.reps:
        return page(request, "reps_none.html")
    mine = source_of(context, flow)
    found = RepDesk.of(context).check(day_in(context, mine.zone), source=mine.name)
    return page(
        request,
        "reps_check.html",
        flows=sorted(context.reps),
        flow=mine.name,
        found=found[:SHOWN],
        count=len(found),
        shown=SHOWN,
    )


@router.get("/reps/check.csv")
def check_csv(request: Request, person: Exporting, flow: str = "") -> Response:
    """The same as a sheet, all of it."""
    context = context_of(request)
    mine = source_of(context, flow)
    found = RepDesk.of(context).check(day_in(context, mine.zone), source=mine.name)
    text = io.StringIO()
    sheet = csv.writer(text, lineterminator="\r\n")
    sheet.writerow(("grave", "what", "which", "finding", "what to do", "customers", "for example"))
    for one in found:
        cells = (one.kind, one.subject, one.message, one.what_to_do, str(one.customers), ", ".join(one.examples))
        sheet.writerow(("yes" if one.grave else "no", *map(harmless, cells)))
    context.ledger.audit.note(person.actor, "reps.check.export", f"reps/{mine.name}", {"findings": len(found)})
    headers = {"Content-Disposition": f'attachment; filename="reps-{mine.name}.csv"', "Cache-Control": "no-store"}
    return Response("\ufeff" + text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


# -- one rep -----------------------------------------------------------------------------------------------------------


@router.get("/reps/rep")
def rep(
    request: Request, _person: Directing, flow: str = "", code: str = "", agency: str = "", contact: str = ""
) -> Response:
    """What the ERP says, what people say over it. Without a code: somebody new; `contact` fills the fields from one."""
    mine = editing(request, flow)
    entry = mine.rep(code, agency) if code else None
    contacts = mine.contacts(agency)
    chosen = next((one for one in contacts if one.id == contact), None)
    erp, own = (entry.erp, dict(entry.own)) if entry is not None else ({}, {})
    return page(
        request,
        "rep.html",
        flows=sorted(context_of(request).reps),
        flow=mine.flow.name,
        code=code,
        agency=agency,
        erp=erp,
        own=_filled(own, chosen),
        owner=entry.owner if entry is not None else "",
        owners=sorted(_owners(request, mine)),
        released=_released(erp, own),
        releasable=RELEASABLE,
        agencies=mine.directory.agencies,
        contacts=contacts,
        chosen=chosen,
        source=mine.source,
    )


def _released(erp: Mapping[str, Any], own: Mapping[str, Any]) -> set[str]:
    """As it counts now; who released nothing is not offered the usual again."""
    usual: Iterable[str] = SalesRep.model_fields["released"].default
    return set(own.get("released", erp.get("released", usual)))


def _filled(own: dict[str, object], chosen: Contact | None) -> dict[str, object]:
    if chosen is None:
        return own
    return {**own, "name": chosen.name, "email": chosen.email, "phone": chosen.phone}


def _owners(request: Request, mine: RepEditing) -> set[str]:
    settings = context_of(request).connections.get(mine.flow.target)
    owners = getattr(settings, "owners", None)
    return set(owners) if isinstance(owners, dict) else set()


@router.post("/reps/rep")
def save_rep(  # noqa: PLR0913, PLR0917 - as many fields as the form has
    request: Request,
    person: Directing,
    flow: Text = "",
    code: Text = "",
    agency: Text = "",
    name: Text = "",
    title: Text = "",
    email: Text = "",
    phone: Text = "",
    mobile: Text = "",
    photo: Annotated[str, Form(max_length=500)] = "",
    languages: Text = "",
    owner: Text = "",
    active: Text = "",
    released: Annotated[tuple[str, ...], Form()] = (),
) -> Response:
    """Keep what was said."""
    mine = editing(request, flow)
    fields = {
        "name": name, "title": title, "email": email, "phone": phone, "mobile": mobile, "photo": photo, "languages": languages,
    }  # fmt: skip
    works = {"yes": True, "no": False}.get(active)
    mine.save_rep(code, agency, fields, actor=person.actor, released=released, owner=owner, active=works)
    said = _(request, "%(code)s is saved. Cards and owners follow by themselves.", code=code.strip())
    return back(request, address("/reps", mine.flow.name), said)


@router.post("/reps/rep/forget")
def forget_rep(request: Request, person: Directing, flow: Text = "", code: Text = "", agency: Text = "") -> Response:
    """What people said; the ERP's word stays."""
    mine = editing(request, flow)
    mine.forget_rep(code, agency, actor=person.actor)
    said = _(request, "What was entered of %(code)s is taken back.", code=code)
    return back(request, address("/reps", mine.flow.name), said)


@router.post("/reps/agency")
def save_agency(
    request: Request,
    person: Directing,
    flow: Text = "",
    code: Text = "",
    name: Text = "",
    business: Text = "",
    own: Text = "",
) -> Response:
    """A firm whose people sell."""
    mine = editing(request, flow)
    mine.save_agency(code, name, business, own=own == "yes", actor=person.actor)
    return back(request, address("/reps", mine.flow.name), _(request, "%(code)s is saved.", code=code.strip()))


# -- absences and assignments ------------------------------------------------------------------------------------------


@router.post("/reps/absences")
def add_absence(
    request: Request,
    person: Directing,
    flow: Text = "",
    rep: Text = "",
    first: Text = "",
    last: Text = "",
    deputy: Text = "",
) -> Response:
    """Somebody is away; `rep` is `agency/code`."""
    mine = editing(request, flow)
    agency, _slash, code = rep.rpartition("/")
    begins = day_of(first)
    if begins is None:
        raise Refused("The first day is missing. What to do: choose it.")
    row = AbsenceRow(code, begins, day_of(last), deputy.rpartition("/")[2], agency)
    mine.add_absence(row, actor=person.actor)
    said = _(request, "The absence of %(code)s is entered. Cards and owners follow by themselves.", code=code)
    return back(request, address("/reps", mine.flow.name), said)


@router.post("/reps/absences/{id}/remove")
def remove_absence(request: Request, person: Directing, id: int, flow: Text = "") -> Response:
    """It is none."""
    mine = editing(request, flow)
    mine.remove_absence(id, actor=person.actor)
    return back(request, address("/reps", mine.flow.name), _(request, "The absence is taken back."))


@router.post("/reps/assignments")
def add_assignment(  # noqa: PLR0913, PLR0917 - as many fields as the form has
    request: Request,
    person: Directing,
    flow: Text = "",
    subject: Text = "",
    subject_id: Text = "",
    rep: Text = "",
    role: Text = "primary",
    rank: Annotated[int, Form(ge=-1000, le=1000)] = 0,
    first: Text = "",
    last: Text = "",
) -> Response:
    """Somebody serves; `rep` is `agency/code`."""
    mine = editing(request, flow)
    if subject not in SUBJECTS or role not in ROLES:
        raise Refused("Whom or as what is not one of the list. What to do: choose one.")
    agency, _slash, code = rep.rpartition("/")
    row = AssignmentRow(subject, subject_id.strip(), code, agency, role, rank, day_of(first), day_of(last))
    mine.add_assignment(row, actor=person.actor)
    said = _(request, "The assignment of %(code)s is entered. Cards and owners follow by themselves.", code=code)
    return back(request, address("/reps", mine.flow.name), said)


@router.post("/reps/assignments/{id}/remove")
def remove_assignment(request: Request, person: Directing, id: int, flow: Text = "") -> Response:
    """Nobody entered that."""
    mine = editing(request, flow)
    mine.remove_assignment(id, actor=person.actor)
    return back(request, address("/reps", mine.flow.name), _(request, "The assignment is taken back."))
