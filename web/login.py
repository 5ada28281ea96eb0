"""Logging in and out, one-time links, one's own password."""

from __future__ import annotations

from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from core import passwords
from core.errors import OrderwireError
from core.rights import Right
from ledger import Ledger
from ledger.people import Person
from web import access
from web.gate import TooOften
from web.pages import back, page, translated
from web.state import WebState

_ = translated
log = structlog.get_logger(__name__)
router = APIRouter()
Text = Annotated[str, Form()]
NOBODY: Final = "nobody"
"""The audit's actor where nobody has shown who they are."""


def _ledger(request: Request) -> Ledger:
    state: WebState = request.app.state.orderwire
    return state.context.ledger


# -- in and out --------------------------------------------------------------------------------------------------------


@router.get("/login")
def login_page(request: Request, next: str = "/") -> Response:
    """The form; straight on for those who are logged in."""
    if access.whoever(request) is not None:
        return RedirectResponse(access.within(next), 303)
    nobody = not _ledger(request).people.any()
    return _login(request, next, nobody=nobody)


@router.post("/login")
async def log_in(request: Request, name: Text = "", password: Text = "", next: Text = "/") -> Response:
    """One try. Whatever is wrong, the answer and the time it takes are the same."""
    if not access.protected(request):
        return await run_in_threadpool(_login, request, next, _unprotected(request), status=403)
    state: WebState = request.app.state.orderwire
    ledger, ip = state.context.ledger, access.address_of(request)
    try:
        tried = await state.gate.log_in(name[:300], password[: passwords.LONGEST + 1], ip)
    except TooOften:
        log.warning("login refused", reason="too often")
        return await run_in_threadpool(_login, request, next, _too_often(request), status=429)
    if tried.person is None:
        subject = tried.known.name if tried.known else ""
        why = "unknown" if tried.known is None else "disabled" if tried.known.disabled_at else "password"
        await run_in_threadpool(ledger.audit.note, NOBODY, "login.failed", subject, {"why": why}, ip)
        log.warning("login failed")
        wrong = _(
            request,
            "This name and this password do not belong together. What to do: try again, or ask an administrator for a new link.",
        )
        return await run_in_threadpool(_login, request, next, wrong, status=401)
    return await _let_in(request, tried.person, access.within(next))


async def _let_in(request: Request, person: Person, to: str, action: str = "login") -> Response:
    """A new session; one that this browser had before ends."""
    sessions, ip = _ledger(request).sessions, access.address_of(request)
    before = access.session_secret(request)
    if before:
        await run_in_threadpool(sessions.close, before, by=person.name, ip=ip)
    secret = await run_in_threadpool(sessions.open, person, ip=ip, action=action)
    answer = RedirectResponse(to, 303)
    access.keep_session(request, answer, secret)
    return answer


@router.post("/logout")
def log_out(request: Request, person: Annotated[Person, Depends(access.require(Right.OWN))]) -> Response:
    """The session is over, here and in the ledger."""
    secret = access.session_secret(request)
    _ledger(request).sessions.close(secret, by=person.name, ip=access.address_of(request))
    answer = RedirectResponse("/login", 303)
    access.forget_session(request, answer)
    return answer


def _login(request: Request, next: str, problem: str = "", *, status: int = 200, nobody: bool = False) -> Response:
    return page(request, "login.html", status=status, next=access.within(next), problem=problem, nobody=nobody)


def _too_often(request: Request) -> str:
    return _(request, "Too many tries. What to do: wait a few minutes, then try again.")


def _unprotected(request: Request) -> str:
    return _(
        request,
        "Others could read your password on this connection. What to do: open Orderwire by https, or on its own machine.",
    )


# -- one-time links ----------------------------------------------------------------------------------------------------


@router.get("/welcome/{token}")
def welcome_page(request: Request, token: str) -> Response:
    """Choose a password (the first user: a name, too). Looking at a link does not use it up."""
    return _welcome(request, token)


@router.post("/welcome/{token}")
async def welcome(
    request: Request, token: str, password: Text = "", again: Text = "", name: Text = "", email: Text = ""
) -> Response:
    """Use the link up, and let its person in."""
    state: WebState = request.app.state.orderwire
    people, ip = state.context.ledger.people, access.address_of(request)
    link = await run_in_threadpool(people.look, token)
    problem, status, person = "", 400, None
    if link is not None:
        try:
            state.gate.knock(ip)
            problem = _objection(request, link.person, password, again, name, email)
            if not problem:
                kept = await state.gate.slowly(lambda: passwords.hashed(password))
                person = await run_in_threadpool(people.use, token, kept, name=name, email=email, ip=ip)
        except TooOften:
            problem, status = _too_often(request), 429
        except OrderwireError as error:
            problem = error.message
    if person is not None:
        return await _let_in(request, person, "/")
    typed = {"name": name, "email": email}
    return await run_in_threadpool(_welcome, request, token, problem, status=status, typed=typed)


def _objection(
    request: Request, person: Person | None, password: str, again: str, name: str = "", email: str = ""
) -> str:
    if not access.protected(request):
        return _unprotected(request)
    if password != again:
        return _(request, "The two passwords differ. What to do: type the same one twice.")
    names = (person.name, person.email.partition("@")[0]) if person else (name, email.partition("@")[0])
    return passwords.objection(password, *names)


def _welcome(
    request: Request, token: str, problem: str = "", *, status: int = 400, typed: dict[str, str] | None = None
) -> Response:
    link = _ledger(request).people.look(token)
    if link is None:  # used, too old, replaced, or never made: nobody learns which
        return page(request, "link_over.html", status=410)
    facts = {"link": link, "problem": problem, "shortest": passwords.SHORTEST}
    shown = typed or {"name": "", "email": ""}
    return page(request, "welcome.html", status=status if problem else 200, typed=shown, **facts)


# -- one's own password ------------------------------------------------------------------------------------------------


@router.get("/settings/password", dependencies=[Depends(access.require(Right.OWN))])
def password_page(request: Request) -> Response:
    """The form."""
    return _password(request)


def _password(request: Request, problem: str = "", *, status: int = 200) -> Response:
    return page(request, "password.html", status=status, problem=problem, shortest=passwords.SHORTEST)


@router.post("/settings/password")
async def change_password(
    request: Request,
    person: Annotated[Person, Depends(access.require(Right.OWN))],
    present: Text = "",
    password: Text = "",
    again: Text = "",
) -> Response:
    """Another password. Every other session of the person ends."""
    state: WebState = request.app.state.orderwire
    ledger, ip = state.context.ledger, access.address_of(request)
    problem, status = "", 400
    try:
        if not (await state.gate.log_in(person.name, present[: passwords.LONGEST + 1], ip)).person:
            await run_in_threadpool(ledger.audit.note, person.name, "person.password.refused", person.name, {}, ip)
            problem = _(request, "This is not your present password. What to do: type it again.")
        problem = problem or _objection(request, person, password, again)
        kept = "" if problem else await state.gate.slowly(lambda: passwords.hashed(password))
    except TooOften:
        problem, status, kept = _too_often(request), 429, ""
    if problem:
        return await run_in_threadpool(_password, request, problem, status=status)
    await run_in_threadpool(ledger.people.set_password, person.id, kept, by=person.name, ip=ip)
    secret = await run_in_threadpool(ledger.sessions.open, person, ip=ip, action="login.renewed")
    answer = back(request, "/", _(request, "Your password is changed. Everywhere else you are logged out."))
    access.keep_session(request, answer, secret)
    return answer
