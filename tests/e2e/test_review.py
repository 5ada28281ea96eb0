"""A held order's question, answered in a real browser; a rehearsal begun, followed and reported without a command."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from core.rights import Role
from ledger.reviews import Candidate
from pipelines.reviewdesk import question_for
from sandbox.serve import running
from sandbox.store.woo import WooShop
from tests import world as worlds
from tests.desk import logged_in
from tests.e2e.test_jobs import Desk
from tests.orders import order, person
from tests.shops import shop
from tests.world import SkippingClock, World, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
NARROW: Final = {"width": 320, "height": 700}
WIDE: Final = {"width": 1200, "height": 800}


@pytest.fixture
def face() -> Iterator[tuple[WooShop, str]]:
    with shop() as made:
        yield made


@pytest.fixture
def desk(browser: Browser, tmp_path: Path, face: tuple[WooShop, str]) -> Iterator[Desk]:
    shops = {"shop": {"url": face[1]}}
    with ExitStack() as stack:
        _, crm_url = stack.enter_context(worlds.crm())
        url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        world = stack.enter_context(World(url, crm_url, clock=SkippingClock(), shops=shops))
        engine = stack.enter_context(world.working(2))
        served = stack.enter_context(running(world.app(engine.nudge)))
        context = browser.new_context(locale="en-GB", timezone_id="Europe/Rome", accept_downloads=True)
        (name, value), *_ = logged_in(world, Role.ADMIN, "Olga").items()
        context.add_cookies([{"name": name, "value": value, "url": served}])
        page, said = context.new_page(), list[str]()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        yield Desk(world, served, page, said)
        context.close()


def narrow(desk: Desk, name: str) -> None:
    desk.page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], name
    desk.shoot(f"{name}-320")
    desk.page.set_viewport_size(WIDE)  # type: ignore[arg-type]


def test_a_held_order_leads_to_its_question_and_the_answer_settles_it(desk: Desk) -> None:
    world, page = desk.world, desk.page
    world.seed(accounts=[{"accountname": name, "email1": "ada@office.example"} for name in ("Ada One", "Ada Two")])
    world.fill_index()
    world.deliver(order(1001))
    wait_for(lambda: world.job("shop/order/1001").state == "held")
    one = question_for(world.ledger, world.job("shop/order/1001"))
    assert one is not None
    desk.go("/")
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page).to_have_url(f"{desk.url}/review")
    expect(page.get_by_role("link", name="order 1001")).to_be_visible()
    desk.go("/orders/1001")
    page.get_by_role("link", name=f"Decide: question {one.id}").click()
    expect(page.get_by_role("heading", name="Who is this customer in crm?")).to_be_visible()
    expect(page.get_by_text("held", exact=True)).to_be_visible()
    desk.shoot("review-open")
    narrow(desk, "review-open")
    page.get_by_label(f"it is this one: {one.candidates[1].id}").check()
    page.get_by_label("Why (kept with the decision)").fill("by phone")
    page.get_by_role("button", name="Decide").click()
    expect(page.locator("p.said")).to_contain_text(f"it is {one.candidates[1].id}")
    wait_for(lambda: world.job("shop/order/1001").state == "settled")
    assert world.order(1001)["account_id"] == one.candidates[1].id
    desk.shoot("review-decided")
    desk.go("/review?state=decided")
    expect(page.get_by_text("by phone")).to_be_visible()
    desk.shoot("reviews-decided")
    assert desk.said == []


def test_a_table_is_filled_in_and_taken_after_a_look(desk: Desk, tmp_path: Path) -> None:
    world, page = desk.world, desk.page
    for id in (1, 2, 3):
        candidates = [
            Candidate(f"16x{id}{n}", f"SO{id}{n}", f"Order {id}", 90 - 10 * n, ("the same total", "but another day"))
            for n in (1, 2)
        ]
        world.ledger.reviews.offer("crm", "order", f"shop/order/{id}", f"order {id}, Ada, 12.00 EUR", candidates)
    desk.go("/review")
    desk.shoot("reviews")
    narrow(desk, "reviews")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    path = tmp_path / "review.csv"
    download.value.save_as(path)
    with path.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    for row in rows:
        row["decision"] = {"16x11": "link", "16x21": "new", "16x31": "perhaps"}.get(row["candidate"], "")
    with path.open("w", encoding="utf-8-sig", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    page.get_by_label("The table that was filled in").set_input_files(path)
    page.get_by_role("button", name="See what it would decide").click()
    expect(page.get_by_text("Nothing is decided yet.")).to_be_visible()
    expect(page.get_by_text("neither link nor new")).to_be_visible()
    desk.shoot("review-import")
    narrow(desk, "review-import")
    assert not world.ledger.reviews.list(decided=True)
    page.get_by_role("button", name="Decide all 2").click()
    expect(page.locator("p.said")).to_contain_text("Decided: 2.")
    assert {one.key: one.remote_id for one in world.ledger.reviews.list(decided=True)} == {
        "shop/order/1": "16x11", "shop/order/2": "",
    }  # fmt: skip
    assert desk.said == []


def test_a_rehearsal_from_the_page_of_its_flow(desk: Desk, face: tuple[WooShop, str]) -> None:
    world, page = desk.world, desk.page
    world.ledger.flows.set("shop-orders", "rehearse", by="test")
    for id in range(1, 8):
        at = (world.context.clock.now() - timedelta(days=id)).strftime("%Y-%m-%dT%H:%M:%S")
        over = {"lines": [("NO-SUCH", 1, "7.00")]} if id == 3 else {"currency": "CHF"} if id == 4 else {}
        face[0].put(order(id, date_created_gmt=at, date_created=at, modified=at, billing=person(f"P{id}"), **over))
    desk.go("/flows")
    expect(page.get_by_role("button", name="Rehearse the last 30 days")).to_be_visible()
    desk.shoot("flows-rehearse")
    page.get_by_role("button", name="Rehearse the last 30 days").click()
    # Nobody reloads: the worker takes it, and the page follows.
    expect(page.get_by_role("heading", name="What would become of them")).to_be_visible()
    expect(page.get_by_text("done", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Would be held")).to_be_visible()
    desk.shoot("run-rehearsal")
    narrow(desk, "run-rehearsal")
    desk.go("/runs")
    expect(page.get_by_role("link", name="1 rehearsal")).to_be_visible()
    desk.shoot("runs")
    narrow(desk, "runs")
    desk.go("/runs/new?flow=shop-orders")
    desk.shoot("run-new")
    narrow(desk, "run-new")
    assert desk.said == []
