"""The orders that people work through: on their page, as a sheet, in the API, at the command line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.rights import Role
from ledger.invoices import InvoiceState
from tests import cli_desk
from tests import world as worlds
from tests.desk import HOSTILE, logged_in
from tests.integration.ledger.test_orderstates import PLACED, STATE
from tests.orders import order
from tests.programs import program
from tests.world import SkippingClock, World, prepare

ORIGIN = "http://127.0.0.1"
file, ledger, typed = cli_desk.file, cli_desk.ledger, cli_desk.typed


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'orderwire.sqlite'}"
    prepare(url)
    return url


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with World(database_url, "http://127.0.0.1:9", clock=SkippingClock()) as made:
        yield made


def kept(ledger: Any, number: str, hours: int = 0, flow: str = "shop-orders", **over: Any) -> None:
    key, moment = f"shop/order/{number}", PLACED + timedelta(hours=hours)
    ledger.orders.keep(replace(STATE, flow=flow, order_key=key, number=number, placed_at=moment, **over))


def browser(world: World, role: Role = Role.VIEWER) -> TestClient:
    headers = {"accept": "text/html", "origin": ORIGIN}
    client = TestClient(world.app(lambda: None), base_url=ORIGIN, headers=headers, follow_redirects=False)
    client.cookies.update(logged_in(world, role))
    return client


def shown(client: TestClient, address: str) -> list[str]:
    answer = client.get(address)
    assert answer.status_code == 200
    return re.findall(r'data-key="order-[^"]*?/order/([^"]*)"', answer.text)


def test_an_order_that_was_carried_is_in_the_list(database_url: str) -> None:
    with worlds.crm() as (_app, url), World(database_url, url, clock=SkippingClock()) as world:
        client = browser(world)
        assert "No order is here." in client.get("/orders").text
        world.deliver(order(7))
        assert shown(client, "/orders") == []  # it waits
        world.finish()
        (written,) = world.records("SalesOrder")
        text = client.get("/orders").text
        assert shown(client, "/orders") == ["7"]
        assert f"<bdi>{written['sostatus']}</bdi>" in text


def test_views_filters_and_parts(world: World) -> None:
    left = PLACED + timedelta(days=1)
    kept(world.ledger, "A", 1, rush=False)
    kept(world.ledger, "B", 2, owner="anna", shipped_at=left)
    kept(world.ledger, "C", 3, status="cancelled", open=False)
    client = browser(world)
    assert shown(client, "/orders") == ["B", "A"]
    assert shown(client, "/orders?view=nonsense") == ["B", "A"]
    assert shown(client, "/orders?view=to_ship") == ["A"]
    assert shown(client, "/orders?view=under_way") == ["B"]
    assert shown(client, "/orders?view=called_off") == ["C"]
    assert shown(client, "/orders?view=all&owner=anna") == ["B"]
    assert shown(client, "/orders?rush=yes") == ["B"]
    assert shown(client, "/orders?word=Delivered&flow=shop-orders") == []
    assert shown(client, "/orders?owner=%00anna") == ["B"]
    text = client.get("/orders?owner=anna").text
    assert 'href="/orders?view=to_ship&amp;owner=anna"' in text
    assert '<option value="anna">' in text
    for number in range(60):
        kept(world.ledger, f"N{number:02}", 10 + number, rush=False)
    first = client.get("/orders?view=all").text
    (further,) = re.findall(r'rel="next" href="([^"]+)"', first)
    assert len(shown(client, "/orders?view=all")) == 50
    assert shown(client, further.replace("&amp;", "&"))[-3:] == ["C", "B", "A"]


def test_money_bills_and_promises_are_beside_it(world: World) -> None:
    kept(world.ledger, "A", total=Decimal("1234.50"))
    bill = InvoiceState("shop-orders", "shop/order/A", "crm", "7x1", "ours", number="INV7", state="open")
    world.ledger.invoices.keep(bill)
    text = browser(world).get("/orders").text
    assert [word in text for word in ("INV7", "1,234.50", "promised for 2026-11-24", ">rush<", "confirmed")] == [
        True
    ] * 5


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_text(world: World, hostile: str) -> None:
    kept(world.ledger, "L1", method=hostile[:100], owner=hostile[:100], crm_status=hostile[:100])
    text = browser(world).get("/orders").text
    assert "<script>alert" not in text
    assert "<img" not in text.replace('<img src="/static', "")


def test_as_a_sheet(world: World) -> None:
    kept(world.ledger, "=1+1", 1, owner="=cmd()")
    kept(world.ledger, "B", 2, open=False)
    assert browser(world, Role.VIEWER).get("/orders.csv").status_code == 403
    answer = browser(world, Role.OPERATOR).get("/orders.csv?view=all")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [(row["order"], row["whose"], row["total"], row["promised"]) for row in rows] == [
        ("B", "sales", "19.90", "2026-11-24"),
        ("'=1+1", "'=cmd()", "19.90", "2026-11-24"),
    ]
    assert rows[0]["placed (UTC)"] == "2026-11-20 11:30:00.000125"
    assert "orders.export" in [entry.action for entry in world.ledger.audit.list()]


def test_programs_read_the_same(world: World) -> None:
    for hours, number in enumerate(("A", "B", "C")):
        kept(world.ledger, number, hours, open=number != "C")
    client = program(world.app(lambda: None))
    found = client.get("/api/v1/orders?limit=1").json()
    assert [one["number"] for one in found["data"]] == ["B"]
    rest = client.get(found["next"]).json()
    assert ([one["number"] for one in rest["data"]], rest["next"]) == (["A"], None)
    (one,) = client.get("/api/v1/orders?view=delivered").json()["data"]
    assert (one["record"], one["current"], one["total"]) == (
        *("shop/order/C", False),
        {"amount": "19.90", "currency": "EUR"},
    )
    assert client.get("/api/v1/orders?view=nonsense").status_code == 422
    assert client.get("/api/v1/orders?words=x").status_code == 422


def test_the_command_line(ledger: Any, typed: cli_desk.Typed) -> None:
    assert typed("orders").startswith("No order is here.")
    kept(ledger, "A", flow="orders")
    kept(ledger, "B", 1, flow="orders", open=False)
    table = typed("orders")
    assert [word in table for word in ("A (rush)", "confirmed, unpaid", "19.90 EUR", "2026-11-24")] == [True] * 4
    facts = json.loads(typed("orders", "--view", "all", "--json"))
    assert [(one["number"], one["total"], one["open"]) for one in facts] == [
        ("B", "19.90", False),
        ("A", "19.90", True),
    ]
    assert "These are the newest 1." in typed("orders", "--view", "all", "--limit", "1")
    typed("orders", "--view", "nonsense", code=2)
