"""Somebody logged in, for tests of pages: over https as behind a proxy, with what a browser says of itself."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.testclient import TestClient

from core.rights import Role
from ledger import Ledger
from ledger.people import Person
from web.access import SECURE_COOKIE

BASE = "https://orderwire.test"
BROWSER = {"accept": "text/html", "sec-fetch-site": "same-origin"}


def somebody(ledger: Ledger, role: Role | str = Role.ADMIN, name: str = "") -> Person:
    """A person of this role; no password can be right for them."""
    person = ledger.people.named(name or f"a {role}")
    if person is None:
        person = ledger.people.add(name or f"a {role}", Role(role), by="test")
        ledger.people.set_password(person.id, "$argon2id$nothing", by="test")
    found = ledger.people.get(person.id)
    assert found is not None
    return found


def nobody(app: FastAPI) -> TestClient:
    """A browser before the login."""
    return TestClient(app, base_url=BASE, headers=BROWSER, follow_redirects=False, raise_server_exceptions=False)


def logged_in(app: FastAPI, role: Role | str = Role.ADMIN, name: str = "") -> TestClient:
    """A browser in which a person of this role is logged in, by a session in the ledger."""
    ledger: Ledger = app.state.orderwire.context.ledger
    client = nobody(app)
    client.cookies.set(SECURE_COOKIE, ledger.sessions.open(somebody(ledger, role, name)))
    return client
