"""`/status`: what the home page says, in numbers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from core.rights import Right
from core.version import VERSION
from ledger.search import COUNTED
from web.api.common import Moment
from web.api.door import needs
from web.dashboard.common import context_of
from web.dashboard.desk import problems, search
from web.dashboard.tiles import tiles
from web.dashboard.timetable import entries

router = APIRouter(tags=["status"])


class Status(BaseModel):
    """Everything at one glance. Nothing here counts a large table."""

    now: Moment
    version: Annotated[str, Field(examples=["0.1.0"])]
    well: Annotated[bool, Field(description="Nobody has to look at anything")]
    jobs: Annotated[
        dict[str, int],
        Field(
            description=f"Jobs by state; {COUNTED + 1} stands for more than {COUNTED}",
            examples=[{"waiting": 2, "running": 1, "settled": 1001, "held": 3, "skipped": 0}],
        ),
    ]
    problems: Annotated[int, Field(description="Causes that keep orders waiting", examples=[1])]
    alerts: Annotated[int, Field(description="Open alerts", examples=[1])]
    connections: Annotated[
        dict[str, str], Field(description="How each connection stands", examples=[{"shop": "works", "crm": "out"}])
    ]
    late: Annotated[list[str], Field(description="Schedules that are late or failed", examples=[["poll/shop"]])]


@router.get("/status", dependencies=[Depends(needs(Right.SEE))])
def status(request: Request) -> Status:
    """Is anything stuck, and what."""
    mine, books = context_of(request), context_of(request).ledger
    now = books.clock.now()
    shown = tiles(mine, now)
    late = [one.name for one in entries(mine, now) if one.late or one.failed]
    wrong, alerts = len(problems(request).open()), len(books.alerts.opened())
    return Status(
        now=now,
        version=VERSION,
        well=not wrong and not alerts and not late and all(tile.fine for tile in shown),
        jobs=search(request).counts(),
        problems=wrong,
        alerts=alerts,
        connections={tile.name: tile.standing for tile in shown},
        late=late,
    )
