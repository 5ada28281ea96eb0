"""axe on every page that there is, as a browser shows it (tests/axe.py)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser

from core.rights import Role
from tests import hostile
from tests import world as worlds
from tests.axe import look
from tests.desk import Served, logged_in, served
from tests.orders import order, person
from tests.people import logged_in as asking
from tests.walk import Walk, furnish
from tests.world import SkippingClock, World

FOLDER: Final = "every-page"
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def saturday(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Orders that went through and that are held, a connection that is out, a flow in rehearsal, somebody's doubts and runs."""
    url = f"sqlite:///{tmp_path_factory.mktemp('axe') / 'ledger.sqlite'}"
    with worlds.crm() as (_, crm_url), World(url, crm_url, crm={"rate": 20.0}, clock=SkippingClock()) as world:
        for number in range(1001, 1006):
            world.deliver(order(number, billing=person("Kern")))
        for _, made in hostile.orders(len(hostile.KINDS) + 6):
            hostile.deliver(world, made)
        world.drain()
        world.ledger.flows.set("shop2-orders", "rehearse")
        world.deliver(order(2001), shop="shop2")
        world.drain()
        reason = "The CRM does not answer. What to do: nothing yet."
        world.ledger.states.block("crm", 300, error_class="timeout", reason=reason)
        world.deliver(order(3001, billing=person("Waiter")))
        with served(world) as running:
            yield running


def test_every_page(browser: Browser, saturday: Served) -> None:
    app = saturday.world.app(lambda: None)
    client = asking(app, Role.ADMIN, "walker")
    walk = Walk(app, client.get, most=1)
    first = furnish(saturday.world, client, "Ada & Söhne <GmbH>")
    pages = [address for address, answer in walk.pages(first) if "text/html" in answer.headers.get("content-type", "")]
    assert walk.missed() == set(), "no page leads there; give tests/walk.py an address of each"
    context = browser.new_context(locale="en-GB", timezone_id="Europe/Rome")
    cookies = logged_in(saturday.world, Role.ADMIN, "Olga")
    context.add_cookies([{"name": name, "value": value, "url": saturday.url} for name, value in cookies.items()])
    page = context.new_page()
    page.set_default_timeout(60_000)
    bad = {}
    for address in pages:
        page.goto(saturday.url + address)
        name = re.sub(r"[^a-z0-9]+", "-", (walk.route(address) or address).lower()).strip("-") or "home"
        if found := look(page, FOLDER, name):
            bad[address] = found
    context.clear_cookies()
    page.goto(saturday.url + "/login")
    if found := look(page, FOLDER, "login"):
        bad["/login"] = found
    context.close()
    assert not bad, json.dumps(bad, indent=1)


def test_it_would_be_noticed(browser: Browser, saturday: Served) -> None:
    """The guard itself: grey on grey, a picture without words, too wide for a phone."""
    page = browser.new_page()
    page.set_content(
        "<main><h1 style='color:#aaa;background:#bbb'>grey on grey</h1><img src='data:,'><p style='width:900px'>wide</p></main>"
    )
    found = json.dumps(look(page, FOLDER, "guard"))
    page.close()
    assert all(
        sign in found for sign in ("color-contrast", "image-alt", "wider than the screen", "light 1280", "dark 320")
    )
