"""`/alerts`: what people were or would be told, each with the page where something can be done about it."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response

from web.dashboard.common import Seeing, context_of
from web.dashboard.timetable import anchor
from web.pages import page

router = APIRouter()

CLOSED: Final = 100
"""Closed alerts that are shown: the newest."""
OF_A_CONNECTION: Final = ("connection", "silence", "gaps", "webhooks", "refused", "feed")
"""Causes `<kind>/<connection>`."""


def link(cause: str) -> str:
    """The page of ours where one sees what an alert of this cause is about (pure)."""
    kind, _, rest = cause.partition("/")
    if kind in OF_A_CONNECTION and rest:
        return f"/connections/{quote(rest, safe='')}"
    if kind == "feed-rows" and rest:
        return f"/connections/{quote(rest.partition('/')[0], safe='')}"
    if kind == "stock" and rest:
        return f"/stock?of={quote(rest, safe='')}"
    if kind == "schedule" and rest:
        return f"/schedules#{anchor(rest)}"
    if kind == "held" and rest:
        flow, _, error_class = rest.partition("/")
        return "/jobs?" + urlencode({"state": "held", "flow": flow, "error": error_class})
    if kind == "rush" and rest:
        return "/deliveries?" + urlencode({"flow": rest})
    if kind == "compare" and rest:
        return "/jobs?" + urlencode({"flow": rest.partition("/")[0], "state": "settled"})
    if cause.startswith("double:"):
        key = cause.split(":", 3)[-1]
        return "/search?" + urlencode({"q": key})
    return "/alerts"


@router.get("/alerts")
def alerts(request: Request, _person: Seeing) -> Response:
    """Open ones, oldest first, then the closed, newest first."""
    kept = context_of(request).ledger.alerts
    opened = kept.opened()
    closed = [alert for alert in kept.recent(CLOSED) if alert.closed_at is not None]
    return page(
        request,
        "alerts.html",
        opened=[(alert, link(alert.cause)) for alert in opened],
        closed=[(alert, link(alert.cause)) for alert in closed],
    )
