"""Hostile orders before a real browser: nothing runs, nothing opens, nothing is asked of anybody else, nothing breaks the page."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog

from core.rights import Role
from tests import hostile
from tests import world as worlds
from tests.desk import Served, logged_in, served
from tests.people import logged_in as asking
from tests.walk import Walk, furnish
from tests.world import SkippingClock, World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
COUNT = 2 * len(hostile.KINDS) * len(hostile.WAYS)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    url = f"sqlite:///{tmp_path_factory.mktemp('hostile') / 'ledger.sqlite'}"
    with worlds.crm() as (_, crm_url), World(url, crm_url, clock=SkippingClock()) as world:
        for _, made in hostile.orders(COUNT):
            hostile.deliver(world, made)
        world.drain()
        with served(world) as running:
            yield running


def addresses(town: Served) -> list[str]:
    """Every page with hostile texts: of each kind of text a held job, a carried one, and their orders; of each route some."""
    app = town.world.app(lambda: None)
    client = asking(app, Role.ADMIN, "walker")
    walk = Walk(app, client.get, most=1)
    first = furnish(town.world, client, hostile.texts(1)[0])
    found = [address for address, answer in walk.pages(first) if "text/html" in answer.headers.get("content-type", "")]
    jobs = town.world.ledger.jobs.list(limit=COUNT)
    return [
        *found,
        *(f"/jobs/{job.id}" for job in jobs[: len(hostile.KINDS)]),
        "/jobs?state=settled",
        "/jobs?state=held",
    ]


class Watched:
    """A browser of which everything is noted that a text should never bring about."""

    def __init__(self, context: BrowserContext, own: str) -> None:
        self.own = urlsplit(own).netloc
        self.page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.said: list[str] = []
        # The browser's own word on what a policy stopped.
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation', e => { window.stopped = e.violatedDirective + e.blockedURI })"
        )
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on(
            "console",
            lambda line: self.said.append(f"console: {line.text}") if line.type in {"error", "warning"} else None,
        )
        self.page.on("dialog", self._dialog)
        self.page.on("request", lambda asked: self._asked(asked.url))
        context.on("page", lambda other: self.said.append(f"opened {other.url}"))

    def _dialog(self, dialog: Dialog) -> None:
        self.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != self.own and not url.startswith("data:image/svg+xml"):
            self.said.append(f"asked {url}")

    def look(self, address: str) -> list[str]:
        """What went wrong on this page."""
        self.said.clear()
        self.page.goto(address, wait_until="load")
        found = [line for width in (1280, 320) for line in self._measured(width)]
        # 404 and 410 are pages of the walk; the browser says of each that it is one.
        return [*found, *(line for line in self.said if "404" not in line and "410" not in line)]

    def _measured(self, width: int) -> list[str]:
        self.page.set_viewport_size({"width": width, "height": 800})
        found: list[str] = self.page.evaluate(
            """() => [
                window.struck !== undefined && "a text was run",
                window.stopped && `the policy stopped ${window.stopped}`,
                [...document.scripts].some(s => !s.src.startsWith(`${location.origin}/static/`) || s.text) && "another script",
                document.documentElement.scrollWidth > document.documentElement.clientWidth &&
                    `wider than the screen by ${document.documentElement.scrollWidth - document.documentElement.clientWidth}: ` +
                    [...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
                        .slice(-1).map(e => e.outerHTML.slice(0, 200)),
            ].filter(Boolean)"""
        )
        return found


def test_nothing_runs_opens_asks_or_overflows(browser: Browser, town: Served) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="Europe/Rome")
    cookies = logged_in(town.world, Role.ADMIN, "Olga")
    context.add_cookies([{"name": name, "value": value, "url": town.url} for name, value in cookies.items()])
    watched = Watched(context, town.url)
    found = addresses(town)
    assert len(found) > 40
    bad = {address: said for address in found if (said := watched.look(town.url + address))}
    context.close()
    assert not bad, "\n".join(f"{address}: {said}" for address, said in bad.items())


def test_the_watch_notices(browser: Browser, town: Served) -> None:
    """The guard itself: a page of which all this is true."""
    context = browser.new_context(viewport={"width": 320, "height": 800})
    watched = Watched(context, town.url)
    html = (
        "<meta http-equiv=Content-Security-Policy content=\"script-src 'unsafe-inline'\"><body><main><p style='width:900px'>wide"
        "<script>alert(1); window.struck = 1; undefined.x</script><script src='//evil.example/x.js'></script>"
        "<img src='http://127.0.0.2:9/x.png'>"
    )
    context.route(f"{town.url}/evil", lambda route: route.fulfill(body=html, content_type="text/html"))
    said = " ".join(watched.look(f"{town.url}/evil"))
    context.close()
    for sign in (
        "dialog: 1",
        "a text was run",
        "the policy stopped",
        "another script",
        "asked http://127.0.0.2:9",
        "wider than the screen",
        "error: ",
    ):
        assert sign in said, said
