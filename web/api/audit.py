"""`/audit`: who did what to what, when. Where they did it from is for administrators, on their page."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from core.redaction import redact_all
from core.rights import Right
from web.api.common import Limit, Line, Moment, Page, further
from web.api.door import needs
from web.dashboard.common import context_of

router = APIRouter(tags=["audit"])
Cursor = Annotated[str, Query(pattern=r"^(\d{1,18})?$", description="From `next`")]


class Note(BaseModel):
    """One row; rows are only ever added, and each carries the hash of the one before."""

    id: Annotated[int, Field(examples=[815])]
    at: Moment
    actor: Annotated[
        str, Field(description="Person, person (token name), or machine", examples=["Olga (token nightly)"])
    ]
    action: Annotated[str, Field(examples=["job.retry"])]
    subject: Annotated[str, Field(examples=["job/4711"])]
    facts: Annotated[dict[str, Any], Field(examples=[{"number": "1001", "was": "held"}])]
    hash: str


class NotePage(Page[Note]):
    """A part of the audit, the newest first."""


@router.get("/audit", dependencies=[Depends(needs(Right.AUDIT))])
def list_audit(
    request: Request, actor: Line = "", action: Line = "", subject: Line = "", limit: Limit = 50, after: Cursor = ""
) -> NotePage:
    """The newest first; each filter is compared as a whole."""
    kept = {"actor": actor.strip(), "action": action.strip(), "subject": subject.strip()}
    notes = context_of(request).ledger.audit.list(**kept, before=int(after) if after else None, limit=limit + 1)
    more = str(notes[limit - 1].id) if len(notes) > limit else ""
    found = [
        Note(
            id=one.id,
            at=one.at,
            actor=one.actor,
            action=one.action,
            subject=one.subject,
            facts={str(name): redact_all(value) for name, value in one.facts.items()},
            hash=one.hash,
        )
        for one in notes[:limit]
    ]
    return NotePage(data=found, next=further(request, more, **kept, limit=limit))
