"""`/papers`: order confirmations and invoices as files."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response

from core.papersettings import PaperKind
from core.rights import Right
from ledger.people import Person
from pipelines import paperdesk
from web.api.common import Name
from web.api.door import needs
from web.dashboard.common import context_of
from web.dashboard.papers import download

router = APIRouter(tags=["orders"])
_PDF: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file", "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("/papers/{kind}/{flow}/{key:path}", response_class=Response, responses=_PDF)
def get_paper(
    request: Request,
    kind: PaperKind,
    flow: Name,
    key: Annotated[str, Path(max_length=300, description="The order's record", examples=["shop/order/1001"])],
    person: Annotated[Person, Depends(needs(Right.PAPERS))],
) -> Response:
    """The very file that was, or would be, sent to the customer. Noted in the audit."""
    return download(paperdesk.file(context_of(request), flow, kind, key, actor=person.actor))
