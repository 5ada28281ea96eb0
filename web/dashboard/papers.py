"""Order confirmations and invoices as files."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response

from core.letters import Attachment
from core.papersettings import PaperKind
from core.rights import Right
from ledger.people import Person
from pipelines import paperdesk
from pipelines.desk import Unknown
from web.access import require
from web.dashboard.common import context_of
from web.dashboard.desk import missing

router = APIRouter()


def download(made: Attachment) -> Response:
    """Saved, not shown: what stands on it is people's."""
    headers = {"Content-Disposition": f"attachment; filename*=utf-8''{quote(made.name, safe='')}"}
    return Response(made.body, media_type=made.media_type, headers=headers)


@router.get("/papers/{kind}/{flow}/{key:path}")
def paper(
    request: Request,
    kind: PaperKind,
    flow: str,
    key: str,
    person: Annotated[Person, Depends(require(Right.PAPERS))],
) -> Response:
    """One paper; `key` is the order's record."""
    try:
        return download(paperdesk.file(context_of(request), flow, kind, key, actor=person.actor))
    except Unknown:
        raise missing() from None
