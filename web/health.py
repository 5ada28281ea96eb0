"""`/livez`, `/readyz`, `/metrics`. A CRM that is down never restarts us: connections are not part of either."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.errors import ConfigurationProblem
from ledger import migrate
from web.state import WebState
from web.threads import apart

router = APIRouter()


@router.get("/livez")
async def livez(request: Request) -> Response:
    """200 while this process does its work; 503 asks the supervisor for a new one."""
    state: WebState = request.app.state.orderwire
    trouble = state.trouble()
    return JSONResponse({"ok": not trouble, "trouble": trouble}, status_code=503 if trouble else 200)


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """200 when deliveries can be taken: the database answers and has the right schema."""
    state: WebState = request.app.state.orderwire
    try:
        await apart(partial(migrate.require_current, state.context.ledger.db))
    except ConfigurationProblem as error:
        return JSONResponse({"ok": False, "trouble": error.message}, status_code=503)
    except (DBAPIError, PoolTimeoutError):
        return JSONResponse({"ok": False, "trouble": "the database is away"}, status_code=503)
    return JSONResponse({"ok": True, "trouble": ""})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus's text format: what this process counted, and what it reads from the ledger."""
    state: WebState = request.app.state.orderwire
    body = await apart(lambda: state.metrics.text() + state.gauges.text())
    return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")
