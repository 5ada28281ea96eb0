"""The API's own description, an OpenAPI document. It needs a token like everything else here: it is no secret, but a door that
says nothing to strangers is one rule with no exceptions.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from core.rights import Right
from web.api.door import needs

router = APIRouter(tags=["description"])


@router.get("/openapi.json", dependencies=[Depends(needs(Right.SEE))], response_class=JSONResponse)
def openapi(request: Request) -> Response:
    """Every address, its parameters, answers, and the scope it needs."""
    return JSONResponse(request.app.openapi())
