"""Who may come in: sessions, API tokens, rights, where unsafe requests may come from, and the headers around every page.

A route names its right: `person: Annotated[Person, Depends(require(Right.RETRY))]`. Deliveries (`/hooks/`) are none of this
module's business: they are signed, and their speed is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.rights import Right
from ledger.people import Person
from ledger.sessions import ABSOLUTE
from web.api.refusal import Refusal, answer
from web.state import WebState

SECURE_COOKIE: Final = "__Host-orderwire"
PLAIN_COOKIE: Final = "orderwire"
"""Over plain http, which is for this machine alone: browsers refuse `__Host-` there."""
LARGEST: Final = 1024 * 1024
"""Bytes of a form or an API call."""
LONGEST: Final = 2000
"""Characters of a path; every page's address is shorter."""
OPEN: Final = ("/hooks/", "/livez", "/readyz", "/metrics", "/login", "/welcome/", "/static/", "/portal/")
"""What nobody needs to log in for."""
SIGNED: Final = ("/hooks/", "/portal/")
"""What is signed by whoever sends it: the guard of pages has no part in it, each of them has its own bounds."""
API: Final = "/api/"
"""Where programs ask: with a token, never with a session's cookie."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": with that, browsers say of our own forms that they come from nowhere (Origin: null).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class NotLoggedIn(Exception):
    """Nobody asks, or somebody whose session is over."""


@dataclass(frozen=True, slots=True)
class Require:
    """A dependency: whoever asks must have this right. Gives the person, and keeps them at `request.state.person`."""

    right: Right

    def __call__(self, request: Request) -> Person:
        person = whoever(request)
        if person is None:
            raise NotLoggedIn
        request.state.person = person
        if not person.may(self.right):
            raise HTTPException(
                403, f"You may not do this ({self.right}). What to do: ask an administrator for the role that may."
            )
        return person


def require(right: Right) -> Require:
    """For `Depends`. Plain functions with it run in a thread, so that the look into the ledger keeps nobody waiting."""
    return Require(right)


def whoever(request: Request) -> Person | None:
    """Who asks: by API token under /api/, by session everywhere else; None: nobody we know."""
    state: WebState = request.app.state.orderwire
    sessions = state.context.ledger.sessions
    if request.url.path.startswith(API):
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return sessions.find_token(token.strip()) if kind.casefold() == "bearer" else None
    secret = session_secret(request)
    if not secret:
        return None
    # A list that refreshes itself in a forgotten tab is not somebody at work.
    touch = request.method != "GET" or "hx-request" not in request.headers or "hx-boosted" in request.headers
    return sessions.find(secret, touch=touch)


# -- the cookie --------------------------------------------------------------------------------------------------------


def over_https(request: Request) -> bool:
    """As the browser sees it; a proxy on this machine (or in FORWARDED_ALLOW_IPS) says so by X-Forwarded-Proto."""
    return request.url.scheme == "https"


def session_secret(request: Request) -> str:
    """What the cookie of this kind of connection holds."""
    return request.cookies.get(SECURE_COOKIE if over_https(request) else PLAIN_COOKIE, "")


def keep_session(request: Request, answer: Response, secret: str) -> None:
    """Set the cookie."""
    secure = over_https(request)
    name = SECURE_COOKIE if secure else PLAIN_COOKIE
    answer.set_cookie(name, secret, max_age=ABSOLUTE, path="/", httponly=True, samesite="lax", secure=secure)


def forget_session(request: Request, answer: Response) -> None:
    """Take the cookie away."""
    secure = over_https(request)
    name = SECURE_COOKIE if secure else PLAIN_COOKIE
    answer.delete_cookie(name, path="/", httponly=True, samesite="lax", secure=secure)


def protected(request: Request) -> bool:
    """A password may be sent here: over https, or without leaving the browser's machine."""
    name = (request.url.hostname or "").casefold()
    if over_https(request) or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def address_of(request: Request) -> str:
    """Where the request comes from; behind a proxy that may say so (FORWARDED_ALLOW_IPS), what it says."""
    return request.client.host if request.client else ""


# -- answers to those who may not ----------------------------------------------------------------------------------


def install(app: FastAPI) -> None:
    """The guard around everything, and what is answered to those who are not logged in."""
    app.add_exception_handler(NotLoggedIn, _log_in)
    app.add_middleware(Guard)


async def _log_in(request: Request, _error: Exception) -> Response:
    if "hx-request" in request.headers:
        return Response(
            status_code=401, headers={"HX-Redirect": _login_from(request.headers.get("hx-current-url", ""))}
        )
    if request.url.path.startswith(API):
        return answer(Refusal("not-authenticated", headers={"WWW-Authenticate": "Bearer"}))
    if request.method in _SAFE:
        return RedirectResponse(login_address(request.url.path, request.url.query), 303)
    return RedirectResponse("/login", 303)


def _login_from(url: str) -> str:
    """The login that leads back to this page; from what is no address, to the home page."""
    try:
        at = urlsplit(url)
    except ValueError:
        return "/login"
    return login_address(at.path, at.query)


def login_address(path: str, query: str) -> str:
    """The login that leads back to where somebody wanted to go."""
    wanted = within(f"{path}?{query}" if query else path)
    return "/login" if wanted == "/" else f"/login?next={quote(wanted, safe='')}"


def within(address: str) -> str:
    """The address if it is a page of ours, else the home page: a login must not lead elsewhere."""
    plain = address.isascii() and address.isprintable() and "\\" not in address
    if not plain or not address.startswith("/") or address.startswith("//"):
        return "/"
    return address


# -- around every request but deliveries ---------------------------------------------------------------------------


class Guard:
    """Refuses what another site's page makes a browser send, and what is too large; adds the headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(SIGNED):
            await self.app(scope, receive, send)
            return
        kept = not scope["path"].startswith("/static/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if kept and "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        refusal = refused(scope, Headers(scope=scope))
        await (refusal or self.app)(scope, receive, with_headers)


def refused(scope: Scope, headers: Headers) -> Response | None:
    """Why a request goes no further; None: it does."""
    if len(scope["path"]) > LONGEST:  # before a route makes a number of it
        return _refusal(scope, 404, "not-found", "There is no such address. What to do: look at it again.")
    if scope["method"] in _SAFE:
        return None
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not (length.isascii() and length.isdigit()):
        return _refusal(scope, 411, "length-required", "The length of the request is missing.")
    if int(length[:20]) > LARGEST:
        return _refusal(scope, 413, "too-large", f"A request may have at most {LARGEST} bytes.")
    if not _from_here(scope, headers):
        return PlainTextResponse(
            "This request comes from another site. What to do: open Orderwire's own page and try there.", 403
        )
    return None


def _refusal(scope: Scope, status: int, kind: str, words: str) -> Response:
    return answer(Refusal(kind, words)) if scope["path"].startswith(API) else PlainTextResponse(words, status)


def _from_here(scope: Scope, headers: Headers) -> bool:
    """A page of ours sent it. The browser's own word (Sec-Fetch-Site) counts; one that gives none names the origin."""
    if scope["path"].startswith(API):
        return True  # no browser adds a token by itself, and nothing else counts there
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    try:
        origin = urlsplit(headers.get("origin", ""))
    except ValueError:  # no origin that a browser names
        return False
    return bool(origin.netloc) and (origin.scheme, origin.netloc) == (scope["scheme"], headers.get("host"))
