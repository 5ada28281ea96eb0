"""`/flows`: what may write, from which orders on, and what its rehearsal says. A page tells what happens before it does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, cast

from fastapi import APIRouter, Depends, Form, Request, Response
from starlette.exceptions import HTTPException

from core.rights import Right
from core.settings import FlowSettings, RepFlowSettings
from ledger import Ledger
from ledger.flows import FlowState, Mode
from ledger.people import Person
from ledger.runs import RunView
from pipelines import standing
from pipelines.context import Context
from pipelines.desk import Refused, changes_for
from web.access import require
from web.dashboard.common import Seeing, context_of, desk_of
from web.dashboard.moments import moment
from web.pages import back, page, translated

router = APIRouter()

VERDICTS: Final = ("post", "change", "nothing", "wait", "hold", "skip")
"""As a rehearsal puts them (pipelines.rehearsal.Plan), in the order of reading."""
SUMMED: Final = 10_000
"""Orders of a rehearsal whose money is added up for a page."""

Setting = Annotated[Person, Depends(require(Right.MODE))]


@dataclass(frozen=True, slots=True)
class Line:
    """So many orders of a rehearsal would end so."""

    verdict: str
    count: int
    amounts: dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Shown:
    """One flow on the page. `lines`: its standing rehearsal, [] where there is none; `changes`: what can be done now;
    `asked`: the newest rehearsal that somebody asked for; `pollable`: old orders can be had.
    """

    settings: FlowSettings | RepFlowSettings
    state: FlowState
    rehearsal: RunView | None
    lines: list[Line]
    changes: tuple[Mode, ...]
    asked: RunView | None
    pollable: bool
    reps: bool = False
    """It carries sales reps: no orders, and so no beginning."""


@router.get("/flows")
def flows(request: Request, _person: Seeing) -> Response:
    """All of them."""
    return page(
        request,
        "flows.html",
        flows=[_shown(context_of(request), flow) for flow in context_of(request).every_flow.values()],
        verdicts=VERDICTS,
    )


@router.get("/flows/{name}/{mode}")
def ask(request: Request, name: str, mode: str, _person: Setting) -> Response:
    """What would happen, and the button."""
    shown, wanted = _wanted(request, name, mode)
    return page(request, "flow_change.html", flow=shown, wanted=wanted, again=shown.state.start)


@router.post("/flows/{name}/{mode}")
def change(
    request: Request,
    name: str,
    mode: str,
    person: Setting,
    begin: Annotated[str, Form()] = "",
    start: Annotated[str, Form()] = "",
    offset: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    """Do it. `begin`: now, time (then `start`), any, or kept."""
    shown, wanted = _wanted(request, name, mode)
    since, any_age = None, shown.reps
    if wanted == "live" and not shown.reps:
        since, any_age = beginning(begin, start, offset, context_of(request).ledger.clock.now())
    desk_of(request).change_flow(name, wanted, since, actor=person.actor, note=note[:500], any_age=any_age)
    said = {
        "live": translated(request, "%(name)s is live.", name=name),
        "rehearse": translated(request, "%(name)s is rehearsed: nothing is written.", name=name),
        "paused": translated(request, "%(name)s is paused: what comes in is kept and waits.", name=name),
    }[wanted]
    return back(request, "/flows", said)


def beginning(begin: str, start: str, offset: str, now: datetime) -> tuple[datetime | None, bool]:
    """From which orders on a flow creates them, and whether of any age (pure). (None, False) keeps the start it has."""
    if begin == "kept":
        return None, False
    if begin == "any":
        return None, True
    if begin == "now":
        return now, False
    if begin != "time":
        raise Refused("From which orders on is missing. What to do: choose one of the beginnings.")
    try:
        return moment(start, offset), False
    except (ValueError, OverflowError):
        raise Refused(f"{start!r} is no time. What to do: choose a day and a time.") from None


def _wanted(request: Request, name: str, mode: str) -> tuple[Shown, Mode]:
    flow = context_of(request).every_flow.get(name)
    if flow is None or mode not in {"live", "rehearse", "paused"}:
        raise HTTPException(404)
    shown = _shown(context_of(request), flow)
    wanted = cast("Mode", mode)
    if wanted not in shown.changes:
        raise Refused(
            f"{name} is {shown.state.mode}, so this cannot be done now. What to do: look at the flows again; somebody may have "
            "changed it."
        )
    return shown, wanted


def _shown(context: Context, flow: FlowSettings | RepFlowSettings) -> Shown:
    books = context.ledger
    state = books.flows.get(flow.name)
    if isinstance(flow, RepFlowSettings):
        return Shown(flow, state, None, [], changes_for(state), None, pollable=False, reps=True)
    run = None if state.live else books.runs.unfinished("rehearse", flow.name, standing.OPTIONS)
    rehearsals = books.runs.list(kind="rehearse", flow=flow.name, limit=20)
    asked = next((one for one in rehearsals if not one.options.get("standing")), None)
    store = context.stores.get(flow.source)
    pollable = store is not None and store.pollable
    return Shown(flow, state, run, _lines(books, run) if run else [], changes_for(state), asked, pollable)


def _lines(books: Ledger, run: RunView) -> list[Line]:
    found: dict[str, Line] = {}
    items = books.runs.items(run.id, limit=SUMMED + 1)
    for item in items:
        line = found.setdefault(item.verdict, Line(item.verdict, 0, {}))
        if item.currency:
            line.amounts[item.currency] = line.amounts.get(item.currency, Decimal(0)) + Decimal(item.amount or 0)
        found[item.verdict] = Line(line.verdict, line.count + 1, line.amounts)
    return [found[verdict] for verdict in (*VERDICTS, *sorted(set(found) - set(VERDICTS))) if verdict in found]
