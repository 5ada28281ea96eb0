"""What is not delivered as promised: on its page, on the first page, in the API, and at the command line. Exceptions only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.rights import Role
from ledger.inbox import Route
from ledger.watches import Watched
from pipelines import schedules
from tests import cli_desk
from tests.desk import HOSTILE, logged_in
from tests.integration.ledger.test_orderstates import STATE
from tests.orders import order
from tests.programs import program
from tests.world import SkippingClock, World, prepare

ORIGIN = "http://127.0.0.1"
DAY = date(2026, 11, 24)
DUE = datetime(2026, 11, 25, tzinfo=UTC)
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


def promised(ledger: Any, number: str, level: str, flow: str = "shop-orders", **over: Any) -> None:
    key = f"shop/order/{number}"
    ledger.orders.keep(replace(STATE, flow=flow, order_key=key, number=number, **over))
    due = DUE - timedelta(minutes=len(number))
    kept = Watched(flow, key, DAY, "rule", due - timedelta(days=1), due, level, DUE)
    ledger.watches.keep(kept, None)


def browser(world: World, role: Role = Role.VIEWER) -> TestClient:
    headers = {"accept": "text/html", "origin": ORIGIN}
    client = TestClient(world.app(lambda: None), base_url=ORIGIN, headers=headers, follow_redirects=False)
    client.cookies.update(logged_in(world, role))
    return client


def test_the_page_shows_exceptions_and_nothing_else(world: World) -> None:
    client = browser(world)
    assert "No promise is at risk or over." in client.get("/deliveries").text
    assert "/deliveries?level=" not in client.get("/").text
    for number, level in (("L1", "late"), ("R22", "at_risk"), ("O333", "on_time"), ("K4444", "kept"), ("X5", "off")):
        promised(world.ledger, number, level)
    text = client.get("/deliveries").text
    assert [number in text for number in ("L1<", "R22<", "O333<", "K4444<", "X5<")] == [True, True, False, False, False]
    assert text.index("R22<") < text.index("L1<")  # promised earlier
    assert 'href="/orders/shop/order/L1"' in text
    assert "Nobody is told of them yet." in text
    only = client.get("/deliveries?level=late&flow=shop-orders").text
    assert ("L1<" in only, "R22<" in only) == (True, False)
    assert "L1<" not in client.get("/deliveries?flow=shop2-orders").text
    for one in schedules.of(world.context):
        world.ledger.schedules.start_if_due(one.name, every=one.every, lease=60)
        world.ledger.schedules.ended(one.name, "0 changes")
    home = client.get("/").text
    assert "All is well" not in home
    assert "1 order is late" in home
    assert "1 order is at risk" in home


def test_many_come_in_parts(world: World) -> None:
    for number in range(103):
        promised(world.ledger, f"N{number:03}", "late")
    client = browser(world)
    first, second = client.get("/deliveries").text, client.get("/deliveries?part=1").text
    assert ("N099<" in first, "N100<" in first, "N100<" in second, "N099<" in second) == (True, False, True, False)
    assert "part=1" in first
    assert "part=0" in second


def test_rush_orders_that_wait_are_on_top(world: World) -> None:
    world.deliver(order(7, meta={"_rush": "1"}))
    world.deliver(order(8))
    world.clock.skip(61)  # type: ignore[union-attr]
    text = browser(world).get("/deliveries").text
    assert "/orders/shop/order/7" in text
    assert "/orders/shop/order/8" not in text
    assert "over the target of" in text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_text(world: World, hostile: str) -> None:
    promised(world.ledger, "L1", "late", method=hostile[:100], owner=hostile[:100], crm_status=hostile[:100])
    text = browser(world).get("/deliveries").text
    assert "<script>alert" not in text
    assert "<img" not in text.replace('<img src="/static', "")


def test_programs_read_the_same(world: World) -> None:
    for number, level in (("L1", "late"), ("R22", "at_risk"), ("O333", "on_time")):
        promised(world.ledger, number, level)
    client = program(world.app(lambda: None))
    found = client.get("/api/v1/deliveries?limit=1").json()
    assert [one["number"] for one in found["data"]] == ["R22"]
    (rest,) = client.get(found["next"]).json()["data"]
    assert (rest["order"], rest["level"], rest["promised_on"], rest["promised_by"]) == (
        "shop/order/L1",
        "late",
        "2026-11-24",
        "rule",
    )
    assert (rest["total"], rest["told"], rest["rush"]) == ({"amount": "19.90", "currency": "EUR"}, False, True)
    assert client.get("/api/v1/deliveries?level=late&flow=other").json() == {"data": [], "next": None}
    assert client.get("/api/v1/deliveries?level=kept").status_code == 422


def test_the_command_line(ledger: Any, typed: cli_desk.Typed) -> None:
    assert typed("deliveries") == "No promise is at risk or over.\n"
    promised(ledger, "R22", "at_risk", flow="orders")
    assert "at risk" in typed("deliveries")
    promised(ledger, "L1", "late", flow="orders")
    table = typed("deliveries", code=1)
    assert [word in table for word in ("L1 (rush)", "R22 (rush)", "LATE", "2026-11-24", "not yet")] == [True] * 5
    facts = json.loads(typed("deliveries", "--level", "late", "--json", code=1))
    assert [(one["number"], one["total"], one["told"]) for one in facts] == [("L1", "19.90", False)]
    typed("deliveries", "--level", "kept", code=2)


def test_the_orders_page_shows_its_way_to_the_customer(world: World) -> None:
    parcel = {"tracking_provider": "dhl", "tracking_number": "JD0<b>14", "date_shipped": "1795132800"}
    bad = {"tracking_number": "Z9", "custom_tracking_link": "javascript:alert(1)", "date_shipped": "1795132800"}
    told = order(7, meta={"promised_on": "2026-11-24", "_rush": "1"})
    told["meta_data"].append({"id": 9, "key": "_wc_shipment_tracking_items", "value": [parcel, bad]})
    world.deliver(told)
    client = browser(world)
    text = client.get("/orders/shop/order/7").text
    assert [word in text for word in ("2026-11-24", "JD0&lt;b&gt;14", "dhl", ">rush<")] == [True] * 4
    assert "javascript:" not in text
    promised(world.ledger, "7", "late")
    text = client.get("/orders/shop/order/7").text
    assert "by a rule" in text
    assert ">late<" in text
    world.deliver(order(8))
    way = program(world.app(lambda: None)).get("/api/v1/orders/shop/order/7").json()
    way = way["way"] if "way" in way else way["data"][0]["way"]
    assert (way["rush"], way["promised_on"], way["parcels"][0]["number"]) == (True, "2026-11-24", "JD0<b>14")
    assert [(one["flow"], one["level"]) for one in way["promises"]] == [("shop-orders", "late")]
    assert "not that we know" not in client.get("/orders/shop/order/8").text


def test_the_job_that_tells_has_a_page(world: World) -> None:
    world.ledger.orders.keep(replace(STATE, flow="shop-orders"))
    late = Watched("shop-orders", "shop/order/1001", DAY, "rule", DUE, DUE, "late", DUE)
    world.ledger.watches.keep(late, Route("shop-orders", "crm"))
    (job,) = world.ledger.jobs.list()
    client = browser(world, Role.OPERATOR)
    world.deliver(order(1001, number="WEB-1001"))
    text = client.get("/orders/WEB-1001").text
    assert "shop/order/1001" in text
    assert "are called so" not in text, "what is told about an order is no order"
    text = client.get(f"/jobs/{job.id}").text
    assert "WEB-1001" in text
    assert client.get("/jobs").status_code == client.get("/problems").status_code == 200
    assert client.get(f"/jobs/{job.id}/fields").status_code < 500
    assert client.get(f"/jobs/{job.id}/edit").status_code < 500
    assert client.get("/orders/shop/promise/1001").status_code < 500
