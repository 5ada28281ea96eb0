"""`/reps/reassign`: what one rep has is given to another. A look first, then a run that can be stopped and taken back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response

from core.rights import Right
from ledger.people import Person
from pipelines.reassign import Wanted
from pipelines.repview import source_of
from web.access import require
from web.dashboard.common import context_of
from web.dashboard.customers import day_of
from web.dashboard.runs import desk
from web.pages import back, page, translated

router = APIRouter()
_ = translated

Many = Annotated[Person, Depends(require(Right.BULK))]
SHOWN = 10
"""Runs that the page lists."""


@router.get("/reps/reassign")
def form(request: Request, _person: Many, flow: str = "") -> Response:
    """From whom, to whom, where, from when on; and what was reassigned last."""
    context = context_of(request)
    if not context.reps:
        return page(request, "reps_none.html")
    mine = source_of(context, flow)
    directory = context.books.get(mine.source).directory
    runs = context.ledger.runs.list(kind="reassign", flow=mine.name, limit=SHOWN)
    return page(
        request,
        "reps_reassign.html",
        flows=sorted(context.reps),
        flow=mine.name,
        reps=sorted(directory.reps, key=lambda rep: (rep.name, rep.code)),
        regions=sorted(directory.regions, key=lambda region: region.key.id),
        runs=runs,
        old=request.query_params.get("old", "")[:161],
    )


@router.post("/reps/reassign")
def look(
    request: Request,
    person: Many,
    flow: Annotated[str, Form(max_length=32)] = "",
    old: Annotated[str, Form(max_length=161)] = "",
    new: Annotated[str, Form(max_length=161)] = "",
    region: Annotated[str, Form(max_length=80)] = "",
    on: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Look what would change; the page that follows offers to do it. Both reps are `agency/code`."""
    agency, _slash, code = new.rpartition("/")
    old_agency, _slash, old_code = old.strip().rpartition("/")
    wanted = Wanted(old_code, code, region, day_of(on), agency, old_agency)
    run = desk(request).plan(source_of(context_of(request), flow).name, wanted, actor=person.actor)
    return back(request, f"/runs/{run.id}", _(request, "The look is queued; a worker begins in a moment."))


@router.post("/runs/{run_id:int}/reassign")
def do(request: Request, run_id: int, person: Many) -> Response:
    """Do what the look was for."""
    run = desk(request).reassign(run_id, actor=person.actor)
    return back(request, f"/runs/{run.id}", _(request, "The reassignment is queued; a worker begins in a moment."))


@router.post("/runs/{run_id:int}/restore")
def take_back(request: Request, run_id: int, person: Many) -> Response:
    """Whoever served before serves again."""
    run = desk(request).restore(run_id, actor=person.actor)
    return back(request, f"/runs/{run.id}", _(request, "Taking it back is queued; a worker begins in a moment."))
