"""The first user, in a real browser: the link that the start prints, a password, in, out, in again; plain http on this machine."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "test-artefacts"
STARTS_WITHIN = 40.0
PASSWORD = "tinker lamp orchid frost"
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
CONFIG = """\
[ledger]
url = "sqlite:///{folder}/orderwire.db"
[web]
port = {port}
"""


@dataclass
class Running:
    """`orderwire up`, where it listens, and what it printed."""

    address: str
    first_link: str
    file: Path

    def people(self, *arguments: str) -> str:
        command = [sys.executable, "cli.py", "people", *arguments, "--config", str(self.file)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.fixture
def orderwire(tmp_path: Path) -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = tmp_path / "orderwire.toml"
    file.write_text(CONFIG.format(folder=tmp_path, port=port), encoding="utf-8")
    command = [sys.executable, "-u", "cli.py", "up", "--log-level", "warning", "--config", str(file)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield _started(process, file)
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=30)
        assert process.returncode == 0, f"it did not end in order: {rest}"


def _started(process: subprocess.Popen[str], file: Path) -> Running:
    lines: list[str] = []
    deadline = time.monotonic() + STARTS_WITHIN
    assert process.stdout is not None
    while time.monotonic() < deadline and process.poll() is None:
        lines.append(process.stdout.readline())
        if "Ctrl-C ends it" in lines[-1]:
            said = "".join(lines)
            link = re.search(r"The first user: (\S+)", said)
            listens = re.search(r"listens at (\S+);", said)
            assert link, said
            assert listens, said
            return Running(listens[1], link[1], file)
    process.kill()
    raise AssertionError("it did not start:\n" + "".join(lines))


def log_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name or e-mail").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()


def log_out(page: Page, name: str) -> None:
    page.get_by_text(name, exact=True).first.click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login$"))


def test_from_the_first_link_to_the_logout(page: Page, orderwire: Running) -> None:
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.goto(f"{orderwire.address}/audit")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    expect(page.locator("main")).to_contain_text("orderwire people link")

    page.goto(orderwire.first_link)
    page.get_by_label("Name", exact=True).fill("Anna")
    page.get_by_label("Password (at least").fill(PASSWORD)
    page.get_by_label("The same password again").fill(PASSWORD)
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "welcome.png")
    page.get_by_role("button", name="Begin").click()
    expect(page).to_have_url(f"{orderwire.address}/")

    page.goto(f"{orderwire.address}/settings/users")
    expect(page.get_by_role("row", name=re.compile("Anna"))).to_contain_text("may log in")
    page.screenshot(path=ARTEFACTS / "users.png")
    log_out(page, "Anna")
    page.go_back()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()

    page.goto(f"{orderwire.address}/audit")
    log_in(page, "anna", PASSWORD + "x")
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    page.screenshot(path=ARTEFACTS / "login.png")
    log_in(page, "anna", PASSWORD)
    expect(page).to_have_url(f"{orderwire.address}/audit")
    expect(page.locator("tbody")).to_contain_text("login.failed")
    page.screenshot(path=ARTEFACTS / "audit.png")

    page.set_viewport_size({"width": 320, "height": 640})
    for path in ("/audit", "/settings/users", "/settings/tokens", "/settings/password"):
        page.goto(orderwire.address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        page.screenshot(path=ARTEFACTS / f"narrow{path.replace('/', '-')}.png")

    page.goto(orderwire.first_link)
    expect(page.get_by_role("heading", name="This link is over")).to_be_visible()
    # What a browser says of answers that are refusals (401, 410, and 404 while there is no home) is no trouble of the page.
    assert [text for text in troubles if "Failed to load resource" not in text] == []


def test_somebody_invited_by_the_command_line(page: Page, orderwire: Running) -> None:
    said = orderwire.people("add", "Bert", "operator")
    link = re.search(r"(http\S+/welcome/\S+)", said)
    assert link, said
    page.goto(link[1])
    expect(page.locator("main")).to_contain_text("Choose a password, Bert.")
    page.get_by_label("Password (at least").fill(PASSWORD)
    page.get_by_label("The same password again").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    page.goto(f"{orderwire.address}/audit")
    expect(page.locator("tbody")).to_contain_text("(command line)")
    page.goto(f"{orderwire.address}/settings/users")
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
    assert "operator" in orderwire.people("list")
