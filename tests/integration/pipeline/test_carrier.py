"""Runs that people begin, stop and let go on while somebody is at work with them: nobody works against a person's word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from core.errors import ConfigurationProblem, RetryLater
from ledger.runs import CARRIED, RATE, STOPPED_BY, Lost, RunKind, RunState, RunView
from pipelines import backfill, carrier, golive, rundesk, undo
from pipelines.backfill import Wanted
from pipelines.carrier import WRITING
from pipelines.rundesk import RunDesk
from tests.integration.pipeline.test_backfill import DAY, FIRST, FLOW, START, Killed, kill_after, put
from tests.shops import shop
from tests.world import SkippingClock, World

WANTED = Wanted(FIRST, START, create=True)
OLGA = f"{STOPPED_BY}Olga."


@pytest.fixture
def world(make: Callable[..., World]) -> Iterator[World]:
    """Three old orders of a flow that is live."""
    with shop() as (face, url):
        for id in (1, 2, 3):
            put(face, id, FIRST + (id - 1) * DAY)
        made = make(shops={"shop": {"url": url, "per_page": 1}}, rehearsing=True, clock=SkippingClock())
        golive.go_live(made.ledger, FLOW, START, by="test")
        adopted = made.ledger.runs.begin("adopt", FLOW, {"since": FIRST.isoformat(), "until": START.isoformat()})
        made.ledger.runs.end(adopted.id, "done")
        yield made


@pytest.fixture
def done(world: World) -> RunView:
    """They have been taken in."""
    run = backfill.backfill(world.context, world.context.flows[FLOW], WANTED)
    world.drain()
    assert world.counts("SalesOrder") == (3,)
    return run


def now(world: World, run: RunView) -> RunView:
    found = world.ledger.runs.get(run.id)
    assert found is not None
    return found


def skip(world: World, minutes: float) -> None:
    assert isinstance(world.clock, SkippingClock)
    world.clock.skip(60 * minutes)


def begun(world: World, kind: RunKind, options: dict[str, Any], state: RunState = "queued") -> RunView:
    return world.ledger.runs.begin(kind, FLOW, {**options, CARRIED: True}, by="Olga", state=state)


def desk(world: World) -> RunDesk:
    return RunDesk(world.context, world.ledger.audit)


def take_back(world: World, run: RunView, **options: Any) -> RunView | None:
    found, flow = undo.of_run(world.context, run.id)
    return undo.undo(world.context, found, flow, pause=lambda _seconds: None, **options)[0]


# -- stopped by a person -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("then", ["the process ends", "an outage"])
@pytest.mark.parametrize("kind", ["backfill", "undo"])
def test_what_a_person_stopped_stays_stopped(world: World, kind: RunKind, then: str, request: Any) -> None:
    """In the very moment in which its process ends, or a system goes out."""
    target = request.getfixturevalue("done") if kind == "undo" else None
    run = begun(world, kind, {"run": target.id} if target else WANTED.options())

    def stopping() -> bool:
        if now(world, run).state != "running":
            return False
        assert world.ledger.runs.stop(run.id, OLGA)
        if then == "an outage":
            raise RetryLater("crm is out. What to do: wait.", seconds=60, connection="crm")
        return True

    assert carrier.go_on(world.context, WRITING, stopping) == 1
    assert (now(world, run).state, now(world, run).summary) == ("stopped", OLGA)
    skip(world, 5)
    world.drain()
    before = world.counts("SalesOrder")
    assert before == ((2,) if kind == "undo" else (1,)), "the rest was left"
    assert carrier.go_on(world.context, WRITING) == 0
    world.drain()
    assert world.counts("SalesOrder") == before


def test_a_stop_ends_the_undoing_of_a_command(world: World, done: RunView) -> None:
    def stop(at: int, _total: int | None) -> None:
        (own,) = world.ledger.runs.list(kind="undo")
        if at == 1:
            assert world.ledger.runs.stop(own.id, OLGA)

    with pytest.raises(Lost, match="Stopped by Olga"):
        take_back(world, done, progress=stop)
    (own,) = world.ledger.runs.list(kind="undo")
    assert (own.state, own.summary) == ("stopped", OLGA)
    assert world.counts("SalesOrder") == (2,)
    take_back(world, done)
    assert (now(world, own).state, world.counts("SalesOrder", "Accounts", "Contacts")) == ("done", (0, 0, 0))


def test_a_stop_at_the_last_moment_is_not_written_over(world: World, done: RunView) -> None:
    def stop(at: int, total: int | None) -> None:
        if at == total:
            assert world.ledger.runs.stop(world.ledger.runs.list(kind="undo")[0].id, OLGA)

    own = take_back(world, done, progress=stop)
    assert own is not None
    assert (own.state, own.summary) == ("stopped", OLGA)


# -- an undoing and its backfill ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["queued", "running", "stopped", "failed"])
def test_what_is_taken_back_creates_nothing_afterwards(world: World, state: RunState) -> None:
    run = begun(world, "backfill", WANTED.options(), state)
    take_back(world, run)
    assert now(world, run).state == "done"
    assert carrier.go_on(world.context, WRITING) == 0
    assert world.drain() == 0
    assert world.counts("SalesOrder") == (0,)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_an_undoing_does_not_wait_behind_what_it_ends(world: World, state: RunState) -> None:
    """A worker carries one after the other."""
    run = begun(world, "backfill", WANTED.options(), state)
    look = begun(world, "preview", {"run": run.id}, "done")
    own = desk(world).undo(look.id, actor="Olga")
    assert (now(world, run).state, now(world, run).summary) == ("stopped", OLGA)
    (note,) = world.ledger.audit.list(action="run.stop")
    assert (note.actor, note.subject) == ("Olga", f"run/{run.id}")
    assert carrier.go_on(world.context, WRITING) == 1
    assert (now(world, own).state, now(world, run).state) == ("done", "done")
    assert world.drain() == 0


# -- a command's run ---------------------------------------------------------------------------------------------------


@pytest.fixture
def killed(world: World, monkeypatch: pytest.MonkeyPatch) -> RunView:
    """A command that was at a rate, killed at its second order, sixteen minutes ago."""
    wanted = Wanted(FIRST, START, create=True, rate=24)
    with monkeypatch.context() as patch:
        kill_after(patch, world.ledger.inbox, "accept", 2)
        with pytest.raises(Killed):
            backfill.backfill(world.context, world.context.flows[FLOW], wanted, pause=lambda _seconds: None)
    (run,) = world.ledger.runs.list(kind="backfill")
    skip(world, 16)
    return run


def test_a_worker_that_died_with_a_commands_run_is_followed_by_another(
    world: World, killed: RunView, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk(world).go_on(killed.id, actor="Olga")
    assert world.ledger.runs.take(killed.id)  # and whoever took it was killed
    slept: list[float] = []
    monkeypatch.setattr(carrier._Work, "rest", lambda _self, seconds: slept.append(seconds))
    assert carrier.go_on(world.context, WRITING) == 1
    assert now(world, killed).state == "done"
    assert now(world, killed).options[RATE] == 24
    assert sum(slept) >= 2.5, "at the rate of the command"
    world.drain()
    assert world.counts("SalesOrder") == (3,)


def test_the_same_command_finds_its_run_after_a_worker(world: World, killed: RunView) -> None:
    def command(rate: float) -> RunView:
        wanted = Wanted(FIRST, START, create=True, rate=rate)
        return backfill.backfill(world.context, world.context.flows[FLOW], wanted, pause=lambda _seconds: None)

    desk(world).go_on(killed.id, actor="Olga")
    with pytest.raises(ConfigurationProblem, match=f"Run {killed.id} does that already"):
        command(24)
    desk(world).stop(killed.id, actor="Olga")
    run = command(60)
    assert (run.id, run.state) == (killed.id, "done")
    assert (run.options[RATE], CARRIED in run.options) == (60, False)


@pytest.mark.parametrize("taken", [False, True])
def test_a_command_that_lost_its_run_leaves_it_alone(world: World, taken: bool) -> None:
    """It hung for so long that somebody let a worker go on with it."""

    def hang(_done: int, _total: int | None) -> None:
        (run,) = world.ledger.runs.list(kind="backfill")
        if CARRIED not in run.options:
            skip(world, 16)
            desk(world).go_on(run.id, actor="Olga")
            assert not taken or world.ledger.runs.take(run.id)

    with pytest.raises(Lost):
        backfill.backfill(world.context, world.context.flows[FLOW], WANTED, progress=hang)
    (run,) = world.ledger.runs.list(kind="backfill")
    assert (run.state, run.counts["orders"]) == ("running" if taken else "queued", 1)


# -- who is alive ------------------------------------------------------------------------------------------------------


def silent(world: World, kind: RunKind) -> bool:
    (run,) = world.ledger.runs.list(kind=kind)
    return rundesk.silent(run, world.context.clock.now())


def test_an_undoing_that_takes_long_is_at_work(world: World, done: RunView, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[bool] = []
    real = world.crm.delete

    def slow(kind: Any, id: str) -> None:
        found.append(silent(world, "undo"))
        skip(world, 6)
        real(kind, id)

    monkeypatch.setattr(world.crm, "delete", slow)
    take_back(world, done)
    assert len(found) == 9
    assert not any(found)


def test_a_backfill_that_waits_for_its_jobs_or_its_rate_is_at_work(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "AHEAD", 1)
    monkeypatch.setattr(backfill, "SLICE", 1)
    found: list[bool] = []
    waits: list[int] = []

    def wait(seconds: float) -> None:
        found.append(silent(world, "backfill"))
        skip(world, seconds / 60 if seconds > backfill.LOOK else 2)
        waits.append(1)
        if seconds <= backfill.LOOK and len(waits) % 15 == 0:
            world.drain()

    wanted = Wanted(FIRST, START, create=True, rate=1 / 20)
    done = backfill.backfill(world.context, world.context.flows[FLOW], wanted, pause=wait)
    assert done.state == "done"
    assert len(found) > 30
    assert not any(found)
    assert timedelta(minutes=20) > rundesk.SILENT, "one rest at this rate is longer than that"
