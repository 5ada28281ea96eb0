"""What is wrong now, grouped by cause: how many orders, how much money, since when, what to do, and one button for all."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from core.rights import Right
from ledger.people import Person
from ledger.problems import OUTAGE, Problem
from pipelines import bulk
from pipelines.worth import Worth
from web.access import require
from web.dashboard.common import context_of, desk_of
from web.dashboard.desk import MANY, SEEING, problems, search
from web.pages import back, page, translated

ORDERS: Final = 100
"""Orders that a problem's page lists."""

router = APIRouter()
Many = Annotated[Person, Depends(require(Right.BULK))]


def worth(request: Request) -> Worth:
    """One a process: it remembers what orders are worth that nobody has carried yet."""
    kept: Worth | None = getattr(request.app.state, "worth", None)
    if kept is None:
        kept = request.app.state.worth = Worth(context_of(request))
    return kept


@router.get("/problems", dependencies=SEEING)
def list_problems(request: Request) -> Response:
    """All of them, outages first, then the largest."""
    return page(request, "problems.html", problems=problems(request).open(), outage=OUTAGE)


@router.get("/problems/{problem_id}", dependencies=SEEING)
def show(request: Request, problem_id: str) -> Response:
    """One problem. When it is gone, the page says so instead of being gone itself: somebody has it open."""
    found = problems(request).get(problem_id)
    if found is None:
        return page(request, "problem.html", problem=None, **_nothing())
    problem, members = found
    amounts, unknown = worth(request).of(members)
    jobs = search(request).by_ids([member.id for member in members[-ORDERS:]])
    facts: dict[str, Any] = {
        "jobs": jobs,
        "amounts": amounts,
        "unknown": unknown,
        "outage": OUTAGE,
        "connection": _out(problem),
    }
    return page(request, "problem.html", problem=problem, **facts)


def _nothing() -> dict[str, Any]:
    return {"jobs": [], "amounts": {}, "unknown": 0, "outage": OUTAGE, "connection": ""}


def _out(problem: Problem) -> str:
    return problem.target if problem.error_class == OUTAGE else ""


@router.get("/problems/{problem_id}/retry", dependencies=MANY)
def preview(request: Request, problem_id: str) -> Response:
    """How many, and how much money, before anything is done."""
    found = problems(request).get(problem_id)
    if found is None:
        return _gone(request)
    problem, members = found
    amounts, unknown = worth(request).of(members)
    return page(
        request,
        "retry_all.html",
        title=_name(problem),
        count=min(len(members), bulk.MOST),
        capped=len(members) > bulk.MOST,
        amounts=amounts,
        unknown=unknown,
        action=f"/problems/{problem_id}/retry",
        cancel=f"/problems/{problem_id}",
        samples=[name for _, name in problem.samples],
        message=problem.message,
    )


@router.post("/problems/{problem_id}/retry")
def retry_all(request: Request, problem_id: str, person: Many) -> Response:
    """Begin; a connection that is out is tried at once."""
    found = problems(request).get(problem_id)
    if found is None:
        return _gone(request)
    problem, members = found
    members = worth(request).filled(members)
    run = desk_of(request).retry_all(_name(problem), members, actor=person.actor, flow=problem.flow)
    if problem.error_class == OUTAGE:
        desk_of(request).try_connection(problem.target, actor=person.actor)
    return back(request, f"/bulk/{run.id}")


def _gone(request: Request) -> Response:
    """Problems end by themselves, also between a look and a press."""
    return back(
        request, "/problems", translated(request, "This problem is gone by itself: nothing waits for it any more.")
    )


def _name(problem: Problem) -> str:
    where = problem.target if problem.error_class == OUTAGE else problem.flow
    return f"{where}: {problem.error_class}"
