"""Around every route: HEAD, which routes need not think of, and an answer where one of them stumbles."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Final

import structlog
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.logs import new_correlation
from web.pages import page, wants_page
from web.paths import for_log

log = structlog.get_logger(__name__)

DELIVERIES: Final = "/hooks/"
"""They are posted; their route is the one whose time is counted."""


def install(app: FastAPI) -> None:
    """Both of them."""
    app.add_middleware(Stumbles)
    app.add_middleware(Heads)


class _Told(Exception):
    """The head of an answer is told; what would make the rest need not go on."""


class Heads:
    """HEAD: what GET would answer, without the body. The same right is asked for, the same headers come back, the length among
    them where it is known. What is sent while it is made is not made.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"].startswith(DELIVERIES):
            await self.app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)
            if message["type"] == "http.response.start" and "content-length" not in Headers(raw=message["headers"]):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                raise _Told

        with suppress(_Told):
            await self.app({**scope, "method": "GET"}, receive, without_body)


class Stumbles:
    """A bug of ours is told once, with the id by which the log finds it, and the connection goes on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def noticed(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noticed)
        except Exception as error:
            if begun:  # half an answer cannot be mended: the server closes the connection
                raise
            request, correlation = Request(scope, receive), new_correlation()
            log.error("a page stumbled", path=for_log(request.url.path), correlation=correlation, exc_info=error)  # noqa: TRY400
            answer = await run_in_threadpool(_apology, request, correlation)
            answer.headers["X-Correlation-Id"] = correlation
            await answer(scope, receive, send)


def _apology(request: Request, correlation: str) -> Response:
    sentence = f"Orderwire stumbled. What to do: report it with this id, which the log has: {correlation}"
    if wants_page(request):
        try:
            return page(request, "failed.html", status=500, code=500, message="", correlation=correlation)
        except Exception:
            log.exception("even the page that says so stumbled", correlation=correlation)
            return Response(sentence, 500, media_type="text/plain")
    content = json.dumps({"ok": False, "error": sentence, "correlation": correlation})
    return Response(content, 500, media_type="application/json")
