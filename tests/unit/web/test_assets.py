"""What the browser gets: named by its content, kept for ever, nothing from elsewhere, nothing inline."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from web import assets

ROOM = Path(__file__).parents[3] / "web"
HTMX = "htmx-2.0.10.min.js"
HTMX_SHA256 = "71ea67185bfa8c98c39d31717c6fce5d852370fcdfd129db4543774d3145c0de"


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    app.include_router(assets.router)
    return TestClient(app)


@pytest.mark.parametrize("name", sorted(assets.all_of_them()))
def test_a_file_is_kept_for_ever_under_its_own_address(client: TestClient, name: str) -> None:
    answer = client.get(assets.address(name))
    assert answer.status_code == 200
    assert answer.content == (ROOM / "static" / name).read_bytes()
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"] == assets.TYPES[Path(name).suffix]
    again = client.get(assets.address(name), headers={"if-none-match": f"W/{answer.headers['etag']}"})
    assert (again.status_code, again.content) == (304, b"")


def test_without_its_version_a_file_is_asked_for_again(client: TestClient) -> None:
    assert client.get("/static/app.css").headers["cache-control"] == "no-cache"
    assert client.get("/static/app.css?v=older").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["README.md", "../app.py", "%2e%2e/app.py", "nothing.css", "htmx-LICENSE.txt"])
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


def test_htmx_is_the_release_that_we_looked_at() -> None:
    body = (ROOM / "static" / HTMX).read_bytes()
    assert hashlib.sha256(body).hexdigest() == HTMX_SHA256
    assert b'version:"2.0.10"' in body
    assert HTMX_SHA256 in (ROOM / "static" / "README.md").read_text()


def test_no_script_and_no_style_inline_or_from_elsewhere() -> None:
    for file in sorted((ROOM / "templates").glob("*.html")):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), file.name
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), file.name
        assert not re.search(r"""(?:src|href|action)=["']?(?:https?:)?//""", text), file.name
        assert "| safe" not in text, f"{file.name}: nothing that comes from outside is safe"
        assert "|safe" not in text, file.name


def test_our_script_evaluates_no_text() -> None:
    script = (ROOM / "static" / "app.js").read_text(encoding="utf-8")
    assert not re.search(r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write", script)
