"""Where one order is: what staff really look for."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from pipelines import whereabouts
from pipelines.desk import actions_for
from pipelines.reviewdesk import question_for
from web.dashboard.common import context_of
from web.dashboard.desk import SEEING, missing, order_address, search
from web.dashboard.jobs import asked
from web.pages import back, page

SHOWN: Final = 10
"""Orders of one number: every shop may have one."""

router = APIRouter()


@router.get("/orders/{number:path}", dependencies=SEEING)
def show(request: Request, number: str) -> Response:
    """Every order that people call so: by its number, the store's id, its key, or the number it has in a target."""
    look = search(request)
    hits = look.records(number)
    if not hits:
        raise missing()
    orders = [whereabouts.closely(context_of(request), look, hit.key) for hit in hits[:SHOWN]]
    actions = {job.id: actions_for(job) for order in orders for job in order.jobs}
    jobs = [job for order in orders for job in order.jobs]
    asked_for = {job.id: question_for(context_of(request).ledger, job) for job in jobs}
    return page(
        request,
        "order.html",
        number=number,
        orders=orders,
        actions=actions,
        more=len(hits) > SHOWN,
        questions={job: one.id for job, one in asked_for.items() if one is not None},
    )


@router.get("/search", dependencies=SEEING)
def find(request: Request) -> Response:
    """The box at the top. One hit leads straight to the order; anything else is a list."""
    query = asked(request)
    narrowed = query.state or query.flow or query.error or query.since
    hits = search(request).records(query.text) if query.text else []
    if not query.text and narrowed:
        return back(request, f"/jobs?{request.url.query}")
    if len(hits) == 1 and not narrowed:
        return back(request, order_address(str(hits[0].key) if hits[0].why != "number" else hits[0].number))
    found = search(request).jobs(query) if query.text else None
    return page(
        request,
        "search.html",
        query=query,
        text=request.query_params.get("q", "")[:200],
        hits=hits,
        jobs=found.jobs if found else [],
        addresses=[order_address(str(hit.key)) for hit in hits],
    )
