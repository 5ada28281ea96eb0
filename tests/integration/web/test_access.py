"""Every route names its right, every role gets what it has and nothing else, and no other site can press our buttons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import sqlalchemy as sa
from fastapi import Depends, FastAPI, Request
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from core.rights import LEAST, RIGHTS, Right, Role, Scope, rights_of
from ledger import Ledger
from ledger import tables as t
from ledger.people import Person
from ledger.sessions import IDLE
from tests import programs
from tests.people import BASE, logged_in, nobody, somebody
from web import access
from web.access import HEADERS, LARGEST, OPEN, SECURE_COOKIE, Require, address_of, require
from web.api.app import PREFIX
from web.portal.app import PREFIX as PORTAL

HERE = {"sec-fetch-site": "same-origin"}


# -- all routes, all roles ---------------------------------------------------------------------------------------------


def routes(app: FastAPI) -> Iterator[tuple[str, str, Right | None]]:
    """Method, path, and the right that the route names. The API, where no session counts, has a walk of its own with tokens
    (test_api_access.py); here it is only part of what names its right and lets nobody in. The portal has tokens of shops
    (test_portal.py).
    """
    for context in iter_route_contexts(app.routes):
        path = str(context.path)
        if path in {PREFIX, PORTAL}:
            continue
        for method in sorted(context.methods or {"GET"}):
            yield method, path, right_of(getattr(context, "dependant", None))


def right_of(dependant: Any) -> Right | None:
    if dependant is None:
        return None
    if isinstance(dependant.call, Require):
        return dependant.call.right
    return next((right for one in dependant.dependencies if (right := right_of(one)) is not None), None)


def is_open(path: str) -> bool:
    return any(path == one or (one.endswith("/") and path.startswith(one)) for one in OPEN)


def filled(path: str) -> str:
    """An address for the route, of something that is not there."""
    return re.sub(r"{\w+(:\w+)?}", "987654321", path)


def undeclared(app: FastAPI) -> list[str]:
    found = [*routes(app), *programs.routes(app)]
    return [f"{method} {path}" for method, path, right in found if right is None and not is_open(path)]


def test_every_route_names_its_right(app: FastAPI) -> None:
    found = list(routes(app))
    assert {path for _, path, _ in found} >= {"/audit", "/settings/users", "/logout", "/hooks/{connection}", "/livez"}
    assert undeclared(app) == []


def test_the_walk_notices_a_route_without_a_right(app: FastAPI) -> None:
    app.add_api_route("/backdoor", lambda: "hello", methods=["GET"])
    programs.api_of(app).add_api_route("/side-door", lambda: "hello", methods=["GET"])
    assert undeclared(app) == ["GET /backdoor", "GET /api/v1/side-door"]


def test_what_changes_something_needs_more_than_seeing(app: FastAPI) -> None:
    pages = {Right.SEE, Right.AUDIT}
    lax = [
        f"{method} {path}"
        for method, path, right in (*routes(app), *programs.routes(app))
        if method not in {"GET", "HEAD"} and right in pages
    ]
    assert lax == []


def test_nothing_is_open_that_was_not_meant_to_be(app: FastAPI) -> None:
    assert {path for _, path, right in routes(app) if right is None} == {
        "/hooks/{connection}",
        "/hooks/{connection}/schema",
        "/livez",
        "/readyz",
        "/metrics",
        "/login",
        "/welcome/{token}",
        "/static/{name}",
    }


def ask(client: TestClient, method: str, path: str) -> int:
    return int(client.request(method, filled(path), data={} if method == "POST" else None).status_code)


def shut_out(client: TestClient, method: str, path: str) -> bool:
    answer = client.request(method, filled(path))
    to_login: bool = answer.status_code == 303 and answer.headers["location"].startswith("/login")
    return bool(answer.status_code == 401 or to_login)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_is_let_through_where_it_has_the_right_and_nowhere_else(
    app: FastAPI, ledger: Ledger, role: Role
) -> None:
    wrong = []
    for method, path, right in routes(app):
        if right is None:
            continue
        client = logged_in(app, role)  # anew: one of the routes logs out
        status = ask(client, method, path)
        allowed = right in RIGHTS[role]
        if (status == 403) == allowed or status == 401 or status >= 500:
            wrong.append((method, path, right.value, status))
    assert wrong == []


@pytest.mark.parametrize("who", ["nobody", "forged", "disabled", "expired"])
def test_who_is_not_logged_in_is_shut_out_everywhere(app: FastAPI, ledger: Ledger, who: str) -> None:
    client = nobody(app) if who in {"nobody", "forged"} else logged_in(app, Role.ADMIN, "Anna")
    if who == "forged":
        client.cookies.set(SECURE_COOKIE, "x" * 43)
    if who == "disabled":
        secret = client.cookies.get(SECURE_COOKIE)
        anna = somebody(ledger, Role.ADMIN, "Anna")
        ledger.db.execute(sa.update(t.person).where(t.person.c.id == anna.id).values(disabled_at=1))
        assert secret
        assert ledger.db.rows(sa.select(t.session)), "the session is there, its person is not"
    if who == "expired":
        ledger.db.execute(sa.update(t.session).values(seen_at=ledger.db.micros() - (IDLE + 1) * 1_000_000))
    open_to_them = [
        (method, path)
        for method, path, right in (*routes(app), *programs.routes(app))
        if right and not shut_out(client, method, path)
    ]
    assert open_to_them == []


def test_a_session_opens_no_address_of_the_api(app: FastAPI) -> None:
    client = logged_in(app, Role.ADMIN)
    found = list(programs.routes(app))
    assert len(found) > 30
    assert [one for one in found if ask(client, one[0], one[1]) != 401] == []


def test_pages_that_are_not_there_tell_nobody_more(app: FastAPI) -> None:
    assert nobody(app).get("/no/such/page").status_code == 404


# -- the table of rights -----------------------------------------------------------------------------------------------


def test_each_role_has_all_that_the_one_before_has() -> None:
    assert set(LEAST) == set(Right)
    assert RIGHTS[Role.VIEWER] < RIGHTS[Role.OPERATOR] < RIGHTS[Role.ADMIN] == set(Right)
    assert RIGHTS[Role.VIEWER] == {Right.SEE, Right.AUDIT, Right.OWN}
    only_admins = RIGHTS[Role.ADMIN] - RIGHTS[Role.OPERATOR]
    assert only_admins == {Right.REVEAL, Right.PEOPLE, Right.TOKENS, Right.SETTINGS, Right.UNDO}


def test_a_token_may_never_more_than_its_owner() -> None:
    assert rights_of(Role.VIEWER, [Scope.ACT]) == {Right.SEE, Right.AUDIT}
    assert Right.RETRY in rights_of(Role.ADMIN, [Scope.ACT])
    assert Right.RETRY not in rights_of(Role.ADMIN, [Scope.READ])
    for scopes in ([], [Scope.READ], [Scope.ACT], list(Scope)):
        assert not rights_of(Role.ADMIN, scopes) & {Right.PEOPLE, Right.TOKENS, Right.REVEAL, Right.OWN}


# -- API tokens --------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(app: FastAPI) -> FastAPI:
    """With two routes of an API, as a stand-in for whatever there is."""

    def seen(person: Annotated[Person, Depends(require(Right.SEE))]) -> dict[str, str]:
        return {"actor": person.actor}

    def done(person: Annotated[Person, Depends(require(Right.RETRY))]) -> dict[str, str]:
        return {"actor": person.actor}

    app.add_api_route("/api/test", seen, methods=["GET"])
    app.add_api_route("/api/test", done, methods=["POST"])
    app.add_api_route("/page", seen, methods=["GET"])
    return app


def program(app: FastAPI, token: str) -> TestClient:
    headers = {"authorization": f"Bearer {token}"}
    return TestClient(app, base_url=BASE, headers=headers, follow_redirects=False)


def make_token(app: FastAPI, *scopes: str, name: str = "nightly", **more: str) -> str:
    answer = logged_in(app).post("/settings/tokens", data={"name": name, "scope": list(scopes), "days": "90", **more})
    assert answer.status_code == 200
    [token] = re.findall(r"owt_[\w-]+", answer.text)
    return str(token)


def test_a_token_does_what_its_scopes_allow(api: FastAPI, ledger: Ledger) -> None:
    reader, actor = program(api, make_token(api, "read")), program(api, make_token(api, "read", "act", name="n2"))
    assert reader.get("/api/test").json() == {"actor": "a admin (token nightly)"}
    assert reader.post("/api/test").status_code == 403
    assert actor.post("/api/test").status_code == 200, "no browser, so no origin to check"
    assert actor.get("/page").status_code == 303, "tokens are for the API"
    assert "owt_" not in logged_in(api).get("/settings/tokens").text
    assert ledger.sessions.tokens()[0].used_at is not None


def test_a_token_ends(api: FastAPI, ledger: Ledger) -> None:
    first, second, third = (make_token(api, "read", name=f"n{n}") for n in range(3))
    admin = logged_in(api)
    [id] = [one.id for one in ledger.sessions.tokens() if one.name == "n0"]
    assert admin.post(f"/settings/tokens/{id}/revoke").status_code == 303
    assert program(api, first).get("/api/test").status_code == 401
    ledger.db.execute(sa.update(t.api_token).where(t.api_token.c.name == "n1").values(expires_at=1))
    assert program(api, second).get("/api/test").status_code == 401
    assert program(api, third).get("/api/test").status_code == 200
    somebody(ledger, Role.ADMIN, "Another")
    ledger.people.set_disabled(somebody(ledger).id, True, by="test")
    assert program(api, third).get("/api/test").status_code == 401


@pytest.mark.parametrize("token", ["", "owt_", "owt_" + "x" * 43, "é", "x" * 10_000])
def test_a_token_that_is_none(api: FastAPI, token: str) -> None:
    client = TestClient(api, base_url=BASE, follow_redirects=False)
    answer = client.get("/api/test", headers={"authorization": f"Bearer {token}".encode()})
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


@pytest.mark.parametrize("fields", [{"scope": "admin"}, {"days": "9999"}, {"scope": "read", "days": "0.5"}])
def test_a_token_that_cannot_be_made(app: FastAPI, fields: dict[str, str]) -> None:
    assert logged_in(app).post("/settings/tokens", data={"name": "n", **fields}).status_code == 422


def test_a_token_needs_a_name_and_a_scope(app: FastAPI) -> None:
    answer = logged_in(app).post("/settings/tokens", data={"name": "n"})
    assert answer.status_code == 400
    assert "What to do" in answer.text


# -- people ------------------------------------------------------------------------------------------------------------


def test_somebody_always_can_look_after_people(app: FastAPI, ledger: Ledger) -> None:
    admin = logged_in(app)
    [only] = ledger.people.list()
    for path, data in (("disable", {}), ("role", {"role": "viewer"})):
        answer = admin.post(f"/settings/users/{only.id}/{path}", data=data)
        assert answer.status_code == 409
        assert "only administrator" in answer.text
    ledger.people.add("Has not begun", Role.ADMIN, by="test")
    assert admin.post(f"/settings/users/{only.id}/disable").status_code == 409, "who has no password cannot help"
    somebody(ledger, Role.ADMIN, "Another")
    assert admin.post(f"/settings/users/{only.id}/role", data={"role": "viewer"}).status_code == 303
    assert admin.get("/settings/users").status_code == 403, "from the next request on"


@pytest.mark.parametrize(
    "name", ["a admin", "A ADMIN", "ａ admin", "machine", "anna@example.com", "x" * 61, "a (b)", "<b>"]
)
def test_a_name_that_cannot_be(app: FastAPI, ledger: Ledger, name: str) -> None:
    admin = logged_in(app)
    answer = admin.post("/settings/users", data={"name": name, "role": "viewer"})
    assert answer.status_code == 400
    assert len(ledger.people.list()) == 1
    assert "<b>" not in answer.text


@pytest.mark.parametrize("path", ["link", "role", "disable", "enable"])
def test_somebody_who_is_not_there(app: FastAPI, path: str) -> None:
    answer = logged_in(app).post(f"/settings/users/4711/{path}", data={"role": "viewer"})
    assert answer.status_code == 409
    assert "no such person" in answer.text


# -- the audit page ----------------------------------------------------------------------------------------------------


def numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r'<td class="number">(\d+)</td>', text)]


def test_the_audit_is_read_page_by_page_and_filtered(app: FastAPI, ledger: Ledger) -> None:
    for n in range(60):
        ledger.audit.note("Anna" if n % 2 else "Bert", "job.skip", f"job/{n}", {"reason": "<i>test</i>"}, "192.0.2.1")
    viewer = logged_in(app, Role.VIEWER)
    first = viewer.get("/audit").text
    total = max(numbers(first))
    assert numbers(first) == list(range(total, total - 50, -1))
    assert "&lt;i&gt;test" in first
    assert "<i>test" not in first
    [older] = re.findall(r'rel="next" href="([^"]+)"', first)
    assert numbers(viewer.get(older).text) == list(range(total - 50, 0, -1))
    anna = viewer.get("/audit", params={"actor": "Anna"}).text
    assert len(numbers(anna)) == 30
    assert len(numbers(viewer.get("/audit", params={"subject": "job/7"}).text)) == 1
    assert len(numbers(viewer.get("/audit", params={"actor": "Anna", "action": "job.skip"}).text)) == 30
    assert numbers(viewer.get("/audit", params={"action": "job"}).text) == []
    assert viewer.get("/audit?before=x").status_code == 422


def test_where_people_are_is_for_administrators(app: FastAPI, ledger: Ledger) -> None:
    ledger.audit.note("Anna", "login", "Anna", {}, "192.0.2.77")
    assert "192.0.2.77" in logged_in(app, Role.ADMIN).get("/audit").text
    assert "192.0.2.77" not in logged_in(app, Role.OPERATOR).get("/audit").text


# -- other sites -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": BASE}, 403),
        ({"origin": BASE}, 303),
        ({"origin": "http://orderwire.test"}, 403),
        ({"origin": "https://evil.test"}, 403),
        ({"origin": "https://orderwire.test.evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
        ({"authorization": "Bearer x"}, 403),
    ],
)
def test_an_unsafe_request_must_come_from_a_page_of_ours(app: FastAPI, headers: dict[str, str], status: int) -> None:
    client = logged_in(app)
    del client.headers["sec-fetch-site"]
    assert client.post("/logout", headers=headers).status_code == status


def unsafe(app: FastAPI) -> list[tuple[str, str]]:
    """Every route that a form or a script may change something by. Deliveries are signed; the portal's cards have tokens."""
    found = [(method, path) for method, path, _ in routes(app) if method not in {"GET", "HEAD", "OPTIONS"}]
    return [(method, path) for method, path in found if not path.startswith("/hooks/")]


FOREIGN: tuple[dict[str, str], ...] = (
    {},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.test"},
    {"origin": "null"},
)


def pressed_elsewhere(app: FastAPI, client: TestClient) -> list[str]:
    """The routes that a button on another site's page reaches."""
    del client.headers["sec-fetch-site"]
    answers = [
        (f"{method} {path}", client.request(method, filled(path), headers=headers, data={}))
        for method, path in [*unsafe(app), *(("POST", "/no/such/page"), ("PUT", "/login"), ("DELETE", "/stock"))]
        for headers in FOREIGN
    ]
    return [name for name, answer in answers if answer.status_code != 403 or "from another site" not in answer.text]


@pytest.mark.parametrize("who", ["nobody", "admin"])
def test_no_button_of_any_page_can_be_pressed_from_another_site(app: FastAPI, who: str) -> None:
    paths = {path for _, path in unsafe(app)}
    assert paths >= {
        "/login",
        "/welcome/{token}",
        "/settings/tokens",
        "/jobs/{job_id:int}/choice",
        "/stock/thresholds",
        "/stock/thresholds/remove",
        "/stock/thresholds/import",
        "/stock/alerts/{number}/snooze",
    }
    assert len(paths) > 40
    assert pressed_elsewhere(app, nobody(app) if who == "nobody" else logged_in(app)) == []


def test_that_walk_notices_a_route_that_is_let_through(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    held = access._from_here
    monkeypatch.setattr(
        access, "_from_here", lambda scope, headers: scope["path"] == "/stock/thresholds" or held(scope, headers)
    )
    assert set(pressed_elsewhere(app, logged_in(app))) == {"POST /stock/thresholds"}


def test_deliveries_come_from_other_sites(app: FastAPI) -> None:
    answer = TestClient(app, base_url=BASE).post("/hooks/nothing", content=b"{}")
    assert answer.status_code == 404
    assert "content-security-policy" not in answer.headers


def test_what_is_too_large_is_not_read(app: FastAPI) -> None:
    client = nobody(app)
    assert client.post("/login", content=b"x" * (LARGEST + 1)).status_code == 413
    assert client.post("/login", content=iter([b"x"])).status_code == 411


@pytest.mark.parametrize("path", ["/login", "/audit", "/settings/users", "/welcome/x", "/no/such/page", "/livez"])
def test_every_page_has_the_headers(app: FastAPI, path: str) -> None:
    for client in (nobody(app), logged_in(app)):
        answer = client.get(path)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert answer.headers["cache-control"] == "no-store"


def test_refusals_have_them_as_well(app: FastAPI) -> None:
    answer = nobody(app).post("/login", headers={"sec-fetch-site": "cross-site"})
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_no_page_has_script_or_style_within(app: FastAPI, ledger: Ledger) -> None:
    client = logged_in(app)
    token = ledger.people.link(somebody(ledger).id, by="test")
    for path in ("/login", "/audit", "/settings/users", "/settings/tokens", "/settings/password", f"/welcome/{token}"):
        text = client.get(path, follow_redirects=True).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text), path


def test_a_page_is_open_for_one_kind_of_request_only(app: FastAPI) -> None:
    seen: list[str] = []

    def where(request: Request) -> str:
        seen.append(address_of(request))
        return ""

    app.add_api_route("/livez/where", where, methods=["GET"])
    nobody(app).get("/livez/where", headers={"x-forwarded-for": "192.0.2.9"})
    assert seen == ["testclient"], "only uvicorn, and only from a proxy that may say so, changes the address"
