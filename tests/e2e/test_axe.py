"""axe on every page that there is, as a browser shows it: no violation of WCAG 2.2 AA, in both themes, wide and on a phone.

What a page is made of does not change with the theme: all rules are asked in two of the four ways, in the other two those whose
answer depends on colours and sizes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, Page

from core.rights import Role
from tests import hostile
from tests import world as worlds
from tests.desk import Served, logged_in, served
from tests.orders import order, person
from tests.people import logged_in as asking
from tests.walk import Walk, furnish
from tests.world import SkippingClock, World

ARTEFACTS: Final = Path(__file__).parents[2] / "test-artefacts" / "every-page"
TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SEEN: Final = ["color-contrast", "target-size", "link-in-text-block", "scrollable-region-focusable", "meta-viewport"]
Theme = Literal["light", "dark"]
WAYS: Final[tuple[tuple[Theme, int, bool], ...]] = (
    ("light", 1280, True), ("dark", 1280, False), ("light", 320, False), ("dark", 320, True),
)  # fmt: skip
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


def violations(page: Page, *, everything: bool) -> list[str]:
    wanted: dict[str, Any] = {"runOnly": TAGS if everything else {"type": "rule", "values": SEEN}}
    found = page.evaluate("wanted => axe.run(document, wanted)", wanted)["violations"]
    return [f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:2]]}" for one in found]


def look(page: Page, name: str) -> dict[str, list[str]]:
    """What is wrong with the page, in each of the four ways; pictures are kept."""
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found = {}
    for theme, width, everything in WAYS:
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=ARTEFACTS / f"{name}-{width}-{theme}.png", full_page=everything)
        wrong = violations(page, everything=everything)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wrong or wide:
            found[f"{theme} {width}"] = [*wrong, *([f"wider than the screen by {wide}"] if wide else [])]
    return found


def test_every_page(browser: Browser, saturday: Served) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
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
        if found := look(page, name):
            bad[address] = found
    context.clear_cookies()
    page.goto(saturday.url + "/login")
    if found := look(page, "login"):
        bad["/login"] = found
    context.close()
    assert not bad, json.dumps(bad, indent=1)


def test_it_would_be_noticed(browser: Browser, saturday: Served) -> None:
    """The guard itself: grey on grey, a picture without words, too wide for a phone."""
    page = browser.new_page()
    page.set_content(
        "<main><h1 style='color:#aaa;background:#bbb'>grey on grey</h1><img src='data:,'><p style='width:900px'>wide</p></main>"
    )
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    found = json.dumps(look(page, "guard"))
    page.close()
    assert all(
        sign in found for sign in ("color-contrast", "image-alt", "wider than the screen", "light 1280", "dark 320")
    )
