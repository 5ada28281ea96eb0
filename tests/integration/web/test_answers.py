"""What is answered beside pages: HEAD, addresses that lead nowhere, and our own bugs."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from core import logs
from core.rights import Role
from pipelines.desk import Refused
from tests.people import BASE, logged_in, nobody
from web.access import HEADERS

SECRET = "what the customer wrote"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Log lines as JSON; logging is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure(as_json=True, stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def stumbling(app: FastAPI) -> FastAPI:
    def page() -> None:
        raise RuntimeError(SECRET)

    app.add_api_route("/livez/bug", page, methods=["GET"])
    return app


@pytest.mark.parametrize("path", ["/", "/jobs", "/audit", "/welcome/x", "/livez", "/not/there", "/static/app.css"])
def test_head_tells_what_get_would(app: FastAPI, path: str) -> None:
    client = logged_in(app)
    looked, asked = client.get(path), client.head(path)
    assert asked.status_code == looked.status_code
    assert asked.content == b""
    assert asked.headers["content-type"] == looked.headers["content-type"]
    assert int(asked.headers["content-length"]) > 0
    assert {name: asked.headers.get(name) for name in HEADERS} == HEADERS


def test_head_opens_no_door(app: FastAPI) -> None:
    assert nobody(app).head("/jobs").headers["location"] == "/login?next=%2Fjobs"
    assert logged_in(app, Role.VIEWER).head("/settings/users").status_code == 403
    assert nobody(app).head("/hooks/shop").status_code == 405, "deliveries are posted"
    assert logged_in(app).head("/jobs/1/retry").status_code == 405


def test_what_is_not_there_offers_a_way_on(app: FastAPI) -> None:
    known = logged_in(app).get("/order/4711%20%3Cb%3E")
    assert known.status_code == 404
    assert 'href="/search?q=4711+%3Cb%3E"' in known.text
    assert "Search for “4711 &lt;b&gt;”" in known.text
    assert 'role="search"' in known.text
    assert 'aria-label="Screens"' in known.text
    unknown = nobody(app).get("/order/4711")
    assert unknown.status_code == 404
    assert "or log in" in unknown.text
    assert 'role="search"' not in unknown.text


def test_a_bug_is_told_with_the_id_that_finds_it_in_the_log(stumbling: FastAPI, out: io.StringIO) -> None:
    answer = logged_in(stumbling).get("/livez/bug")
    assert answer.status_code == 500
    [correlation] = re.findall(r"<code>([0-9a-f]{32})</code>", answer.text)
    assert answer.headers["x-correlation-id"] == correlation
    assert "What to do:" in answer.text
    assert SECRET not in answer.text
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    [line] = [one for one in map(json.loads, out.getvalue().splitlines()) if one.get("correlation") == correlation]
    assert line["path"] == "/livez/bug"
    assert SECRET in line["exception"]


def test_a_program_gets_it_as_json(stumbling: FastAPI, out: io.StringIO) -> None:
    answer = logged_in(stumbling).get("/livez/bug", headers={"accept": "application/json"})
    assert answer.status_code == 500
    assert answer.json()["correlation"] in answer.json()["error"]
    assert answer.json()["correlation"] in out.getvalue()
    assert SECRET not in answer.text


def test_even_while_pages_cannot_be_made(stumbling: FastAPI, out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.pages._around", lambda _request: 1 / 0)
    answer = logged_in(stumbling).get("/livez/bug")
    assert answer.status_code == 500
    assert answer.headers["x-correlation-id"] in answer.text
    assert "even the page that says so stumbled" in out.getvalue()


# -- what the log learns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OperationalError("SELECT 1", {}, OSError("gone"))])
@pytest.mark.parametrize("before", ["/welcome/", "/nothere/welcome/"])
def test_a_one_time_link_never_reaches_the_log(
    app: FastAPI, out: io.StringIO, monkeypatch: pytest.MonkeyPatch, error: Exception, before: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("web.login._welcome", fail)
    monkeypatch.setattr("web.pages._recognised", fail)
    token = "Zm9yLW9uZS1wZXJzb24tYWxvbmU"
    assert nobody(app).get(before + token).status_code in {500, 503}
    [path] = [line["path"] for line in map(json.loads, out.getvalue().splitlines()) if "path" in line]
    assert path == f"{before}…"
    assert token not in out.getvalue()


def test_nobody_fills_the_log_with_an_address(app: FastAPI, out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("web.pages._recognised", fail)
    assert logged_in(app).get("/" + "x" * 1500).status_code == 500
    [path] = [line["path"] for line in map(json.loads, out.getvalue().splitlines()) if "path" in line]
    assert path == "/" + "x" * 199


# -- what no browser sends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["http://[", "http://a]b", "null", ""])
def test_an_origin_that_is_none_is_another_sites(app: FastAPI, origin: str) -> None:
    stranger = TestClient(app, base_url=BASE, headers={"origin": origin}, raise_server_exceptions=False)
    answer = stranger.post("/login", data={"name": "x", "password": "y"})
    assert answer.status_code == 403
    assert "comes from another site" in answer.text


def test_a_place_that_is_none_leads_to_the_login_alone(app: FastAPI) -> None:
    answer = nobody(app).get("/", headers={"hx-request": "true", "hx-current-url": "http://["})
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/login"


@pytest.mark.parametrize("path", ["/jobs/", "/runs/", "/events/", "/review/", "/api/v1/jobs/", "/nothere/"])
@pytest.mark.parametrize("digits", [30, 1900, 5000])
def test_no_number_is_too_long_to_be_nowhere(app: FastAPI, out: io.StringIO, path: str, digits: int) -> None:
    address = path + "9" * digits
    assert nobody(app).get(address).status_code in {303, 401, 404}
    assert logged_in(app).get(address).status_code in {401, 404}
    if digits == 5000:
        assert nobody(app).get(address).status_code == 404
    assert "stumbled" not in out.getvalue()


# -- while the ledger does not answer ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/not/there", "/refused", "/misunderstood?number=x", "/forbidden", "/away", "/bug"])
def test_no_page_of_a_failure_waits_for_the_ledger_on_the_event_loop(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """There it would keep deliveries and probes waiting, as long as a database that is away takes to say so."""

    def failing(error: Exception) -> Callable[[], None]:
        def route() -> None:
            raise error

        return route

    def number(number: int) -> None:
        raise AssertionError(number)

    app.add_api_route("/refused", failing(Refused("No. What to do: nothing.")), methods=["GET"])
    app.add_api_route("/misunderstood", number, methods=["GET"])
    app.add_api_route("/forbidden", failing(HTTPException(403)), methods=["GET"])
    app.add_api_route("/away", failing(OperationalError("SELECT 1", {}, OSError("gone"))), methods=["GET"])
    app.add_api_route("/bug", failing(RuntimeError("a bug")), methods=["GET"])
    client = logged_in(app)
    asked: list[bool] = []

    def now() -> datetime:
        asked.append(running())
        raise OperationalError("SELECT 1", {}, OSError("gone"))

    monkeypatch.setattr(app.state.orderwire.context.ledger.clock, "now", now)
    answer = client.get(path)
    assert answer.status_code >= 400
    assert "<h1>" in answer.text
    assert True not in asked, "the event loop waited"
    assert bool(asked) is (path != "/away"), "whoever knows that the ledger is away does not ask it again"


def running() -> bool:
    """On the event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
