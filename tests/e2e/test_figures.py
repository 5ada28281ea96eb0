"""The charts in a real browser: drawn from the table, in both themes and on a phone, with a clean console."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from core.rights import Role
from ledger import tables as t
from ledger.pulse import HOUR
from tests.axe import violations
from tests.desk import Served, logged_in, served
from tests.world import SkippingClock, World

ARTEFACTS: Final = Path(__file__).parents[2] / "test-artefacts" / "dashboard"
INKED: Final = """(canvas) => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const seen = new Set();
    for (let at = 0; at < pixels.length; at += 4) { if (pixels[at + 3]) { seen.add(pixels.slice(at, at + 3).join(',')); } }
    return Array.from(seen);
}"""
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A day with numbers in every hour, two connections that were called."""
    url = f"sqlite:///{tmp_path_factory.mktemp('figures') / 'ledger.sqlite'}"
    with World(url, "http://127.0.0.1:9", clock=SkippingClock()) as world:
        now = world.ledger.db.micros() // HOUR * HOUR
        for hour in range(24):
            numbers = {
                ("shop", "came"): 40 + hour,
                ("crm", "carried"): 38 + hour,
                ("crm", "held"): hour % 3,
                ("", "age"): 60 * hour,
                ("crm", "calls"): 300,
                ("crm", "millis"): 45_000,
                ("shop", "calls"): 12,
                ("shop", "millis"): 3_600,
            }
            rows = [
                {"connection": name, "what": what, "hour": now - hour * HOUR, "number": number}
                for (name, what), number in numbers.items()
            ]
            for row in rows:
                world.ledger.db.execute(t.pulse.insert().values(**row))
        with served(world) as running:
            yield running


@pytest.fixture
def seen(browser: Browser, desk: Served) -> Iterator[Any]:
    """Open the page so; at the end nothing must have been complained of."""
    problems: list[str] = []
    contexts = []

    def opened(scheme: Literal["dark", "light"] = "light", width: int = 1280) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, timezone_id="Europe/Rome", locale="en-GB"
        )
        contexts.append(context)
        cookies = logged_in(desk.world, Role.VIEWER)
        context.add_cookies([{"name": name, "value": value, "url": desk.url} for name, value in cookies.items()])
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if line.type in {"error", "warning"} else None)
        page.goto(f"{desk.url}/figures")
        expect(page.locator("figure.chart canvas")).to_have_count(4)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems, problems


def ink(page: Page) -> set[str]:
    return set(page.locator("figure.chart canvas").first.evaluate(INKED))


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)])
def test_charts_are_drawn_and_accessible(seen: Any, scheme: Literal["dark", "light"], width: int) -> None:
    page = seen(scheme, width)
    for canvas in page.locator("figure.chart canvas").all():
        assert len(canvas.evaluate(INKED)) > 3, "axes, grid and lines"
        box = canvas.bounding_box()
        assert box is not None
        assert box["width"] > 100
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"figures-{width}-{scheme}.png", full_page=True)


def test_the_theme_switch_draws_anew(seen: Any) -> None:
    page = seen("light")
    before = ink(page)
    page.locator("#theme").click()  # as the system -> light
    page.locator("#theme").click()  # light -> dark
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert ink(page) != before


def test_the_picture_follows_the_table(seen: Any) -> None:
    page = seen()
    before = page.locator("figure.chart canvas").first.evaluate("canvas => canvas.toDataURL()")
    page.evaluate("document.querySelector('#orders-table tbody td').dataset.value = '900'")
    page.wait_for_function(
        "before => { const canvas = document.querySelector('figure.chart canvas');"
        " return canvas && canvas.toDataURL() !== before; }",
        arg=before,
    )


def test_without_a_script_the_tables_remain(browser: Browser, desk: Served) -> None:
    context = browser.new_context(java_script_enabled=False)
    cookies = logged_in(desk.world, Role.VIEWER)
    context.add_cookies([{"name": name, "value": value, "url": desk.url} for name, value in cookies.items()])
    page = context.new_page()
    page.goto(f"{desk.url}/figures")
    expect(page.locator("#orders-table tbody tr")).to_have_count(24)
    expect(page.locator("#charts")).to_be_hidden()
    context.close()
