"""`/portal/`: an application of its own, whose visitors have tokens of a shop and no session. No cookie is read or set.

Each answer is made in a thread of few: it asks the ledger. What only tells who may not come in never says whether a customer
exists, and a card is never kept where another visitor could meet it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router

from pipelines import requests
from web.access import address_of
from web.hooks import TooLarge, read_bounded
from web.pages import language
from web.portal import view as views
from web.portal.beside import Beside
from web.portal.counts import Counts
from web.portal.team import Teams
from web.portal.tokens import NotGranted, Visitor, signature_of, visitor
from web.portal.whose import Whose
from web.state import WebState

log = structlog.get_logger(__name__)
PREFIX: Final = "/portal"
FRESH: Final = 60
"""Seconds that a browser may keep a card."""
LARGEST: Final = 16 * 1024
"""Bytes of a request from a card."""
FAILURES: Final = 60
"""Tokens that were not good, from one address in a minute, which are told why; more are told to wait."""
SIGNATURE: Final = "X-Orderwire-Signature"
STATIC: Final[Mapping[str, str]] = {
    "rep-card.js": "text/javascript; charset=utf-8",
    "rep-card.css": "text/css; charset=utf-8",
}
_ROOM: Final = Path(__file__).parent / "static"
_HEADERS: Final[Mapping[str, str]] = {
    "Vary": "Authorization, Origin, Accept-Language",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src https:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}
_RAW: Final = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]


def create_portal(state: WebState) -> Router:
    """To be mounted at PREFIX."""
    portal = Portal(state)
    return Router(
        routes=[
            Route("/card", portal.card, methods=["GET"]),
            Route("/card.html", portal.html, methods=["GET"]),
            Route("/request", portal.request, methods=["POST"]),
            Route("/card", portal.preflight, methods=["OPTIONS"]),
            Route("/request", portal.preflight, methods=["OPTIONS"]),
            *(Route(f"/{name}", portal.static, methods=["GET"]) for name in STATIC),
        ]
    )


class Portal:
    """The routes."""

    def __init__(self, state: WebState) -> None:
        self.context = state.context
        books = self.context.ledger
        team = Teams(self.context)
        self.whose = Whose(books.reps, books.links, books.parties, self.context.flows, team.card)
        self._counts = Counts()
        self._beside = Beside("portal")
        self._files = {name: (_ROOM / name).read_bytes() for name in STATIC}

    # -- routes ------------------------------------------------------------------------------------------------------

    async def card(self, request: Request) -> Response:
        """Signed JSON."""
        return await self._guarded(request, _bearer(request), self._card)

    async def html(self, request: Request) -> Response:
        """The fragment, for the shop's server; with `?token=` a page, for a link that works without JavaScript."""
        token = _bearer(request)
        given = token or request.query_params.get("token", "")
        return await self._guarded(request, given, self._html if token else self._page)

    async def request(self, request: Request) -> Response:
        """Call me, write to me. The token says for whom; nothing else is believed, so that no other site can send one."""
        try:
            body = await read_bounded(request, LARGEST)
        except (TooLarge, ClientDisconnect):
            return self._told(request, 413, f"A request may have at most {LARGEST} bytes.")
        form = _form(body, request.headers.get("content-type", ""))
        if form is None:
            return self._told(request, 400, "This is no request. What to do: send a form, or JSON.")
        token = _bearer(request) or form.get("token", "")
        return await self._guarded(request, token, lambda request, who: self._request(request, who, form))

    async def preflight(self, request: Request) -> Response:
        """Which pages may ask from a browser."""
        answer = self._around(request, Response(status_code=204))
        if "access-control-allow-origin" in answer.headers:
            answer.headers["Access-Control-Allow-Methods"] = "GET, POST"
            answer.headers["Access-Control-Allow-Headers"] = "authorization, content-type"
            answer.headers["Access-Control-Max-Age"] = "600"
        return answer

    async def static(self, request: Request) -> Response:
        """The web component and its style."""
        name = request.url.path.rpartition("/")[2]
        if not self.context.portals:
            return _nothing()
        return self._around(request, _cached(request, Response(self._files[name], media_type=STATIC[name]), "public"))

    # -- around --------------------------------------------------------------------------------------------------------

    async def _guarded(self, request: Request, token: str, work: Callable[[Request, Visitor], Response]) -> Response:
        """`work` for the visitor of this token, in a thread; or why not."""
        if not self.context.portals:
            return _nothing()
        address = address_of(request)

        def answer() -> Response:
            now = self.context.clock.now()
            try:
                who = visitor(token, self.context.portals, now)
            except NotGranted:
                # Only what is not good: a good one is never refused for what others bring from the same address.
                if wait := self._counts.hit(address, FAILURES, now):
                    return self._slower(request, wait)
                raise
            if wait := self._counts.hit((who.portal.name, who.subject), who.portal.per_minute, now):
                return self._slower(request, wait)
            return self._around(request, work(request, who), who)

        try:
            return await self._beside.do(answer)
        except NotGranted as error:
            log.info("no card for a token", reason=error.reason)
            answer_ = self._told(request, 401, error.message)
            answer_.headers["WWW-Authenticate"] = "Bearer"
            return answer_
        except (DBAPIError, PoolTimeoutError) as error:
            log.error("the ledger is away, a card was not shown", error=type(error).__name__)  # noqa: TRY400
            return self._told(request, 503, "This is not available just now. What to do: try again in a moment.")

    def _around(self, request: Request, answer: Response, who: Visitor | None = None) -> Response:
        """The headers of every answer. Without a visitor, any configured shop's page may read it: it holds nobody's data."""
        answer.raw_headers += _RAW
        origin = request.headers.get("origin", "")
        portals = [who.portal] if who else self.context.portals.values()
        if origin and any(origin in portal.origins for portal in portals):
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Expose-Headers"] = f"ETag, {SIGNATURE}, Retry-After"
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    def _told(self, request: Request, status: int, message: str) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            text = views.answered(language(request), well=status < 300, message=message)
            return self._around(request, HTMLResponse(text, status))
        return self._around(request, JSONResponse({"ok": False, "error": message, "message": message}, status))

    def _slower(self, request: Request, wait: float) -> Response:
        answer = self._told(request, 429, f"Too often. What to do: wait {int(wait) + 1} s.")
        answer.headers["Retry-After"] = str(int(wait) + 1)
        return answer

    # -- in a thread -----------------------------------------------------------------------------------------------------

    def _seen(self, request: Request, who: Visitor) -> views.View:
        number = self.whose.number(who.portal, who.subject)
        card = self.whose.card(who.portal, number)
        return views.view(card, who.portal, language(request), asks=bool(number))

    def _card(self, request: Request, who: Visitor) -> Response:
        body = views.as_json(self._seen(request, who))
        answer = Response(body, media_type="application/json", headers={SIGNATURE: signature_of(body, who.key)})
        return _cached(request, answer, "private")

    def _html(self, request: Request, who: Visitor) -> Response:
        return self._shown(request, who, views.fragment)

    def _page(self, request: Request, who: Visitor) -> Response:
        return self._shown(request, who, views.document)

    def _shown(self, request: Request, who: Visitor, make: Callable[..., str]) -> Response:
        seen = self._seen(request, who)
        base = who.portal.public_url.rstrip("/") or str(request.base_url).rstrip("/").removesuffix(PREFIX)
        token = _bearer(request) or request.query_params.get("token", "")
        return _cached(request, HTMLResponse(make(seen, action=f"{base}{PREFIX}/request", token=token)), "private")

    def _request(self, request: Request, who: Visitor, form: Mapping[str, str]) -> Response:
        kind = form.get("kind", "")
        number = self.whose.number(who.portal, who.subject)
        if kind not in {"call", "write"} or not number or not who.portal.requests:
            return self._said(request, 400, "refused", "This cannot be asked for here. Please call or write an e-mail.")
        asked: requests.RequestKind = "call" if kind == "call" else "write"
        texts = (form.get("text", ""), form.get("phone", ""))  # never cut: what is too long is refused
        taken = requests.take(self.context, who.portal.source, number, asked, *texts)
        status = {"taken": 202, "again": 202, "limited": 429, "refused": 422}[taken.status]
        answer = self._said(request, status, taken.status, taken.message)
        if taken.wait:
            answer.headers["Retry-After"] = str(int(taken.wait) + 1)
        return answer

    @staticmethod
    def _said(request: Request, status: int, became: str, message: str) -> Response:
        well = status < 300
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(views.answered(language(request), well=well, message=message), status)
        return JSONResponse({"ok": well, "status": became, "message": message}, status)


def _nothing() -> Response:
    """No portal is configured: there is nothing here."""
    return JSONResponse({"ok": False, "error": "There is no portal here."}, 404)


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.casefold() == "bearer" else ""


def _cached(request: Request, answer: Response, whose: str) -> Response:
    """With an ETag; 304 where the asker has it."""
    tag = f'"{hashlib.blake2b(bytes(answer.body), digest_size=12).hexdigest()}"'
    asked = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if tag in asked:
        answer = Response(status_code=304)
    answer.headers["ETag"] = tag
    answer.headers["Cache-Control"] = f"{whose}, max-age={FRESH}"
    return answer


def _form(body: bytes, kind: str) -> dict[str, str] | None:
    """The fields of a form or of JSON, the first of each; None for anything else."""
    try:
        text = body.decode()
        if kind.partition(";")[0].strip().casefold() == "application/json":
            read = json.loads(text)
            return {str(k): v for k, v in read.items() if isinstance(v, str)} if isinstance(read, dict) else None
        return {name: found[0] for name, found in parse_qs(text, max_num_fields=20).items()}
    except (ValueError, RecursionError):
        return None
