"""What is answered beside pages: HEAD, addresses that lead nowhere, and our own bugs."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog
from fastapi import FastAPI

from core import logs
from core.rights import Role
from tests.people import logged_in, nobody
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
