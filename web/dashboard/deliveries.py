"""`/deliveries`: promises that are at risk or were not kept, and rush orders that are not carried yet. Nothing else."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from ledger.rushes import undone
from web.dashboard.common import Seeing, context_of
from web.pages import page

router = APIRouter()

ROWS: Final = 100
"""Promises on one page."""
LEVELS: Final = ("late", "at_risk")
FARTHEST: Final = 1_000
"""Pages that can be asked for."""


@router.get("/deliveries")
def deliveries(
    request: Request,
    _person: Seeing,
    flow: Annotated[str, Query(max_length=32)] = "",
    level: Annotated[str, Query(max_length=16)] = "",
    part: Annotated[int, Query(ge=0, le=FARTHEST)] = 0,
) -> Response:
    """The oldest promise first."""
    mine = context_of(request)
    wanted = level if level in LEVELS else ""
    found = mine.ledger.watches.unkept(flow=flow, level=wanted, limit=ROWS + 1, offset=part * ROWS)
    now = mine.ledger.clock.now()
    rush = [one for name in mine.flows for one in undone(mine.ledger.db, name, now)]
    return page(
        request,
        "deliveries.html",
        rows=found[:ROWS],
        counts=mine.ledger.watches.counts(),
        flows=sorted(mine.flows),
        flow=flow,
        level=wanted,
        part=part,
        more=len(found) > ROWS,
        rush=rush,
        targets={name: one.rush_target for name, one in mine.flows.items()},
        now=now,
        watching=any(one.promise is not None for one in mine.flows.values()),
    )
