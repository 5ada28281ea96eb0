"""Who may ask the API for what: every route with every role and scope, what ends a token's power, and what strangers learn."""

from __future__ import annotations

import re
from itertools import chain, combinations

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from core.rights import SCOPES as SCOPES_OF
from core.rights import Right, Role, Scope, rights_of
from ledger import Ledger
from ledger import tables as t
from ledger.sessions import Sessions
from tests.people import BASE, logged_in, somebody
from tests.programs import api_of, program, routes, token, with_token
from web.access import HEADERS, LARGEST
from web.api import door
from web.api.door import Meter

SCOPES = [list(some) for some in chain.from_iterable(combinations(Scope, n) for n in range(1, len(Scope) + 1))]


def filled(path: str) -> str:
    """An address for the route, of something that is not there."""
    return re.sub(r"{\w+(:\w+)?}", "987654321", path)


def ask(client: TestClient, method: str, path: str) -> int:
    return int(client.request(method, filled(path)).status_code)


# -- the walk ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("scopes", SCOPES, ids="+".join)
def test_each_token_is_let_through_where_role_and_scopes_allow_and_nowhere_else(
    app: FastAPI, ledger: Ledger, role: Role, scopes: list[Scope]
) -> None:
    may, client = rights_of(role, scopes), program(app, scopes, role)
    wrong = []
    for method, path, right in routes(app):
        status = ask(client, method, path)
        if (status == 403) == (right in may) or status == 401 or status >= 500:
            wrong.append((method, path, right, status))
    assert wrong == []


def test_no_route_asks_for_what_no_token_may_have(app: FastAPI) -> None:
    found = {right for _, _, right in routes(app)}
    assert found <= rights_of(Role.ADMIN, list(Scope))
    assert not found & {Right.REVEAL, Right.PEOPLE, Right.TOKENS, Right.SETTINGS, Right.OWN}


def test_the_description_names_the_scope_of_every_operation_and_every_refusal(app: FastAPI) -> None:
    found = program(app, [Scope.READ]).get("/api/v1/openapi.json").json()
    rights = {(path.removeprefix("/api/v1").replace(":path", ""), method): right for method, path, right in routes(app)}
    walked = 0
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            right = rights[path, method.upper()]
            scope = "read" if right in SCOPES_OF[Scope.READ] else "act"
            assert operation["security"] == [{"token": [scope]}], path
            assert {"401", "403", "404", "422", "429", "503"} <= set(operation["responses"]), path
            walked += 1
    assert walked == len(rights)


def test_strangers_do_not_even_learn_which_addresses_there_are(app: FastAPI) -> None:
    client = TestClient(app, base_url=BASE, raise_server_exceptions=False)
    answers = [client.request(method, filled(path)) for method, path, _ in routes(app)]
    answers += [
        client.get("/api/v1/nothing"),
        client.post("/api/v1/jobs/1/skip", content=b"{"),
        client.put("/api/v1/jobs"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


# -- tokens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer owt_",
        "Bearer x",
        "Basic YTpi",
        f"Bearer owt_{'x' * 43}",
        f"Bearer owt_{'x' * 9999}",
    ],
)
def test_what_is_no_token(app: FastAPI, header: str) -> None:
    client = TestClient(app, base_url=BASE, headers={"authorization": header} if header else {})
    answer = client.get("/api/v1/status")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="orderwire"')
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:orderwire:problem:not-authenticated"
    assert "What to do:" in answer.json()["detail"]


def test_a_token_that_is_over_or_revoked_is_none(app: FastAPI, ledger: Ledger) -> None:
    client = program(app)
    assert client.get("/api/v1/status").status_code == 200
    ledger.db.execute(sa.update(t.api_token).values(expires_at=1))
    assert client.get("/api/v1/status").status_code == 401
    ledger.db.execute(sa.update(t.api_token).values(expires_at=None))
    assert client.get("/api/v1/status").status_code == 200
    ledger.sessions.revoke(ledger.sessions.tokens()[0].id, by="test")
    assert client.get("/api/v1/status").status_code == 401


def test_a_token_loses_what_its_owner_loses_from_the_next_request_on(app: FastAPI, ledger: Ledger) -> None:
    somebody(ledger, Role.ADMIN, "Another")
    client = program(app, role=Role.OPERATOR)
    owner = somebody(ledger, Role.OPERATOR)
    assert client.post("/api/v1/jobs/7/retry").status_code == 404
    ledger.people.set_role(owner.id, Role.VIEWER, by="test")
    refused = client.post("/api/v1/jobs/7/retry")
    assert refused.status_code == 403
    assert "operator" in refused.json()["detail"], "names the role: another scope would not help"
    assert "scope" not in refused.json()
    assert client.get("/api/v1/jobs").status_code == 200
    ledger.people.set_disabled(owner.id, True, by="test")
    assert client.get("/api/v1/jobs").status_code == 401
    ledger.people.set_disabled(owner.id, False, by="test")
    assert client.get("/api/v1/jobs").status_code == 200


def test_a_refusal_names_the_scope_that_is_missing(app: FastAPI) -> None:
    answer = program(app, [Scope.READ]).post("/api/v1/jobs/7/retry")
    assert answer.status_code == 403
    assert answer.json()["scope"] == "act"
    assert "`act`" in answer.json()["detail"]
    assert 'error="insufficient_scope", scope="act"' in answer.headers["www-authenticate"]


def test_a_session_beside_a_token_changes_nothing(app: FastAPI, ledger: Ledger) -> None:
    client = logged_in(app, Role.ADMIN)
    assert client.get("/api/v1/status").status_code == 401
    reader = token(ledger, [Scope.READ])
    assert client.post("/api/v1/jobs/7/retry", headers={"authorization": f"Bearer {reader}"}).status_code == 403


def test_a_program_needs_no_origin_and_another_sites_page_has_no_token(app: FastAPI, ledger: Ledger) -> None:
    for site in ({}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        assert program(app).post("/api/v1/jobs/7/retry", headers=site).status_code == 404
        assert logged_in(app).post("/api/v1/jobs/7/retry", headers=site).status_code == 401
    answer = program(app).get("/api/v1/status", headers={"origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


# -- how often ---------------------------------------------------------------------------------------------------------


def test_each_token_may_ask_so_often_and_is_told_when_again(
    app: FastAPI, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = api_of(app).state.meter
    monkeypatch.setattr(meter, "_requests", Meter(5, 2)._requests)
    monkeypatch.setattr(meter, "_actions", Meter(5, 2)._actions)
    first, second = with_token(app, token(ledger, name="n1")), with_token(app, token(ledger, name="n2"))
    assert [first.post("/api/v1/jobs/7/retry").status_code for _ in range(3)] == [404, 404, 429], "actions: fewer"
    assert [first.get("/api/v1/status").status_code for _ in range(3)] == [200, 200, 429]
    answer = first.get("/api/v1/status")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:orderwire:problem:too-often"
    assert second.get("/api/v1/status").status_code == 200, "one token's haste is not another's"


def test_the_limits_are_what_the_documentation_says() -> None:
    assert (door.PER_MINUTE, door.ACTIONS_PER_MINUTE) == (600, 120)


# -- around ------------------------------------------------------------------------------------------------------------


def test_every_answer_has_the_headers(app: FastAPI) -> None:
    client = program(app)
    bare = TestClient(app, base_url=BASE)
    answers = [
        bare.get("/api/v1/status"),
        client.get("/api/v1/status"),
        client.get("/api/v1/nothing"),
        client.put("/api/v1/jobs"),
    ]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert answer.headers["cache-control"] == "no-store"


def test_head_is_get_without_the_body(app: FastAPI) -> None:
    client = program(app)
    for method, path, _right in routes(app):
        if method == "GET" and path != "/api/v1/status":  # that one has the time in it
            asked, looked = client.get(filled(path)), client.head(filled(path))
            assert (looked.status_code, looked.content) == (asked.status_code, b"")
            assert looked.headers == asked.headers
    assert TestClient(app, base_url=BASE).head("/api/v1/jobs").status_code == 401


def test_what_is_too_large_or_without_a_length_is_not_read(app: FastAPI) -> None:
    client = program(app)
    large = client.post("/api/v1/jobs/7/skip", content=b"x" * (LARGEST + 1))
    chunked = client.post("/api/v1/jobs/7/skip", content=iter([b"{}"]))
    assert (large.status_code, chunked.status_code) == (413, 411)
    for answer in (large, chunked):
        assert answer.headers["content-type"] == "application/problem+json"


def test_whatever_is_not_there_is_a_problem_too(app: FastAPI) -> None:
    for path in ("/api/v1/jobs/1%0A2", "/api/v1/%0A", "/api/v1/", "/api/v2/jobs", "/api/v1/jobs/"):
        answer = program(app).get(path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json", path


def test_a_method_that_is_none_is_told_which_are(app: FastAPI) -> None:
    client = program(app)
    answer = client.delete("/api/v1/jobs/7/edit")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert client.put("/api/v1/bulk/7/stop").headers["allow"] == "POST"


def test_while_the_database_is_away_programs_are_told_so(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    client = program(app)

    def away(*_: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("password=hidden"))

    monkeypatch.setattr(app.state.orderwire.context.ledger.jobs, "get", away)
    answers = [client.get("/api/v1/jobs/7")]
    monkeypatch.setattr(Sessions, "find_token", away)
    answers.append(client.get("/api/v1/jobs/7"))
    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:orderwire:problem:away"
        assert "secret" not in answer.text
        assert "hidden" not in answer.text


def test_a_bug_of_ours_says_nothing_of_itself(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("ada@office.example")

    client = program(app)
    monkeypatch.setattr(app.state.orderwire.context.ledger.jobs, "get", broken)
    answer = client.get("/api/v1/jobs/7")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert answer.headers["x-correlation-id"] in answer.json()["detail"]
    assert "ada" not in answer.text
