"""The demo: somebody gives a customer another rep in the ERP, and the card changes that this customer sees in the shop."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

ROOT: Final = Path(__file__).parents[2]
PORTS: Final = ("--port", "--crm-port", "--store-port", "--erp-port", "--portal-port", "--mail-port")
SOON: Final = 120_000
"""Milliseconds within which a change must be seen; it takes two or three seconds on a machine that has nothing else to do."""
STARTS_WITHIN: Final = 120.0
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
LINES: Final = {
    "crm": r"The CRM: +(http://\S+)",
    "erp": r"The ERP: +(http://\S+)",
    "shop": r"My account: +(http://\S+)",
    "dashboard": r"listens at (http://[^;\s]+)",
}


@dataclass(frozen=True)
class Demo:
    crm: str
    erp: str
    shop: str
    dashboard: str


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    command = [sys.executable, "cli.py", "demo", *(part for port in PORTS for part in (port, "0"))]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    late = threading.Timer(STARTS_WITHIN, process.kill)
    late.start()
    try:
        started = _started(process)
        late.cancel()
        yield started
    finally:
        late.cancel()
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0, f"the demo did not end in order: {rest}"


def _started(process: subprocess.Popen[str]) -> Demo:
    """Its addresses, as it tells them."""
    assert process.stdout is not None
    found: dict[str, str] = {}
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        found |= {name: match[1] for name, pattern in LINES.items() if (match := re.search(pattern, line))}
        if len(found) == len(LINES):
            return Demo(**found)
    raise AssertionError(f"the demo did not start: {''.join(lines)}")


@pytest.fixture
def shop(browser: Browser) -> Iterator[Page]:
    """The customer's browser; the other one is that of somebody in the company."""
    context = browser.new_context()
    made = context.new_page()
    made.set_default_timeout(60_000)
    yield made
    context.close()


def test_a_rep_changed_in_the_erp_is_on_the_card_and_in_the_crm(demo: Demo, page: Page, shop: Page) -> None:
    shop.goto(demo.shop)
    shop.get_by_role("link", name="Hafenkontor GmbH").click()
    card = shop.get_by_role("region", name="Your contacts")
    expect(card.get_by_role("heading", name="Jonas Weber")).to_be_visible(timeout=SOON)

    page.goto(f"{demo.erp}/customers/10017")
    page.get_by_label("Sales rep", exact=True).select_option("R9")
    page.get_by_role("button", name="Change the rep").click()
    expect(page.get_by_role("region", name="Sales reps").get_by_text("Amélie Durand")).to_be_visible()

    # Nobody touches the shop's page: it refreshes by itself.
    expect(card.get_by_role("heading", name="Amélie Durand")).to_be_visible(timeout=SOON)
    expect(card.get_by_role("heading", name="Jonas Weber")).to_have_count(0)
    call = card.get_by_role("link", name="Call Amélie Durand: +33 1 55501009")
    expect(call).to_have_attribute("href", "tel:+33155501009")
    write = card.get_by_role("link", name="Write to Amélie Durand: amelie.durand@office.example")
    expect(write).to_have_attribute("href", re.compile("^mailto:amelie.durand@office.example"))
    # No private number is released.
    expect(shop.locator("body")).not_to_contain_text("+33 6 55501009")

    page.goto(f"{demo.crm}/accounts")
    row = page.get_by_role("row").filter(has_text="Hafenkontor GmbH")
    expect(row.get_by_text("Tom Trader")).to_be_visible(timeout=SOON)


def test_the_web_component_shows_the_same(demo: Demo, shop: Page) -> None:
    shop.goto(f"{demo.shop}/account/10031/component")
    card = shop.locator("orderwire-rep-card").get_by_role("region", name="Your contacts")
    expect(card.get_by_role("heading", name="Mara Lindqvist")).to_be_visible(timeout=SOON)
    expect(card.get_by_role("link", name="Call Mara Lindqvist: +49 30 5550103")).to_be_visible()


def test_a_customer_of_nobody_sees_the_team(demo: Demo, shop: Page) -> None:
    shop.goto(f"{demo.shop}/account/10044")
    card = shop.get_by_role("region", name="Your contacts")
    expect(card.get_by_role("heading", name="Office Supplies, customer service")).to_be_visible(timeout=SOON)


def test_what_the_shops_server_gets_is_signed(demo: Demo, shop: Page) -> None:
    shop.goto(f"{demo.shop}/account/10031/json")
    expect(shop.get_by_text("The signature is right.")).to_be_visible()
    expect(shop.locator("pre")).to_contain_text('"customer": "10031"')
