"""An order filled in on the form page, in a real browser, seen in the CRM: what `make run` promises."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "test-artefacts"
STARTS_WITHIN = 40.0
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@dataclass
class Demo:
    """The running demo's addresses, and how to ask its command line."""

    store: str
    crm: str
    config: str

    def jobs(self, *arguments: str) -> str:
        command = [sys.executable, "cli.py", "jobs", *arguments, "--config", self.config]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    command = [
        sys.executable,
        "cli.py",
        "demo",
        "--port",
        "0",
        "--crm-port",
        "0",
        "--store-port",
        "0",
        "--erp-port",
        "0",
        "--portal-port",
        "0",
    ]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield _started(process)
    finally:
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)
        assert process.returncode == 0, f"the demo did not end in order: {rest}"


def _started(process: subprocess.Popen[str]) -> Demo:
    found: dict[str, str] = {}
    lines: list[str] = []
    deadline = time.monotonic() + STARTS_WITHIN
    assert process.stdout is not None
    while time.monotonic() < deadline and process.poll() is None:
        lines.append(process.stdout.readline())
        for name, pattern in (
            ("store", r"The store:\s+(\S+)"),
            ("crm", r"The CRM:\s+(\S+)"),
            ("config", r"--config (\S+)"),
        ):
            match = re.search(pattern, lines[-1])
            if match:
                found[name] = match.group(1)
        if "Ctrl-C ends it" in lines[-1]:
            return Demo(**found)
    process.kill()
    raise AssertionError("the demo did not start:\n" + "".join(lines))


def fill_in(page: Page, demo: Demo, **fields: str) -> tuple[str, str]:
    """Order on the form page as a person does; the order's number and total as the store shows them."""
    page.goto(demo.store)
    page.get_by_label("Company", exact=True).fill(fields.get("company", ""))
    page.get_by_label("Last name", exact=True).fill(fields.get("last_name", "Kern"))
    page.get_by_label("E-mail").fill(fields["email"])
    page.get_by_label("Street (needed)").fill("Marktplatz 3")
    page.get_by_label("Postal code (needed)").fill("10115")
    page.get_by_label("City (needed)").fill("Berlin")
    page.get_by_label("Article 1", exact=True).select_option("OF-104")
    page.get_by_label("Quantity 1", exact=True).fill(fields.get("quantity", "3"))
    page.get_by_label("Article 2", exact=True).select_option("OF-101")
    page.get_by_label("Your purchase-order number").fill("PO-77")
    page.get_by_label("Note").fill(fields.get("note", ""))
    page.get_by_role("button", name="Send the order").click()
    return page.locator("#order-number").inner_text(), page.locator("#order-total").inner_text()


def figure(text: str) -> str:
    """The digits of an amount as shown."""
    return re.sub(r"[^\d.]", "", text)


def wait_for_order(page: Page, demo: Demo, number: str, within: float) -> float:
    """Look at the CRM's orders page until the order stands there; how many seconds that took."""
    began = time.monotonic()
    while True:
        page.goto(f"{demo.crm}/orders")
        if page.get_by_text(f"Order {number}", exact=True).count():
            return time.monotonic() - began
        assert time.monotonic() - began < within, "the order did not arrive"


def open_order(page: Page, number: str) -> None:
    """From the list to the order itself."""
    page.get_by_role("row", name=f"Order {number} ").get_by_role("link").click()


def test_an_order_from_the_form_is_in_the_crm_at_once(
    page: Page, demo: Demo, record_property: Callable[[str, object], None]
) -> None:
    number, total = fill_in(page, demo, company="Kern Büro GmbH", email="kern@example.com")
    took = wait_for_order(page, demo, number, within=10)
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "crm-orders.png")
    open_order(page, number)
    expect(page.locator("body")).to_contain_text("Kern Büro GmbH")
    expect(page.locator("body")).to_contain_text("PO-77")
    page.screenshot(path=ARTEFACTS / "crm-order.png")
    assert figure(total) in page.locator("body").inner_text().replace(",", "")
    page.goto(f"{demo.crm}/accounts")
    expect(page.get_by_text("Kern Büro GmbH")).to_have_count(1)
    page.goto(f"{demo.crm}/contacts")
    expect(page.locator("body")).to_contain_text("kern@example.com")
    # README promises two seconds; how long it took here, page loads included, is kept and not judged (busy machines).
    record_property("seconds_from_form_to_crm", round(took, 2))


def test_the_same_customer_again_and_the_order_sent_twice(page: Page, demo: Demo) -> None:
    first, _ = fill_in(page, demo, company="Doppel & Söhne KG", email="Einkauf@doppel.example")
    wait_for_order(page, demo, first, within=10)
    second, _ = fill_in(page, demo, company="Doppel und Soehne", email="einkauf@doppel.example")
    page.get_by_role("button", name=re.compile("send again", re.IGNORECASE)).first.click()
    wait_for_order(page, demo, second, within=10)
    assert page.get_by_text(f"Order {second}", exact=True).count() == 1
    page.goto(f"{demo.crm}/accounts")
    assert len(re.findall("Doppel", page.locator("body").inner_text())) == 1


def test_hostile_text_arrives_as_text(page: Page, demo: Demo) -> None:
    dialogs: list[str] = []

    def answer(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", answer)
    nasty = '<script>alert(1)</script> O\'Neill \\ "x"'
    number, _ = fill_in(page, demo, company="Robert'); DROP TABLE--", email="bobby@example.com", note=nasty)
    wait_for_order(page, demo, number, within=10)
    open_order(page, number)
    expect(page.locator("body")).to_contain_text("<script>alert(1)</script>")
    assert not dialogs


def test_the_command_line_shows_the_jobs(page: Page, demo: Demo) -> None:
    number, _ = fill_in(page, demo, company="Liste GmbH", email="liste@example.com")
    wait_for_order(page, demo, number, within=10)
    assert number in demo.jobs("list", "--search", number)
    assert '"settled"' in demo.jobs("list", "--json", "--search", number)
