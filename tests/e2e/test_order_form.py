"""An order filled in on the form page, in a real browser, seen in the CRM: what `make run` promises."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Dialog, Page, expect
from pypdf import PdfReader

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "test-artefacts"
STARTS_WITHIN = 120.0
SOON = 60.0
"""Seconds within which something must be seen; it takes two or three on a machine that has nothing else to do."""
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@dataclass
class Demo:
    """The running demo's addresses, and how to ask its command line."""

    store: str
    crm: str
    mail: str
    config: str

    def jobs(self, *arguments: str) -> str:
        command = [sys.executable, "cli.py", "jobs", *arguments, "--config", self.config]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout


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
        "--mail-port",
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
            ("mail", r"The mail:\s+(\S+)"),
            ("config", r"--config (\S+)"),
        ):
            match = re.search(pattern, lines[-1])
            if match:
                found[name] = match.group(1)
        if "Ctrl-C ends it" in lines[-1]:
            return Demo(**found)
    process.kill()
    raise AssertionError("the demo did not start:\n" + "".join(lines))


def fill_in(page: Page, demo: Demo, *, article: str = "OF-104", **fields: str) -> tuple[str, str]:
    """Order on the form page as a person does; the order's number and total as the store shows them."""
    page.goto(demo.store)
    page.get_by_label("Company", exact=True).fill(fields.get("company", ""))
    page.get_by_label("Last name", exact=True).fill(fields.get("last_name", "Kern"))
    page.get_by_label("E-mail").fill(fields["email"])
    page.get_by_label("Street (needed)").fill("Marktplatz 3")
    page.get_by_label("Postal code (needed)").fill("10115")
    page.get_by_label("City (needed)").fill("Berlin")
    page.get_by_label("Article 1", exact=True).select_option(article)
    page.get_by_label("Quantity 1", exact=True).fill(fields.get("quantity", "3"))
    page.get_by_label("Article 2", exact=True).select_option("OF-101")
    page.get_by_label("Your purchase-order number").fill("PO-77")
    page.get_by_label("Note").fill(fields.get("note", ""))
    page.get_by_label("Promised for").fill(fields.get("promised", ""))
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
    took = wait_for_order(page, demo, number, within=SOON)
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
    wait_for_order(page, demo, first, within=SOON)
    second, _ = fill_in(page, demo, company="Doppel und Soehne", email="einkauf@doppel.example")
    page.get_by_role("button", name=re.compile("send again", re.IGNORECASE)).first.click()
    wait_for_order(page, demo, second, within=SOON)
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
    wait_for_order(page, demo, number, within=SOON)
    open_order(page, number)
    expect(page.locator("body")).to_contain_text("<script>alert(1)</script>")
    assert not dialogs


def test_the_command_line_shows_the_jobs(page: Page, demo: Demo) -> None:
    number, _ = fill_in(page, demo, company="Liste GmbH", email="liste@example.com")
    wait_for_order(page, demo, number, within=SOON)
    assert number in demo.jobs("list", "--search", number)
    assert '"settled"' in demo.jobs("list", "--json", "--search", number)


def mails(demo: Demo, subject: str) -> list[dict[str, Any]]:
    """What arrived with this in its subject, once something has."""
    deadline = time.monotonic() + SOON
    while True:
        answer = httpx.get(f"{demo.mail}/sandbox/mails", timeout=10, trust_env=False).json()
        found = [mail for mail in answer["mails"] if subject in mail["subject"]]
        if found or time.monotonic() > deadline:
            assert found, f"no mail about {subject} among {[mail['subject'] for mail in answer['mails']]}"
            return found


def test_stock_falls_the_buyer_is_told_and_the_invoice_opens(page: Page, demo: Demo) -> None:
    """Of twelve desks nine are ordered, and from four on somebody is to be told."""
    number, total = fill_in(
        page, demo, article="OF-103", quantity="9", company="Tische & Co", email="kasse@tische.example"
    )
    wait_for_order(page, demo, number, within=SOON)
    (low,) = mails(demo, "OF-103")
    assert "lena@office.example" in low["to"]
    assert "there: 3, threshold: 4" in low["text"]
    page.goto(f"{demo.crm}/products")
    expect(page.get_by_role("row").filter(has_text="OF-103")).to_contain_text("3")
    (invoice,) = [
        mail for mail in mails(demo, number) if "kasse@tische.example" in mail["to"] and "INV" in mail["subject"]
    ]
    page.goto(demo.mail)
    page.get_by_role("link", name=invoice["subject"]).click()
    page.screenshot(path=ARTEFACTS / "mail-invoice.png")
    (opens,) = page.locator("main ul a").all()
    paper = httpx.get(f"{demo.mail}{opens.get_attribute('href')}", timeout=10, trust_env=False)
    assert paper.headers["content-type"] == "application/pdf"
    text = "".join(sheet.extract_text() for sheet in PdfReader(io.BytesIO(paper.content)).pages)
    assert number in text
    assert "Standing desk 160 cm" in text
    assert digits(total) in digits(text)


def digits(text: str) -> str:
    """Without anything that languages write differently."""
    return re.sub(r"\D", "", text)


def test_a_promise_that_was_not_kept_is_told(page: Page, demo: Demo) -> None:
    number, _ = fill_in(page, demo, company="Spät GmbH", email="spaet@example.com", promised="2026-01-05")
    wait_for_order(page, demo, number, within=SOON)
    told = [mail for mail in mails(demo, number) if "sales@office.example" in mail["to"]]
    deadline = time.monotonic() + SOON
    while not told and time.monotonic() < deadline:
        told = [mail for mail in mails(demo, number) if "sales@office.example" in mail["to"]]
    assert "2026-01-05" in told[0]["text"]


def test_a_person_sets_a_status_in_the_crm(page: Page, demo: Demo) -> None:
    """Orderwire notices by itself: its own page says so, and what it would write back changes nothing there."""
    number, _ = fill_in(page, demo, company="Fertig AG", email="fertig@example.com")
    wait_for_order(page, demo, number, within=SOON)
    open_order(page, number)
    page.get_by_role("button", name="Set to Delivered").click()
    expect(page.get_by_role("heading", name="Status: Delivered")).to_be_visible()
    (job,) = [str(row["id"]) for row in json.loads(demo.jobs("list", "--json", "--search", number))]
    deadline = time.monotonic() + SOON
    while "Delivered" not in demo.jobs("show", job):
        assert time.monotonic() < deadline, "nobody noticed"
    page.reload()
    expect(page.get_by_role("heading", name="Status: Delivered")).to_be_visible()
