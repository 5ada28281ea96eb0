"""What runs at intervals: how its rounds are remembered and shown, and pausing, resuming and fetching a span again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from core.rights import Role
from ledger import tables as t
from ledger.schedules import KEPT, not_asked
from pipelines import conditions, schedules
from pipelines.desk import RESTING
from pipelines.gauges import LedgerMetrics
from tests.desk import HOSTILE, logged_in
from tests.world import SkippingClock, World
from web.dashboard.tiles import tiles

ORIGIN = "http://127.0.0.1"
POLL = "poll/shop"


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock()


@pytest.fixture
def world(database_url: str, clock: SkippingClock) -> Iterator[World]:
    """A shop that can be asked, though nobody answers; the other one only tells."""
    shops = {"shop": {"url": "http://127.0.0.1:9"}, "shop2": {}}
    with World(database_url, "http://127.0.0.1:9", clock=clock, shops=shops, poll=300) as made:
        yield made


def browser(world: World, role: Role = Role.OPERATOR) -> TestClient:
    headers = {"accept": "text/html", "origin": ORIGIN}
    client = TestClient(world.app(lambda: None), base_url=ORIGIN, headers=headers, follow_redirects=False)
    client.cookies.update(logged_in(world, role))
    return client


def once(world: World, outcome: str = "0 changes", *, name: str = POLL, every: float = 300, took: float = 0.0) -> None:
    assert world.ledger.schedules.start_if_due(name, every=every, lease=60)
    assert isinstance(world.clock, SkippingClock)
    world.clock.skip(took)
    world.ledger.schedules.ended(name, outcome)


def last(world: World, name: str = POLL) -> list[tuple[str, int, str]]:
    rounds = world.ledger.schedules.rounds(name, last=KEPT).get(name, [])
    return [(one.state, one.missed, one.outcome) for one in rounds]


# -- what is remembered ------------------------------------------------------------------------------------------------


def test_every_round_is_remembered_with_its_lateness(world: World, clock: SkippingClock) -> None:
    once(world, "3 changes", took=2)
    clock.skip(300)
    once(world, "failed: no answer")
    clock.skip(1000)
    once(world)
    assert last(world) == [("ok", 0, "3 changes"), ("failed", 0, "failed: no answer"), ("ok", 2, "0 changes")]
    first, _, third = world.ledger.schedules.rounds(POLL)[POLL]
    assert first.seconds == pytest.approx(2, abs=1)
    assert third.late == pytest.approx(700, abs=5), "it was due 300 s after the second began"


def test_what_the_dead_left_is_told_as_lost(world: World, clock: SkippingClock) -> None:
    assert world.ledger.schedules.start_if_due(POLL, every=300, lease=60)
    clock.skip(61)
    once(world)
    assert [state for state, *_ in last(world)] == ["lost", "ok"]


def test_what_fell_into_a_pause_is_told_as_skipped_and_runs_once(world: World, clock: SkippingClock) -> None:
    once(world)
    world.ledger.schedules.pause(POLL, 10_000, by="Anna", why="maintenance")
    clock.skip(1600)
    assert not world.ledger.schedules.start_if_due(POLL, every=300, lease=60)
    world.ledger.schedules.resume(POLL)
    once(world)
    assert last(world)[1:] == [("skipped", 4, "Paused by Anna: maintenance"), ("ok", 0, "0 changes")]
    assert not world.ledger.schedules.start_if_due(POLL, every=300, lease=60), "once is enough"


def test_a_pause_ends_by_itself(world: World, clock: SkippingClock) -> None:
    once(world)
    world.ledger.schedules.pause(POLL, 900)
    clock.skip(899)
    assert not world.ledger.schedules.start_if_due(POLL, every=300, lease=60)
    clock.skip(2)
    assert world.ledger.schedules.start_if_due(POLL, every=300, lease=60)


def test_a_round_that_left_a_paused_connection_alone_is_no_sign_of_life(world: World, clock: SkippingClock) -> None:
    world.ledger.states.heard("shop")
    heard = {tile.name: tile.last_success for tile in tiles(world.context, clock.now())}["shop"]
    assert heard is not None
    clock.skip(900)
    once(world, not_asked("shop"))
    assert {tile.name: tile.last_success for tile in tiles(world.context, clock.now())}["shop"] == heard


def test_nothing_that_asks_a_connection_begins_while_it_is_paused(world: World) -> None:
    asks = {one.name: one.asks for one in schedules.of(world.context)}
    assert {name for name, those in asks.items() if "shop" in those} == {
        "poll/shop",
        "compare/shop-orders",
        "gaps/shop",
        "webhooks/shop",
    }
    assert asks["compare/shop-orders"] == {"shop", "crm"}


@pytest.mark.parametrize(("address", "form"), [("/schedules/run", {"name": POLL}), ("/connections/shop/run", {})])
def test_nothing_is_promised_to_begin_while_its_connection_is_paused(
    world: World, address: str, form: dict[str, str]
) -> None:
    once(world)
    world.ledger.states.pause("shop", 3600)
    answer = browser(world).post(address, data=form)
    assert (answer.status_code, "shop is paused, so nothing asks it" in answer.text) == (409, True)
    assert not world.ledger.schedules.start_if_due(POLL, every=300, lease=60)
    world.ledger.states.pause("shop", 0)
    assert browser(world).post(address, data=form).status_code == 303
    assert world.ledger.schedules.start_if_due(POLL, every=300, lease=60)


def test_only_the_newest_rounds_of_each_are_kept(world: World, clock: SkippingClock) -> None:
    once(world, "the other one's", name="pulse", every=60)
    for number in range(KEPT + 7):
        once(world, str(number), every=1)
        clock.skip(1)
    kept = last(world)
    assert [outcome for *_, outcome in kept] == [str(number) for number in range(7, KEPT + 7)]
    assert [outcome for *_, outcome in last(world, "pulse")] == ["the other one's"]
    assert len(world.ledger.db.rows(sa.select(t.schedule_run.c.number))) == KEPT + 1, (
        "the others are gone from the table"
    )


def test_running_now_does_not_hide_how_late_it_is(world: World, clock: SkippingClock) -> None:
    once(world)
    clock.skip(3900)
    world.ledger.schedules.run_now(POLL)
    once(world)
    assert world.ledger.schedules.rounds(POLL)[POLL][-1].late == pytest.approx(3600, abs=5)


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_interval_strip_lateness_and_missed_rounds(world: World, clock: SkippingClock) -> None:
    once(world, "3 changes")
    clock.skip(301)
    once(world, "failed: The store does not answer. What to do: wait.")
    clock.skip(1300)
    text = browser(world, Role.VIEWER).get("/schedules").text
    row = re.search(r'id="s-poll-shop">.*?</tr>', text, re.DOTALL)
    assert row is not None
    assert "every 5 minutes" in row[0]
    assert 'aria-label="Last 2 rounds: 1 in time, 1 failed."' in row[0]
    assert row[0].count("<rect") == 2
    assert "late by 17 minutes" in row[0]
    assert "3 rounds missed" in row[0]
    assert "The store does not answer." in row[0]
    assert "<form" not in row[0], "a viewer looks"


def test_its_own_page_lists_its_rounds(world: World, clock: SkippingClock) -> None:
    once(world, HOSTILE[0])
    clock.skip(2000)
    once(world, "failed: no")
    text = browser(world).get("/schedules/poll/shop").text
    assert "&lt;script&gt;window.struck" in text
    assert "<script>window.struck" not in text
    assert re.search(r"28 minutes", text), "late by"
    assert list(re.findall(r'<span class="chip \w*">(in time|failed|late)', text)) == [
        "failed",
        "failed",
        "in time",
    ]


@pytest.mark.parametrize("path", ["/schedules", "/schedules/poll/shop", "/"])
def test_they_refresh_by_themselves(world: World, path: str) -> None:
    once(world, "failed: no")
    live = browser(world).get(path, headers={"hx-request": "true"})
    assert live.status_code == 200
    assert "Asks shop what changed" in live.text
    assert "<html" not in live.text


@pytest.mark.parametrize("name", ["poll/nobody", "nothing", "%00", "x" * 300, "poll/shop/"])
def test_a_schedule_that_is_not_there(world: World, name: str) -> None:
    assert browser(world).get(f"/schedules/{name}").status_code == 404


# -- what is pressed ---------------------------------------------------------------------------------------------------


def test_pause_and_resume_with_a_name_in_the_audit(world: World, clock: SkippingClock) -> None:
    once(world)
    desk = browser(world)
    answer = desk.post("/schedules/pause", data={"name": POLL, "span": "60", "reason": "The shop moves"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/schedules/poll/shop")
    shown = desk.get("/schedules/poll/shop").text
    assert "Paused until" in shown
    assert "The shop moves" in shown
    assert 'action="/schedules/run"' not in shown
    clock.skip(1000)
    assert "late" not in desk.get("/schedules/poll/shop").text.replace("later", ""), "what is paused is not late"
    assert desk.post("/schedules/run", data={"name": POLL}).status_code == 409
    assert desk.post("/schedules/resume", data={"name": POLL}).status_code == 303
    assert world.ledger.schedules.start_if_due(POLL, every=300, lease=60)
    assert desk.post("/schedules/resume", data={"name": POLL}).status_code == 409, "it is not paused any more"
    noted = [(one.actor, one.action, one.subject) for one in world.ledger.audit.list() if "schedule." in one.action]
    assert noted == [
        ("operator", "schedule.resume", "schedule/poll/shop"),
        ("operator", "schedule.pause", "schedule/poll/shop"),
    ]


def test_what_orderwire_itself_needs_is_never_paused(world: World) -> None:
    for one in schedules.of(world.context):
        once(world, name=one.name, every=one.every)
        status = browser(world).post("/schedules/pause", data={"name": one.name, "span": "15"}).status_code
        assert status == (303 if one.name.partition("/")[0] in RESTING else 409), one.name
    paused = {one.name for one in world.ledger.figures.schedules() if one.paused_until is not None}
    assert paused == {one.name for one in schedules.of(world.context) if one.name.partition("/")[0] in RESTING}


@pytest.mark.parametrize(
    "data",
    [
        {"span": ""},
        {"span": "time", "until": "soon"},
        {"span": "-5"},
        {"span": "999999"},
    ],
)
def test_a_pause_without_an_end_that_makes_sense(world: World, data: dict[str, str]) -> None:
    once(world)
    assert browser(world).post("/schedules/pause", data={"name": POLL, **data}).status_code == 409
    assert all(one.paused_until is None for one in world.ledger.figures.schedules())


def test_fetching_again_first_asks_the_store(world: World) -> None:
    once(world)
    desk = browser(world)
    given = {
        "name": POLL,
        "flow": "shop-orders",
        "since": "2026-03-01T00:00",
        "until": "2026-03-02T00:00",
        "offset": "60",
    }
    answer = desk.post("/schedules/fetch", data=given)
    (run,) = world.ledger.runs.list(kind="survey")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/runs/{run.id}")
    assert (run.flow, run.by, run.state) == ("shop-orders", "operator", "queued")
    assert str(run.options["since"]).startswith("2026-02-28T23:00"), "in the reader's zone"
    assert not run.options["create"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": ""},
        {"until": "2026-02-01T00:00"},
        {"since": "2026-01-01T00:00"},
        {"flow": "shop2-orders"},
        {"flow": ""},
        {"name": "gaps/shop"},
    ],
)
def test_a_span_that_cannot_be_fetched(world: World, wrong: dict[str, str]) -> None:
    once(world)
    once(world, name="gaps/shop", every=86_400)
    given = {"name": POLL, "flow": "shop-orders", "since": "2026-03-01T00:00", "until": "2026-03-02T00:00", **wrong}
    assert browser(world).post("/schedules/fetch", data=given).status_code == 409
    assert not world.ledger.runs.list(kind="survey")


@pytest.mark.parametrize("path", ["pause", "resume", "fetch", "run"])
def test_a_viewer_presses_nothing(world: World, path: str) -> None:
    once(world)
    desk = browser(world, Role.VIEWER)
    assert desk.post(f"/schedules/{path}", data={"name": POLL, "span": "15"}).status_code == 403
    assert "<form action" not in re.sub(
        r'<form action="/logout".*?</form>|<form class="search".*?</form>', "", desk.get(f"/schedules/{POLL}").text
    )


def test_what_is_paused_and_failed_before_is_still_told(world: World) -> None:
    once(world, "failed: no")
    world.ledger.schedules.pause(POLL, 600)
    assert [one.cause for one in conditions.schedules(world.context)] == ["schedule/poll/shop"]


def test_what_is_paused_is_not_late_for_prometheus(world: World, clock: SkippingClock) -> None:
    def lateness() -> float:
        text = LedgerMetrics(world.context).text().decode()
        found = re.search(r'orderwire_schedule_lateness_seconds\{schedule="poll/shop"\} (\S+)', text)
        assert found is not None
        return float(found[1])

    once(world)
    clock.skip(600)
    assert lateness() > 290
    world.ledger.schedules.pause(POLL, 3600)
    assert lateness() == 0
    clock.skip(3700)
    assert 95 < lateness() < 130, "from the end of the pause on"
