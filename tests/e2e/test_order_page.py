"""The order's page in a real browser: where it is, every cent, every field, the look before the leap, and what is copied."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
from playwright.sync_api import expect

from tests.axe import violations
from tests.desk import hostile_orders
from tests.e2e.test_jobs import Desk, deliver, desk, state
from tests.orders import order
from tests.world import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
__all__ = ["desk"]
NARROW: Final = {"width": 320, "height": 800}
WIDE: Final = {"width": 1280, "height": 900}


def settled(desk: Desk, *numbers: int) -> None:
    wait_for(lambda: all(state(desk, number) == "settled" for number in numbers))


def narrow(desk: Desk, name: str) -> None:
    page = desk.page
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, name
    desk.shoot(f"{name}-320")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


def test_an_order_is_followed_field_by_field_and_nothing_is_written_by_looking(desk: Desk) -> None:
    deliver(desk, order(1001, meta={"po_number": "PO-7"}, customer_note="first"))
    settled(desk, 1001)
    desk.world.carry(order(1001, meta={"po_number": "PO-7"}, customer_note="second", modified="2026-11-20T11:00:00"))
    page = desk.page
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    desk.go("/orders/1001")
    expect(page.get_by_text("Every cent is explained")).to_be_visible()
    for cell in ("account", "contact", "sales order"):
        expect(page.get_by_role("cell", name=cell, exact=True)).to_be_visible()
    page.get_by_text(re.compile(r"^\d+ amounts")).click()
    expect(page.get_by_role("rowheader", name="Sum of the parts")).to_be_visible()
    page.get_by_text("2 places").click()
    expect(page.get_by_text('"second"')).to_be_visible()
    desk.shoot("order-near")
    narrow(desk, "order-near")
    page.get_by_role("link", name="Every field explained").click()
    expect(page.get_by_role("heading", name=re.compile("every field explained"))).to_be_visible()
    row = page.get_by_role("row").filter(has_text="vtiger_purchaseorder")
    expect(row).to_contain_text("PO-7")
    expect(row).to_contain_text("meta_data[0].value")
    desk.shoot("fields")
    narrow(desk, "fields")
    page.get_by_text("The order in our own words").click()
    expect(page.get_by_text("[e-mail]").first).to_be_visible()
    page.get_by_label("Why must you see it?").fill("the customer called")
    page.get_by_role("button", name="Show everything").click()
    page.get_by_text("The order in our own words").click()
    expect(page.get_by_text("ada@office.example").first).to_be_visible()
    desk.go("/orders/1001")
    page.get_by_role("button", name="Ask crm what it holds").click()
    expect(page.get_by_text("none, to the cent")).to_be_visible()
    desk.shoot("compare")
    narrow(desk, "compare")
    assert desk.said == []


def test_a_look_before_the_leap_is_a_difference(desk: Desk) -> None:
    world = desk.world
    deliver(desk, order(1001), order(1002, total="1.00"))
    settled(desk, 1001)
    wait_for(lambda: state(desk, 1002) == "held")
    world.ledger.states.pause("crm", 3600)
    world.deliver(order(1001, billing={**order(1001)["billing"], "city": "Hamburg"}, modified="2026-11-20T11:00:00"))
    world.ledger.states.pause("shop", None)
    page = desk.page
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    desk.go(f"/jobs/{world.job('shop/order/1001').id}")
    world.forget_calls()
    page.get_by_role("button", name="What would be written?").click()
    expect(page.get_by_role("row").filter(has_text="bill_city")).to_contain_text("Hamburg")
    expect(page.get_by_text(re.compile(r"^\d+ fields as they are$"))).to_be_visible()
    desk.shoot("dry-run-change")
    narrow(desk, "dry-run-change")
    assert world.writes() == 0
    assert world.order(1001)["bill_city"] == "Berlin"
    desk.go(f"/jobs/{world.job('shop/order/1002').id}")
    page.get_by_role("button", name="What would be written?").click()
    expect(page.get_by_role("heading", name="What fails, and what would help")).to_be_visible()
    expect(page.get_by_text("It does not balance")).to_be_visible()
    desk.shoot("dry-run-held")
    assert world.writes() == 0
    assert desk.said == []


def test_links_and_calls_are_copied_also_where_there_is_no_clipboard(desk: Desk) -> None:
    deliver(desk, order(1001))
    settled(desk, 1001)
    page = desk.page
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    # Over plain HTTP from another machine a browser has no clipboard to give: the page must not need it.
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    address = f"/jobs/{desk.world.job('shop/order/1001').id}"
    desk.go(address)
    copied = "document.addEventListener('copy', () => { window.copied = document.activeElement.value; })"
    page.evaluate(copied)
    page.get_by_role("button", name="Copy the link").click()
    assert page.evaluate("window.copied") == desk.url + address
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.get_by_text(re.compile(r"^\d+ calls?$")).first.click()
    row = page.get_by_role("row").filter(has_text="create").first
    row.get_by_role("button", name="Copy as curl").click()
    line: Any = page.evaluate("window.copied")
    assert line.startswith("curl ")
    assert "$SESSION" in line
    assert "sandbox-access-key" not in line
    desk.shoot("job-near")
    narrow(desk, "job-near")
    assert desk.said == []


def test_hostile_texts_stay_texts(desk: Desk) -> None:
    made = list(hostile_orders())
    deliver(desk, *made)
    wait_for(lambda: not desk.world.ledger.jobs.due())
    page = desk.page
    for one in made:
        job = desk.world.job(f"shop/order/{one['id']}")
        for path in (f"/orders/shop%2Forder%2F{one['id']}", f"/jobs/{job.id}/fields"):
            desk.go(path)
            assert page.evaluate("window.struck") is None, path
    assert violations(page) == []
    assert desk.said == []
