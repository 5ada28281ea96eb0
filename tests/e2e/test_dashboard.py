"""The dashboard in a real browser: what it tells in both themes and on a phone, with the keyboard alone, and to those who listen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from core.rights import Role
from core.settings import StockSettings
from sandbox.crm import CrmApp
from tests import world as worlds
from tests.axe import look
from tests.desk import Served, hostile_orders, logged_in, served
from tests.orders import order, person
from tests.world import SkippingClock, World

ARTEFACTS: Final = Path(__file__).parents[2] / "test-artefacts" / "dashboard"
PAGES: Final = (
    "/", "/connections", "/connections/crm", "/connections/shop", "/schedules", "/alerts", "/orders", "/deliveries", "/stock", "/flows", "/flows/shop-orders/paused",
    "/flows/shop2-orders/live", "/not-there",
)  # fmt: skip
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def crm() -> Iterator[tuple[CrmApp, str]]:
    with worlds.crm() as both:
        yield both


@pytest.fixture(scope="module")
def bad_saturday(crm: tuple[CrmApp, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Orders that went through, that are held, that wait for a CRM which is out; a shop that is paused, a flow in rehearsal."""
    url = f"sqlite:///{tmp_path_factory.mktemp('dashboard') / 'ledger.sqlite'}"
    clock = SkippingClock()
    with World(url, crm[1], crm={"rate": 20.0}, clock=clock) as world:
        for number in range(1001, 1010):
            world.deliver(order(number, billing=person("Kern")))
        for hostile in hostile_orders():
            world.deliver(hostile)
        world.drain()
        world.ledger.flows.set("shop2-orders", "rehearse")
        world.deliver(order(2001), shop="shop2")
        world.drain()
        world.ledger.states.block(
            "crm", 300, error_class="timeout", reason="The CRM does not answer. What to do: nothing yet."
        )
        world.ledger.states.pause("shop2", 3600)
        world.deliver(order(3001, billing=person("Waiter")))
        clock.skip(11)
        agenda(world)
        conditions(world)
        world.context.stocks = {"goods": StockSettings(name="goods", source="crm")}
        with served(world) as running:
            yield running


def conditions(world: World) -> None:
    from pipelines import conditions as rules

    world.ledger.pulse.advance()
    rules.reconcile(world.context)


def agenda(world: World) -> None:
    """Everything that runs by itself has run once, one of them badly."""
    from pipelines import schedules

    for one in schedules.of(world.context):
        world.ledger.schedules.start_if_due(one.name, every=one.every, lease=60)
        bad = one.name == "gaps/shop"
        world.ledger.schedules.ended(one.name, "failed: <b>it</b> was not to be" if bad else "0 changes")


def opened(
    browser: Browser,
    desk: Served,
    role: Role = Role.ADMIN,
    *,
    width: int = 1280,
    scheme: Literal["dark", "light"] = "light",
) -> BrowserContext:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, timezone_id="Europe/Rome", locale="en-GB"
    )
    context.add_cookies(
        [{"name": name, "value": value, "url": desk.url} for name, value in logged_in(desk.world, role).items()]
    )
    context.set_default_timeout(60_000)
    return context


@pytest.fixture
def page(browser: Browser, bad_saturday: Served) -> Iterator[Page]:
    context = opened(browser, bad_saturday)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console", lambda line: problems.append(line.text) if line.type == "error" and "404" not in line.text else None
    )

    def answer(dialog: Dialog) -> None:
        problems.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", answer)
    yield page
    context.close()
    assert not problems, problems


def test_every_page_in_both_themes_and_on_a_phone(browser: Browser, bad_saturday: Served) -> None:
    context = opened(browser, bad_saturday)
    page = context.new_page()
    bad = {}
    for path in PAGES:
        page.goto(bad_saturday.url + path)
        expect(page.locator("h1")).to_have_count(1)
        if found := look(page, "dashboard", path.strip("/").replace("/", "-") or "home"):
            bad[path] = found
    context.close()
    assert not bad, bad


def test_five_seconds_on_the_first_page(page: Page, bad_saturday: Served) -> None:
    page.goto(bad_saturday.url)
    tile = page.locator("li.tile", has=page.get_by_role("link", name="crm", exact=True))
    expect(tile).to_contain_text(re.compile("backing off|out"))
    expect(tile).to_contain_text("The CRM does not answer")
    expect(tile).to_contain_text("Last success")
    problems = page.get_by_role("region", name="Open problems")
    expect(problems.get_by_role("row", name=re.compile("money.*does not balance"))).to_contain_text("EUR")
    expect(page.get_by_role("region", name="Schedules")).to_contain_text("missing order numbers of shop")
    expect(page.get_by_text("All is well")).to_have_count(0)


def test_hostile_texts_are_texts(page: Page, bad_saturday: Served) -> None:
    for path in PAGES:
        page.goto(bad_saturday.url + path)
        assert page.evaluate("window.struck") is None
        assert page.locator("main img, main script, main b").count() == 0


def test_the_keyboard_alone(page: Page, bad_saturday: Served) -> None:
    page.goto(bad_saturday.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("gc")  # typed, not obeyed
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/connections")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="crm", exact=True)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/connections/crm")


def test_single_keys_can_be_switched_off(page: Page, bad_saturday: Served) -> None:
    page.goto(bad_saturday.url)
    page.keyboard.press("?")
    page.get_by_label("Single keys work").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).not_to_be_focused()
    assert page.url == bad_saturday.url + "/"


def test_the_theme_stays_as_chosen(page: Page, bad_saturday: Served) -> None:
    page.goto(bad_saturday.url)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Theme: as the system").click()
    page.get_by_role("button", name="Theme: light").click()
    page.goto(bad_saturday.url + "/alerts")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()


def test_times_are_the_readers(page: Page, bad_saturday: Served) -> None:
    page.goto(bad_saturday.url + "/flows")
    assert re.search(r"\d\d:\d\d:\d\d (CET|CEST|GMT\+[12])", page.locator("time[data-time=exact]").first.inner_text())
    page.goto(bad_saturday.url)
    assert re.search(r"(CET|CEST|GMT\+[12])", page.locator("time[data-time=ago]").first.get_attribute("title") or "")


def refreshed(page: Page) -> None:
    """One round of the refresh, now, to its end."""
    page.evaluate(
        """() => new Promise(done => {
            const live = document.getElementById("live");
            live.addEventListener("htmx:afterRequest", () => setTimeout(done), {once: true});
            htmx.trigger(live, "refresh");
        })"""
    )


def test_it_refreshes_and_one_keeps_ones_place(page: Page, bad_saturday: Served) -> None:
    page.goto(bad_saturday.url)
    orders = page.get_by_role("region", name="Last orders")
    link = orders.get_by_role("link", name="3001")
    link.focus()
    page.evaluate("document.activeElement.kept = true")
    bad_saturday.world.deliver(order(3002, billing=person("Waiter")))
    refreshed(page)
    expect(orders.get_by_role("link", name="3002")).to_be_visible()
    expect(link).to_be_focused()
    assert page.evaluate("document.activeElement.kept"), "it is the very element, not one like it"
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_it_rests_while_one_types_or_marks_text(page: Page, bad_saturday: Served) -> None:
    page.goto(bad_saturday.url)
    orders = page.get_by_role("region", name="Last orders")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#live h1'))")
    bad_saturday.world.deliver(order(3003, billing=person("Waiter")))
    refreshed(page)
    assert orders.get_by_role("link", name="3003").count() == 0
    page.evaluate("getSelection().removeAllRanges()")
    refreshed(page)
    expect(orders.get_by_role("link", name="3003")).to_have_count(1)
    page.get_by_role("searchbox").fill("30")
    bad_saturday.world.deliver(order(3004, billing=person("Waiter")))
    refreshed(page)
    assert orders.get_by_role("link", name="3004").count() == 0, "the list does not jump under one's fingers"
    expect(page.get_by_text("Resting", exact=True)).to_be_visible(timeout=15_000)
    page.get_by_role("searchbox").blur()
    # By itself, in the first round after the rest.
    expect(orders.get_by_role("link", name="3004")).to_have_count(1, timeout=20_000)


def test_pause_until_and_resume(page: Page, bad_saturday: Served) -> None:
    states = bad_saturday.world.ledger.states
    page.goto(bad_saturday.url + "/connections/shop")
    page.get_by_label("How long").select_option("60")
    page.get_by_label("Why").fill("their night of maintenance")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".said")).to_contain_text("shop is paused")
    expect(page.locator("h1")).to_contain_text("paused")
    known = states.get("shop")
    assert known is not None
    assert 3500 < known.paused_for <= 3600
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".said")).to_contain_text("shop is resumed")
    known = states.get("shop")
    assert known is not None
    assert not known.paused_for
    page.reload()
    expect(page.get_by_text("shop is resumed")).to_have_count(0)


def test_a_flow_is_changed_only_after_a_page_that_says_what_happens(page: Page, bad_saturday: Served) -> None:
    flows = bad_saturday.world.ledger.flows
    page.goto(bad_saturday.url + "/flows")
    page.get_by_role("article").filter(has_text="shop-orders").get_by_role("link", name="Pause …").click()
    expect(page.locator("main")).to_contain_text("What comes in is kept and waits")
    assert flows.get("shop-orders").live
    page.get_by_label("Why").fill("a look at the prices")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".said")).to_contain_text("shop-orders is paused")
    assert flows.get("shop-orders").mode == "paused"
    page.get_by_role("article").filter(has_text="shop-orders").get_by_role("link", name="Go live …").click()
    page.get_by_role("button", name="Go live").click()
    expect(page.locator(".said")).to_contain_text("shop-orders is live")


def test_the_test_of_a_connection_tells_what_it_found(page: Page, bad_saturday: Served) -> None:
    page.goto(bad_saturday.url + "/connections/crm")
    page.get_by_role("button", name="Test it").click()
    expect(page.get_by_role("heading", name="What the test found")).to_be_visible()
    expect(page.locator("section", has_text="What the test found").get_by_role("row")).not_to_have_count(1)
