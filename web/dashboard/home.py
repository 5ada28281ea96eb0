"""`/`: what needs attention, since when, whose orders, and where to press."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from ledger.problems import Problems
from web.dashboard import alerts
from web.dashboard.common import Seeing, context_of
from web.dashboard.tiles import tiles
from web.dashboard.timetable import entries
from web.pages import page

router = APIRouter()

ELSEWHERE: Final = ("connection/", "held/", "schedule/")
"""Causes of alerts that this page shows as tiles, problems and schedules already."""
PROBLEMS: Final = 8
ALERTS: Final = 8
ORDERS: Final = 10


@router.get("/")
def home(request: Request, _person: Seeing) -> Response:
    """Everything at one glance; nothing here counts a large table."""
    mine, books = context_of(request), context_of(request).ledger
    now = books.clock.now()
    shown = tiles(mine, now)
    problems = Problems(books.db).open()
    open_alerts = [alert for alert in books.alerts.opened() if not alert.cause.startswith(ELSEWHERE)]
    agenda = entries(mine, now)
    late = [one for one in agenda if one.late or one.failed]
    coming = sorted((one for one in agenda if one.next_at), key=lambda one: one.next_at or now)
    return page(
        request,
        "home.html",
        tiles=sorted(shown, key=lambda tile: tile.fine),
        problems=problems[:PROBLEMS],
        more_problems=len(problems) if len(problems) > PROBLEMS else 0,
        alerts=[(alert, alerts.link(alert.cause)) for alert in open_alerts[:ALERTS]],
        flows=[(flow, books.flows.get(flow.name)) for flow in mine.flows.values()],
        late=late,
        next=coming[0] if coming else None,
        orders=books.jobs.list(limit=ORDERS),
        well=bool(shown) and not problems and not open_alerts and not late and all(tile.fine for tile in shown),
    )
