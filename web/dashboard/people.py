"""/settings/users and /settings/tokens: who may come in, what they may do, and which programs may act for them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from starlette.exceptions import HTTPException

from core.errors import OrderwireError
from core.rights import LEAST, Right, Role, Scope
from ledger import Ledger
from ledger import people as ledger_people
from web import access
from web.pages import back, page, translated
from web.state import WebState

_ = translated
router = APIRouter()
Text = Annotated[str, Form()]
ForPeople = Annotated[ledger_people.Person, Depends(access.require(Right.PEOPLE))]
ForTokens = Annotated[ledger_people.Person, Depends(access.require(Right.TOKENS))]
USERS = "/settings/users"
TOKENS = "/settings/tokens"
LASTS = {"30": 30, "90": 90, "365": 365, "0": None}
"""Days that a token may be good for; 0: until it is revoked."""


def _ledger(request: Request) -> Ledger:
    state: WebState = request.app.state.orderwire
    return state.context.ledger


def _role(text: str) -> Role:
    if text not in set(Role):
        raise HTTPException(422, "There is no such role.")
    return Role(text)


# -- people ------------------------------------------------------------------------------------------------------------


@router.get("/settings/users", dependencies=[Depends(access.require(Right.PEOPLE))])
def users(request: Request) -> Response:
    """Everybody."""
    return _users(request)


def _users(
    request: Request, *, link: str = "", to: str = "", problem: str = "", typed: dict[str, str] | None = None
) -> Response:
    return page(
        request,
        "users.html",
        status=400 if problem else 200,
        people=_ledger(request).people.list(),
        roles=list(Role),
        link=f"{request.base_url}welcome/{link}" if link else "",
        to=to,
        problem=problem,
        typed=typed or {"name": "", "email": "", "role": Role.VIEWER.value},
        rights={role: [right for right, least in LEAST.items() if least is role] for role in Role},
    )


@router.post("/settings/users")
def add(request: Request, person: ForPeople, name: Text = "", email: Text = "", role: Text = "") -> Response:
    """Somebody new: they choose their password by the link that is shown here once."""
    people, ip, wanted = _ledger(request).people, access.address_of(request), _role(role)
    try:
        added = people.add(name, wanted, email=email, by=person.actor, ip=ip)
    except OrderwireError as error:
        return _users(request, problem=error.message, typed={"name": name, "email": email, "role": role})
    return _users(request, link=people.link(added.id, by=person.actor, ip=ip), to=added.name)


@router.post("/settings/users/{person_id}/link")
def link(request: Request, person: ForPeople, person_id: int) -> Response:
    """A new link for somebody who has lost theirs, or their password. Shown once, in the answer: never in an address."""
    people = _ledger(request).people
    token = people.link(person_id, by=person.actor, ip=access.address_of(request))
    whose = people.get(person_id)
    return _users(request, link=token, to=whose.name if whose else "")


@router.post("/settings/users/{person_id}/role")
def role(request: Request, person: ForPeople, person_id: int, role: Text = "") -> Response:
    """Another role, from the next request on."""
    _ledger(request).people.set_role(person_id, _role(role), by=person.actor, ip=access.address_of(request))
    return back(request, USERS, _(request, "The role is changed."))


@router.post("/settings/users/{person_id}/disable")
def disable(request: Request, person: ForPeople, person_id: int) -> Response:
    """Out at once, with all sessions and tokens."""
    _ledger(request).people.set_disabled(person_id, True, by=person.actor, ip=access.address_of(request))
    return back(request, USERS, _(request, "This person is shut out, everywhere and at once."))


@router.post("/settings/users/{person_id}/enable")
def enable(request: Request, person: ForPeople, person_id: int) -> Response:
    """In again, with the password they had."""
    _ledger(request).people.set_disabled(person_id, False, by=person.actor, ip=access.address_of(request))
    return back(request, USERS, _(request, "This person may come in again."))


# -- API tokens --------------------------------------------------------------------------------------------------------


@router.get("/settings/tokens", dependencies=[Depends(access.require(Right.TOKENS))])
def tokens(request: Request) -> Response:
    """Every token, without its secret."""
    return _tokens(request)


def _tokens(request: Request, *, token: str = "", problem: str = "", name: str = "") -> Response:
    found = _ledger(request).sessions.tokens()
    status = 400 if problem else 200
    facts = {"tokens": found, "scopes": list(Scope), "token": token, "problem": problem, "typed": name}
    return page(request, "tokens.html", status=status, lasts=list(LASTS), **facts)


@router.post("/settings/tokens")
def make(
    request: Request,
    person: ForTokens,
    name: Text = "",
    scope: Annotated[list[str] | None, Form()] = None,
    days: Text = "90",
) -> Response:
    """A token that acts for whoever makes it. Shown once."""
    if days not in LASTS or not set(scope or ()) <= set(Scope):
        raise HTTPException(422, "There is no such scope, or no such time.")
    wanted = [Scope(one) for one in scope or ()]
    try:
        token = _ledger(request).sessions.make_token(
            person, name, wanted, days=LASTS[days], ip=access.address_of(request)
        )
    except OrderwireError as error:
        return _tokens(request, problem=error.message, name=name)
    return _tokens(request, token=token)


@router.post("/settings/tokens/{token_id}/revoke")
def revoke(request: Request, person: ForTokens, token_id: int) -> Response:
    """Over at once."""
    ended = _ledger(request).sessions.revoke(token_id, by=person.actor, ip=access.address_of(request))
    said = _(request, "The token is revoked.") if ended else _(request, "This token is over already.")
    return back(request, TOKENS, said, well=ended)
