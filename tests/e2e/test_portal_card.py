"""The card in a real browser, on a page of somebody else: read by its accessible names, with and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Final

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, Page, expect

from core.clock import Clock
from core.settings import PortalSettings
from ledger import Ledger, migrate
from mapping.cards import CardRep
from pipelines.context import Context
from pipelines.metrics import Metrics
from sandbox.serve import running
from tests import hostile
from tests.axe import look
from tests.portal import ANNA, BEN, a_card, bearer, keep, portal_settings, token
from web.app import create_app
from web.state import WebState

HOSTILE: Final = "hostile"
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@dataclass
class Shop:
    """A shop's *My account* page, and Orderwire beside it, each on a port of its own."""

    url: str = ""
    orderwire: str = ""
    style: str = ""
    wraps: Callable[[str], str] = field(default=lambda token: "")
    """What stands inside the element: made by the shop's server."""

    def page(self, customer: str) -> str:
        """As a shop writes it."""
        signed = token(customer)
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f'<meta name="color-scheme" content="light dark"><title>My account</title><style>{self.style}</style>'
            f'<link rel="stylesheet" href="{self.orderwire}/portal/rep-card.css">'
            f'<script type="module" src="{self.orderwire}/portal/rep-card.js"></script></head>'
            f'<body><main><h1>My account</h1><orderwire-rep-card src="{self.orderwire}/portal/card" '
            f'token="{escape(signed)}">{self.wraps(signed)}</orderwire-rep-card></main></body></html>'
        )

    def fragment(self, signed: str) -> str:
        """Asked for by the shop's server."""
        return httpx.get(f"{self.orderwire}/portal/card.html", headers={"Authorization": f"Bearer {signed}"}).text

    def link(self, signed: str) -> str:
        """For a shop whose server asks nobody."""
        return f'<a href="{self.orderwire}/portal/card.html?token={signed}">Your contacts</a>'


def shop_app(shop: Shop) -> FastAPI:
    app = FastAPI()

    @app.get("/account/{customer}")
    def account(customer: str) -> HTMLResponse:
        return HTMLResponse(shop.page(customer))

    return app


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    ledger = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('portal') / 'ledger.sqlite'}")
    migrate.upgrade(ledger.db)
    keep(ledger, a_card("10017", ANNA, BEN.model_copy(update={"photo": ""})))
    keep(ledger, a_card(HOSTILE, *(_hostile(text) for text in hostile.texts(len(hostile.KINDS)))))
    portals: dict[str, PortalSettings] = {}
    context = Context(ledger, {}, {}, {}, {}, clock=Clock(), portals=portals)
    made = Shop()
    with (
        running(create_app(WebState(context, Metrics(), lambda: None))) as orderwire,
        running(shop_app(made)) as url,
    ):
        made.url, made.orderwire = url, orderwire
        portals["shop"] = portal_settings(origins=[url], public_url=orderwire)
        yield made
    ledger.close()


def _hostile(text: str) -> CardRep:
    plain = text.encode("utf-8", "replace").decode()
    facts = dict.fromkeys(("name", "title", "email", "phone", "mobile", "photo", "firm", "stands_in_for"), plain)
    return CardRep.model_validate({**facts, "partner": True, "roles": (plain,), "away_until": "2026-12-01"})


@pytest.fixture
def plain_page(browser: Browser) -> Iterator[Page]:
    """A browser in which JavaScript is off."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    yield page
    context.close()


def reads_as_the_card(page: Page, level: int = 3) -> None:
    """The same, whoever made it."""
    card = page.get_by_role("region", name="Your contacts")
    expect(card.get_by_role("heading", name="Your contacts")).to_be_visible()
    people = card.get_by_role("listitem")
    expect(people).to_have_count(2)
    expect(card.get_by_role("heading", level=level)).to_have_text(["Anna Kern", "Ben Vogel"])
    call = card.get_by_role("link", name="Call Anna Kern: +49 (0)30 123-45", exact=True)
    expect(call).to_have_attribute("href", "tel:+493012345")
    write = card.get_by_role("link", name="Write to Anna Kern: anna@us.example", exact=True)
    expect(write).to_have_attribute("href", "mailto:anna@us.example?subject=Customer%2010017")
    expect(people.nth(0)).to_contain_text("Inside sales")
    expect(people.nth(0)).to_contain_text("Speaks: German, English")
    expect(people.nth(1)).to_contain_text("Partner: Partner & Söhne")
    expect(people.nth(1)).to_contain_text("Stands in for Cora Lind, who is away until December 1, 2026.")
    expect(people.nth(1)).to_contain_text("ask at the desk")
    expect(people.nth(1).get_by_role("link", name="ask at the desk")).to_have_count(0)


def shown_by_script(page: Page) -> None:
    """The component has put its card there: what it wraps is not what one sees."""
    page.wait_for_function("document.querySelector('orderwire-rep-card').shadowRoot?.querySelector('section')")


def test_the_component_is_read_by_its_names(page: Page, shop: Shop) -> None:
    shop.wraps = lambda token: "<p>Please wait</p>"
    page.goto(f"{shop.url}/account/10017")
    shown_by_script(page)
    reads_as_the_card(page)
    expect(page.get_by_text("Please wait")).to_be_hidden()
    assert page.context.cookies() == []


def test_without_javascript_the_fragment_stands_there(plain_page: Page, shop: Shop) -> None:
    shop.wraps = shop.fragment
    plain_page.goto(f"{shop.url}/account/10017")
    reads_as_the_card(plain_page)


def test_without_javascript_a_link_leads_to_the_card(plain_page: Page, shop: Shop) -> None:
    shop.wraps = shop.link
    plain_page.goto(f"{shop.url}/account/10017")
    plain_page.get_by_role("link", name="Your contacts").click()
    expect(plain_page).to_have_title("Your contacts")
    reads_as_the_card(plain_page, level=2)


def test_what_it_wraps_stays_where_the_card_cannot_be_had(page: Page, shop: Shop) -> None:
    shop.wraps = shop.fragment
    page.route("**/portal/card", lambda route: route.abort())
    page.goto(f"{shop.url}/account/10017")
    page.wait_for_function(
        "customElements.get('orderwire-rep-card') && document.querySelector('orderwire-rep-card').shadowRoot"
    )
    reads_as_the_card(page)


def test_another_origin_is_not_answered(page: Page, shop: Shop) -> None:
    shop.wraps = lambda token: "<p>Please wait</p>"
    elsewhere = shop.url.replace("127.0.0.1", "localhost")
    ask = "([url, headers]) => fetch(url, { headers }).then(answer => answer.status, () => 'refused')"
    page.goto(f"{elsewhere}/account/10017")
    assert page.evaluate(ask, [f"{shop.orderwire}/portal/card", bearer()]) == "refused"
    expect(page.get_by_text("Please wait")).to_be_visible()
    page.goto(f"{shop.url}/account/10017")
    assert page.evaluate(ask, [f"{shop.orderwire}/portal/card", bearer()]) == 200


def test_a_keyboard_is_enough(page: Page, shop: Shop) -> None:
    shop.wraps = lambda token: ""
    page.goto(f"{shop.url}/account/10017")
    shown_by_script(page)
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(at => at?.ariaLabel || at?.textContent)(document.querySelector('orderwire-rep-card').shadowRoot.activeElement)"
            )
        )
        if reached[-1] and reached[-1].startswith("Ask for a call"):
            break
    assert [name.partition(":")[0] for name in reached] == [
        "Call Anna Kern", "Call Anna Kern on the mobile", "Write to Anna Kern", "Write to Ben Vogel", "Ask for a call, or send a message",
    ]  # fmt: skip
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Your phone number")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("textbox", name="Your phone number")).to_be_focused()


def test_the_shop_chooses_the_colours(page: Page, shop: Shop) -> None:
    shop.wraps = lambda token: ""
    shop.style = (
        "orderwire-rep-card { --orderwire-back: rgb(250, 240, 230); --orderwire-link: rgb(120, 0, 60); }"
        "orderwire-rep-card::part(name) { text-transform: uppercase; }"
    )
    try:
        page.goto(f"{shop.url}/account/10017")
        shown_by_script(page)
        card = page.get_by_role("region", name="Your contacts")
        expect(card).to_have_css("background-color", "rgb(250, 240, 230)")
        expect(card.get_by_role("link").first).to_have_css("color", "rgb(120, 0, 60)")
        expect(card.get_by_role("heading", name="Anna Kern")).to_have_css("text-transform", "uppercase")
    finally:
        shop.style = ""


@pytest.mark.parametrize("customer", ["10017", HOSTILE, "nobody"])
@pytest.mark.parametrize("how", ["component", "fragment", "link"])
def test_nothing_is_in_anybodys_way(browser: Browser, shop: Shop, customer: str, how: str) -> None:
    shop.wraps = shop.fragment if how == "fragment" else lambda token: ""
    page = browser.new_page()
    if how == "fragment":
        page.route("**/rep-card.js", lambda route: route.abort())
    page.goto(
        f"{shop.orderwire}/portal/card.html?token={token(customer)}"
        if how == "link"
        else f"{shop.url}/account/{customer}"
    )
    if how == "component":
        shown_by_script(page)
    page.get_by_role("region", name="Your contacts").get_by_text("Ask for a call, or send a message").click()
    bad = look(page, "portal", f"{how}-{customer}")
    page.close()
    assert not bad, bad


def test_hostile_names_run_nothing(page: Page, shop: Shop) -> None:
    shop.wraps = shop.fragment
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(f"it said {dialog.message}"))
    page.goto(f"{shop.url}/account/{HOSTILE}")
    shown_by_script(page)
    for link in page.get_by_role("region", name="Your contacts").get_by_role("link").all():
        assert re.match(r"tel:\+?\d|mailto:[^?]+@[^?]+(\?subject=[^&]*)?$", link.get_attribute("href") or "")
    assert page.evaluate("window.struck") is None
    ours = (shop.url, shop.orderwire, "https://evil.example/")
    assert all(url.startswith(ours) for url in asked), asked
    assert httpx.get(f"{shop.orderwire}/portal/card", headers=bearer(HOSTILE)).json()["reps"]
