"""A thousand texts that somebody may type into an order, in every text that orders have, carried and held by the real pipeline:
shown harmless on every page, in every sheet, on the command line and in the log.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient

import cli
from core import logs
from core.cells import harmless, plain
from core.keys import Key
from core.rights import Role
from core.visible import visible
from ledger.jobs import JobView
from tests import hostile
from tests import world as worlds
from tests.harmless import ACTING, Page
from tests.people import logged_in
from tests.walk import Walk, furnish
from tests.world import SkippingClock, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass
class Town:
    """A world full of hostile orders, an administrator before it, and what was logged meanwhile."""

    world: World
    app: FastAPI
    client: TestClient
    texts: dict[str, str]
    jobs: list[JobView]
    logged: dict[bool, str]

    def of(self, kind: str, state: str) -> JobView:
        """A job of a text of this kind, in this state."""
        at = list(hostile.KINDS).index(kind)
        return next(job for n, job in enumerate(self.jobs) if n % len(hostile.KINDS) == at and job.state == state)


@contextmanager
def logging_to(stream: io.StringIO, *, as_json: bool) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(as_json=as_json, stream=stream)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    url = f"sqlite:///{tmp_path_factory.mktemp('hostile') / 'ledger.sqlite'}"
    outs = {True: io.StringIO(), False: io.StringIO()}
    with worlds.crm() as (_, crm_url), World(url, crm_url, clock=SkippingClock()) as world:
        texts = {}
        with logging_to(outs[True], as_json=True):
            for at, (text, made) in enumerate(hostile.orders()):
                hostile.deliver(world, made)
                texts[f"shop/order/{made['id']}"] = text
                if at == hostile.COUNT // 2:
                    world.drain()
        with logging_to(outs[False], as_json=False):
            world.drain()
        app = world.app(lambda: None)
        client = logged_in(app, Role.ADMIN, "Olga")
        client._transport.raise_server_exceptions = True
        jobs = sorted(world.ledger.jobs.list(limit=2 * hostile.COUNT), key=lambda job: int(job.key.rpartition("/")[2]))
        yield Town(world, app, client, texts, jobs, {as_json: out.getvalue() for as_json, out in outs.items()})


def test_some_are_carried_and_some_are_held_and_nothing_is_lost(town: Town) -> None:
    assert len(town.jobs) == hostile.COUNT
    states = [job.state for job in town.jobs]
    assert set(states) == {"settled", "held"}
    assert min(states.count("settled"), states.count("held")) > hostile.COUNT // 12
    assert {town.of(kind, state).state for kind in hostile.KINDS for state in ("settled", "held")} == set(states)


def test_every_page_and_sheet_is_what_we_say(town: Town) -> None:
    walk = Walk(town.app, town.client.get, most=15)
    first = [f"/jobs/{town.of(kind, state).id}" for kind in hostile.KINDS for state in ("settled", "held")]
    first += [f"/orders/{town.of(kind, 'held').key.replace('/', '%2F')}" for kind in hostile.KINDS]
    for text in hostile.texts(2 * len(hostile.KINDS)):
        if not re.search("[\x00\ud800-\udfff]", text):  # what no column can hold never gets as far as these
            first += furnish(town.world, town.client, text)
    faults = {}
    for address, answer in walk.pages(first):
        assert answer.status_code in {200, 400, 404, 409, 410, 422}, f"{address}: {answer.text[:500]}"
        kind = answer.headers.get("content-type", "")
        if "text/html" in kind:
            found = Page(answer.text, origins=(town.world.crm_url, "http://127.0.0.1:9/")).faults
        elif "application/json" in kind:
            found = [] if json.loads(answer.content) else ["nothing"]
        else:
            assert "text/csv" in kind, f"{address} answers with {kind}: give tests/harmless.py a look at it"
            found = sheet_faults(answer.content)
        if found:
            faults[address] = found[:5]
    assert not faults, json.dumps(faults, indent=1)
    assert walk.missed() == set(), "no page leads there; give tests/walk.py an address of each"


def test_what_a_button_shows_is_harmless_too(town: Town) -> None:
    for kind in hostile.KINDS:
        for job in (town.of(kind, "settled"), town.of(kind, "held")):
            answer = town.client.post(f"/jobs/{job.id}/dry-run")
            assert Page(answer.text).faults == [], (kind, job.state)
        job = town.of(kind, "held")
        [event, *_] = town.world.ledger.inbox.events(Key.parse(job.key))
        reason = town.texts[job.key].encode("utf-8", "replace").decode()
        shown = town.client.post(f"/events/{event['id']}/reveal", data={"reason": f"{reason} why"})
        assert shown.status_code == 200
        assert Page(shown.text).faults == [], kind
        assert Page(town.client.get("/audit").text).faults == [], kind


def test_the_texts_themselves_can_be_read(town: Town) -> None:
    for kind in hostile.KINDS:
        job = town.of(kind, "held")
        assert visible(job.number) in Page(town.client.get(f"/jobs/{job.id}").text).text, kind
        edited = Page(town.client.get(f"/jobs/{job.id}/edit").text).text
        known = json.loads(edited[edited.index("\n{") : edited.rindex("}\n") + 1])
        assert known["customer_note"] == town.texts[job.key], "what was typed, to the last half of a character"
        found = town.client.get("/search", params={"q": job.key.rpartition("/")[2]}, follow_redirects=True)
        assert f'href="/jobs/{job.id}"' in found.text, kind


def test_an_edit_keeps_what_it_does_not_touch(town: Town) -> None:
    """The text goes to the browser and back, with the line ends that forms send."""
    for kind in ("half", "control", "direction", "lines", "tag", "emoji"):
        job = town.of(kind, "held")
        edited = town.client.get(f"/jobs/{job.id}/edit").text
        [version] = re.findall(r'name="version" value="(\d+)"', edited)
        text = Page(edited).text
        text = text[text.index("\n{") + 1 : text.rindex("}\n") + 1].replace("\n", "\r\n")
        answer = town.client.post(
            f"/jobs/{job.id}/edit", data={"text": text, "version": version, "reason": "", "step": "check"}
        )
        page = Page(answer.text)
        assert page.faults == []
        assert "This would change" not in page.text, kind


# -- sheets ------------------------------------------------------------------------------------------------------------


def sheet_faults(body: bytes) -> list[str]:
    """What a spreadsheet would take for more than text, or could not read."""
    text = body.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    found = [f"{len(row)} cells where the head has {len(rows[0])}" for row in rows if len(row) != len(rows[0])]
    cells = [cell for row in rows for cell in row]
    found += [
        f"formula: {cell!r}"
        for cell in cells
        if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    ]
    return found + [f"acts: {cell!r}" for cell in cells if ACTING.search(cell)]


def test_the_sheet_of_all_jobs_reads_back(town: Town) -> None:
    rows = list(csv.DictReader(io.StringIO(town.client.get("/jobs.csv").content.decode("utf-8-sig"), newline="")))
    assert len(rows) == hostile.COUNT
    known = {str(job.id): job for job in town.jobs}
    for row in rows:
        job = known[row["job"]]
        assert row["record"] == job.key
        assert row["order"] == harmless(job.number)
        assert row["reason"] == harmless(job.reason)
    texts = [text for text in hostile.texts() if not ACTING.search(text)]
    assert [plain(harmless(text)) for text in texts] == [
        text.strip() if text == harmless(text) else text for text in texts
    ]


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.fixture
def file(town: Town, tmp_path: Path) -> Path:
    made = tmp_path / "orderwire.toml"
    made.write_text(f'[ledger]\nurl = "{town.world.ledger.db.url}"\n', encoding="utf-8")
    return made


COMMANDS = (
    ["jobs", "list", "--limit", "2000"],
    ["jobs", "list", "--limit", "2000", "--json"],
    ["alerts"],
    ["connections"],
    ["audit"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_command_line_moves_no_cursor(file: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([*command, "--config", str(file)])
    said = capsys.readouterr()
    assert said.out
    assert ACTING.findall(said.out + said.err) == []


def test_nor_does_one_job_with_all_its_facts(town: Town, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in hostile.KINDS:
        as_json = ["--json"] if kind in {"half", "direction"} else []
        assert cli.main(["jobs", "show", str(town.of(kind, "held").id), *as_json, "--config", str(file)]) == 0
    said = capsys.readouterr()
    assert "is not a quantity" in said.out or "is not a currency" in said.out
    assert ACTING.findall(said.out + said.err) == []


# -- the log -----------------------------------------------------------------------------------------------------------


def test_the_log_of_all_this_has_one_object_a_line(town: Town) -> None:
    lines = town.logged[True].splitlines()  # also where only Unicode ends a line
    assert sum(json.loads(line)["event"] == "job ended" for line in lines) >= hostile.COUNT // 2
    assert ACTING.findall(town.logged[False]) == []


def test_no_text_forges_a_line() -> None:
    out = io.StringIO()
    with logging_to(out, as_json=True):
        for text in hostile.texts():
            structlog.get_logger("hostile").warning(text, said=text)
            logging.getLogger("other").warning("said %s", text)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(lines) == 2 * hostile.COUNT
    out.getvalue().encode()
    plainly = io.StringIO()
    with logging_to(plainly, as_json=False):
        for text in hostile.texts():
            structlog.get_logger("hostile").warning(text, said=text)
    assert len(plainly.getvalue().splitlines()) == hostile.COUNT
    assert ACTING.findall(plainly.getvalue()) == []
    plainly.getvalue().encode()
