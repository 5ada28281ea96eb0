"""The search box finds an order by its customer's address, whatever came of the order, and shows the address nowhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.rights import Role
from tests.orders import order
from tests.people import logged_in
from tests.world import SkippingClock, World, crm

ADDRESS = "ada@office.example"


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with crm() as (_, url), World(database_url, url, clock=SkippingClock()) as made:
        yield made


def test_an_order_is_found_by_its_customers_address(world: World) -> None:
    client = logged_in(world.app(lambda: None), Role.VIEWER)
    assert f"Nothing is called “{ADDRESS}”" in client.get("/search", params={"q": ADDRESS}).text
    world.carry(order(77, number="W-1001"))
    answer = client.get("/search", params={"q": ADDRESS.upper()})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/orders/shop%2Forder%2F77"
    assert "W-1001" in client.get(answer.headers["location"]).text
    held = world.carry(order(78, number="W-1002", total="1.00"))
    assert held.state == "held"
    page = client.get("/search", params={"q": ADDRESS}).text
    assert page.index("W-1002") < page.index("W-1001"), "the newest first"
    assert "customer's e-mail address" in page
    listed = client.get("/jobs", params={"q": f"{ADDRESS} state:held"}).text
    assert "W-1002" in listed
    assert "W-1001" not in listed
