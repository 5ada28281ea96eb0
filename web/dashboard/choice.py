"""An order that was changed in the CRM and in the store: both sides on its job's page, and the choice between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request, Response

from core.rights import Right
from ledger.amendments import Disagreement
from ledger.jobs import JobView
from ledger.people import Person
from pipelines.choosing import Choosing, hidden, open_for
from web.access import require
from web.dashboard.common import context_of, desk_of, state_of
from web.pages import back, translated

router = APIRouter()
_ = translated


def choosing(request: Request) -> Choosing:
    """The services over this process's state."""
    ledger = context_of(request).ledger
    return Choosing(ledger, ledger.audit, state_of(request).nudge)


def both_sides(request: Request, job: JobView, *, openly: bool) -> Sequence[Disagreement]:
    """What a held job waits for; addresses and notes hidden from those who may not decide."""
    found = open_for(context_of(request).ledger, job)
    return found if openly else hidden(found)


@router.post("/jobs/{job_id:int}/choice")
def choose(
    request: Request,
    job_id: int,
    person: Annotated[Person, Depends(require(Right.DECIDE))],
    choice: Annotated[Literal["theirs", "store"], Form()],
    seen: Annotated[list[int], Form()],
) -> Response:
    """For what was looked at, and nothing else. With the last answer the job runs."""
    job = desk_of(request).job(job_id)
    service = choosing(request)
    parts = [one.asked.part for one in service.open(job) if one.id in seen]
    service.choose(job, choice, actor=person.actor, parts=parts, seen=seen)
    if service.open(desk_of(request).job(job_id)):
        said = _(request, "Decided, and kept. Nothing is written before the rest below is decided too.")
    elif choice == "theirs":
        said = _(request, "Decided: what %(target)s has stays.", target=job.target)
    else:
        said = _(request, "Decided: the store's is written.")
    return back(request, f"/jobs/{job_id}", said)
