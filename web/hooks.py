"""`POST /hooks/<connection>`: verify, record, answer. No mapping, no outward call (design: one order's way)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.requests import ClientDisconnect

from core.errors import Rejected
from ledger.inbox import Accepted
from web.state import WebState
from web.threads import apart

log = structlog.get_logger(__name__)
router = APIRouter()


class TooLarge(Exception):
    """The body is longer than allowed."""


async def read_bounded(request: Request, most: int) -> bytes:
    """The raw body, never more than `most` bytes in memory."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > most:
        raise TooLarge
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)


async def receive(request: Request) -> Response:
    """Take a delivery. 200 only after it is durable; 401 unsigned; 404 unknown or without a secret; 413 too large; 503 while
    the database is away.
    """
    state: WebState = request.app.state.orderwire
    connection = request.path_params["connection"]
    store = state.context.stores.get(connection)
    if store is None or not store.accepts_deliveries():
        return _answer(state, "unknown", "unknown", 404, "There is no such connection, or it takes no deliveries.")
    try:
        body = await read_bounded(request, state.max_body)
    except TooLarge:
        return _answer(state, connection, "too_large", 413, f"A delivery may have at most {state.max_body} bytes.")
    except ClientDisconnect:
        return _answer(state, connection, "cut_off", 400, "The delivery ended early.")
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        accepted = await state.intake.take(store, headers, body)
    except Rejected as error:
        log.warning("delivery refused", connection=store.name, reason=error.reason)
        if state.refusals.to_be_written(store.name, error):
            await apart(partial(_note, state, store.name))
        return _answer(state, store.name, error.reason, error.status, error.message)
    except (DBAPIError, PoolTimeoutError) as error:
        log.error("the ledger is away, a delivery was not taken", connection=store.name, error=type(error).__name__)  # noqa: TRY400
        return _answer(state, store.name, "ledger_away", 503, "The database is away. What to do: send it again later.")
    if any(item.jobs for item in accepted):
        state.nudge()
    return _taken(state, store.name, accepted)


def _note(state: WebState, connection: str) -> None:
    """A wrong secret shows in nothing but refused deliveries; a database that is away changes no answer."""
    try:
        state.refusals.write(connection)
    except (DBAPIError, PoolTimeoutError):
        log.warning("a refusal was not noted, the ledger is away", connection=connection)


# Starlette's route: FastAPI's looks for parameters to check, at the price of a statement of the ledger.
router.add_route("/hooks/{connection}", receive, methods=["POST"])


def _taken(state: WebState, connection: str, accepted: list[Accepted]) -> Response:
    results = [item.verdict.value for item in accepted] or ["ping"]
    for result in results:
        state.metrics.webhooks.labels(connection, result).inc()
    correlation = accepted[0].correlation if accepted else ""
    if correlation:
        log.info("delivery taken", connection=connection, result=results[0], correlation=correlation)
    return JSONResponse(
        {"ok": True, "result": results[0]}, headers={"X-Correlation-Id": correlation} if correlation else None
    )


def _answer(state: WebState, connection: str, result: str, status: int, message: str) -> Response:
    state.metrics.webhooks.labels(connection, result).inc()
    return JSONResponse({"ok": False, "error": message}, status_code=status)


@router.get("/hooks/{connection}/schema")
def schema(connection: str, request: Request) -> Response:
    """The JSON Schema of deliveries, for connections whose format is ours to define."""
    state: WebState = request.app.state.orderwire
    store = state.context.stores.get(connection)
    document: Mapping[str, Any] | None = store.schema() if store is not None and store.accepts_deliveries() else None
    if document is None:
        return JSONResponse(
            {"ok": False, "error": "There is no such connection, or its format is its vendor's."}, status_code=404
        )
    return JSONResponse(dict(document), media_type="application/schema+json")
