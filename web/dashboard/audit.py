"""/audit: who did what to what, when."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.exceptions import HTTPException

from core.rights import Right
from ledger.people import Person
from web import access
from web.pages import page
from web.state import WebState

router = APIRouter()
PAGE: Final = 50
Text = Annotated[str, Query(max_length=200)]


@router.get("/audit")
def audit(
    request: Request,
    person: Annotated[Person, Depends(access.require(Right.AUDIT))],
    actor: Text = "",
    action: Text = "",
    subject: Text = "",
    before: str = "",
) -> Response:
    """The newest first, fifty to a page. The filter is in the address, and so is the place."""
    if before and not (before.isascii() and before.isdigit() and len(before) < 18):
        raise HTTPException(422, "`before` is the number of a row.")
    state: WebState = request.app.state.orderwire
    kept = {"actor": actor.strip(), "action": action.strip(), "subject": subject.strip()}
    notes = state.context.ledger.audit.list(**kept, before=int(before) if before else None, limit=PAGE + 1)
    here = {name: value for name, value in kept.items() if value}
    further = "/audit?" + urlencode({**here, "before": notes[PAGE - 1].id}) if len(notes) > PAGE else ""
    newest = "/audit" + ("?" + urlencode(here) if here else "") if before else ""
    where = person.may(Right.PEOPLE)
    return page(
        request, "audit.html", notes=notes[:PAGE], wanted=kept, further=further, newest=newest, where=where, count=PAGE
    )
