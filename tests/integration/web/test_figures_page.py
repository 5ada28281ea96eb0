"""Figures hour by hour: what is counted, and that pictures, tables and sheet say the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from core.rights import Role
from ledger.jobs import Outcome
from tests.desk import logged_in
from tests.orders import order
from tests.world import SkippingClock, World
from web import assets

ORIGIN = "http://127.0.0.1"
STATIC = Path(__file__).parents[3] / "web" / "static"
PINNED = {
    "uplot-1.6.32.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot-1.6.32.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock()


@pytest.fixture
def world(database_url: str, clock: SkippingClock) -> Iterator[World]:
    with World(database_url, "http://127.0.0.1:9", clock=clock) as made:
        # The middle of an hour: nothing of a test slips into the next one by itself.
        now = made.ledger.clock.now()
        clock.skip(3600 - now.minute * 60 - now.second + 600)
        yield made


def browser(world: World, role: Role = Role.OPERATOR) -> TestClient:
    headers = {"accept": "text/html", "origin": ORIGIN}
    client = TestClient(world.app(lambda: None), base_url=ORIGIN, headers=headers, follow_redirects=False)
    client.cookies.update(logged_in(world, role))
    return client


def rows(text: str, table: str) -> list[list[str]]:
    """The numbers as the picture reads them, newest hour first."""
    inside = re.search(rf'<table id="{table}">(.*?)</table>', text, re.DOTALL)
    assert inside is not None, table
    return [re.findall(r'data-value="(\d*)"', row) for row in re.findall(r"<tr data-key.*?</tr>", inside[1], re.DOTALL)]


def business(world: World, clock: SkippingClock) -> None:
    """An hour in which four came, two were carried and one was held; an hour later one came; the last one waits since then."""
    for number in range(1, 5):
        world.deliver(order(number))
    for outcome in (
        Outcome("settled"),
        Outcome("settled"),
        Outcome("held", "No. What to do: mend it.", error_class="money"),
    ):
        claim = world.ledger.jobs.claim("test")
        assert claim is not None
        world.ledger.jobs.settle(claim, outcome)
    for milliseconds in (100, 200, 330):
        world.ledger.pulse.called("crm", milliseconds)
    world.ledger.pulse.flush()
    clock.skip(3600)
    world.deliver(order(5))
    clock.skip(60)
    world.ledger.pulse.advance()


def test_each_hour_in_its_row(world: World, clock: SkippingClock) -> None:
    business(world, clock)
    text = browser(world, Role.VIEWER).get("/figures").text
    orders = rows(text, "orders-table")
    assert len(orders) == 24
    assert orders[0][:4] == ["1", "0", "0", "0"]
    assert 3655 <= int(orders[0][4]) <= 3690, "the fourth waits since the hour before"
    assert orders[1] == ["4", "2", "1", "1", "0"]
    assert orders[2:] == [["0"] * 5] * 22
    calls = rows(text, "calls-table")
    assert calls[:2] == [["0", ""], ["3", "210"]]
    assert "In all: 5 came in, 2 carried, 1 held, 1 tries failed." in text


def test_a_week_has_its_hours_and_another_word_is_a_day(world: World, clock: SkippingClock) -> None:
    business(world, clock)
    clock.skip(2 * 86_400)
    desk = browser(world)
    assert {cell for row in rows(desk.get("/figures").text, "orders-table") for cell in row[:4]} == {"0"}
    week = rows(desk.get("/figures?span=week").text, "orders-table")
    assert len(week) == 168
    assert week[49][:4] == ["4", "2", "1", "1"]
    assert len(rows(desk.get("/figures?span=%3Cscript%3E").text, "orders-table")) == 24


def test_the_longest_wait_of_an_hour_stays(world: World, clock: SkippingClock) -> None:
    world.deliver(order(1))
    clock.skip(600)
    world.ledger.pulse.advance()
    oldest = world.ledger.pulse.oldest()
    assert oldest is not None
    assert (oldest.number, oldest.flow, oldest.target) == ("1", "shop-orders", "crm")
    claim = world.ledger.jobs.claim("test")
    assert claim is not None
    world.ledger.jobs.settle(claim, Outcome("settled"))
    clock.skip(60)
    world.deliver(order(2))
    world.ledger.pulse.advance()
    waited = world.ledger.pulse.hours(world.ledger.clock.now())["", "age"]
    assert 595 <= waited[-1] <= 640, "a shorter one does not hide it"


def test_what_waits_for_going_live_is_not_the_oldest(world: World) -> None:
    world.deliver(order(1))
    claim = world.ledger.jobs.claim("test")
    assert claim is not None
    world.ledger.jobs.settle(claim, Outcome("retry", "Rehearsed only", seconds=10 * 365 * 86_400, burns=False))
    assert world.ledger.pulse.oldest() is None


def test_the_sheet_says_the_same_and_is_for_those_who_may_export(world: World, clock: SkippingClock) -> None:
    business(world, clock)
    assert browser(world, Role.VIEWER).get("/figures.csv").status_code == 403
    answer = browser(world).get("/figures.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="figures.csv"'
    lines = answer.text.removeprefix("\ufeff").splitlines()
    assert lines[0] == "hour (UTC),came in,carried,tries failed,held,longest wait (s),crm calls,crm average (ms)"
    assert len(lines) == 25
    assert lines[-2].split(",")[1:] == ["4", "2", "1", "1", "0", "3", "210"]
    assert next(one.action for one in world.ledger.audit.list()) == "figures.export"


def test_it_refreshes_by_itself_once_a_minute(world: World, clock: SkippingClock) -> None:
    business(world, clock)
    desk = browser(world)
    assert 'data-every="60"' in desk.get("/figures").text
    live = desk.get("/figures", headers={"hx-request": "true"})
    assert live.status_code == 200
    assert rows(live.text, "orders-table") == rows(desk.get("/figures").text, "orders-table")
    assert "<html" not in live.text


def test_without_a_script_the_page_is_whole(world: World, clock: SkippingClock) -> None:
    business(world, clock)
    text = browser(world).get("/figures").text
    assert '<div class="charts" id="charts" hidden>' in text
    assert text.index("uplot-1.6.32.iife.min.js") < text.index("figures.js")
    assert "uplot" not in browser(world).get("/").text, "other pages do not carry it"


@pytest.mark.parametrize("name", list(PINNED))
def test_uplot_is_the_release_that_we_looked_at(name: str) -> None:
    assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == PINNED[name]
    assert PINNED[name] in (STATIC / "README.md").read_text(encoding="utf-8")
    assert name in assets.all_of_them()
    assert "MIT" in (STATIC / "uplot-LICENSE.txt").read_text(encoding="utf-8")


def test_the_first_page_has_the_day_and_who_waits_longest(world: World, clock: SkippingClock) -> None:
    business(world, clock)
    text = browser(world).get("/").text
    assert "5 came in, 2 carried, 1 tries failed" in text
    assert "Waits longest:" in text
    assert '<polyline class="waits"' in text
