"""A problem in a real browser: snoozed and folded away, back when its time has come, given to somebody, all of it skipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.rights import Role
from pipelines import spells
from pipelines.buyers import Buyers
from sandbox.serve import running
from tests import world as worlds
from tests.axe import look
from tests.desk import logged_in
from tests.orders import order
from tests.world import SkippingClock, World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
expect.set_options(timeout=15_000)  # a page refreshes every five seconds


@dataclass
class Desk:
    """A dashboard over a ledger whose time a test moves, and somebody before it."""

    world: World
    clock: SkippingClock
    page: Page
    url: str
    said: list[str]

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def follow(self) -> None:
        """What the ticker of a worker does every ten seconds."""
        spells.follow(self.world.ledger, Buyers(self.world.context))

    def shoot(self, name: str) -> None:
        assert look(self.page, "dashboard", name) == {}
        self.page.set_viewport_size({"width": 1280, "height": 900})


@pytest.fixture
def desk(browser: Browser, tmp_path: Path) -> Iterator[Desk]:
    clock = SkippingClock()
    with (
        worlds.crm() as (_, crm_url),
        World(f"sqlite:///{tmp_path / 'ledger.sqlite'}", crm_url, clock=clock) as world,
        running(world.app(lambda: None)) as served,
    ):
        context = browser.new_context(locale="en-GB", timezone_id="Europe/Rome")
        (name, value), *_ = logged_in(world, Role.OPERATOR, "Olga").items()
        context.add_cookies([{"name": name, "value": value, "url": served}])
        page, said = context.new_page(), list[str]()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        yield Desk(world, clock, page, served, said)
        context.close()


def test_a_problem_is_snoozed_comes_back_is_given_to_somebody_and_skipped(desk: Desk) -> None:
    for number in (1001, 1002, 1003):
        desk.world.carry(order(number, total="1.00"))
    desk.follow()
    page = desk.page
    snoozed_and_back(desk)
    page.get_by_role("button", name="Assign to me").click()
    expect(page.locator(".said")).to_contain_text("Olga sees to it.")
    expect(page.get_by_text("with Olga")).to_be_visible()
    page.get_by_role("article").get_by_role("link", name=re.compile("^The sums|order")).first.click()
    expect(page).to_have_url(re.compile(r"/problems/[0-9a-f]{16}$"))
    page.get_by_label("A note for the others, and for the next time").fill("<b>the shop</b> rounds up")
    page.get_by_role("button", name="Write it down").click()
    expect(page.get_by_text("<b>the shop</b> rounds up")).to_be_visible()
    desk.shoot("problem-cared-for")
    skipped(desk)
    assert [line for line in desk.said if "422" not in line] == []


def snoozed_and_back(desk: Desk) -> None:
    page = desk.page
    desk.go("/problems")
    expect(page.get_by_text("3 orders")).to_be_visible()
    page.get_by_text("Snooze …").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Tomorrow 08:00").click()
    expect(page.locator(".said")).to_contain_text("08:00")  # Rome's, as the browser says
    fold = page.locator("details.fold")
    expect(fold.get_by_text("1 problem stands aside")).to_be_visible()
    expect(fold.get_by_role("article")).to_be_hidden()
    fold.locator("summary").first.click()
    expect(fold.get_by_text("3 orders")).to_be_visible()
    desk.shoot("problems-snoozed")
    desk.go("/jobs?state=held")
    expect(page.get_by_role("link", name="1001", exact=True)).to_be_visible()
    desk.go("/problems")
    page.locator("details.fold summary").first.click()
    page.get_by_role("button", name="End the snooze").click()
    expect(page.locator(".said")).to_contain_text("back in the list")
    desk.go("/problems")
    page.get_by_text("Snooze …").click()
    page.get_by_role("button", name="4 hours").click()
    expect(page.locator("details.fold")).to_be_visible()
    desk.clock.skip(4 * 3600 + 1)
    # Nobody reloads: it is back by itself.
    expect(page.locator("details.fold")).to_have_count(0)
    expect(page.get_by_role("article").get_by_text("3 orders")).to_be_visible()


def skipped(desk: Desk) -> None:
    page = desk.page
    page.get_by_role("link", name="Skip all 3 …").click()
    page.get_by_label("Why? Others will read it.").fill("orders of a test")
    page.get_by_label("How many orders are these?").fill("2")
    page.get_by_role("button", name="Skip all 3").click()
    expect(page.get_by_role("alert")).to_contain_text("Type the number of orders: 3.")
    expect(page.get_by_label("Why? Others will read it.")).to_have_value("orders of a test")
    desk.shoot("problem-skip")
    page.get_by_label("How many orders are these?").fill("3")
    page.get_by_role("button", name="Skip all 3").click()
    expect(page).to_have_url(re.compile(r"/bulk/\d+$"))
    expect(page.get_by_text("3 jobs skipped.")).to_be_visible()
    assert desk.world.ledger.jobs.counts()["skipped"] == 3
    desk.follow()
    page.get_by_role("link", name="Problems", exact=True).last.click()
    expect(page.get_by_role("heading", name="Recently ended")).to_be_visible()
    expect(page.get_by_text("skipped by Olga: orders of a test")).to_be_visible()
    desk.shoot("problems-ended")


def test_an_outage_that_somebody_knows_of_stands_aside_until_it_is_over(desk: Desk) -> None:
    desk.world.deliver(order(1001))
    desk.world.ledger.states.block("crm", 600, error_class="timeout", reason="It does not answer. What to do: wait.")
    page = desk.page
    desk.go("/problems")
    page.get_by_text("I know of it …").click()
    page.get_by_label("What is known? Others will read it.").fill("maintenance until ten")
    desk.shoot("problem-outage")
    page.get_by_role("button", name="Stand aside").click()
    expect(page.get_by_text("Nothing needs a look now")).to_be_visible()
    page.locator("details.fold summary").first.click()
    expect(page.get_by_text("Olga knows of it: maintenance until ten")).to_be_visible()
    desk.world.ledger.states.succeeded("crm")
    desk.clock.skip(60)
    desk.world.ledger.states.block("crm", 600, error_class="timeout", reason="It does not answer. What to do: wait.")
    desk.go("/problems")
    expect(page.locator("details.fold")).to_have_count(0)
    expect(page.get_by_role("heading", name="crm is out")).to_be_visible()
    assert desk.said == []
