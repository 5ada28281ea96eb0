"""Programs with a token, for tests of the API; and every address that the API has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from starlette.routing import Mount

from core.rights import Right, Role, Scope
from ledger import Ledger
from tests.people import BASE, somebody
from web.api.app import PREFIX, Api, right_of


def api_of(app: FastAPI) -> Api:
    """The API within the web application."""
    [found] = [one.app for one in app.routes if isinstance(one, Mount) and one.path == PREFIX]
    assert isinstance(found, Api)
    return found


def routes(app: FastAPI) -> Iterator[tuple[str, str, Right | None]]:
    """Method, whole path, and the right that the route names."""
    for one in iter_route_contexts(api_of(app).routes):
        for method in sorted(one.methods or {"GET"}):
            dependant = getattr(one, "dependant", None)
            yield method, f"{PREFIX}{one.path}", right_of(dependant) if dependant is not None else None


def token(
    ledger: Ledger, scopes: Iterable[Scope] = tuple(Scope), role: Role = Role.ADMIN, name: str = "nightly"
) -> str:
    """A token of somebody of this role."""
    return ledger.sessions.make_token(somebody(ledger, role), name, list(scopes))


def with_token(app: FastAPI, secret: str) -> TestClient:
    """A program that sends it."""
    headers = {"authorization": f"Bearer {secret}"}
    return TestClient(app, base_url=BASE, headers=headers, follow_redirects=False, raise_server_exceptions=False)


def program(app: FastAPI, scopes: Iterable[Scope] = tuple(Scope), role: Role = Role.ADMIN) -> TestClient:
    """A program with a token of somebody of this role."""
    return with_token(app, token(app.state.orderwire.context.ledger, scopes, role))
