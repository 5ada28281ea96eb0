"""Papers and letters on the order's page and in the API: offered to whom they may be given, each look in the audit."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pypdf import PdfReader

from core.rights import Role, Scope
from core.settings import SellerSettings
from ledger.messages import NewMessage
from tests.integration.ledger import kit
from tests.orders import order
from tests.people import logged_in
from tests.programs import program
from tests.world import SkippingClock, World, crm

PAPER = "/papers/invoice/shop-orders/shop/order/1001"


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    return kit.sqlite_copy(sqlite_template, tmp_path)


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with crm() as (_, url), World(database_url, url, clock=SkippingClock(), invoices="on_order") as made:
        made.context.seller = SellerSettings(name="Lampenladen GmbH")
        made.carry(order(1001))
        letter = NewMessage("k", "none", "mail", "ada@office.example", "<b>Invoice</b>", "x", concern="shop/order/1001")
        assert made.ledger.messages.want(letter)
        yield made


@pytest.fixture
def app(world: World) -> FastAPI:
    return world.app(lambda: None)


def text_of(answer: Any) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.headers["content-disposition"].startswith("attachment;")
    return PdfReader(io.BytesIO(answer.content)).pages[0].extract_text()


def test_the_page_offers_them_and_gives_the_file(world: World, app: FastAPI) -> None:
    client: TestClient = logged_in(app, Role.OPERATOR, "Olga")
    page = client.get("/orders/1001").text
    number = world.records("Invoice")[0]["invoice_no"]
    assert f'href="{PAPER}" download>Invoice {number} as PDF' in page
    assert 'href="/papers/order/shop-orders/shop/order/1001" download>' in page
    assert "&lt;b&gt;Invoice&lt;/b&gt;" in page
    assert "<b>Invoice</b>" not in page
    assert "waits" in page
    assert f"Rechnung {number}" in text_of(client.get(PAPER))
    [entry] = [one for one in world.ledger.audit.list(limit=50) if one.action == "paper.download"]
    assert entry.facts["record"] == "shop/order/1001"
    for gone in (PAPER.replace("1001", "7"), PAPER.replace("shop-orders", "other"), PAPER.replace("invoice", "credit")):
        assert client.get(gone).status_code in {404, 422}


def test_a_letter_that_is_held_is_a_job_like_others(world: World, app: FastAPI) -> None:
    world.drain()
    [job] = world.ledger.jobs.list(state="held")
    client: TestClient = logged_in(app, Role.OPERATOR, "Olga")
    page = client.get(f"/jobs/{job.id}").text
    assert "carries no letters" in page
    assert f'action="/jobs/{job.id}/retry"' in page
    assert f"/jobs/{job.id}/edit" not in page, "a letter is what it is"
    assert "dry-run" not in page
    assert f"/jobs/{job.id}" in client.get("/jobs?state=held").text
    assert f'<a href="/jobs/{job.id}"><bdi>&lt;b&gt;Invoice' in client.get("/orders/1001").text, (
        "the letter leads to it"
    )


def test_who_may_only_see_gets_no_paper(world: World, app: FastAPI) -> None:
    client = logged_in(app, Role.VIEWER, "Vera")
    assert "/papers/" not in client.get("/orders/1001").text
    assert client.get(PAPER).status_code == 403
    assert program(app, [Scope.READ], Role.ADMIN).get(f"/api/v1{PAPER}").status_code == 403


def test_programs_get_them_too(world: World, app: FastAPI) -> None:
    client = program(app, [Scope.ACT], Role.OPERATOR)
    [found] = client.get("/api/v1/orders/1001").json()["data"]
    assert [(one["kind"], one["language"]) for one in found["papers"]] == [("order", "de"), ("invoice", "de")]
    assert [(one["subject"], one["state"]) for one in found["letters"]] == [("<b>Invoice</b>", "wanted")]
    assert "ada@office.example" not in str(found["letters"])
    assert "Rechnung" in text_of(client.get(f"/api/v1{PAPER}"))
    assert client.get("/api/v1/papers/invoice/shop-orders/shop/order/7").status_code == 404
    world.context.seller = SellerSettings()
    assert client.get(f"/api/v1{PAPER}").status_code == 404
